//! Training pictures a second on the CPU, batch 64, data in memory: Kiln's side of
//! `cargo xtask bench train`.
//!
//! Prints a line of JSON a net. Options: `--net cnn-64|resnet8-32` (may be repeated), `--steps N`,
//! `--rounds N`, `--threads N` (only reported: RAYON_NUM_THREADS sets it).

use std::time::Instant;

use burn::tensor::{Device, Distribution, Int, Tensor};
use burn::train::TrainStep;
use kiln::config::{OptimizerConfig, OptimizerKind};
use kiln::model::config::CnnConfig;
use kiln::model::{ModelConfig, Network};
use kiln::training::optimizer;
use kiln::training::step::{Loss, StepInput};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;

/// A net's network, input side and classes.
fn net(name: &str) -> (ModelConfig, usize, usize) {
    match name {
        "cnn-64" => {
            let cnn = CnnConfig {
                channels: vec![16, 32, 64],
                ..Default::default()
            };
            (ModelConfig::Cnn(cnn), 64, 2)
        }
        "resnet8-32" => (ModelConfig::Resnet(Default::default()), 32, 10),
        other => panic!("no net is called {other}"),
    }
}

fn main() {
    kiln::allocator::keep_freed_memory();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let all = |flag: &str| -> Vec<String> {
        let pairs = args.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].clone()).collect()
    };
    let number = |flag: &str, default: usize| {
        let last = all(flag).pop();
        last.map_or(default, |text| text.parse().expect("a number"))
    };
    let (steps, rounds) = (number("--steps", 40), number("--rounds", 3));
    let mut names = all("--net");
    if names.is_empty() {
        names = vec!["cnn-64".into(), "resnet8-32".into()];
    }
    for name in names {
        let line = serde_json::json!({
            "side": "kiln",
            "net": name,
            "batch": BATCH,
            "threads": number("--threads", 2),
            "rounds": rounds,
            "images_per_second": measure(&name, steps, rounds),
        });
        println!("{line}");
    }
}

/// The median over `rounds` of pictures a second.
fn measure(name: &str, steps: usize, rounds: usize) -> f64 {
    let (model, side, classes) = net(name);
    let device = Device::flex().autodiff();
    device.seed(1);
    let spec = model.spec([3, side, side], classes).expect("a network");
    let mut network = Network::new(&spec, &device);
    let config = OptimizerConfig {
        kind: OptimizerKind::Sgd,
        lr: 0.01,
        weight_decay: 0.0,
        ..Default::default()
    };
    let mut sgd = optimizer::build(&config, &network);
    let labels: Vec<i32> = (0..BATCH).map(|i| (i % classes) as i32).collect();
    let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
    let input = StepInput {
        pixels: Tensor::random(
            [BATCH, 3, side, side],
            Distribution::Normal(0.0, 1.0),
            &device,
        ),
        targets: labels.clone().one_hot(classes).float(),
        labels,
        lesson: None,
        loss: Loss::new(0.0, None),
        index: 0,
    };
    let mut step = |network: Network| {
        let output = TrainStep::step(&network, input.clone());
        let loss: f32 = output.item.loss.into_scalar();
        assert!(loss.is_finite());
        sgd.step(config.lr, network, output.grads)
    };
    // Buffers are allocated and threads started before the clock is.
    for _ in 0..5 {
        network = step(network);
    }
    let mut speeds = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..steps {
            network = step(network);
        }
        speeds.push((BATCH * steps) as f64 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}
