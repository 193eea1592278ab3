//! A quantized classifier: integers, scales and zero points, before it is laid out for a target.
//!
//! What the quantizer makes, what an already quantized ONNX file is read as, what `int8.onnx` is
//! written from and what the compiler lays out. `runtime/core/QUANTIZATION.md` says what each layer
//! computes, to the bit.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::graph::{Axis, Binary, Layout, Quant};
use crate::pointwise::Pointwise;
use crate::recipe::RecipeText;

/// Index into [`QGraph::tensors`].
pub type TensorId = usize;

/// Layers in an order in which each comes after those that it reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QGraph {
    /// Activations.
    pub tensors: Vec<QTensor>,
    /// Layers, in order.
    pub layers: Vec<QLayer>,
    /// What the model takes, quantized.
    pub input: TensorId,
    /// What the model gives: quantized logits, a vector.
    pub output: TensorId,
    /// The scale of the logits where it is not that of the output's integers: temperature scaling.
    pub logit_scale: Option<f32>,
    /// What else travels with the model.
    pub meta: Meta,
}

/// What travels with a model beside its layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The model's name, for people.
    pub name: String,
    /// Class names in the order of the logits; none where the file has none.
    pub labels: Vec<String>,
    /// Whether the output has one value more than there are labels, which says whether an input is known: see
    /// [`with_known`](crate::quantize::with_known).
    pub known: bool,
    /// How a picture becomes an input; none where the file has none.
    pub recipe: Option<RecipeText>,
    /// The order of the axes of the ONNX file's input.
    pub layout: Layout,
    /// Their sizes; none for those that the layout gives the input.
    pub input: Vec<usize>,
    /// Metadata of the ONNX file, kept as it is.
    pub properties: Vec<(String, String)>,
}

/// An activation: i8 in NHWC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QTensor {
    /// The name in ONNX.
    pub name: String,
    /// Rows, columns, channels.
    pub shape: Shape,
    /// What the integers stand for.
    pub quant: Quant,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QLayer {
    /// The name in ONNX.
    pub name: String,
    /// What it computes.
    pub op: QOp,
    /// What it reads.
    pub inputs: Vec<TensorId>,
    /// What it writes.
    pub output: TensorId,
}

/// What a layer computes. All saturate to the output's `[low, high]`.
#[derive(Clone, Debug, PartialEq)]
pub enum QOp {
    /// Convolution, also depthwise and fully connected.
    Conv(QConv),
    /// Sum, difference or product of two activations; the second may be `[1, 1, channels]`.
    Binary {
        /// Which.
        op: Binary,
        /// What the result is clamped to before it is quantized, as a fused activation.
        clamp: Option<(f32, f32)>,
    },
    /// A function of each value: 256 entries.
    Pointwise(Pointwise),
    /// From one quantization to another.
    Requantize,
    /// `max(x, 0) + slope[channel] * min(x, 0)`: 256 entries a channel.
    PRelu(Vec<f32>),
    /// Maximum; input and output have the same quantization.
    MaxPool(Window),
    /// Average.
    AveragePool {
        /// The window.
        window: Window,
        /// Whether padded positions count among those that are averaged.
        count_include_pad: bool,
    },
    /// Joins along an axis; each input is requantized to the output's quantization.
    Concat(Axis),
    /// Surrounds with a constant, already quantized; input and output have the same quantization.
    Pad {
        /// Top, left, bottom, right.
        padding: [u32; 4],
        /// The value.
        value: i8,
    },
    /// Nearest neighbour by whole factors; input and output have the same quantization.
    Resize([u32; 2]),
}

/// A convolution's integers.
#[derive(Clone, Debug, PartialEq)]
pub struct QConv {
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// ONNX's `group`.
    pub groups: usize,
    /// `[out_channels][kernel rows][kernel columns][in_channels / groups]`.
    pub weights: Vec<i8>,
    /// One an output channel.
    pub scales: Vec<f32>,
    /// One an output channel; all 0 where the weights are symmetric, as Kiln's are.
    pub zero_points: Vec<i8>,
    /// One an output channel, in units of `input scale * weight scale`.
    pub bias: Vec<i32>,
    /// What the result is clamped to before it is quantized, as a fused activation.
    pub clamp: Option<(f32, f32)>,
}

impl QOp {
    /// ONNX's name of the operator.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "Conv",
            Self::Binary { op, .. } => match op {
                Binary::Add => "Add",
                Binary::Sub => "Sub",
                Binary::Mul => "Mul",
            },
            Self::Pointwise(function) => function.name(),
            Self::Requantize => "QuantizeLinear",
            Self::PRelu(_) => "PRelu",
            Self::MaxPool(_) => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::Concat(_) => "Concat",
            Self::Pad { .. } => "Pad",
            Self::Resize(_) => "Resize",
        }
    }
}

impl QGraph {
    /// The layer that writes a tensor; none for the model's input.
    pub fn producer(&self, tensor: TensorId) -> Option<usize> {
        self.layers.iter().position(|layer| layer.output == tensor)
    }

    /// The layers that read a tensor, in order.
    pub fn readers(&self, tensor: TensorId) -> impl Iterator<Item = usize> + '_ {
        let layers = self.layers.iter().enumerate();
        layers.filter_map(move |(index, layer)| layer.inputs.contains(&tensor).then_some(index))
    }

    /// What a step of the output's integers is, as a logit.
    pub fn output_scale(&self) -> f32 {
        self.logit_scale.unwrap_or(self.quant(self.output).scale)
    }

    /// A tensor's quantization.
    pub fn quant(&self, tensor: TensorId) -> Quant {
        self.tensors[tensor].quant
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        let macs = |layer: &QLayer| match &layer.op {
            QOp::Conv(conv) => {
                let out = self.tensors[layer.output].shape;
                let per_output = conv.weights.len() as u64 / u64::from(out.channels).max(1);
                out.len() as u64 * per_output
            }
            _ => 0,
        };
        self.layers.iter().map(macs).sum()
    }
}
