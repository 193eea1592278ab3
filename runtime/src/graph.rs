//! A CNN classifier as the passes see it: activations in NHWC without the batch axis, operators and
//! names of ONNX, weights as they came.
//!
//! A 1-D activation `[channels, length]` has one row; a flat vector has one row and one column.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;
pub use kiln_run::layout::Layout;

use crate::pointwise::Pointwise;

/// Index into [`Graph::values`].
pub type ValueId = usize;

/// Nodes in an order in which each comes after those that it reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Activations: what nodes read and write.
    pub values: Vec<Value>,
    /// Operators, in order.
    pub nodes: Vec<Node>,
    /// What the model takes.
    pub input: ValueId,
    /// What the model gives: logits, a vector.
    pub output: ValueId,
    /// The input as the file has it.
    pub layout: Layout,
    /// Whether the file ended in a Softmax over the classes, which is left to the caller.
    pub softmax: bool,
    /// Whether the output's last value is no logit but says whether the input is known: see
    /// [`with_known`](crate::quantize::with_known).
    pub known: bool,
}

impl Graph {
    /// Whether something of it computes in integers.
    pub fn has_integers(&self) -> bool {
        let quantized = |op: &Op| matches!(op, Op::Quantize(_) | Op::Dequantize(_));
        self.nodes.iter().any(|node| quantized(&node.op))
    }
}

/// An activation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value {
    /// ONNX's name.
    pub name: String,
    /// Rows, columns, channels.
    pub shape: Shape,
}

/// One operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// ONNX's name, or the name of its output where it has none.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it writes.
    pub output: ValueId,
}

/// What a node computes. Those that change neither order nor values (Identity, Dropout, Flatten,
/// Reshape and Transpose as far as they keep NHWC's order) are gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Conv, Gemm and MatMul by constants: a fully connected layer is a 1×1 convolution of a vector.
    Conv(Conv),
    /// By constants of each channel: BatchNormalization, and Mul, Add, Sub, Div by a constant.
    /// Gone after folding where a convolution is next to it.
    Affine {
        /// Factors, one a channel.
        scale: Vec<f32>,
        /// Added after the factors, one a channel.
        shift: Vec<f32>,
    },
    /// `a + b`, `a - b` or `a * b` of two activations; the second may be `[1, 1, channels]`.
    Binary(Binary),
    /// A function of each value.
    Pointwise(Pointwise),
    /// `max(x, 0) + slope[channel] * min(x, 0)`.
    PRelu(Vec<f32>),
    /// MaxPool.
    MaxPool(Window),
    /// AveragePool; GlobalAveragePool and ReduceMean over space are windows of the whole input.
    AveragePool {
        /// The window.
        window: Window,
        /// Whether padded positions count among those that are averaged.
        count_include_pad: bool,
    },
    /// Joins along an axis.
    Concat(Axis),
    /// Pad with a constant: rows and columns before and after, as in [`Window::padding`].
    Pad {
        /// Top, left, bottom, right.
        padding: [u32; 4],
        /// The value.
        value: f32,
    },
    /// Nearest neighbour by whole factors, down and across.
    Resize([u32; 2]),
    /// QuantizeLinear of an activation.
    Quantize(Quant),
    /// DequantizeLinear of an activation.
    Dequantize(Quant),
    /// Gather along channels: for each of the output's, the input's. [`load`](crate::load::load) leaves none.
    Gather(Vec<u32>),
}

/// An axis of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Down.
    Rows,
    /// Across.
    Columns,
    /// Depth.
    Channels,
}

/// An operator of two activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// The sum.
    Add,
    /// The first less the second.
    Sub,
    /// The product.
    Mul,
}

/// A convolution's constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// ONNX's `group`: input channels and output channels fall into this many independent parts.
    pub groups: usize,
    /// `[out_channels][kernel rows][kernel columns][in_channels / groups]`.
    pub weights: Vec<f32>,
    /// One an output channel; zeros where the file has none.
    pub bias: Vec<f32>,
    /// The integers behind `weights` and `bias` where the file has them.
    pub stored: Option<Stored>,
}

/// Weights that were quantized in the file, as it has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// In the order of [`Conv::weights`]; unsigned ones less 128.
    pub weights: Vec<i8>,
    /// One an output channel, repeated where the file has one for all.
    pub scales: Vec<f32>,
    /// One an output channel, less 128 where unsigned; 0 for symmetric weights.
    pub zero_points: Vec<i8>,
    /// The integer bias and its scales, where the bias was quantized too.
    pub bias: Option<(Vec<i32>, Vec<f32>)>,
}

/// `real = scale * (quantized - zero_point)`, with the integers as i8: unsigned ones are less 128.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quant {
    /// Above zero.
    pub scale: f32,
    /// What stands for 0.
    pub zero_point: i8,
    /// Whether the file's integers are u8.
    pub unsigned: bool,
}

impl Quant {
    /// The integer that a real value becomes, as QuantizeLinear has it: to the nearest, ties to even, saturating.
    pub fn integer(self, real: f32) -> f32 {
        let whole = (real / self.scale).round_ties_even() + f32::from(self.zero_point);
        whole.clamp(-128.0, 127.0)
    }
}

impl Graph {
    /// The node that writes a value; none for the model's input.
    pub fn producer(&self, value: ValueId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == value)
    }

    /// The nodes that read a value, in order.
    pub fn readers(&self, value: ValueId) -> impl Iterator<Item = usize> + '_ {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(move |(index, node)| node.inputs.contains(&value).then_some(index))
    }

    /// The Relu or Clip that alone reads what a Conv or Binary writes, with its bounds: one that can be
    /// computed along with it.
    pub fn fused_clamp(&self, node: usize) -> Option<(usize, (f32, f32))> {
        let Node { op, output, .. } = self.nodes.get(node)?;
        if !matches!(op, Op::Conv(_) | Op::Binary(_)) || *output == self.output {
            return None;
        }
        let mut readers = self.readers(*output);
        let (reader, None) = (readers.next()?, readers.next()) else {
            return None;
        };
        match self.nodes[reader].op {
            Op::Pointwise(function) => Some((reader, function.clamp()?)),
            _ => None,
        }
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        let macs = |node: &Node| match &node.op {
            Op::Conv(conv) => {
                let pixels = self.shape(node.output).pixels() as u64;
                pixels * conv.weights.len() as u64
            }
            _ => 0,
        };
        self.nodes.iter().map(macs).sum()
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.shape(self.output).len() - usize::from(self.known)
    }

    /// The shape that a value has.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.values[value].shape
    }
}
