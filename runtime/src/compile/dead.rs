//! Channels that no result depends on, left out.
//!
//! | reader of a channel | does without it where |
//! |---|---|
//! | Conv of one group | its weights of it add nothing, or the channel has the same value everywhere, whatever the input: what that adds goes into the bias. Padding adds nothing, so where there is padding the value must be the zero point |
//! | depthwise Conv, Binary, Pointwise, Requantize, PRelu, pools, Pad, Resize | the channel that it makes of it is left out as well |
//! | other grouped Conv, Concat, the model's output | never |
//!
//! Each tensor keeps one channel. What is kept has the bits that it had.

mod ranges;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use kiln_core::Target;

use crate::qgraph::{QConv, QGraph, QLayer, QOp};
use ranges::{Range, ranges};

/// Whether a target's files are without such channels where [`super::Options::narrow`] leaves it
/// open. Elsewhere layers keep their shapes, for comparisons layer by layer.
pub(super) const fn wanted(target: Target) -> bool {
    match target {
        Target::Generic | Target::X86_64 | Target::Aarch64 | Target::Wasm32 => false,
        Target::CortexM0
        | Target::CortexM3
        | Target::CortexM4
        | Target::CortexM7
        | Target::CortexM33
        | Target::CortexM55 => true,
    }
}

/// The graph without such channels; none where it has none, or a bias would leave 32 bits. The graph
/// has been checked.
pub(super) fn narrowed(graph: &QGraph) -> Option<QGraph> {
    let ranges = ranges(graph);
    let kept = kept(graph, &ranges);
    if kept.iter().flatten().all(|&kept| kept) {
        return None;
    }
    let mut narrow = graph.clone();
    for (tensor, kept) in narrow.tensors.iter_mut().zip(&kept) {
        tensor.shape.channels = count(kept) as u32;
    }
    for layer in &mut narrow.layers {
        let (input, output) = (layer.inputs[0], layer.output);
        match &mut layer.op {
            QOp::Conv(conv) => {
                let zero = graph.quant(input).zero_point;
                let absorbed = match conv.groups {
                    1 => absorb(conv, &kept[input], &ranges[input], zero)?,
                    _ => conv.clone(),
                };
                *conv = with_outputs(absorbed, &kept[output]);
                if conv.groups != 1 && kept[output].contains(&false) {
                    conv.groups = count(&kept[output]);
                }
            }
            QOp::PRelu(slopes) => *slopes = select(slopes, 1, &kept[output]),
            _ => {}
        }
    }
    Some(narrow)
}

/// Of each layer whose output has such channels, by its name, which of them narrowing keeps; the graph is one
/// that compiles.
pub(super) fn kept_channels(graph: &QGraph) -> HashMap<String, Vec<bool>> {
    if narrowed(graph).is_none() {
        return HashMap::new();
    }
    let kept = kept(graph, &ranges(graph));
    let of_layer = |layer: &QLayer| (layer.name.clone(), kept[layer.output].clone());
    let layers = graph.layers.iter().map(of_layer);
    layers.filter(|(_, kept)| kept.contains(&false)).collect()
}

/// How a layer treats channels.
enum Channels<'g> {
    /// All of the input's go into each of the output's.
    Mixed(&'g QConv),
    /// Each of the output's comes from the one at its place in each input.
    Apart,
    /// In another way.
    Other,
}

fn channels<'g>(graph: &QGraph, layer: &'g QLayer) -> Channels<'g> {
    match &layer.op {
        QOp::Conv(conv) if conv.groups == 1 => Channels::Mixed(conv),
        QOp::Conv(conv) => {
            let inputs = graph.tensors[layer.inputs[0]].shape.channels as usize;
            match (inputs, conv.bias.len()) == (conv.groups, conv.groups) {
                true => Channels::Apart,
                false => Channels::Other,
            }
        }
        QOp::Concat(_) => Channels::Other,
        QOp::Binary { .. }
        | QOp::Pointwise(_)
        | QOp::Requantize
        | QOp::PRelu(_)
        | QOp::MaxPool(_)
        | QOp::AveragePool { .. }
        | QOp::Pad { .. }
        | QOp::Resize(_) => Channels::Apart,
    }
}

