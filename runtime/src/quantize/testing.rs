//! Small nets with weights that look random, for tests.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::calibrate::{Calibration, Statistics, collect};
use crate::float_graph::FloatGraph;
use crate::graph::{Axis, Binary, Conv, Graph, Node, Op, Value, ValueId};
use crate::pointwise::Pointwise;

/// Numbers that look random and are the same on every run.
#[derive(Clone)]
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Between -1 and 1, more often near 0.
    pub fn next(&mut self) -> f32 {
        let mut uniform = || {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 24) as f32
        };
        (uniform() + uniform() + uniform() + uniform()) / 2.0 - 1.0
    }

    pub fn vector(&mut self, len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|_| self.next() * scale).collect()
    }
}

/// A graph that grows a node at a time. Each takes the last value; values are numbered from the input,
/// 0, on, and so are nodes `node_0`, `node_1`, ….
#[derive(Clone)]
pub struct Net {
    graph: Graph,
    numbers: Numbers,
}

impl Net {
    /// Of an input of so many rows, columns and channels.
    pub fn new(input: [u32; 3]) -> Self {
        Self::seeded(input, 1)
    }

    pub fn seeded([height, width, channels]: [u32; 3], seed: u64) -> Self {
        let mut graph = Graph::default();
        graph.values.push(Value {
            name: "input".into(),
            shape: Shape::new(height, width, channels),
        });
        Self {
            graph,
            numbers: Numbers::new(seed),
        }
    }

    pub fn graph(self) -> Graph {
        self.graph
    }

    pub fn shape(&self) -> Shape {
        self.graph.shape(self.graph.output)
    }

    fn then(mut self, op: Op, others: &[ValueId], shape: Shape) -> Self {
        let inputs = std::iter::once(self.graph.output).chain(others.iter().copied());
        let (value, node) = (self.graph.values.len(), self.graph.nodes.len());
        self.graph.nodes.push(Node {
            name: format!("node_{node}"),
            op,
            inputs: inputs.collect(),
            output: value,
        });
        self.graph.values.push(Value {
            name: format!("value_{value}"),
            shape,
        });
        self.graph.output = value;
        self
    }

    /// Of the same height and width as its input.
    pub fn conv(self, channels: u32, kernel: u16, groups: usize) -> Self {
        let window = Window {
            kernel: [kernel; 2],
            padding: [kernel / 2; 4],
            ..Window::default()
        };
        self.window_conv(channels, window, groups)
    }

    pub fn window_conv(mut self, channels: u32, window: Window, groups: usize) -> Self {
        let input = self.shape();
        let depth = input.channels as usize / groups;
        let inputs = window.taps() * depth;
        let scale = 1.6 / (inputs as f32).sqrt();
        let [height, width] = window.output(input.height, input.width).unwrap();
        let conv = Conv {
            window,
            groups,
            weights: self.numbers.vector(channels as usize * inputs, scale),
            bias: self.numbers.vector(channels as usize, 0.3),
            stored: None,
        };
        self.then(Op::Conv(conv), &[], Shape::new(height, width, channels))
    }

    /// Makes the channels of the last convolution differ by up to 1:30.
    pub fn unbalance(mut self) -> Self {
        let Some(Op::Conv(conv)) = self.graph.nodes.last_mut().map(|node| &mut node.op) else {
            panic!("no convolution");
        };
        let channels = conv.bias.len();
        let len = conv.weights.len() / channels;
        for channel in 0..channels {
            let factor = 30f32.powf(channel as f32 / (channels - 1) as f32);
            conv.bias[channel] /= factor;
            conv.weights[channel * len..][..len]
                .iter_mut()
                .for_each(|w| *w /= factor);
        }
        self
    }

    /// Makes the last convolution, which is not grouped, take back what [`Self::unbalance`] did.
    pub fn rebalance(mut self) -> Self {
        let Some(node) = self.graph.nodes.last_mut() else {
            panic!("no convolution");
        };
        let channels = self.graph.values[node.inputs[0]].shape.channels as usize;
        if let Op::Conv(conv) = &mut node.op {
            for (index, weight) in conv.weights.iter_mut().enumerate() {
                *weight *= 30f32.powf((index % channels) as f32 / (channels - 1) as f32);
            }
        }
        self
    }

