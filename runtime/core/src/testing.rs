//! What tests share.

use std::vec::Vec;

use crate::Model;
use crate::format::{
    BinaryRecord, ConvRecord, CopyRecord, File, Golden, LayerRecord, NONE, PoolRecord,
    ResizeRecord, TableRecord, Target, output_sum,
};
use crate::layer::{BinaryFixed, BinaryOp, Layer, PoolKind, Scratch};
use crate::packing::Packing;
pub(crate) use crate::preprocess::reference::Random;
use crate::preprocess::{Color, Fit, Recipe};
use crate::tensor::{Shape, Tensor};
use crate::window::Window;

/// So many cases, fewer under Miri, which is some hundred times slower.
pub(crate) const fn trials(count: usize) -> usize {
    if cfg!(miri) {
        count.div_ceil(500)
    } else {
        count
    }
}

/// Every one, or every `step`th under Miri.
pub(crate) const fn every(step: usize) -> usize {
    if cfg!(miri) { step } else { 1 }
}

impl Random {
    /// 0..count.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        (self.next() >> 11) % count
    }

    pub(crate) fn i8(&mut self) -> i8 {
        (self.next() >> 24) as i8
    }

    /// i8 values, as an arena holds them.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.i8() as u8).collect()
    }

    /// A float above zero, its logarithm even over `2^low..2^high`.
    pub(crate) fn scale(&mut self, low: i32, high: i32) -> f32 {
        let exponent = low + self.below((high - low) as u64) as i32;
        let mantissa = 1.0 + self.below(1 << 23) as f64 / f64::from(1 << 23);
        (mantissa * 2f64.powi(exponent)) as f32
    }
}

/// A tensor of `[height, width, channels]`.
pub(crate) fn tensor(offset: usize, [height, width, channels]: [u32; 3], zero_point: i8) -> Tensor {
    Tensor {
        offset: offset as u32,
        shape: Shape::new(height, width, channels),
        zero_point,
    }
}

/// Words as a file holds them.
pub(crate) fn words(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Floats as a file holds them.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// `clamp(round_half_even(value) + zero_point, low, high)` by the standard library's rounding.
pub(crate) fn rounded(value: f32, zero_point: i32, low: i8, high: i8) -> i8 {
    let sum = f64::from(value).round_ties_even() + f64::from(zero_point);
    sum.clamp(low.into(), high.into()) as i8
}

/// A golden vector's parts.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) seed: u32,
    pub(crate) sums: Vec<u8>,
    pub(crate) logits: Vec<u8>,
}

/// A file's parts, to be changed at will.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) arena: u32,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) input: u16,
    pub(crate) output: u16,
    pub(crate) scales: [f32; 2],
    pub(crate) layers: Vec<(&'static str, LayerRecord)>,
    pub(crate) labels: Vec<&'static str>,
    pub(crate) recipe: Option<Recipe>,
    pub(crate) input_table: Vec<u8>,
    pub(crate) golden: Vec<Made>,
    pub(crate) constants: Vec<u8>,
}

