//! Between which values each channel stays, whatever the input.

use kiln_core::layer::{Pool, PoolKind};
use kiln_core::ops::pool;
use kiln_core::rounding::requantize;

use super::super::conv::{Around, multiplier};
use super::super::lower::{table_range, unplaced};
use super::super::tables::{self, limits};
use crate::qgraph::{QConv, QGraph, QLayer, QOp};

/// The least and greatest value.
pub(super) type Range = [i8; 2];

const ALL: Range = [i8::MIN, i8::MAX];

/// For each tensor the range of each channel. The graph has been checked.
pub(super) fn ranges(graph: &QGraph) -> Vec<Vec<Range>> {
    let all = |tensor: usize| vec![ALL; graph.tensors[tensor].shape.channels as usize];
    let mut ranges: Vec<_> = (0..graph.tensors.len()).map(all).collect();
    for layer in &graph.layers {
        ranges[layer.output] = output(graph, layer, &ranges[layer.inputs[0]]);
    }
    ranges
}

/// The ranges of a layer's output by those of its first input.
fn output(graph: &QGraph, layer: &QLayer, from: &[Range]) -> Vec<Range> {
    let ids = [layer.inputs[0], layer.output];
    let [input, output] = ids.map(|id| graph.quant(id));
    let channels = graph.tensors[layer.output].shape.channels as usize;
    let of_tables = |tables: &[u8]| {
        let mut tables = tables.chunks_exact(256).cycle();
        let range = |&range: &Range| tables.next().map_or(ALL, |table| table_range(table, range));
        from.iter().map(range).collect()
    };
    match &layer.op {
        QOp::Conv(conv) => {
            let around = Around {
                name: &layer.name,
                input,
                output,
                range: ALL,
                limits: limits(conv.clamp, output),
            };
            let range = |channel| conv_range(conv, channel, from, &around);
            (0..channels).map(range).collect()
        }
        QOp::Binary { clamp, .. } => vec![limits(*clamp, output); channels],
        QOp::Pointwise(function) => of_tables(&tables::pointwise(*function, input, output)),
        QOp::Requantize => of_tables(&tables::table(input, output, |x| x)),
        QOp::PRelu(slopes) => of_tables(&tables::prelu(slopes, input, output)),
        QOp::MaxPool(_) | QOp::AveragePool { .. } => {
            let range = |&[low, high]: &Range| match low == high {
                true => pooled(graph, layer, low).unwrap_or(ALL),
                false => ALL,
            };
            from.iter().map(range).collect()
        }
        QOp::Concat(_) => vec![ALL; channels],
        QOp::Pad { value, .. } => {
            let range = |&[low, high]: &Range| [low.min(*value), high.max(*value)];
            from.iter().map(range).collect()
        }
        QOp::Resize(_) => from.to_vec(),
    }
}

/// Requantizing never falls, so the ends of the sum become the ends of the output.
fn conv_range(conv: &QConv, channel: usize, from: &[Range], around: &Around<'_>) -> Range {
    let Ok(multiplier) = multiplier(conv.scales[channel], around) else {
        return around.limits;
    };
    let inputs = from.len() / conv.groups;
    let group = channel / (conv.bias.len() / conv.groups);
    let from = from[group * inputs..][..inputs].iter().cycle();
    let len = conv.window.taps() * inputs;
    let weights = &conv.weights[channel * len..][..len];
    let weight_zero = i64::from(conv.zero_points[channel]);
    let zero = i64::from(around.input.zero_point);
    let padded = conv.window.padding != [0; 4];
    let bias = i64::from(conv.bias[channel]);
    let mut sums = [bias; 2];
    for (&weight, range) in weights.iter().zip(from) {
        let [mut low, mut high] = range.map(|end| i64::from(end) - zero);
        if padded {
            (low, high) = (low.min(0), high.max(0));
        }
        let weight = i64::from(weight) - weight_zero;
        let (a, b) = (weight * low, weight * high);
        sums = [sums[0] + a.min(b), sums[1] + a.max(b)];
    }
    let [Ok(least), Ok(greatest)] = sums.map(i32::try_from) else {
        return around.limits;
    };
    let [low, high] = around.limits;
    let zero = around.output.zero_point;
    [least, greatest].map(|sum| requantize(sum, multiplier, zero, low, high))
}

/// The range of what the engine makes of a channel that has one value.
fn pooled(graph: &QGraph, layer: &QLayer, value: i8) -> Option<Range> {
    let ids = [layer.inputs[0], layer.output];
    let (window, kind) = match layer.op {
        QOp::MaxPool(window) => (window, PoolKind::Max),
        QOp::AveragePool {
            window,
            count_include_pad,
        } => {
            let scales = ids.map(|id| graph.quant(id).scale);
            let kind = PoolKind::Average {
                scales,
                count_include_pad,
                fixed: 0,
            };
            (window, kind)
        }
        _ => return None,
    };
    let [mut input, mut output] = ids.map(|id| unplaced(graph, id));
    (input.shape.channels, output.shape.channels) = (1, 1);
    let mut arena = vec![value as u8; input.shape.len()];
    let start = arena.len();
    output.offset = u32::try_from(start).ok()?;
    arena.resize(start + output.shape.len(), 0);
    let [low, high] = ALL;
    let layer = Pool {
        kind,
        input,
        output,
        window,
        low,
        high,
    };
    pool::run(&layer, &mut arena)?;
    let made = arena[start..].iter().map(|&byte| byte as i8);
    Some([made.clone().min()?, made.max()?])
}
