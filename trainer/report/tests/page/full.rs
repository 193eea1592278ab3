//! A report that has everything.

use kiln_report::{
    Bin, Block, BlockKind, Card, Costs, Epoch, Evaluation, Group, LayerCost, LayerNoise, Memory,
    Mistake, Quantization, Report, Size, Thumbnail, Training,
};

/// All names are `name`.
pub fn full(name: &str) -> Report {
    let name = || name.to_owned();
    let evaluation = Evaluation {
        model: name(),
        pictures: name(),
        n: 12_345,
        accuracy: 0.8754,
        loss: 0.3217,
        ece: 0.0156,
        labels: vec![name(), "dog".into(), "bird".into()],
        confusion: vec![vec![4096, 17, 0], vec![23, 4097, 1], vec![0, 0, 4111]],
        bins: vec![
            Bin::default(),
            Bin {
                n: 12_345,
                accuracy: 0.8754,
                confidence: 0.9,
            },
        ],
        mistakes: vec![
            Mistake {
                picture: Some(Thumbnail::of_rgb(2, 2, vec![200; 12]).unwrap()),
                file: name(),
                label: name(),
                answer: name(),
                confidence: 0.987,
            },
            Mistake::default(),
        ],
    };
    let epoch = |epoch| Epoch {
        epoch,
        lr: 0.003,
        train_loss: 0.5,
        train_accuracy: 0.7,
        val_loss: 0.4563,
        val_accuracy: 0.8125,
        images_per_second: 800.0,
        seconds: 30.0,
    };
    let block = |kind, offset, bytes| Block {
        name: name(),
        kind,
        offset,
        bytes,
        first: 0,
        last: 1,
    };
    Report {
        title: name(),
        subtitle: name(),
        card: Card {
            labels: vec![name()],
            groups: vec![Group {
                title: name(),
                lines: vec![(name(), name())],
            }],
            command: name(),
        },
        training: Some(Training {
            epochs: (1..=3).map(epoch).collect(),
            best: Some(2),
        }),
        evaluations: vec![evaluation],
        quantization: Some(Quantization {
            pictures: 512,
            method: name(),
            agreement: 0.9876,
            logits_sqnr_db: 27.3,
            top1: Some((0.88, 0.8754)),
            layers: vec![LayerNoise {
                name: name(),
                op: name(),
                sqnr_db: 31.4,
            }],
            advice: vec![name()],
        }),
        memory: Some(Memory {
            arena: 29_435,
            target: name(),
            steps: vec![name(), name()],
            blocks: vec![
                block(BlockKind::Input, 0, 12_288),
                block(BlockKind::Output, 12_288, 17_147),
            ],
        }),
        costs: Some(Costs {
            device: name(),
            layers: vec![LayerCost {
                name: name(),
                op: name(),
                output: name(),
                macs: Some(663_552),
                constants: Some(960),
                instructions: Some(1_234_567),
                milliseconds: None,
            }],
        }),
        sizes: vec![Size {
            name: name(),
            bytes: 82_632,
            note: name(),
        }],
    }
}
