//! A quantized model as a standard ONNX file in QDQ form: float operators between QuantizeLinear and
//! DequantizeLinear, of the plain `ai.onnx` domain alone.
//!
//! Runtimes fuse that to integer kernels. What ONNX Runtime then computes is, to the bit, what
//! `runtime/core/QUANTIZATION.md` says, where the scales are Kiln's own (see [`crate::quantize`]).
//!
//! - The input is float, with the axes of the file that the model came from. A model of one row all the
//!   way has 1-D operators: `[1, channels, length]`.
//! - Weights are s8 through DequantizeLinear along axis 0, symmetric and a scale a channel; the bias
//!   is s32 at `input scale * weight scale`.
//! - Each activation goes through one pair of QuantizeLinear and DequantizeLinear. There is no Relu:
//!   an activation's range ends at 0 where one was.
//! - Logits come out dequantized, as `[1, classes]`. Softmax is left to the caller. Where the model says whether
//!   it knows an input (metadata `kiln.known`), that is one value more, behind them.

mod document;
mod ops;

use std::path::PathBuf;

use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto};

use crate::graph::{Axis, Layout, Quant};
use crate::onnx::{self, OnnxFile};
use crate::pointwise::Pointwise;
use crate::qgraph::{QConv, QGraph, QOp, TensorId};
use document::{Attribute, Document, Values, value_info};

/// What ONNX Runtime's own quantizer writes; all but Gelu and dilated averages are in it.
const OPSET: i64 = 17;
/// The least that has AveragePool with dilations.
const OPSET_DILATED_AVERAGE: i64 = 19;
/// The least that has Gelu.
const OPSET_GELU: i64 = 20;

/// The ONNX document of a quantized model. `OnnxFile::save` writes it.
pub fn to_onnx(graph: &QGraph) -> OnnxFile {
    let mut writer = Writer::new(graph);
    let input = writer.input();
    for layer in &graph.layers {
        writer.layer(layer);
    }
    let output = writer.output();
    let Document {
        nodes, constants, ..
    } = writer.document;
    let opset = opset(graph);
    let proto = ModelProto {
        ir_version: if opset < OPSET_DILATED_AVERAGE { 8 } else { 9 },
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset,
        }],
        producer_name: "kiln".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(GraphProto {
            name: match &graph.meta.name[..] {
                "" => "classifier".into(),
                name => name.into(),
            },
            node: nodes,
            initializer: constants,
            input: vec![input],
            output: vec![output],
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut file = OnnxFile {
        proto,
        path: PathBuf::from(format!("{}.int8.onnx", graph.meta.name)),
    };
    metadata(graph, &mut file);
    file
}

/// The lowest version of ONNX's operators, from 17 on, that has all that the model needs.
fn opset(graph: &QGraph) -> i64 {
    let needs = graph.layers.iter().map(|layer| match &layer.op {
        QOp::Pointwise(Pointwise::Gelu | Pointwise::GeluTanh) => OPSET_GELU,
        QOp::AveragePool { window, .. } if window.dilation != [1, 1] => OPSET_DILATED_AVERAGE,
        _ => OPSET,
    });
    needs.max().unwrap_or(OPSET)
}

/// The source file's metadata, and over it what Kiln knows.
fn metadata(graph: &QGraph, file: &mut OnnxFile) {
    let meta = &graph.meta;
    for (key, value) in &meta.properties {
        file.set(key, value);
    }
    if !meta.labels.is_empty() {
        file.set_json(onnx::LABELS, &meta.labels);
    }
    if let Some(recipe) = &meta.recipe {
        file.set_json(onnx::RECIPE, recipe);
    }
    if meta.known {
        file.set_json(onnx::KNOWN, &true);
    }
    file.set(onnx::LAYOUT, meta.layout.name());
    file.set(onnx::VERSION, env!("CARGO_PKG_VERSION"));
}

/// What the name of a tensor's integers ends with, and that of what they are brought back to.
const QUANTIZED: &str = "_quantized";
const DEQUANTIZED: &str = "_dequantized";

/// A tensor's names in the document.
#[derive(Clone, Default)]
struct Names {
    /// The value before QuantizeLinear.
    float: String,
    /// The value after DequantizeLinear: what layers read.
    dequantized: String,
}

/// The axes of all activations but the model's input and its logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `[1, features]`: an MLP.
    Flat,
    /// `[1, channels, length]`.
    Line,
    /// `[1, channels, rows, columns]`.
    Plane,
}

