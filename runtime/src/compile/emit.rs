//! Layers with their places, as the bytes of a file.

use std::collections::HashMap;

use kiln_core::format::{
    BinaryRecord, ConvRecord, CopyRecord, File, Golden, LayerRecord, NONE, PoolRecord,
    ResizeRecord, TableRecord,
};
use kiln_core::layer::Scratch;
use kiln_core::preprocess::Recipe;
use kiln_core::tensor::Tensor;

use super::conv::Conv;
use super::lower::{Layer, Lowered, Op, unplaced};
use super::plan::{Plan, Problem};
use super::tables::quantize;
use super::target::{Wants, wants};
use super::{CompileError, Options};
use crate::multiplier::Rounding;
use crate::qgraph::{QGraph, TensorId};

/// All that a file is made of, but the golden vectors.
pub(super) struct Parts<'a> {
    graph: &'a QGraph,
    options: &'a Options<'a>,
    arena: u32,
    tensors: Vec<Tensor>,
    /// Numbers in the file of the graph's tensors.
    numbers: Vec<Option<u16>>,
    layers: Vec<(&'a str, LayerRecord)>,
    recipe: Option<Recipe>,
    input_table: Vec<u8>,
    constants: Constants,
    /// For each layer, what its constants take.
    pub(super) constant_bytes: Vec<usize>,
    /// For each layer, how many channels have no multiplier in integers.
    pub(super) exact: Vec<usize>,
}

/// Constants in the making; what is there already is not stored twice.
#[derive(Default)]
struct Constants {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Constants {
    fn add(&mut self, bytes: Vec<u8>, alignment: usize) -> u32 {
        if let Some(&at) = self.known.get(&bytes)
            && (at as usize).is_multiple_of(alignment)
        {
            return at;
        }
        self.bytes
            .resize(self.bytes.len().next_multiple_of(alignment), 0);
        let at = u32::try_from(self.bytes.len()).unwrap_or(NONE);
        self.bytes.extend_from_slice(&bytes);
        self.known.insert(bytes, at);
        at
    }
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        graph: &'a QGraph,
        options: &'a Options<'a>,
        lowered: &Lowered<'a>,
        problem: &Problem,
        plan: &Plan,
    ) -> Result<Self, CompileError> {
        let recipe: Option<Recipe> = graph.meta.recipe.map(Recipe::from);
        let mut parts = Self {
            graph,
            options,
            arena: u32::try_from(plan.peak).unwrap_or(u32::MAX),
            tensors: Vec::new(),
            numbers: vec![None; graph.tensors.len()],
            layers: Vec::new(),
            recipe,
            input_table: recipe.map_or(Vec::new(), |recipe| input_table(graph, &recipe)),
            constants: Constants::default(),
            constant_bytes: Vec::new(),
            exact: Vec::new(),
        };
        let used = lowered
            .layers
            .iter()
            .flat_map(|layer| layer.reads.iter().chain([&layer.writes]));
        for &id in [graph.input, graph.output].iter().chain(used) {
            parts.tensor(id, plan.offsets[id])?;
        }
        for &index in &plan.order {
            let layer = &lowered.layers[index];
            let before = parts.constants.bytes.len();
            let scratch = Scratch {
                offset: u32::try_from(plan.scratch[index]).unwrap_or(u32::MAX),
                len: u32::try_from(problem.steps[index].scratch).unwrap_or(u32::MAX),
            };
            let record = parts.layer(layer, scratch)?;
            parts.layers.push((layer.name, record));
            parts
                .constant_bytes
                .push(parts.constants.bytes.len() - before);
        }
        Ok(parts)
    }

    fn tensor(&mut self, id: TensorId, offset: usize) -> Result<(), CompileError> {
        let tensor = &self.graph.tensors[id];
        if self.numbers[id].is_none() {
            let number = u16::try_from(self.tensors.len());
            self.numbers[id] = Some(number.map_err(|_| {
                CompileError::layer(&tensor.name, "the format holds no more than 65,535 tensors")
            })?);
            self.tensors.push(Tensor {
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                ..unplaced(self.graph, id)
            });
        }
        Ok(())
    }

    /// The number in the file of a tensor that has one.
    fn number(&self, id: TensorId) -> u16 {
        self.numbers[id].unwrap_or(u16::MAX)
    }

