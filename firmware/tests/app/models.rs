//! A model of two layers, with a recipe for pictures and with golden vectors; and one of which there are class
//! activation maps.

use kiln_core::format::{
    ConvRecord, Drawn, File, Golden, Header, LayerRecord, NONE, PoolRecord, output_sum,
};
use kiln_core::layer::{PoolKind, Scratch};
use kiln_core::packing::Packing;
use kiln_core::preprocess::{Color, Fit, Recipe};
use kiln_core::tensor::{Shape, Tensor};
use kiln_core::window::Window;
use kiln_core::{Model, Target};

const LABELS: [&str; 4] = ["cat", "dog", "bird", "fish"];

const RECIPE: Recipe = Recipe {
    width: 3,
    height: 2,
    fit: Fit::Crop,
    crop_pct: 100,
    color: Color::Grey,
    mean: [0.5; 3],
    std: [0.25; 3],
};

/// The input of a golden vector, whose seed is its number.
pub fn input_of(vector: u32) -> Vec<u8> {
    let values = Drawn::new(vector).take(6);
    values.map(|value| value as u8).collect()
}

/// Weights, then bias and multipliers: those of the first layer, which reads so many values, those of the
/// second.
fn constants(inputs: usize) -> (Vec<u8>, [[u32; 3]; 2]) {
    let mut bytes = Vec::new();
    let mut places = [[0; 3]; 2];
    for (place, (outputs, inputs)) in places.iter_mut().zip([(4, inputs), (4, 4)]) {
        place[0] = bytes.len() as u32;
        bytes.extend((0..outputs * inputs).map(|at: usize| (at * at * 29 + 7) as u8));
        place[1] = bytes.len() as u32;
        bytes.extend((0..outputs).flat_map(|at| (at as i32 * 100 - 150).to_le_bytes()));
        place[2] = bytes.len() as u32;
        bytes.extend((0..outputs).flat_map(|at| (0.001 + at as f32 * 0.0005).to_le_bytes()));
    }
    (bytes, places)
}

const fn tensor(offset: u32, shape: Shape, zero_point: i8) -> Tensor {
    Tensor {
        offset,
        shape,
        zero_point,
    }
}

fn conv(input: u16, [weights, bias, multipliers]: [u32; 3], kernel: [u16; 2]) -> LayerRecord {
    LayerRecord::Conv(ConvRecord {
        input,
        output: input + 1,
        window: Window {
            kernel,
            ..Window::default()
        },
        groups: 1,
        packing: Packing::Plain,
        limits: [-128, 127],
        weights,
        weight_zero_points: NONE,
        bias,
        multipliers,
        fixed: NONE,
        scratch: Scratch::default(),
    })
}

fn emit(golden: &[Golden<'_>], recipe: Option<Recipe>, labels: &[&str]) -> Vec<u8> {
    let (constants, places) = constants(6);
    file(
        &[
            tensor(0, Shape::new(2, 3, 1), -5),
            tensor(8, Shape::vector(4), 0),
            tensor(12, Shape::vector(4), 3),
        ],
        &[
            ("first", conv(0, places[0], [2, 3])),
            ("second", conv(1, places[1], [1, 1])),
        ],
        &constants,
        golden,
        recipe,
        labels,
    )
}

/// A file whose first tensor is the input and whose last is the output.
fn file(
    tensors: &[Tensor],
    layers: &[(&str, LayerRecord)],
    constants: &[u8],
    golden: &[Golden<'_>],
    recipe: Option<Recipe>,
    labels: &[&str],
) -> Vec<u8> {
    let table: Vec<u8> = (0..=255_u8).map(|value| value ^ 0x80).collect();
    let ends = tensors.iter();
    let ends = ends.map(|tensor| tensor.offset + tensor.shape.len() as u32);
    let file = File {
        target: Target::Generic,
        arena: ends.max().unwrap_or(0),
        name: "two layers",
        tensors,
        input: 0,
        input_scale: 0.02,
        output: tensors.len() as u16 - 1,
        output_scale: 0.25,
        layers,
        labels,
        recipe,
        input_table: if recipe.is_some() { &table } else { &[] },
        golden,
        constants,
    };
    let mut bytes = Vec::new();
    file.emit(&mut |part| bytes.extend_from_slice(part))
        .expect("the parts are small");
    bytes
}

/// A model that ends in a global average and a linear layer, so that there are maps of it, of the picture's
/// six places.
pub fn mapped() -> Vec<u8> {
    let (constants, places) = constants(1);
    let pool = PoolRecord {
        kind: PoolKind::Average {
            scales: [0.05, 0.05],
            count_include_pad: false,
            fixed: 0,
        },
        input: 1,
        output: 2,
        window: Window {
            kernel: [2, 3],
            ..Window::default()
        },
        limits: [-128, 127],
    };
    file(
        &[
            tensor(0, Shape::new(2, 3, 1), -5),
            tensor(8, Shape::new(2, 3, 4), 0),
            tensor(32, Shape::vector(4), 0),
            tensor(36, Shape::vector(4), 3),
        ],
        &[
            ("points", conv(0, places[0], [1, 1])),
            ("mean", LayerRecord::Pool(pool)),
            ("linear", conv(2, places[1], [1, 1])),
        ],
        &constants,
        &[],
        Some(RECIPE),
        &LABELS,
    )
}

/// The sums of the layers and the logits of an input.
fn run(bytes: &[u8], input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let model = Model::new(bytes).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    model.input_mut(&mut arena).unwrap().copy_from_slice(input);
    let mut sums = Vec::new();
    let output = model.run_with(&mut arena, &mut |_, layer, output| {
        sums.extend(output_sum(layer, output).to_le_bytes());
    });
    let logits = output.unwrap().values().to_vec();
    (sums, logits)
}

/// The model.
pub fn bytes() -> Vec<u8> {
    let bare = emit(&[], Some(RECIPE), &LABELS);
    let results = [0, 1].map(|seed| (seed, run(&bare, &input_of(seed))));
    let golden = results.each_ref().map(|(seed, (sums, logits))| Golden {
        seed: *seed,
        sums,
        logits,
    });
    emit(&golden, Some(RECIPE), &LABELS)
}

/// The model with neither recipe nor golden vectors.
pub fn plain() -> Vec<u8> {
    emit(&[], None, &LABELS)
}

/// The same with one class fewer, so that the last of its four values says whether the input is known.
pub fn knowing() -> Vec<u8> {
    emit(&[], None, &LABELS[..3])
}

/// The model with another weight in a layer, its checksum left as it was.
pub fn with_changed_weight(layer: usize) -> Vec<u8> {
    let mut bytes = bytes();
    let (constants, places) = constants(6);
    let start = bytes.len() - constants.len();
    assert!(start.is_multiple_of(64) && start > Header::LEN);
    let weight = start + places[layer][0] as usize + 3;
    bytes[weight] ^= 0x55;
    bytes
}
