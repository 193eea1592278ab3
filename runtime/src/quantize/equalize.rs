//! Cross-layer equalization (Nagel et al., 2019): channels of one activation share one scale, so that
//! those with small values lose. Where a convolution follows another with nothing between them but
//! functions for which `f(s x) = s f(x)`, a channel can be divided by any positive factor on the way out
//! of the first and multiplied by it on the way into the second: the same function with other ranges.
//!
//! Weights have a scale an output channel here, so dividing the first one's rows costs nothing, and
//! nor does multiplying a depthwise second one's. What is balanced is the activation's range against the
//! columns of the second one's weights.

use super::lower::only_reader;
use crate::calibrate::Statistics;
use crate::graph::{Conv, Graph, Op, ValueId};
use crate::pointwise::Pointwise;

/// Factors lie between this and its inverse.
const MOST: f64 = 64.0;

/// Equalizes all pairs of convolutions; how many there were. `statistics` are those of `graph`, one for
/// each value, and are not those of what it becomes.
pub(super) fn equalize(graph: &mut Graph, statistics: &[Statistics]) -> usize {
    let pairs: Vec<Pair> = (0..graph.nodes.len())
        .filter_map(|first| pair(graph, first))
        .collect();
    for pair in &pairs {
        let Op::Conv(second) = &graph.nodes[pair.second].op else {
            continue;
        };
        let largest = statistics[pair.between]
            .channels
            .iter()
            .map(|channel| channel.largest);
        let largest: Vec<f32> = largest.collect();
        let factors = factors(&largest, &columns(second, largest.len()));
        if let Op::Conv(first) = &mut graph.nodes[pair.first].op {
            divide_rows(first, &factors);
        }
        if let Op::Conv(second) = &mut graph.nodes[pair.second].op {
            multiply_columns(second, &factors);
        }
    }
    pairs.len()
}

/// Two convolutions that share their channels, and the activation between them that is quantized.
struct Pair {
    first: usize,
    second: usize,
    between: ValueId,
}

/// The pair that begins with a node, if one does.
fn pair(graph: &Graph, first: usize) -> Option<Pair> {
    let Op::Conv(_) = graph.nodes[first].op else {
        return None;
    };
    let mut value = graph.nodes[first].output;
    let mut between = value;
    loop {
        let reader = only_reader(graph, value)?;
        let node = &graph.nodes[reader];
        let activates = match &node.op {
            Op::Conv(_) => {
                return Some(Pair {
                    first,
                    second: reader,
                    between,
                });
            }
            Op::Pointwise(Pointwise::Relu | Pointwise::LeakyRelu { .. }) | Op::PRelu(_) => true,
            Op::MaxPool(_) | Op::AveragePool { .. } | Op::Resize(_) => false,
            Op::Pad { value: 0.0, .. } => false,
            _ => return None,
        };
        value = node.output;
        if activates {
            between = value;
        }
    }
}

/// For each input channel the greatest weight that reads it, relative to the greatest of its row.
fn columns(conv: &Conv, inputs: usize) -> Vec<f32> {
    let mut columns = vec![0f32; inputs];
    for (row, first) in rows(conv, inputs) {
        let largest = row.iter().fold(0f32, |largest, w| largest.max(w.abs()));
        for (index, weight) in row.iter().enumerate() {
            let column = &mut columns[first + index % (inputs / conv.groups)];
            *column = column.max(weight.abs() / largest.max(f32::MIN_POSITIVE));
        }
    }
    columns
}

/// The weights of each output channel, with the first input channel that they read.
fn rows(conv: &Conv, inputs: usize) -> impl Iterator<Item = (&[f32], usize)> {
    let outputs = conv.bias.len();
    let len = (conv.weights.len() / outputs.max(1)).max(1);
    let depth = inputs / conv.groups;
    let rows = conv.weights.chunks_exact(len).enumerate();
    rows.map(move |(output, row)| (row, output / (outputs / conv.groups) * depth))
}

