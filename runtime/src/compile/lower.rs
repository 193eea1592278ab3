//! Layers of a quantized graph as layers of the engine.

use kiln_core::layer::{self, BinaryFixed, BinaryOp, PoolKind};
use kiln_core::tensor::{Shape, Tensor};
use kiln_core::window::Window;

use super::conv::{Around, Conv};
use super::plan::Inside;
use super::pool::Average;
use super::tables::{self, dequantize, limits, quantize};
use super::{CompileError, binary};
use crate::graph::{Axis, Binary, Quant};
use crate::qgraph::{QGraph, QLayer, QOp, TensorId};

/// What the engine runs, before it is planned. Tensors are those of the graph.
pub(super) struct Lowered<'g> {
    pub(super) layers: Vec<Layer<'g>>,
    /// Inputs of Concat that are written where the joined tensor has them.
    pub(super) inside: Vec<Inside>,
}

/// A layer of the engine.
pub(super) struct Layer<'g> {
    /// ONNX's name.
    pub(super) name: &'g str,
    pub(super) op: Op<'g>,
    pub(super) reads: Vec<TensorId>,
    pub(super) writes: TensorId,
}

/// What it computes, with its constants.
pub(super) enum Op<'g> {
    Conv(Conv<'g>),
    Binary {
        op: BinaryOp,
        limits: [i8; 2],
        fixed: Option<BinaryFixed>,
    },
    /// 256 entries, or 256 a channel.
    Table(Vec<u8>),
    Pool {
        kind: PoolKind,
        window: Window,
    },
    Copy {
        at: [u32; 3],
        fill: Option<i8>,
        table: Option<Vec<u8>>,
    },
    Resize([u32; 2]),
}

/// Lowers a graph that has been checked. Where `join`, inputs of Concat are written in place if they
/// can be, to a multiple of `alignment`.
pub(super) fn lower(
    graph: &QGraph,
    join: bool,
    alignment: usize,
) -> Result<Lowered<'_>, CompileError> {
    let alive = alive(graph);
    let mut inside = Vec::new();
    if join {
        for layer in graph.layers.iter().filter(|layer| alive[layer.output]) {
            join_inputs(graph, layer, alignment, &mut inside);
        }
    }
    let mut lower = Lower {
        graph,
        ranges: vec![[-128, 127]; graph.tensors.len()],
        lowered: Lowered {
            layers: Vec::new(),
            inside,
        },
    };
    for layer in graph.layers.iter().filter(|layer| alive[layer.output]) {
        lower.layer(layer)?;
    }
    Ok(lower.lowered)
}

/// Of each tensor, whether the output depends on it.
fn alive(graph: &QGraph) -> Vec<bool> {
    let mut alive = vec![false; graph.tensors.len()];
    alive[graph.output] = true;
    for layer in graph.layers.iter().rev() {
        if alive[layer.output] {
            layer.inputs.iter().for_each(|&input| alive[input] = true);
        }
    }
    alive
}

/// Whether what is written with these strides is in one piece: all axes before it are of length 1.
fn in_one_piece(axis: Axis, whole: Shape) -> bool {
    match axis {
        Axis::Rows => true,
        Axis::Columns => whole.height == 1,
        Axis::Channels => whole.height == 1 && whole.width == 1,
    }
}

/// Finds the inputs of a Concat that need no copy.
fn join_inputs(graph: &QGraph, layer: &QLayer, alignment: usize, inside: &mut Vec<Inside>) {
    let QOp::Concat(axis) = layer.op else { return };
    let whole = &graph.tensors[layer.output];
    let taken = |inside: &[Inside], tensor: TensorId| {
        inside
            .iter()
            .any(|part| part.tensor == tensor || part.of == tensor)
    };
    if !in_one_piece(axis, whole.shape) || inside.iter().any(|part| part.tensor == layer.output) {
        return;
    }
    let mut at: usize = 0;
    for &input in &layer.inputs {
        let tensor = &graph.tensors[input];
        let same = tables::requantize(tensor.quant, whole.quant).is_none();
        let once = layer.inputs.iter().filter(|&&other| other == input).count() == 1;
        let free = input != graph.input && input != graph.output && !taken(inside, input);
        if same && once && free && at.is_multiple_of(alignment) {
            inside.push(Inside {
                tensor: input,
                of: layer.output,
                at,
            });
        }
        at += tensor.shape.len();
    }
}

struct Lower<'g> {
    graph: &'g QGraph,
    /// The least and greatest value of each tensor.
    ranges: Vec<[i8; 2]>,
    lowered: Lowered<'g>,
}

impl<'g> Lower<'g> {
    fn push(&mut self, layer: &'g QLayer, op: Op<'g>) {
        let reads = layer.inputs.clone();
        self.push_reading(layer, op, reads);
    }

    fn push_reading(&mut self, layer: &'g QLayer, op: Op<'g>, reads: Vec<TensorId>) {
        self.lowered.layers.push(Layer {
            name: &layer.name,
            op,
            reads,
            writes: layer.output,
        });
    }