/// Puts a [`QGraph`]'s layers into a [`Document`].
struct Writer<'g> {
    graph: &'g QGraph,
    document: Document,
    /// One for each of [`QGraph::tensors`].
    names: Vec<Names>,
    /// What the model's output is called.
    output: String,
    /// Of all activations.
    form: Form,
}

impl<'g> Writer<'g> {
    fn new(graph: &'g QGraph) -> Self {
        let mut document = Document::default();
        let form = form(graph);
        let mut names = vec![Names::default(); graph.tensors.len()];
        // The model's input and output keep their names whatever else is called so.
        let order = [graph.input, graph.output].into_iter();
        let order = order.chain(0..graph.tensors.len());
        for tensor in order {
            if names[tensor].float.is_empty() {
                let name = &graph.tensors[tensor].name;
                // A file that was read has the names that `quantize` gave.
                let mut endings = [QUANTIZED, DEQUANTIZED].into_iter();
                let base = endings.find_map(|ending| name.strip_suffix(ending));
                let name = base.unwrap_or(name);
                names[tensor].float = document.unique(name, &format!("tensor_{tensor}"));
            }
        }
        Self {
            graph,
            document,
            output: names[graph.output].float.clone(),
            names,
            form,
        }
    }

    /// Declares the model's input, brings it into NCHW and quantizes it.
    fn input(&mut self) -> tract_onnx::pb::ValueInfoProto {
        let tensor = self.graph.input;
        let input = self.names[tensor].float.clone();
        let axes = self.input_axes();
        let declared = self.declared(&axes);
        let mut name = input.clone();
        if declared != axes {
            name = self.document.unique(&format!("{input}_shaped"), "");
            let shape: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
            let shape = Values::I64(&shape);
            let shape = self.constant(&format!("{name}_shape"), &[axes.len()], shape);
            self.document
                .node(&name, "Reshape", &[&input, &shape], &name, vec![]);
            self.names[tensor].float.clone_from(&name);
        }
        if self.form != Form::Flat && self.graph.meta.layout == Layout::Nhwc {
            let nchw = self.document.unique(&format!("{name}_nchw"), "");
            if let [_, features] = axes[..] {
                let shape = [1, features as i64, 1, 1];
                let shape = self.constant(&format!("{nchw}_shape"), &[4], Values::I64(&shape));
                self.document
                    .node(&nchw, "Reshape", &[&name, &shape], &nchw, vec![]);
            } else {
                let order = vec![("perm", Attribute::Ints(vec![0, 3, 1, 2]))];
                self.document
                    .node(&nchw, "Transpose", &[&name], &nchw, order);
            }
            self.names[tensor].float = nchw;
        }
        self.quantize(tensor, &input);
        value_info(&input, &declared)
    }

    /// The axes that the source file had, where they are as many values in all.
    fn declared(&self, axes: &[usize]) -> Vec<usize> {
        let declared = &self.graph.meta.input;
        let count = |axes: &[usize]| axes.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        match !declared.is_empty() && count(declared) == count(axes) {
            true => declared.clone(),
            false => axes.to_vec(),
        }
    }

    /// The axes of the input by its layout.
    fn input_axes(&self) -> Vec<usize> {
        let shape = self.graph.tensors[self.graph.input].shape;
        let [rows, columns, channels] =
            [shape.height, shape.width, shape.channels].map(|axis| axis as usize);
        match self.graph.meta.layout {
            Layout::Nhwc if shape.pixels() == 1 => vec![1, channels],
            Layout::Nhwc => vec![1, rows, columns, channels],
            Layout::Nchw if self.form == Form::Line => vec![1, channels, columns],
            Layout::Nchw => vec![1, channels, rows, columns],
        }
    }

