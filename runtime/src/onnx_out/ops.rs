//! Each kind of layer as ONNX nodes.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::document::{Attribute, Values};
use super::{Form, Writer};
use crate::graph::{Axis, Binary};
use crate::pointwise::Pointwise;
use crate::qgraph::{QConv, QLayer, QOp};

type Attributes = Vec<(&'static str, Attribute<'static>)>;

impl Writer<'_> {
    /// The layer's nodes, and the quantization of what they give.
    pub(super) fn layer(&mut self, layer: &QLayer) {
        let graph = self.graph;
        let inputs: Vec<String> = layer
            .inputs
            .iter()
            .map(|&input| self.names[input].dequantized.clone())
            .collect();
        let inputs: Vec<&str> = inputs.iter().map(|name| &name[..]).collect();
        let in_shape = graph.tensors[layer.inputs[0]].shape;
        let base = self.names[layer.output].float.clone();
        if layer.output == graph.output {
            // The name itself is for the dequantized logits.
            self.names[layer.output].float = self.document.unique(&format!("{base}_float"), "");
        }
        let output = self.names[layer.output].float.clone();
        match &layer.op {
            QOp::Conv(conv) => self.conv(layer, conv, &inputs, &output),
            QOp::Binary { op, clamp } => {
                let kind = match op {
                    Binary::Add => "Add",
                    Binary::Sub => "Sub",
                    Binary::Mul => "Mul",
                };
                self.clamped(layer, kind, &inputs, &output, vec![], *clamp);
            }
            QOp::Pointwise(function) => self.pointwise(&layer.name, *function, inputs[0], &output),
            // QuantizeLinear reads what the input was dequantized to.
            QOp::Requantize => self.names[layer.output].float = inputs[0].into(),
            QOp::PRelu(slope) => {
                let mut axes = vec![1; self.spatial() + 1];
                axes[0] = slope.len();
                let slope =
                    self.constant(&format!("{}_slope", layer.name), &axes, Values::F32(slope));
                self.node(layer, "PRelu", &[inputs[0], &slope], &output, vec![]);
            }
            QOp::MaxPool(window) => {
                let attributes = self.window_attributes(window);
                self.node(layer, "MaxPool", &inputs, &output, attributes);
            }
            QOp::AveragePool {
                window,
                count_include_pad,
            } => {
                let (op, attributes) = self.average(in_shape, window, *count_include_pad);
                self.node(layer, op, &inputs, &output, attributes);
            }
            QOp::Concat(axis) => {
                let axis = match axis {
                    Axis::Channels => 1,
                    Axis::Rows => 2,
                    Axis::Columns => 1 + self.spatial() as i64,
                };
                let attributes = vec![("axis", Attribute::Int(axis))];
                self.node(layer, "Concat", &inputs, &output, attributes);
            }
            QOp::Pad { padding, value } => {
                let quant = graph.quant(layer.inputs[0]);
                let steps = i32::from(*value) - i32::from(quant.zero_point);
                let value = [steps as f32 * quant.scale];
                let [top, left, bottom, right] = padding.map(i64::from);
                let ends = [self.last([top, left]), self.last([bottom, right])];
                let pads = ends.map(|end| [vec![0, 0], end].concat()).concat();
                let axes = [pads.len()];
                let name = format!("{}_pads", layer.name);
                let pads = self.constant(&name, &axes, Values::I64(&pads));
                let value =
                    self.constant(&format!("{}_value", layer.name), &[], Values::F32(&value));
                self.node(layer, "Pad", &[inputs[0], &pads, &value], &output, vec![]);
            }
            QOp::Resize(factors) => {
                let factors = self.last(factors.map(|factor| factor as f32));
                let scales = [vec![1.0, 1.0], factors].concat();
                let axes = [scales.len()];
                let name = format!("{}_scales", layer.name);
                let scales = self.constant(&name, &axes, Values::F32(&scales));
                let attributes = vec![
                    ("mode", Attribute::Text("nearest")),
                    (
                        "coordinate_transformation_mode",
                        Attribute::Text("asymmetric"),
                    ),
                    ("nearest_mode", Attribute::Text("floor")),
                ];
                self.node(
                    layer,
                    "Resize",
                    &[inputs[0], "", &scales],
                    &output,
                    attributes,
                );
            }
        }
        self.quantize(layer.output, &base);
    }

    /// Axes of activations beside the batch and the channels.
    fn spatial(&self) -> usize {
        match self.form {
            Form::Flat => 0,
            Form::Line => 1,
            Form::Plane => 2,
        }
    }

    /// Of what is said of rows and columns, as much as there are axes.
    fn last<T: Copy>(&self, values: [T; 2]) -> Vec<T> {
        values[2 - self.spatial()..].to_vec()
    }

    fn window_attributes(&self, window: &Window) -> Attributes {
        let ints = |values: [u16; 2]| self.last(values.map(i64::from));
        let [top, left, bottom, right] = window.padding;
        let pads = [ints([top, left]), ints([bottom, right])].concat();
        let mut attributes = vec![
            ("kernel_shape", Attribute::Ints(ints(window.kernel))),
            ("strides", Attribute::Ints(ints(window.stride))),
            ("pads", Attribute::Ints(pads)),
        ];
        // AveragePool has dilations from a later version of ONNX on.
        if window.dilation != [1, 1] {
            attributes.push(("dilations", Attribute::Ints(ints(window.dilation))));
        }
        attributes
    }

    /// GlobalAveragePool where that is what the window does.
    fn average(
        &self,
        input: Shape,
        window: &Window,
        count_include_pad: bool,
    ) -> (&'static str, Attributes) {
        let whole = Window {
            kernel: window.kernel,
            ..Window::default()
        };
        let kernel = window.kernel.map(u32::from);
        if *window == whole && !count_include_pad && kernel == [input.height, input.width] {
            return ("GlobalAveragePool", vec![]);
        }
        let mut attributes = self.window_attributes(window);
        attributes.push((
            "count_include_pad",
            Attribute::Int(count_include_pad.into()),
        ));
        ("AveragePool", attributes)
    }

    fn node(
        &mut self,
        layer: &QLayer,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: Attributes,
    ) {
        self.document
            .node(&layer.name, op, inputs, output, attributes);
    }

    /// A node, and behind it the activation that its clamp stands for.
    fn clamped(
        &mut self,
        layer: &QLayer,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: Attributes,
        clamp: Option<(f32, f32)>,
    ) {
        let Some((low, high)) = clamp else {
            return self.node(layer, op, inputs, output, attributes);
        };
        let open = self.document.unique(&format!("{output}_unclamped"), "");
        self.node(layer, op, inputs, &open, attributes);
        let function = match (low, high) {
            (0.0, f32::INFINITY) => Pointwise::Relu,
            (min, max) => Pointwise::Clip { min, max },
        };
        self.pointwise(&format!("{}_clamp", layer.name), function, &open, output);
    }

    /// Conv, or Gemm where activations are flat, with dequantized weights and bias.
    fn conv(&mut self, layer: &QLayer, conv: &QConv, inputs: &[&str], output: &str) {
        let channels = conv.scales.len();
        let input_scale = self.graph.quant(layer.inputs[0]).scale;
        let [rows, columns] = conv.window.kernel.map(usize::from);
        let taps = rows * columns;
        let depth = conv.weights.len() / (channels * taps).max(1);
        let weights = oihw(&conv.weights, taps, depth);
        let axes = [vec![channels, depth], self.last([rows, columns])].concat();
        let weights = self.parameter(
            &format!("{}_weight", layer.name),
            (&axes, Values::I8(&weights)),
            &conv.scales,
            Values::I8(&conv.zero_points),
        );
        let scales: Vec<f32> = conv
            .scales
            .iter()
            .map(|scale| input_scale * scale)
            .collect();
        let bias = self.parameter(
            &format!("{}_bias", layer.name),
            (&[channels], Values::I32(&conv.bias)),
            &scales,
            Values::I32(&vec![0; channels]),
        );
        let inputs = [inputs[0], &weights, &bias];
        if self.form == Form::Flat {
            let attributes = vec![("transB", Attribute::Int(1))];
            return self.clamped(layer, "Gemm", &inputs, output, attributes, conv.clamp);
        }
        let mut attributes = self.window_attributes(&conv.window);
        attributes.push(("group", Attribute::Int(conv.groups as i64)));
        self.clamped(layer, "Conv", &inputs, output, attributes, conv.clamp);
    }

    /// A constant that DequantizeLinear brings back along axis 0; the name of what it gives.
    fn parameter(
        &mut self,
        name: &str,
        (axes, values): (&[usize], Values),
        scales: &[f32],
        zero_points: Values,
    ) -> String {
        let channels = scales.len();
        let quantized = self.constant(&format!("{name}_quantized"), axes, values);
        let scales = self.constant(&format!("{name}_scale"), &[channels], Values::F32(scales));
        let zero_points = self.constant(&format!("{name}_zero_point"), &[channels], zero_points);
        let output = self.document.unique(name, "");
        self.document.node(
            &format!("{name}_DequantizeLinear"),
            "DequantizeLinear",
            &[&quantized, &scales, &zero_points],
            &output,
            vec![("axis", Attribute::Int(0))],
        );
        output
    }

    /// The input, times what operators make of it one after the other.
    fn gated(&mut self, name: &str, operators: &[&str], input: &str, output: &str) {
        let mut gate = input.to_owned();
        for operator in operators {
            let word = operator.to_lowercase();
            let next = self.document.unique(&format!("{output}_{word}"), "");
            self.document
                .node(&format!("{name}_{word}"), operator, &[&gate], &next, vec![]);
            gate = next;
        }
        self.document
            .node(name, "Mul", &[input, &gate], output, vec![]);
    }

    /// A function of each value. Silu has no operator: it is `x * Sigmoid(x)`; nor has Mish before opset 18.
    fn pointwise(&mut self, name: &str, function: Pointwise, input: &str, output: &str) {
        let mut inputs = vec![input.to_owned()];
        let attributes: Attributes = match function {
            Pointwise::Clip { min, max } => {
                for (bound, value) in [("min", min), ("max", max)] {
                    // ONNX leaves out a bound that is none.
                    let finite = value.is_finite();
                    let constant = finite.then(|| {
                        self.constant(&format!("{name}_{bound}"), &[], Values::F32(&[value]))
                    });
                    inputs.push(constant.unwrap_or_default());
                }
                vec![]
            }
            Pointwise::LeakyRelu { alpha } | Pointwise::Elu { alpha } => {
                vec![("alpha", Attribute::Float(alpha))]
            }
            Pointwise::Selu { alpha, gamma } => vec![
                ("alpha", Attribute::Float(alpha)),
                ("gamma", Attribute::Float(gamma)),
            ],
            Pointwise::HardSigmoid { alpha, beta } => vec![
                ("alpha", Attribute::Float(alpha)),
                ("beta", Attribute::Float(beta)),
            ],
            Pointwise::GeluTanh => vec![("approximate", Attribute::Text("tanh"))],
            Pointwise::Silu => return self.gated(name, &["Sigmoid"], input, output),
            Pointwise::Mish => return self.gated(name, &["Softplus", "Tanh"], input, output),
            Pointwise::Relu
            | Pointwise::Sigmoid
            | Pointwise::HardSwish
            | Pointwise::Softplus
            | Pointwise::Softsign
            | Pointwise::Tanh
            | Pointwise::Gelu => vec![],
        };
        let inputs: Vec<&str> = inputs.iter().map(|name| &name[..]).collect();
        self.document
            .node(name, function.name(), &inputs, output, attributes);
    }
}

/// `[o][rows][columns][i]` to ONNX's `[o][i][rows][columns]`.
fn oihw(weights: &[i8], taps: usize, depth: usize) -> Vec<i8> {
    let filters = weights.chunks_exact((taps * depth).max(1));
    let filter = |filter: &[i8]| -> Vec<i8> {
        let order = (0..depth).flat_map(|i| (0..taps).map(move |tap| tap * depth + i));
        order.map(|index| filter[index]).collect()
    };
    filters.flat_map(filter).collect()
}