    pub fn affine(mut self) -> Self {
        let shape = self.shape();
        let scale = self.numbers.vector(shape.channels as usize, 1.0);
        let shift = self.numbers.vector(shape.channels as usize, 0.5);
        self.then(Op::Affine { scale, shift }, &[], shape)
    }

    pub fn pointwise(self, function: Pointwise) -> Self {
        let shape = self.shape();
        self.then(Op::Pointwise(function), &[], shape)
    }

    pub fn prelu(mut self) -> Self {
        let shape = self.shape();
        let slopes = self.numbers.vector(shape.channels as usize, 0.5);
        self.then(Op::PRelu(slopes), &[], shape)
    }

    pub fn add(self, other: ValueId) -> Self {
        self.binary(Binary::Add, other)
    }

    /// The larger one of the last value and another goes first.
    pub fn binary(mut self, op: Binary, other: ValueId) -> Self {
        let last = self.graph.output;
        let shapes = [last, other].map(|value| self.graph.shape(value));
        if shapes[0].pixels() < shapes[1].pixels() {
            self.graph.output = other;
            return self.then(Op::Binary(op), &[last], shapes[1]);
        }
        self.then(Op::Binary(op), &[other], shapes[0])
    }

    /// Two by two.
    pub fn max_pool(self) -> Self {
        let window = Window {
            kernel: [2; 2],
            stride: [2; 2],
            ..Window::default()
        };
        let shape = self.pooled(window);
        self.then(Op::MaxPool(window), &[], shape)
    }

    fn pooled(&self, window: Window) -> Shape {
        let input = self.shape();
        let [height, width] = window.output(input.height, input.width).unwrap();
        Shape::new(height, width, input.channels)
    }

    pub fn average(self, window: Window, count_include_pad: bool) -> Self {
        let shape = self.pooled(window);
        let op = Op::AveragePool {
            window,
            count_include_pad,
        };
        self.then(op, &[], shape)
    }

    pub fn global_average(self) -> Self {
        let shape = self.shape();
        let window = Window {
            kernel: [shape.height as u16, shape.width as u16],
            ..Window::default()
        };
        self.average(window, false)
    }

    /// The last value behind another, over channels.
    pub fn concat(mut self, other: ValueId) -> Self {
        let last = self.graph.output;
        let mut shape = self.shape();
        shape.channels += self.graph.shape(other).channels;
        self.graph.output = other;
        self.then(Op::Concat(Axis::Channels), &[last], shape)
    }

    pub fn pad(self, value: f32) -> Self {
        let mut shape = self.shape();
        shape.height += 3;
        shape.width += 3;
        let padding = [1, 2, 2, 1];
        self.then(Op::Pad { padding, value }, &[], shape)
    }

    pub fn resize(self) -> Self {
        let mut shape = self.shape();
        shape.height *= 2;
        shape.width *= 3;
        self.then(Op::Resize([2, 3]), &[], shape)
    }

    /// Global average and a fully connected layer.
    pub fn classify(self, classes: u32) -> Self {
        self.global_average().conv(classes, 1, 1)
    }
}

/// Inputs that look random.
pub struct Pictures {
    pub count: usize,
    pub seed: u64,
}

impl Pictures {
    pub const FEW: Self = Self { count: 12, seed: 9 };
}

impl Calibration for Pictures {
    fn len(&self) -> usize {
        self.count
    }

    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
        let mut numbers = Numbers::new(self.seed.wrapping_mul(1_000_003) + index as u64);
        // Pictures are bright or dark as a whole.
        let base = numbers.next();
        input
            .iter_mut()
            .for_each(|value| *value = 1.2 * numbers.next() + base);
        Ok(())
    }
}

/// Statistics of all values over some inputs.
pub fn statistics(graph: &Graph) -> Vec<Statistics> {
    let mut pictures = Pictures::FEW;
    collect(graph, &mut pictures, &|_| true, &|_| ()).unwrap()
}

/// What the graph gives for one input.
pub fn outputs(graph: &Graph) -> Vec<f32> {
    let mut input = vec![0.0; graph.shape(graph.input).len()];
    let mut pictures = Pictures::FEW;
    pictures.read(0, &mut input).unwrap();
    FloatGraph::new(graph).run(&input, &mut |_, _| ()).unwrap()
}