impl Parts {
    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let golden = self.golden.iter().map(|made| Golden {
            seed: made.seed,
            sums: &made.sums,
            logits: &made.logits,
        });
        let golden: Vec<_> = golden.collect();
        let file = File {
            target: Target::Generic,
            arena: self.arena,
            name: "every layer",
            tensors: &self.tensors,
            input: self.input,
            input_scale: self.scales[0],
            output: self.output,
            output_scale: self.scales[1],
            layers: &self.layers,
            labels: &self.labels,
            recipe: self.recipe,
            input_table: &self.input_table,
            golden: &golden,
            constants: &self.constants,
        };
        let mut bytes = Vec::new();
        file.emit(&mut |part| bytes.extend_from_slice(part))
            .unwrap();
        bytes
    }

    /// Appends constants, and says where they are.
    pub(crate) fn constant(&mut self, bytes: &[u8]) -> u32 {
        let at = self.constants.len();
        self.constants.extend_from_slice(bytes);
        self.constants
            .resize(self.constants.len().next_multiple_of(16), 0);
        at as u32
    }

    /// Appends a tensor behind the others in the arena, and says its number.
    pub(crate) fn tensor(&mut self, shape: [u32; 3], zero_point: i8) -> u16 {
        let tensor = tensor(self.arena as usize, shape, zero_point);
        self.arena += tensor.shape.len() as u32;
        self.tensors.push(tensor);
        self.tensors.len() as u16 - 1
    }

    /// Appends a convolution of `out` channels, and says its output's number.
    pub(crate) fn conv(
        &mut self,
        random: &mut Random,
        input: u16,
        out: u32,
        window: Window,
        groups: u32,
    ) -> u16 {
        let shape = self.tensors[usize::from(input)].shape;
        let [rows, columns] = window.output(shape.height, shape.width).unwrap();
        let output = self.tensor([rows, columns, out], 3);
        let taps = window.taps() * (shape.channels / groups) as usize;
        let scale = 30.0 / (5000.0 * (taps as f32).sqrt());
        let weights = random.bytes(out as usize * taps);
        let bias: Vec<i32> = (0..out).map(|_| random.i8().into()).collect();
        let multipliers: Vec<f32> = (0..out).map(|_| random.scale(-1, 1) * scale).collect();
        let fixed: Vec<i32> = (0..out as i32).map(|out| out % 2 * 20_000_000).collect();
        let zero_points = random.bytes(out as usize);
        let grouped = groups > 1;
        let record = ConvRecord {
            input,
            output,
            window,
            groups,
            packing: Packing::Plain,
            limits: [-128, 127],
            weights: self.constant(&weights),
            weight_zero_points: if grouped {
                self.constant(&zero_points)
            } else {
                NONE
            },
            bias: self.constant(&words(&bias)),
            multipliers: self.constant(&floats(&multipliers)),
            fixed: if grouped {
                NONE
            } else {
                self.constant(&words(&fixed))
            },
            scratch: Scratch { offset: 8, len: 16 },
        };
        self.layers.push(("conv", LayerRecord::Conv(record)));
        output
    }

    /// A small classifier with a layer of every kind and option.
    pub(crate) fn every_layer() -> Self {
        let mut random = Random(77);
        let mut parts = Self {
            arena: 0,
            tensors: Vec::new(),
            input: 0,
            output: 0,
            scales: [0.02, 0.1],
            layers: Vec::new(),
            labels: std::vec!["ant", "bee", "cat", "dog", "eel", "fox", "gnu"],
            recipe: Some(Recipe {
                width: 5,
                height: 6,
                fit: Fit::Stretch,
                crop_pct: 100,
                color: Color::Rgb,
                mean: [0.5; 3],
                std: [0.25; 3],
            }),
            input_table: random.bytes(768),
            golden: Vec::new(),
            constants: Vec::new(),
        };
        let same = Window {
            kernel: [3; 2],
            padding: [1; 4],
            ..Window::default()
        };
        let halve = Window {
            kernel: [2; 2],
            stride: [2; 2],
            padding: [0, 0, 0, 1],
            ..Window::default()
        };
        let limits = [-128, 127];
        let first = parts.tensor([6, 5, 3], -5);
        let a = parts.conv(&mut random, first, 4, same, 1);
        let b = parts.conv(&mut random, a, 4, same, 2);
        let binary = |op, a, b, output, fixed| {
            LayerRecord::Binary(BinaryRecord {
                op,
                a,
                b,
                output,
                scales: [0.05, 0.04, 0.07],
                fixed,
                limits,
            })
        };
        parts
            .layers
            .push(("add", binary(BinaryOp::Add, a, b, b, None)));
        let factors = [12_000, 9000];
        let fixed = Some(BinaryFixed { factors, shift: 14 });
        parts
            .layers
            .push(("sub", binary(BinaryOp::Sub, b, a, b, fixed)));
        let average = PoolKind::Average {
            scales: [0.05, 0.03],
            count_include_pad: false,
            fixed: 0,
        };
        let c = parts.tensor([3, 3, 4], 3);
        let d = parts.tensor([3, 3, 4], 3);
        for (kind, output) in [(PoolKind::Max, c), (average, d)] {
            let input = b;
            let record = PoolRecord {
                kind,
                input,
                output,
                window: halve,
                limits,
            };
            parts.layers.push(("pool", LayerRecord::Pool(record)));
        }
        let e = parts.tensor([3, 3, 9], 3);
        let table = parts.constant(&random.bytes(256));
        for (input, channel, fill, table) in [(c, 0, Some(3), NONE), (d, 5, None, table)] {
            let record = CopyRecord {
                input,
                output: e,
                at: [0, 0, channel],
                fill,
                table,
            };
            parts.layers.push(("concat", LayerRecord::Copy(record)));
        }
        let table = parts.constant(&random.bytes(9 * 256));
        let record = TableRecord {
            input: e,
            output: e,
            table,
            per_channel: true,
        };
        parts.layers.push(("prelu", LayerRecord::Table(record)));
        let global = parts.tensor([1, 1, 9], 0);
        let window = Window {
            kernel: [3; 2],
            ..Window::default()
        };
        let record = PoolRecord {
            kind: average,
            input: e,
            output: global,
            window,
            limits,
        };
        parts.layers.push(("global", LayerRecord::Pool(record)));
        parts
            .layers
            .push(("scale", binary(BinaryOp::Mul, e, global, e, None)));
        let large = parts.tensor([6, 3, 9], 3);
        let record = ResizeRecord {
            input: e,
            output: large,
            factors: [2, 1],
        };
        parts.layers.push(("resize", LayerRecord::Resize(record)));
        let whole = Window {
            kernel: [6, 3],
            ..Window::default()
        };
        parts.output = parts.conv(&mut random, large, 7, whole, 1);
        // Each of its channels has a factor, so that there are no multipliers.
        let fixed = parts.constant(&words(&[2_000_000; 7]));
        if let Some((_, LayerRecord::Conv(record))) = parts.layers.last_mut() {
            (record.multipliers, record.fixed) = (NONE, fixed);
        }
        parts.arena += 16;

        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        let mut arena = std::vec![0; parts.arena as usize];
        let seed = 1;
        model.draw_input(&mut arena, seed).unwrap();
        let mut sums = Vec::new();
        let mut observe = |_: usize, layer: &Layer<'_>, output: &[u8]| {
            sums.extend(output_sum(layer, output).to_le_bytes());
        };
        let output = model.run_with(&mut arena, &mut observe).unwrap();
        let logits = output.values().to_vec();
        parts.golden.push(Made { seed, sums, logits });
        parts
    }
}
