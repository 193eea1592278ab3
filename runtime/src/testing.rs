//! Random quantized classifiers from a seed, for tests: small, but of all layers, with odd shapes,
//! strides, pads, groups and branches.

mod builder;

use builder::Builder;
use kiln_core::tensor::Shape;

use crate::graph::Layout;
use crate::qgraph::{Meta, QGraph};

/// Marsaglia's xorshift64*: the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03 | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From 0 to `end`, which it never is; `end` above 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// One of some.
    pub fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Any i8.
    pub fn byte(&mut self) -> i8 {
        self.next() as i8
    }

    /// Evenly from `low` to `high`.
    pub fn real(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.below(1 << 20) as f32 / (1 << 20) as f32)
    }

    /// Values for an input.
    pub fn bytes(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

/// A layer that a random graph may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Convolution, also grouped.
    Conv,
    /// One filter or more of each channel.
    Depthwise,
    /// Sum, difference or product of two activations or of one and a vector.
    Binary,
    /// A function of each value.
    Pointwise,
    /// From one quantization to another.
    Requantize,
    /// A slope a channel.
    PRelu,
    /// Maximum.
    MaxPool,
    /// Average.
    AveragePool,
    /// Two or three activations joined.
    Concat,
    /// A border.
    Pad,
    /// Larger by whole factors.
    Resize,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::Conv,
        Self::Depthwise,
        Self::Binary,
        Self::Pointwise,
        Self::Requantize,
        Self::PRelu,
        Self::MaxPool,
        Self::AveragePool,
        Self::Concat,
        Self::Pad,
        Self::Resize,
    ];
}

/// A random classifier of all kinds of layers.
pub fn random_graph(seed: u64) -> QGraph {
    random_graph_of(seed, &Kind::ALL)
}

/// A random classifier of these kinds of layers. It ends in a fully connected layer, before which
/// the average over the whole may be taken.
pub fn random_graph_of(seed: u64, kinds: &[Kind]) -> QGraph {
    let mut random = Random::new(seed);
    let side = |random: &mut Random| random.within(1, 13) as u32;
    let height = match random.below(6) {
        0 => 1,
        _ => side(&mut random),
    };
    let shape = Shape::new(height, side(&mut random), random.within(1, 5) as u32);
    let mut builder = Builder {
        graph: QGraph {
            meta: Meta {
                name: format!("random {seed}"),
                layout: Layout::Nhwc,
                ..Meta::default()
            },
            ..QGraph::default()
        },
        random,
    };
    let mut tensor = builder.tensor(shape, None);
    for _ in 0..builder.random.within(1, 12) {
        let from = match builder.random.below(4) {
            0 => builder.random.below(builder.graph.tensors.len()),
            _ => tensor,
        };
        let kind = builder.random.choose(kinds);
        tensor = builder.add(kind, from).unwrap_or(tensor);
    }
    builder.finish(tensor);
    builder.graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qgraph::QOp;

    #[test]
    fn seeds_give_all_kinds_of_layers() {
        let mut names = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let graph = random_graph(seed);
            assert_eq!(graph, random_graph(seed));
            for layer in &graph.layers {
                let name = format!("{:?}", layer.op);
                let end = name
                    .find(|c: char| !c.is_alphabetic())
                    .unwrap_or(name.len());
                names.insert(name[..end].to_owned());
            }
        }
        assert_eq!(names.len(), 10, "{names:?}");
        let graph = random_graph_of(3, &[Kind::Conv]);
        assert!(
            graph
                .layers
                .iter()
                .all(|layer| matches!(layer.op, QOp::Conv(_) | QOp::AveragePool { .. }))
        );
    }
}
