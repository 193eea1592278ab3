use std::collections::HashSet;

use kiln_core::tensor::Shape;
use kiln_core::window::Window;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::*;
use crate::engine::{Engine, Input, OfGraph};
use crate::float::FloatModel;
use crate::graph::Binary;
use crate::qgraph::{Meta, QConv, QLayer, QTensor};
use crate::quantized::load_quantized;

/// A model that is put together a layer at a time; each takes the last tensor.
struct Builder(QGraph);

impl Builder {
    fn new(layout: Layout, [height, width, channels]: [u32; 3]) -> Self {
        let mut graph = QGraph::default();
        graph.meta.layout = layout;
        let mut builder = Self(graph);
        builder.tensor("input", Shape::new(height, width, channels));
        builder
    }

    fn tensor(&mut self, name: &str, shape: Shape) -> TensorId {
        let id = self.0.tensors.len();
        self.0.tensors.push(QTensor {
            name: name.into(),
            shape,
            quant: Quant {
                scale: 0.02 + id as f32 * 0.001,
                zero_point: id as i8 - 7,
                unsigned: true,
            },
        });
        self.0.output = id;
        id
    }

    fn then(mut self, op: QOp, others: &[TensorId], shape: [u32; 3]) -> Self {
        let inputs = std::iter::once(self.0.output).chain(others.iter().copied());
        let inputs = inputs.collect();
        let name = format!("layer_{}", self.0.layers.len());
        let [height, width, channels] = shape;
        let output = self.tensor(&format!("{name}_out"), Shape::new(height, width, channels));
        self.0.layers.push(QLayer {
            name,
            op,
            inputs,
            output,
        });
        self
    }

    fn conv(self, kernel: [u16; 2], groups: usize, shape: [u32; 3]) -> Self {
        let inputs = self.0.tensors[self.0.output].shape.channels as usize / groups;
        let channels = shape[2] as usize;
        let count = channels * usize::from(kernel[0] * kernel[1]) * inputs;
        let conv = QConv {
            window: Window {
                kernel,
                ..Window::default()
            },
            groups,
            weights: (0..count).map(|index| (index % 251) as i8).collect(),
            scales: (0..channels).map(|o| 0.01 + o as f32 / 1000.0).collect(),
            zero_points: vec![0; channels],
            bias: (0..channels).map(|o| o as i32 - 2).collect(),
            clamp: None,
        };
        self.then(QOp::Conv(conv), &[], shape)
    }
}

/// One of each kind of layer.
fn all_kinds() -> QGraph {
    let window = |kernel: u16, padding| Window {
        kernel: [kernel, 2],
        stride: [1, 1],
        dilation: [1, 1],
        padding,
    };
    Builder::new(Layout::Nchw, [7, 5, 3])
        .conv([3, 2], 1, [5, 4, 4])
        .conv([1, 1], 2, [5, 4, 4])
        .then(QOp::Pointwise(Pointwise::Silu), &[], [5, 4, 4])
        .then(
            QOp::Binary {
                op: Binary::Add,
                clamp: Some((0.0, f32::INFINITY)),
            },
            &[1],
            [5, 4, 4],
        )
        .then(QOp::PRelu(vec![0.1, 0.2, 0.3, 0.4]), &[], [5, 4, 4])
        .then(QOp::MaxPool(window(2, [1, 0, 0, 1])), &[], [5, 4, 4])
        .then(
            QOp::AveragePool {
                window: window(3, [0, 1, 2, 0]),
                count_include_pad: true,
            },
            &[],
            [5, 4, 4],
        )
        .then(QOp::Concat(Axis::Columns), &[5], [5, 8, 4])
        .then(
            QOp::Pad {
                padding: [0, 1, 2, 3],
                value: -5,
            },
            &[],
            [7, 12, 4],
        )
        .then(QOp::Resize([2, 3]), &[], [14, 36, 4])
        .then(
            QOp::Pointwise(Pointwise::Clip {
                min: -0.5,
                max: f32::INFINITY,
            }),
            &[],
            [14, 36, 4],
        )
        .then(QOp::Requantize, &[], [14, 36, 4])
        .then(
            QOp::AveragePool {
                window: Window {
                    kernel: [14, 36],
                    ..Window::default()
                },
                count_include_pad: false,
            },
            &[],
            [1, 1, 4],
        )
        .conv([1, 1], 1, [1, 1, 6])
        .0
}

fn graph_of(graph: &QGraph) -> GraphProto {
    to_onnx(graph).proto.graph.unwrap()
}

fn node<'a>(graph: &'a GraphProto, name: &str) -> &'a NodeProto {
    graph.node.iter().find(|node| node.name == name).unwrap()
}

