//! Convolutions of other channels, and other layers of single channels.

use kiln_core::window::Window;

use crate::graph::{Conv, Op, Stored};

/// These output channels of a convolution, in this order.
pub fn rows(conv: &Conv, rows: &[u32]) -> Conv {
    let stored = conv.stored.as_ref().map(|stored| Stored {
        weights: pick(&stored.weights, conv.bias.len(), rows),
        scales: pick(&stored.scales, conv.bias.len(), rows),
        zero_points: pick(&stored.zero_points, conv.bias.len(), rows),
        bias: stored.bias.as_ref().map(|(bias, scales)| {
            let of = |count| pick(scales, count, rows);
            (pick(bias, conv.bias.len(), rows), of(conv.bias.len()))
        }),
    });
    Conv {
        window: conv.window,
        groups: conv.groups,
        weights: pick(&conv.weights, conv.bias.len(), rows),
        bias: pick(&conv.bias, conv.bias.len(), rows),
        stored,
    }
}

/// The numbers of these of so many channels, each of which has as many.
fn pick<T: Copy>(numbers: &[T], channels: usize, rows: &[u32]) -> Vec<T> {
    let each = numbers.len() / channels;
    let row = |row: &u32| &numbers[*row as usize * each..][..each];
    rows.iter().flat_map(row).copied().collect()
}

/// Whether a layer of single channels has numbers for each.
pub fn has_numbers(op: &Op) -> bool {
    matches!(op, Op::Conv(_) | Op::Affine { .. } | Op::PRelu(_))
}

/// A layer of single channels, of these channels.
pub fn single(op: &Op, channels: &[u32]) -> Op {
    match op {
        Op::Conv(conv) => Op::Conv(Conv {
            groups: channels.len(),
            ..rows(conv, channels)
        }),
        Op::Affine { scale, shift } => Op::Affine {
            scale: pick(scale, scale.len(), channels),
            shift: pick(shift, shift.len(), channels),
        },
        Op::PRelu(slopes) => Op::PRelu(pick(slopes, slopes.len(), channels)),
        other => other.clone(),
    }
}

/// A convolution over all channels whose input channel `c` lies at `at[c]` of so many; none where its weights are
/// integers that would have to be summed, as two channels lie at the same place.
pub fn columns(conv: &Conv, at: &[u32], channels: usize) -> Option<Conv> {
    let mut weights = vec![0.0; conv.weights.len() / at.len() * channels];
    for (from, to) in conv
        .weights
        .chunks(at.len())
        .zip(weights.chunks_mut(channels))
    {
        for (weight, at) in from.iter().zip(at) {
            to[*at as usize] += weight;
        }
    }
    let stored = match &conv.stored {
        None => None,
        Some(stored) => Some(Stored {
            weights: integer_columns(stored, at, channels)?,
            ..stored.clone()
        }),
    };
    Some(Conv {
        weights,
        stored,
        ..conv.clone()
    })
}

fn integer_columns(stored: &Stored, at: &[u32], channels: usize) -> Option<Vec<i8>> {
    let mut taken = vec![false; channels];
    let twice = |at: &u32| std::mem::replace(&mut taken[*at as usize], true);
    if at.iter().any(twice) {
        return None;
    }
    let rows = stored.weights.len() / at.len();
    let each = rows / stored.zero_points.len();
    let mut weights = vec![0; rows * channels];
    let from = stored.weights.chunks(at.len());
    for (row, (from, to)) in from.zip(weights.chunks_mut(channels)).enumerate() {
        // What stands for a weight of 0.
        to.fill(stored.zero_points[row / each]);
        from.iter()
            .zip(at)
            .for_each(|(weight, at)| to[*at as usize] = *weight);
    }
    Some(weights)
}

/// The convolution that gives these of so many channels.
pub fn moving(from: &[u32], channels: usize) -> Conv {
    let mut weights = vec![0.0; from.len() * channels];
    for (row, from) in weights.chunks_mut(channels).zip(from) {
        row[*from as usize] = 1.0;
    }
    Conv {
        window: Window::default(),
        groups: 1,
        weights,
        bias: vec![0.0; from.len()],
        stored: None,
    }
}