/// For each tensor, which channels are kept.
fn kept(graph: &QGraph, ranges: &[Vec<Range>]) -> Vec<Vec<bool>> {
    let mut kept: Vec<Vec<bool>> = ranges.iter().map(|r| vec![false; r.len()]).collect();
    kept[graph.input].fill(true);
    kept[graph.output].fill(true);
    for layer in &graph.layers {
        match channels(graph, layer) {
            Channels::Mixed(conv) => {
                let input = layer.inputs[0];
                let zero = graph.quant(input).zero_point;
                for (channel, kept) in kept[input].iter_mut().enumerate() {
                    *kept |= needs(conv, channel, &ranges[input], zero);
                }
            }
            Channels::Apart => {}
            Channels::Other => {
                let ids = layer.inputs.iter().chain([&layer.output]);
                ids.for_each(|&id| kept[id].fill(true));
            }
        }
    }
    while spread(graph, &mut kept) || keep_one(&mut kept) {}
    kept
}

/// Keeps what is kept of one tensor of a layer that treats channels apart in all of them; whether
/// that changed anything.
fn spread(graph: &QGraph, kept: &mut [Vec<bool>]) -> bool {
    let mut changed = false;
    for layer in &graph.layers {
        if let Channels::Apart = channels(graph, layer) {
            let ids: Vec<usize> = layer.inputs.iter().copied().chain([layer.output]).collect();
            for channel in 0..kept[layer.output].len() {
                let any = ids.iter().any(|&id| kept[id][channel]);
                for &id in &ids {
                    changed |= kept[id][channel] != any;
                    kept[id][channel] = any;
                }
            }
        }
    }
    changed
}

/// Keeps a channel of the first tensor that has none; false where all have one.
fn keep_one(kept: &mut [Vec<bool>]) -> bool {
    let empty = kept.iter_mut().find(|kept| !kept.contains(&true));
    let first = empty.and_then(|kept| kept.first_mut());
    first.map(|kept| *kept = true).is_some()
}

/// Whether a convolution of one group needs an input channel.
fn needs(conv: &QConv, channel: usize, from: &[Range], zero: i8) -> bool {
    let [low, high] = from[channel];
    let constant = low == high && (low == zero || conv.window.padding == [0; 4]);
    let taps = conv.window.taps() * from.len();
    let mut outputs = conv.weights.chunks_exact(taps).zip(&conv.zero_points);
    let is_used = |(weights, zero): (&[i8], &i8)| {
        let mut of_channel = weights[channel..].iter().step_by(from.len());
        of_channel.any(|weight| weight != zero)
    };
    !constant && outputs.any(is_used)
}

/// The convolution of one group of the input channels that are kept, with what the others add in
/// its bias.
fn absorb(conv: &QConv, kept: &[bool], from: &[Range], zero: i8) -> Option<QConv> {
    let taps = conv.window.taps() * from.len();
    let mut absorbed = QConv {
        weights: select(&conv.weights, 1, kept),
        ..conv.clone()
    };
    let outputs = conv.weights.chunks_exact(taps).zip(&conv.zero_points);
    for (bias, (weights, &weight_zero)) in absorbed.bias.iter_mut().zip(outputs) {
        let (mut sum, mut shift) = (i64::from(*bias), 0);
        let inputs = kept.iter().zip(from).cycle();
        for (&weight, (kept, range)) in weights.iter().zip(inputs) {
            let weight = i64::from(weight) - i64::from(weight_zero);
            match kept {
                true => shift += i64::from(zero) * weight,
                false => sum += (i64::from(range[0]) - i64::from(zero)) * weight,
            }
        }
        // As the engine has it, too.
        i32::try_from(sum - shift).ok()?;
        *bias = i32::try_from(sum).ok()?;
    }
    Some(absorbed)
}

/// The convolution of the output channels that are kept.
fn with_outputs(conv: QConv, kept: &[bool]) -> QConv {
    let taps = conv.weights.len() / kept.len().max(1);
    QConv {
        weights: select(&conv.weights, taps, kept),
        scales: select(&conv.scales, 1, kept),
        zero_points: select(&conv.zero_points, 1, kept),
        bias: select(&conv.bias, 1, kept),
        ..conv
    }
}

/// Of pieces of `len` values, those that are kept; begins again after the last of `kept`.
fn select<T: Copy>(values: &[T], len: usize, kept: &[bool]) -> Vec<T> {
    let pieces = values.chunks_exact(len.max(1)).zip(kept.iter().cycle());
    let kept = pieces.filter(|(_, kept)| **kept);
    kept.flat_map(|(piece, _)| piece).copied().collect()
}

fn count(kept: &[bool]) -> usize {
    kept.iter().filter(|&&kept| kept).count()
}