fn ops(graph: &GraphProto) -> Vec<&str> {
    let plain = |op: &&str| !op.ends_with("eLinear");
    let ops = graph.node.iter().map(|node| &node.op_type[..]);
    ops.filter(plain).collect()
}

#[test]
fn every_name_is_written_once_before_it_is_read() {
    let mut named_alike = all_kinds();
    for tensor in &mut named_alike.tensors {
        tensor.name = "same".into();
    }
    for layer in &mut named_alike.layers {
        layer.name = String::new();
    }
    for model in [all_kinds(), named_alike] {
        let graph = graph_of(&model);
        let mut known = HashSet::from([graph.input[0].name.clone()]);
        for constant in &graph.initializer {
            assert!(known.insert(constant.name.clone()), "{}", constant.name);
        }
        let mut nodes = HashSet::new();
        for node in &graph.node {
            assert!(nodes.insert(&node.name), "{}", node.name);
            assert_eq!(node.domain, "");
            let inputs = node.input.iter().filter(|input| !input.is_empty());
            for input in inputs {
                assert!(known.contains(input), "{} reads {input}", node.name);
            }
            assert!(known.insert(node.output[0].clone()), "{}", node.output[0]);
        }
        assert!(known.contains(&graph.output[0].name));
    }
}

#[test]
fn layers_keep_names_and_order() {
    let graph = graph_of(&all_kinds());
    let expected = [
        "Conv",
        "Conv",
        "Sigmoid",
        "Mul",
        "Add",
        "Relu",
        "PRelu",
        "MaxPool",
        "AveragePool",
        "Concat",
        "Pad",
        "Resize",
        "Clip",
        "GlobalAveragePool",
        "Conv",
        "Flatten",
    ];
    assert_eq!(ops(&graph), expected);
    assert_eq!(node(&graph, "layer_0").output, ["layer_0_out"]);
    assert_eq!(node(&graph, "input_QuantizeLinear").input[0], "input");
    assert_eq!(graph.output[0].name, "layer_13_out");
}

#[test]
fn weights_are_in_onnx_order_and_the_bias_has_the_products_scale() {
    let model = Builder::new(Layout::Nchw, [7, 5, 3])
        .conv([3, 2], 1, [5, 4, 4])
        .0;
    let graph = graph_of(&model);
    let constant = |name: &str| {
        let mut constants = graph.initializer.iter();
        constants.find(|constant| constant.name == name).unwrap()
    };
    let weights = constant("layer_0_weight_quantized");
    assert_eq!(weights.dims, [4, 3, 3, 2]);
    let QOp::Conv(conv) = &model.layers[0].op else {
        unreachable!()
    };
    let at =
        |o: usize, i: usize, y: usize, x: usize| weights.raw_data[((o * 3 + i) * 3 + y) * 2 + x];
    for (o, i, y, x) in [(0, 0, 0, 1), (1, 2, 0, 0), (3, 1, 2, 1), (2, 0, 1, 0)] {
        let expected = conv.weights[((o * 3 + y) * 2 + x) * 3 + i];
        assert_eq!(at(o, i, y, x).cast_signed(), expected);
    }
    let scales: Vec<f32> = constant("layer_0_bias_scale")
        .raw_data
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let expected: Vec<f32> = conv.scales.iter().map(|scale| 0.02f32 * scale).collect();
    assert_eq!(scales, expected);
    // -7 + 128: u8.
    assert_eq!(constant("input_zero_point").raw_data, [121]);
}

#[test]
fn inputs_have_the_axes_of_the_source() {
    type Case<'a> = (Layout, [u32; 3], &'a [&'a str], &'a [i64]);
    let cases: [Case; 5] = [
        (Layout::Nchw, [1, 8, 3], &["Conv", "Flatten"], &[1, 3, 8]),
        (Layout::Nchw, [7, 5, 3], &["Conv", "Flatten"], &[1, 3, 7, 5]),
        (
            Layout::Nhwc,
            [7, 5, 3],
            &["Transpose", "Conv", "Flatten"],
            &[1, 7, 5, 3],
        ),
        (Layout::Nhwc, [1, 1, 9], &["Gemm", "Flatten"], &[1, 9]),
        (Layout::Nchw, [1, 1, 9], &["Conv", "Flatten"], &[1, 9, 1, 1]),
    ];
    for (layout, shape, expected, axes) in cases {
        let [height, width, _] = shape;
        let kernel = [height as u16, width as u16];
        let model = Builder::new(layout, shape).conv(kernel, 1, [1, 1, 2]).0;
        let file = to_onnx(&model);
        let read = file.input().unwrap().1;
        let read: Vec<i64> = read.into_iter().map(|axis| axis as i64).collect();
        assert_eq!(read, axes);
        assert_eq!(ops(&graph_of(&model)), expected);
    }
}