    fn layer(&mut self, layer: &Layer<'_>, scratch: Scratch) -> Result<LayerRecord, CompileError> {
        let (input, output) = (self.number(layer.reads[0]), self.number(layer.writes));
        let scale = |id: TensorId| self.graph.quant(id).scale;
        let exact = self.exact.len();
        self.exact.push(0);
        Ok(match &layer.op {
            Op::Conv(conv) => {
                let record = self.conv(layer, conv, scratch, exact)?;
                LayerRecord::Conv(record)
            }
            Op::Binary { op, limits, fixed } => LayerRecord::Binary(BinaryRecord {
                op: *op,
                a: input,
                b: self.number(layer.reads[1]),
                output,
                scales: [
                    scale(layer.reads[0]),
                    scale(layer.reads[1]),
                    scale(layer.writes),
                ],
                fixed: *fixed,
                limits: *limits,
            }),
            Op::Table(table) => LayerRecord::Table(TableRecord {
                input,
                output,
                per_channel: table.len() > 256,
                table: self.constants.add(table.clone(), 4),
            }),
            Op::Pool { kind, window } => LayerRecord::Pool(PoolRecord {
                kind: *kind,
                input,
                output,
                window: *window,
                limits: [-128, 127],
            }),
            Op::Copy { at, fill, table } => LayerRecord::Copy(CopyRecord {
                input,
                output,
                at: *at,
                fill: *fill,
                table: match table {
                    Some(table) => self.constants.add(table.clone(), 4),
                    None => NONE,
                },
            }),
            Op::Resize(factors) => LayerRecord::Resize(ResizeRecord {
                input,
                output,
                factors: *factors,
            }),
        })
    }

    fn conv(
        &mut self,
        layer: &Layer<'_>,
        conv: &Conv<'_>,
        scratch: Scratch,
        exact: usize,
    ) -> Result<ConvRecord, CompileError> {
        let Wants {
            constants, fixed, ..
        } = wants(self.options.target);
        let [input, output] = [layer.reads[0], layer.writes].map(|id| unplaced(self.graph, id));
        let geometry = conv.geometry(input, output);
        let shape = geometry.kernel_shape();
        let packing = conv.packing(self.options.target, &geometry);
        let mut weights = vec![0; packing.len(shape)];
        packing.pack(shape, conv.weights, &conv.bias, &mut weights);
        let alignment = constants.max(packing.alignment());
        let zero_point = self.graph.quant(layer.writes).zero_point;
        let integers = integers(conv, zero_point);
        self.exact[exact] = integers.iter().filter(|&&integer| integer == 0).count();
        let groups = u32::try_from(conv.groups)
            .map_err(|_| CompileError::layer(layer.name, "too many groups"))?;
        let add = &mut self.constants;
        let bytes = |values: &[i32]| {
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let multipliers = conv.multipliers.iter().flat_map(|m| m.to_le_bytes());
        // Where factors do for all channels, nobody asks for the multipliers.
        let factors = fixed && integers.iter().any(|&integer| integer != 0);
        let floats = !factors || integers.contains(&0);
        Ok(ConvRecord {
            input: self.numbers[layer.reads[0]].unwrap_or(u16::MAX),
            output: self.numbers[layer.writes].unwrap_or(u16::MAX),
            window: conv.window,
            groups,
            packing,
            limits: conv.limits,
            weights: add.add(weights, alignment),
            weight_zero_points: match conv.zero_points {
                [] => NONE,
                zero_points => add.add(zero_points.iter().map(|&z| z as u8).collect(), 4),
            },
            bias: add.add(bytes(&conv.bias), 4),
            multipliers: match floats {
                true => add.add(multipliers.collect(), 4),
                false => NONE,
            },
            fixed: match factors {
                true => add.add(bytes(&integers), 4),
                false => NONE,
            },
            scratch,
        })
    }

    /// The file.
    pub(super) fn bytes(&self, golden: &[Golden<'_>]) -> Result<Vec<u8>, CompileError> {
        let meta = &self.graph.meta;
        let labels: Vec<&str> = meta.labels.iter().map(String::as_str).collect();
        let mut bytes = Vec::new();
        let file = File {
            target: self.options.target,
            arena: self.arena,
            name: self.options.name.unwrap_or(&meta.name),
            tensors: &self.tensors,
            input: self.number(self.graph.input),
            input_scale: self.graph.quant(self.graph.input).scale,
            output: self.number(self.graph.output),
            output_scale: self.graph.output_scale(),
            layers: &self.layers,
            labels: &labels,
            recipe: self.recipe,
            input_table: &self.input_table,
            golden,
            constants: &self.constants.bytes,
        };
        let emitted = file.emit(&mut |part| bytes.extend_from_slice(part));
        emitted.map_err(|source| CompileError::Format {
            context: "writing the file",
            source,
        })?;
        Ok(bytes)
    }
}

/// The multipliers in integers; 0 where none gives the same for all sums that can occur.
fn integers(conv: &Conv<'_>, zero_point: i8) -> Vec<i32> {
    let [low, high] = conv.limits;
    let channels = conv.multipliers.iter().zip(&conv.reach);
    let integer = |(&multiplier, &(least, greatest)): (&f32, &(i32, i32))| {
        let rounding = Rounding {
            multiplier,
            zero_point,
            low,
            high,
        };
        let reach = i64::from(least)..=i64::from(greatest);
        rounding.nearest_fixed(&reach).unwrap_or(0)
    };
    channels.map(integer).collect()
}

/// For each channel, the input for a pixel's value: normalised, then quantized.
fn input_table(graph: &QGraph, recipe: &Recipe) -> Vec<u8> {
    let quant = graph.quant(graph.input);
    let channels = (0..recipe.channels()).flat_map(|channel| recipe.table(channel));
    channels.map(|value| quantize(value, quant) as u8).collect()
}
