//! A model that gives no class activation maps: it does not end in a global average and a linear layer.

use kiln_core::Target;
use kiln_core::format::{ConvRecord, File, LayerRecord, NONE};
use kiln_core::layer::Scratch;
use kiln_core::packing::Packing;
use kiln_core::preprocess::{Color, Fit, Recipe};
use kiln_core::tensor::{Shape, Tensor};
use kiln_core::window::Window;

/// Rows, columns and channels of its input.
const SHAPE: Shape = Shape::new(40, 48, 3);

const LABELS: [&str; 3] = ["left", "right", "neither"];

/// The bytes of its file: one layer, whose weights are a pixel each. The first class likes what is bright on the
/// left, the second what is bright on the right.
pub fn without_maps() -> Vec<u8> {
    let len = SHAPE.len();
    let mut constants: Vec<u8> = (0..LABELS.len() * len)
        .map(|at| {
            let column = at / 3 % SHAPE.width as usize;
            let weight = (at * 37 % 11) as i8 - 4;
            match (at / len, column < SHAPE.width as usize / 2) {
                (0, true) | (1, false) => weight.unsigned_abs(),
                (2, _) => 0,
                _ => weight as u8,
            }
        })
        .collect();
    let bias = constants.len() as u32;
    constants.extend([0_i32; 3].iter().flat_map(|value| value.to_le_bytes()));
    let multipliers = constants.len() as u32;
    constants.extend([2e-4_f32; 3].iter().flat_map(|value| value.to_le_bytes()));
    let layer = LayerRecord::Conv(ConvRecord {
        input: 0,
        output: 1,
        window: Window {
            kernel: [SHAPE.height as u16, SHAPE.width as u16],
            ..Window::default()
        },
        groups: 1,
        packing: Packing::Plain,
        limits: [-128, 127],
        weights: 0,
        weight_zero_points: NONE,
        bias,
        multipliers,
        fixed: NONE,
        scratch: Scratch::default(),
    });
    let table: Vec<u8> = (0..3)
        .flat_map(|_| (0..=255_u8).map(|value| value ^ 0x80))
        .collect();
    let tensor = |offset, shape, zero_point| Tensor {
        offset,
        shape,
        zero_point,
    };
    let logits = Shape::vector(LABELS.len() as u32);
    let file = File {
        target: Target::Generic,
        arena: len as u32 + 3,
        name: "left or right",
        tensors: &[tensor(0, SHAPE, -128), tensor(len as u32, logits, 0)],
        input: 0,
        input_scale: 1.0 / 255.0,
        output: 1,
        output_scale: 0.125,
        layers: &[("all", layer)],
        labels: &LABELS,
        recipe: Some(Recipe {
            width: SHAPE.width as u16,
            height: SHAPE.height as u16,
            fit: Fit::Crop,
            crop_pct: 100,
            color: Color::Rgb,
            mean: [0.5; 3],
            std: [0.5; 3],
        }),
        input_table: &table,
        golden: &[],
        constants: &constants,
    };
    let mut bytes = Vec::new();
    file.emit(&mut |part| bytes.extend_from_slice(part))
        .expect("the parts are small");
    bytes
}