    fn layer(&mut self, layer: &'g QLayer) -> Result<(), CompileError> {
        let graph = self.graph;
        let (input, output) = (graph.quant(layer.inputs[0]), graph.quant(layer.output));
        let range = self.ranges[layer.inputs[0]];
        self.ranges[layer.output] = match &layer.op {
            QOp::Conv(conv) => {
                let limits = limits(conv.clamp, output);
                let around = Around {
                    name: &layer.name,
                    input,
                    output,
                    range,
                    limits,
                };
                self.push(layer, Op::Conv(Conv::new(conv, &around)?));
                limits
            }
            QOp::Binary { op, clamp } => {
                let limits = limits(*clamp, output);
                let op = match op {
                    Binary::Add => BinaryOp::Add,
                    Binary::Sub => BinaryOp::Sub,
                    Binary::Mul => BinaryOp::Mul,
                };
                let fixed = self.fixed(layer, op, limits);
                self.push(layer, Op::Binary { op, limits, fixed });
                limits
            }
            QOp::Pointwise(function) => {
                self.table(layer, tables::pointwise(*function, input, output), range)
            }
            QOp::Requantize => self.table(layer, tables::table(input, output, |x| x), range),
            QOp::PRelu(slopes) => self.table(layer, tables::prelu(slopes, input, output), range),
            QOp::MaxPool(window) => {
                same(layer, input, output)?;
                let kind = PoolKind::Max;
                let window = *window;
                self.push(layer, Op::Pool { kind, window });
                match window.padding {
                    [0, 0, 0, 0] => range,
                    _ => [-128, range[1]],
                }
            }
            QOp::AveragePool {
                window,
                count_include_pad,
            } => {
                let average = Average {
                    window,
                    shape: graph.tensors[layer.inputs[0]].shape,
                    input,
                    output,
                    range,
                };
                let kind = PoolKind::Average {
                    scales: [input.scale, output.scale],
                    count_include_pad: *count_include_pad,
                    fixed: average.fixed(),
                };
                let window = *window;
                self.push(layer, Op::Pool { kind, window });
                average_range(range, input, output)
            }
            QOp::Concat(axis) => self.concat(layer, *axis),
            QOp::Pad { padding, value } => {
                same(layer, input, output)?;
                let [top, left, ..] = *padding;
                let copy = Op::Copy {
                    at: [top, left, 0],
                    fill: Some(*value),
                    table: None,
                };
                self.push(layer, copy);
                [range[0].min(*value), range[1].max(*value)]
            }
            QOp::Resize(factors) => {
                same(layer, input, output)?;
                self.push(layer, Op::Resize(*factors));
                range
            }
        };
        Ok(())
    }

    /// The factors in integers.
    fn fixed(&self, layer: &QLayer, op: BinaryOp, [low, high]: [i8; 2]) -> Option<BinaryFixed> {
        let [a, b] = [layer.inputs[0], layer.inputs[1]];
        let ids = [a, b, layer.output];
        let [a_tensor, b_tensor, output] = ids.map(|id| unplaced(self.graph, id));
        let exact = layer::Binary {
            op,
            a: a_tensor,
            b: b_tensor,
            output,
            scales: ids.map(|id| self.graph.quant(id).scale),
            fixed: None,
            low,
            high,
        };
        binary::fixed(&exact, [self.ranges[a], self.ranges[b]])
    }

    fn table(&mut self, layer: &'g QLayer, table: Vec<u8>, range: [i8; 2]) -> [i8; 2] {
        let reached = table_range(&table, range);
        self.push(layer, Op::Table(table));
        reached
    }

    fn concat(&mut self, layer: &'g QLayer, axis: Axis) -> [i8; 2] {
        let output = self.graph.quant(layer.output);
        let (mut reached, mut at) = ([127, -128], [0; 3]);
        for &input in &layer.inputs {
            let table = tables::requantize(self.graph.quant(input), output);
            let [low, high] = match &table {
                Some(table) => table_range(table, self.ranges[input]),
                None => self.ranges[input],
            };
            reached = [reached[0].min(low), reached[1].max(high)];
            let is_inside = |part: &Inside| part.tensor == input && part.of == layer.output;
            if !self.lowered.inside.iter().any(is_inside) {
                let fill = None;
                self.push_reading(layer, Op::Copy { at, fill, table }, vec![input]);
            }
            let shape = self.graph.tensors[input].shape;
            match axis {
                Axis::Rows => at[0] += shape.height,
                Axis::Columns => at[1] += shape.width,
                Axis::Channels => at[2] += shape.channels,
            }
        }
        reached
    }
}

/// A tensor as the engine has it, but for its place.
pub(super) fn unplaced(graph: &QGraph, id: TensorId) -> Tensor {
    Tensor {
        offset: 0,
        shape: graph.tensors[id].shape,
        zero_point: graph.quant(id).zero_point,
    }
}

/// Refuses a change of quantization where the engine makes none.
fn same(layer: &QLayer, input: Quant, output: Quant) -> Result<(), CompileError> {
    match tables::requantize(input, output) {
        None => Ok(()),
        Some(_) => Err(CompileError::layer(
            &layer.name,
            "its output is quantized in another way than its input: put a Requantize behind it",
        )),
    }
}

/// The least and greatest entry of a table for inputs within a range.
pub(super) fn table_range(table: &[u8], [low, high]: [i8; 2]) -> [i8; 2] {
    let entries = table.chunks_exact(256).flat_map(|table| {
        let (low, high) = (i32::from(low) + 128, i32::from(high) + 128);
        table[low as usize..=high as usize]
            .iter()
            .map(|&entry| entry as i8)
    });
    entries.fold([127, -128], |[low, high], entry| {
        [low.min(entry), high.max(entry)]
    })
}

/// Averages stay between the ends, one step left for rounding; padding may count as 0.
fn average_range([low, high]: [i8; 2], input: Quant, output: Quant) -> [i8; 2] {
    let low = low.min(input.zero_point);
    let high = high.max(input.zero_point);
    [
        quantize(dequantize(low, input), output).saturating_sub(1),
        quantize(dequantize(high, input), output).saturating_add(1),
    ]
}