/// What to divide each channel by.
fn factors(largest: &[f32], columns: &[f32]) -> Vec<f32> {
    // One input a group: the column is its row's greatest, and multiplying it costs nothing.
    let free = columns
        .iter()
        .all(|column| *column == 1.0 || *column == 0.0);
    let wanted: Vec<Option<f64>> = largest
        .iter()
        .zip(columns)
        .map(|(&largest, &column)| {
            let (largest, column) = (f64::from(largest), f64::from(column));
            let alive = largest > 0.0 && column > 0.0;
            alive.then(|| {
                if free {
                    largest
                } else {
                    (largest / column).sqrt()
                }
            })
        })
        .collect();
    let alive = wanted.iter().flatten();
    let logs: f64 = alive.clone().map(|factor| factor.ln()).sum();
    let mean = (logs / alive.count().max(1) as f64).exp();
    let bounded = |factor: f64| (factor / mean).clamp(1.0 / MOST, MOST) as f32;
    let factors = wanted.into_iter();
    factors.map(|factor| factor.map_or(1.0, bounded)).collect()
}

fn divide_rows(conv: &mut Conv, factors: &[f32]) {
    let len = (conv.weights.len() / factors.len().max(1)).max(1);
    let rows = conv.weights.chunks_exact_mut(len).zip(&mut conv.bias);
    for ((row, bias), factor) in rows.zip(factors) {
        row.iter_mut().for_each(|weight| *weight /= factor);
        *bias /= factor;
    }
    conv.stored = None;
}

fn multiply_columns(conv: &mut Conv, factors: &[f32]) {
    let (outputs, depth) = (conv.bias.len(), factors.len() / conv.groups);
    let len = (conv.weights.len() / outputs.max(1)).max(1);
    for (output, row) in conv.weights.chunks_exact_mut(len).enumerate() {
        let first = output / (outputs / conv.groups) * depth;
        for (index, weight) in row.iter_mut().enumerate() {
            *weight *= factors[first + index % depth];
        }
    }
    conv.stored = None;
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, outputs, statistics};
    use super::*;

    /// The greatest value of the channel that has the least, relative to that of the one with the most.
    fn balance(statistics: &Statistics) -> f32 {
        let largest = statistics.channels.iter().map(|channel| channel.largest);
        let (low, high) =
            largest.fold((f32::MAX, 0f32), |(low, high), x| (low.min(x), high.max(x)));
        low / high
    }

    #[test]
    fn the_function_stays_and_ranges_come_closer() {
        let relu = Pointwise::Relu;
        let leaky = Pointwise::LeakyRelu { alpha: 0.1 };
        // The net, the pairs in it, the activation to look at, and the balance that it must reach.
        let cases: [(Net, usize, ValueId, f32); 5] = [
            (
                Net::new([5, 4, 3])
                    .conv(6, 3, 1)
                    .unbalance()
                    .pointwise(relu)
                    .conv(6, 3, 6),
                1,
                2,
                0.99,
            ),
            (
                Net::new([5, 4, 3])
                    .conv(6, 3, 1)
                    .unbalance()
                    .pointwise(leaky)
                    .conv(4, 1, 1),
                1,
                2,
                0.1,
            ),
            (
                Net::new([5, 4, 3])
                    .conv(6, 3, 1)
                    .unbalance()
                    .max_pool()
                    .conv(4, 1, 2),
                1,
                1,
                0.1,
            ),
            (
                Net::new([5, 4, 3])
                    .conv(6, 3, 1)
                    .unbalance()
                    .pointwise(relu)
                    .conv(12, 3, 6),
                1,
                2,
                0.99,
            ),
            (
                Net::new([5, 4, 3])
                    .conv(6, 3, 1)
                    .unbalance()
                    .pointwise(Pointwise::Tanh)
                    .conv(4, 1, 1),
                0,
                1,
                0.0,
            ),
        ];
        for (net, pairs, value, least) in cases {
            let graph = net.graph();
            let before = statistics(&graph);
            let mut equalized = graph.clone();
            assert_eq!(equalize(&mut equalized, &before), pairs);
            for (a, b) in outputs(&graph).iter().zip(outputs(&equalized)) {
                assert!((a - b).abs() <= 1e-4 * (1.0 + a.abs()), "{a} {b}");
            }
            let after = &statistics(&equalized)[value];
            assert!(
                balance(after) >= least,
                "{} after {}",
                balance(after),
                balance(&before[value])
            );
        }
    }

    #[test]
    fn dead_channels_are_left_alone() {
        let factors = factors(&[0.0, 4.0, 1.0, 2.0], &[0.5, 0.0, 0.25, 0.5]);
        assert_eq!(factors, [1.0, 1.0, 1.0, 1.0]);
        assert_eq!(super::factors(&[0.0; 3], &[0.5; 3]), [1.0; 3]);
    }
}