#[test]
fn the_input_keeps_the_axes_of_the_file_that_the_model_came_from() {
    use Layout::{Nchw, Nhwc};
    // Axes in the file, rows, columns and channels, and how the file names their order.
    let cases: [(&[usize], [u32; 3], Layout); 6] = [
        (&[1, 7, 9], [7, 9, 1], Nhwc),
        (&[1, 40], [1, 40, 1], Nhwc),
        (&[1, 40, 2], [1, 40, 2], Nhwc),
        (&[1, 3, 1, 8], [1, 8, 3], Nchw),
        (&[1, 1, 1, 8], [1, 1, 8], Nhwc),
        (&[1, 3, 8], [1, 8, 3], Nchw),
    ];
    for (axes, shape, layout) in cases {
        let [height, width, _] = shape;
        let kernel = [height.min(3) as u16, width.min(3) as u16];
        let output = [height - height.min(3) + 1, width - width.min(3) + 1, 2];
        let mut model = Builder::new(layout, shape).conv(kernel, 1, output);
        model = model.conv([output[0] as u16, output[1] as u16], 1, [1, 1, 2]);
        let mut model = model.0;
        model.meta.input = axes.to_vec();
        let file = to_onnx(&model);
        assert_eq!(file.input().unwrap().1, axes);
        let read = load_quantized(&file).unwrap_or_else(|error| panic!("{axes:?}: {error}"));
        assert_eq!(read.meta.input, axes);
        assert_eq!(read.meta.layout, layout, "{axes:?}");
        assert_eq!(
            read.tensors[read.input].shape,
            model.tensors[model.input].shape
        );
        let values: Vec<f32> = (0..axes.iter().product())
            .map(|i| (i as f32).sin())
            .collect();
        let logits = |graph: &QGraph| {
            let mut engine = Engine::of(graph).unwrap();
            engine.logits(Input::Tensor(&values, layout)).unwrap()
        };
        assert_eq!(logits(&read), logits(&model), "{axes:?}");
        let tract = FloatModel::new(&file).unwrap().run(&values).unwrap();
        for (found, expected) in tract.iter().zip(logits(&model)) {
            let step = model.quant(model.output).scale;
            assert!(
                (found - expected).abs() < 1.5 * step,
                "{axes:?}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn the_opset_is_the_lowest_that_has_all() {
    let average = |dilation| QOp::AveragePool {
        window: Window {
            dilation,
            ..Window::default()
        },
        count_include_pad: false,
    };
    let cases = [
        (QOp::Requantize, 17),
        (average([1, 1]), 17),
        (average([1, 2]), 19),
        (QOp::Pointwise(Pointwise::Gelu), 20),
        (QOp::Pointwise(Pointwise::HardSwish), 17),
    ];
    for (op, expected) in cases {
        let model = Builder::new(Layout::Nchw, [7, 5, 3])
            .then(op, &[], [7, 5, 3])
            .0;
        assert_eq!(to_onnx(&model).proto.opset_import[0].version, expected);
    }
}

#[test]
fn metadata_is_kept_and_the_version_is_new() {
    let mut model = all_kinds();
    model.meta = Meta {
        name: "pets".into(),
        labels: vec!["cat".into(), "dog".into()],
        known: true,
        recipe: Some(Default::default()),
        layout: Layout::Nchw,
        input: Vec::new(),
        properties: [
            (onnx::SPLIT, "{}"),
            (onnx::VERSION, "0.0.1"),
            ("author", "me"),
        ]
        .map(|(key, value)| (key.into(), value.into()))
        .into(),
    };
    let file = to_onnx(&model);
    assert_eq!(file.labels().unwrap(), ["cat", "dog"]);
    assert!(file.get_json::<bool>(onnx::KNOWN).unwrap());
    assert_eq!(file.recipe().unwrap(), Default::default());
    assert_eq!(file.get(onnx::SPLIT).unwrap(), "{}");
    assert_eq!(file.get("author").unwrap(), "me");
    assert_eq!(file.get(onnx::VERSION).unwrap(), env!("CARGO_PKG_VERSION"));
    assert_eq!(file.get(onnx::LAYOUT).unwrap(), "NCHW");
}

#[test]
fn logits_may_have_a_scale_of_their_own() {
    let mut model = all_kinds();
    let scale = model.quant(model.output).scale;
    model.logit_scale = Some(scale * 0.7);
    let read = load_quantized(&to_onnx(&model)).unwrap();
    assert_eq!(read.logit_scale, model.logit_scale);
    assert_eq!(read.quant(read.output), model.quant(model.output));
    model.logit_scale = None;
    let read = load_quantized(&to_onnx(&model)).unwrap();
    assert_eq!(read.logit_scale, None);
}
