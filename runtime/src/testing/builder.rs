use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::{Kind, Random};
use crate::graph::{Axis, Binary, Quant};
use crate::pointwise::Pointwise;
use crate::qgraph::{QConv, QGraph, QLayer, QOp, QTensor, TensorId};

/// A graph in the making.
pub(super) struct Builder {
    pub(super) graph: QGraph,
    pub(super) random: Random,
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

    pub(super) fn tensor(&mut self, shape: Shape, quant: Option<Quant>) -> TensorId {
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
    pub(super) fn add(&mut self, kind: Kind, from: TensorId) -> Option<TensorId> {
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
    pub(super) fn finish(&mut self, mut tensor: TensorId) {
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
