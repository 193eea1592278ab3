//! Random quantized classifiers from a seed, for tests: small, but of all layers, with odd shapes,
//! strides, pads, groups and branches.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::graph::{Axis, Binary, Layout, Quant};
use crate::pointwise::Pointwise;
use crate::qgraph::{Meta, QConv, QGraph, QLayer, QOp, QTensor, TensorId};

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

struct Builder {
    graph: QGraph,
    random: Random,
}

/// Values that are kept small.
const MOST: usize = 4000;

impl Builder {
    fn shape(&self, tensor: TensorId) -> Shape {
        self.graph.tensors[tensor].shape
    }

    fn quant(&mut self) -> Quant {
        Quant {
            scale: self.random.real(0.01, 0.2),
            zero_point: match self.random.below(3) {
                0 => -128,
                1 => 0,
                _ => self.random.byte() / 2,
            },
            unsigned: true,
        }
    }

    fn tensor(&mut self, shape: Shape, quant: Option<Quant>) -> TensorId {
        let quant = quant.unwrap_or_else(|| self.quant());
        let id = self.graph.tensors.len();
        self.graph.tensors.push(QTensor {
            name: format!("t{id}"),
            shape,
            quant,
        });
        id
    }

    fn layer(
        &mut self,
        op: QOp,
        inputs: &[TensorId],
        shape: Shape,
        quant: Option<Quant>,
    ) -> TensorId {
        let output = self.tensor(shape, quant);
        self.graph.layers.push(QLayer {
            name: format!("layer{}", self.graph.layers.len()),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        output
    }

    /// Adds a layer, if there may be one of this kind.
    fn add(&mut self, kind: Kind, from: TensorId) -> Option<TensorId> {
        let shape = self.shape(from);
        let quant = self.graph.quant(from);
        Some(match kind {
            Kind::Conv => {
                let window = self.window(shape)?;
                let groups: Vec<usize> = (1..=4)
                    .filter(|&groups| (shape.channels as usize).is_multiple_of(groups))
                    .collect();
                let groups = self.random.choose(&groups);
                let outputs = groups * self.random.within(1, 9usize.div_ceil(groups));
                self.conv(from, window, groups, outputs)
            }
            Kind::Depthwise => {
                let window = self.window(shape)?;
                let channels = shape.channels as usize;
                let outputs = channels * self.random.within(1, 2);
                self.conv(from, window, channels, outputs)
            }
            Kind::Binary => self.binary(from),
            Kind::Pointwise => {
                let function = self.function();
                self.layer(QOp::Pointwise(function), &[from], shape, None)
            }
            Kind::Requantize => self.layer(QOp::Requantize, &[from], shape, None),
            Kind::PRelu => {
                let slope = |_| self.random.real(-0.5, 0.5);
                let slopes = (0..shape.channels).map(slope).collect();
                self.layer(QOp::PRelu(slopes), &[from], shape, None)
            }
            Kind::MaxPool => {
                let window = self.pool(shape)?;
                let [height, width] = window.output(shape.height, shape.width)?;
                let output = Shape::new(height, width, shape.channels);
                self.layer(QOp::MaxPool(window), &[from], output, Some(quant))
            }
            Kind::AveragePool => {
                let window = self.pool(shape)?;
                let [height, width] = window.output(shape.height, shape.width)?;
                let output = Shape::new(height, width, shape.channels);
                self.average(from, window, output)
            }
            Kind::Concat => self.concat(from),
            Kind::Pad => {
                let padding = [(); 4].map(|()| self.random.below(3) as u32);
                let [top, left, bottom, right] = padding;
                let output = Shape {
                    height: shape.height + top + bottom,
                    width: shape.width + left + right,
                    ..shape
                };
                let value = self.random.choose(&[quant.zero_point, -128, 5]);
                self.fits(output)?;
                self.layer(QOp::Pad { padding, value }, &[from], output, Some(quant))
            }
            Kind::Resize => {
                let factors = [(); 2].map(|()| self.random.within(1, 2) as u32);
                let output = Shape {
                    height: shape.height * factors[0],
                    width: shape.width * factors[1],
                    ..shape
                };
                self.fits(output)?;
                self.layer(QOp::Resize(factors), &[from], output, Some(quant))
            }
        })
    }

    fn fits(&self, shape: Shape) -> Option<()> {
        (shape.len() <= MOST).then_some(())
    }

    fn function(&mut self) -> Pointwise {
        let alpha = self.random.real(0.05, 0.3);
        self.random.choose(&[
            Pointwise::Relu,
            Pointwise::Clip {
                min: -1.0,
                max: 2.0,
            },
            Pointwise::LeakyRelu { alpha },
            Pointwise::Sigmoid,
            Pointwise::HardSigmoid { alpha, beta: 0.5 },
            Pointwise::HardSwish,
            Pointwise::Silu,
            Pointwise::Tanh,
            Pointwise::Gelu,
        ])
    }

    /// A window that fits into a shape.
    fn window(&mut self, shape: Shape) -> Option<Window> {
        let mut side = |len: u32| {
            let kernel = self.random.within(1, 4.min(len as usize + 1)) as u16;
            let dilation = self.random.choose(&[1, 1, 1, 2]);
            let stride = self.random.choose(&[1, 1, 2, 3]);
            let most = (kernel - 1).min(2) as usize;
            let padding = [(); 2].map(|()| self.random.within(0, most) as u16);
            (kernel, stride, dilation, padding)
        };
        let (down, across) = (side(shape.height), side(shape.width));
        let window = Window {
            kernel: [down.0, across.0],
            stride: [down.1, across.1],
            dilation: [down.2, across.2],
            padding: [down.3[0], across.3[0], down.3[1], across.3[1]],
        };
        window.output(shape.height, shape.width).map(|_| window)
    }

    /// A window of which every place has a value: padding below the kernel, no dilation.
    fn pool(&mut self, shape: Shape) -> Option<Window> {
        let window = Window {
            dilation: [1; 2],
            ..self.window(shape)?
        };
        window.output(shape.height, shape.width).map(|_| window)
    }

    fn clamp(&mut self, quant: Quant) -> Option<(f32, f32)> {
        let top = quant.scale * self.random.within(20, 120) as f32;
        self.random
            .choose(&[None, None, Some((0.0, f32::INFINITY)), Some((0.0, top))])
    }

    fn conv(&mut self, from: TensorId, window: Window, groups: usize, outputs: usize) -> TensorId {
        let input = self.shape(from);
        let [height, width] = window.output(input.height, input.width).unwrap_or([1, 1]);
        let taps = window.taps() * input.channels as usize / groups;
        let quant = self.quant();
        // A sum of `taps` products of evenly distributed bytes deviates by about sqrt(taps) * 5400.
        let multiplier = 40.0 / ((taps as f32).sqrt() * 5400.0);
        let scale = multiplier * quant.scale / self.graph.quant(from).scale;
        let symmetric = self.random.below(8) != 0;
        let conv = QConv {
            window,
            groups,
            weights: (0..outputs * taps)
                .map(|_| self.random.byte().max(-127))
                .collect(),
            scales: (0..outputs)
                .map(|_| scale * self.random.real(0.5, 1.5))
                .collect(),
            zero_points: (0..outputs)
                .map(|_| {
                    if symmetric {
                        0
                    } else {
                        self.random.byte() / 16
                    }
                })
                .collect(),
            bias: (0..outputs)
                .map(|_| self.random.within(0, 40_000) as i32 - 20_000)
                .collect(),
            clamp: self.clamp(quant),
        };
        let shape = Shape::new(height, width, outputs as u32);
        self.layer(QOp::Conv(conv), &[from], shape, Some(quant))
    }

    fn average(&mut self, from: TensorId, window: Window, shape: Shape) -> TensorId {
        let op = QOp::AveragePool {
            window,
            count_include_pad: self.random.below(2) == 0,
        };
        self.layer(op, &[from], shape, None)
    }

    /// The average over the whole.
    fn global(&mut self, from: TensorId) -> TensorId {
        let Shape {
            height,
            width,
            channels,
        } = self.shape(from);
        let window = Window {
            kernel: [height as u16, width as u16],
            ..Window::default()
        };
        self.average(from, window, Shape::vector(channels))
    }

    /// Tensors of which the shape is as wanted, the last first.
    fn alike(&mut self, wanted: impl Fn(Shape) -> bool) -> Vec<TensorId> {
        let all = 0..self.graph.tensors.len();
        all.rev().filter(|&id| wanted(self.shape(id))).collect()
    }

    fn binary(&mut self, a: TensorId) -> TensorId {
        let shape = self.shape(a);
        let b = match self.random.below(3) {
            0 => self.global(a),
            _ => {
                let alike = self.alike(|other| other == shape);
                let other = alike.into_iter().find(|&id| id != a);
                other.unwrap_or(a)
            }
        };
        let quant = self.quant();
        let op = QOp::Binary {
            op: self.random.choose(&[Binary::Add, Binary::Sub, Binary::Mul]),
            clamp: self.clamp(quant),
        };
        self.layer(op, &[a, b], shape, Some(quant))
    }

    fn concat(&mut self, from: TensorId) -> TensorId {
        let shape = self.shape(from);
        let axis = self
            .random
            .choose(&[Axis::Rows, Axis::Columns, Axis::Channels]);
        let fits = |other: Shape| {
            let rows = axis == Axis::Rows || other.height == shape.height;
            let columns = axis == Axis::Columns || other.width == shape.width;
            let channels = axis == Axis::Channels || other.channels == shape.channels;
            rows && columns && channels && other.len() + shape.len() < MOST
        };
        let mut inputs = vec![from];
        inputs.extend(self.alike(fits).into_iter().take(self.random.within(1, 2)));
        if self.random.below(2) == 0 {
            inputs.reverse();
        }
        let mut whole = shape;
        let sum = |along: fn(Shape) -> u32| inputs.iter().map(|&id| along(self.shape(id))).sum();
        match axis {
            Axis::Rows => whole.height = sum(|shape| shape.height),
            Axis::Columns => whole.width = sum(|shape| shape.width),
            Axis::Channels => whole.channels = sum(|shape| shape.channels),
        }
        // Half of them with the quantization of an input, which is then not changed.
        let quant = self.random.choose(&[None, Some(self.graph.quant(from))]);
        self.layer(QOp::Concat(axis), &inputs, whole, quant)
    }

    /// Logits.
    fn finish(&mut self, mut tensor: TensorId) {
        let Shape { height, width, .. } = self.shape(tensor);
        let mut window = Window::default();
        if self.random.below(2) == 0 {
            tensor = self.global(tensor);
        } else {
            window.kernel = [height as u16, width as u16];
        }
        let classes = self.random.within(2, 7);
        self.graph.output = self.conv(tensor, window, 1, classes);
        let clamped = self.graph.layers.last_mut();
        if let Some(QOp::Conv(conv)) = clamped.map(|layer| &mut layer.op) {
            conv.clamp = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
