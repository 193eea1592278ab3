//! The smallest model, from its parts to its answer; `tiny.kiln` is what FORMAT.md shows.

use kiln_core::format::{ConvRecord, File, LayerRecord, NONE};
use kiln_core::layer::Scratch;
use kiln_core::packing::Packing;
use kiln_core::tensor::{Shape, Tensor};
use kiln_core::window::Window;
use kiln_core::{Model, Target};

/// Two classes of three features: `down` is `x0 - x1`, `up` is `x1 + 2 * x2`.
fn bytes() -> Vec<u8> {
    let tensor = |offset, channels| Tensor {
        offset,
        shape: Shape::vector(channels),
        zero_point: 0,
    };
    let weights = [1, -1, 0, 0, 1, 2].map(|weight: i8| weight as u8);
    let mut constants = weights.to_vec();
    constants.resize(8, 0);
    for bias in [0, 1_i32] {
        constants.extend(bias.to_le_bytes());
    }
    for multiplier in [0.5, 0.25_f32] {
        constants.extend(multiplier.to_le_bytes());
    }
    let record = ConvRecord {
        input: 0,
        output: 1,
        window: Window::default(),
        groups: 1,
        packing: Packing::Plain,
        limits: [-128, 127],
        weights: 0,
        weight_zero_points: NONE,
        bias: 8,
        multipliers: 16,
        fixed: NONE,
        scratch: Scratch::default(),
    };
    let file = File {
        target: Target::Generic,
        arena: 5,
        name: "tiny",
        tensors: &[tensor(0, 3), tensor(3, 2)],
        input: 0,
        input_scale: 1.0,
        output: 1,
        output_scale: 0.5,
        layers: &[("gemm", LayerRecord::Conv(record))],
        labels: &["down", "up"],
        recipe: None,
        input_table: &[],
        golden: &[],
        constants: &constants,
    };
    let mut bytes = Vec::new();
    file.emit(&mut |part| bytes.extend_from_slice(part))
        .expect("the parts are small");
    bytes
}

#[test]
fn the_file_is_made_of_these_parts() {
    let bytes = bytes();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tiny.kiln");
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(path, &bytes).expect("tests/ can be written");
    }
    let found = include_bytes!("tiny.kiln");
    assert!(found[..] == bytes[..], "set KILN_BLESS=1 to rewrite {path}");
}

#[test]
fn it_answers() {
    let bytes = bytes();
    let model = Model::new(&bytes).unwrap();
    let mut arena = [0; 5];
    let cases = [
        // (9 + 1) * 0.5 = 5; (1 - 1 + 0) * 0.25 = 0.
        ([9, -1, 0], [5, 0], "down"),
        // -1.5 goes to -2, 6.75 to 7.
        ([-1, 2, 12], [-2, 7], "up"),
    ];
    for (input, logits, label) in cases {
        let output = model.run(&mut arena, &input).unwrap();
        assert_eq!(output.values(), logits.map(|logit: i8| logit as u8));
        assert_eq!(output.logit(0), f32::from(logits[0]) * 0.5);
        let [best] = output.top();
        assert_eq!(model.label(best.index), Some(label));
    }
}