    /// Flattens the dequantized logits under the name that the model's output had.
    fn output(&mut self) -> tract_onnx::pb::ValueInfoProto {
        let tensor = self.graph.output;
        let name = self.output.clone();
        let classes = self.graph.tensors[tensor].shape.len();
        let dequantized = self.names[tensor].dequantized.clone();
        self.document
            .node(&name, "Flatten", &[&dequantized], &name, vec![]);
        value_info(&name, &[1, classes])
    }

    /// The pair of QuantizeLinear and DequantizeLinear through which a tensor goes.
    fn quantize(&mut self, tensor: TensorId, base: &str) {
        let Quant {
            scale,
            zero_point,
            unsigned,
        } = self.graph.quant(tensor);
        let real = scale;
        let scale = self.constant(&format!("{base}_scale"), &[], Values::F32(&[scale]));
        let zero_point = [zero_point];
        let zero_point = match unsigned {
            true => Values::U8(&zero_point),
            false => Values::I8(&zero_point),
        };
        let zero_point = self.constant(&format!("{base}_zero_point"), &[], zero_point);
        let back = match self.graph.output_scale() {
            logits if tensor == self.graph.output && logits != real => {
                self.constant(&format!("{base}_logit_scale"), &[], Values::F32(&[logits]))
            }
            _ => scale.clone(),
        };
        let document = &mut self.document;
        let quantized = document.unique(&format!("{base}{QUANTIZED}"), "");
        let dequantized = document.unique(&format!("{base}{DEQUANTIZED}"), "");
        let float = &self.names[tensor].float;
        document.node(
            &format!("{base}_QuantizeLinear"),
            "QuantizeLinear",
            &[float, &scale, &zero_point],
            &quantized,
            vec![],
        );
        document.node(
            &format!("{base}_DequantizeLinear"),
            "DequantizeLinear",
            &[&quantized, &back, &zero_point],
            &dequantized,
            vec![],
        );
        self.names[tensor].dequantized = dequantized;
    }

    fn constant(&mut self, name: &str, axes: &[usize], values: Values) -> String {
        self.document.constant(name, axes, values)
    }
}

/// The form that fits all that the model does.
fn form(graph: &QGraph) -> Form {
    let all_fit = |fits: fn(&QOp) -> bool| graph.layers.iter().all(|layer| fits(&layer.op));
    let mut shapes = graph.tensors.iter().map(|tensor| tensor.shape);
    let input = graph.tensors.get(graph.input).map(|tensor| tensor.shape);
    match graph.meta.layout {
        Layout::Nhwc if shapes.all(|shape| shape.pixels() == 1) && all_fit(fits_vectors) => {
            Form::Flat
        }
        Layout::Nchw
            if input.is_some_and(|input| input.width > 1)
                && shapes.all(|shape| shape.height == 1)
                && all_fit(fits_lines) =>
        {
            Form::Line
        }
        _ => Form::Plane,
    }
}

fn fits_vectors(op: &QOp) -> bool {
    match op {
        QOp::Conv(conv) => conv.groups == 1 && conv.window.taps() == 1,
        QOp::Concat(axis) => *axis == Axis::Channels,
        QOp::Binary { .. } | QOp::Pointwise(_) | QOp::Requantize | QOp::PRelu(_) => true,
        QOp::MaxPool(_) | QOp::AveragePool { .. } | QOp::Pad { .. } | QOp::Resize(_) => false,
    }
}

fn fits_lines(op: &QOp) -> bool {
    match op {
        QOp::Conv(QConv { window, .. })
        | QOp::MaxPool(window)
        | QOp::AveragePool { window, .. } => {
            let [top, _, bottom, _] = window.padding;
            let rows = [window.kernel[0], window.stride[0], window.dilation[0]];
            rows == [1; 3] && [top, bottom] == [0; 2]
        }
        QOp::Pad {
            padding: [top, _, bottom, _],
            ..
        } => [*top, *bottom] == [0; 2],
        QOp::Resize([down, _]) => *down == 1,
        QOp::Concat(axis) => *axis != Axis::Rows,
        QOp::Binary { .. } | QOp::Pointwise(_) | QOp::Requantize | QOp::PRelu(_) => true,
    }
}

#[cfg(test)]
mod tests;
