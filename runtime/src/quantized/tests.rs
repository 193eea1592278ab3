mod channels;
mod operators;

use std::path::Path;

use tract_onnx::pb::tensor_proto::DataType;

use super::*;
use crate::engine::{Engine, Input, OfGraph};
use crate::float_graph::FloatGraph;
use crate::graph::{Op, Quant};
use crate::load::testing::*;
use crate::load::tests::shared::mlperf_tiny;
use crate::onnx_out::to_onnx;
use crate::qgraph::{QConv, QOp};
use crate::testing::{Random, random_graph};

/// Runs a quantized file's graph in floats and as a quantized graph by the engine, on the same
/// integers; how many steps of the output's scale they differ at most.
fn difference(file: &OnnxFile) -> (f32, QGraph) {
    let graph = load(file).unwrap_or_else(|error| panic!("{error}"));
    let quantized = load_quantized(file).unwrap_or_else(|error| panic!("{error}"));
    let input = &quantized.tensors[quantized.input];
    let mut engine = Engine::of(&quantized).unwrap();
    let mut float = FloatGraph::new(&graph);
    let mut random = Random::new(1);
    let mut most = 0.0f32;
    for _ in 0..5 {
        let integers = random.bytes(input.shape.len());
        let Quant {
            scale, zero_point, ..
        } = input.quant;
        let is_float = graph
            .nodes
            .iter()
            .any(|node| matches!(node.op, Op::Quantize(_)) && node.inputs[0] == graph.input);
        let reals = integers.iter().map(|integer| match is_float {
            true => (f32::from(*integer) - f32::from(zero_point)) * scale,
            false => f32::from(*integer),
        });
        let reals: Vec<f32> = reals.collect();
        let expected = float.run(&reals, &mut |_, _| {}).unwrap();
        let output = quantized.tensors[quantized.output].quant;
        let found = engine.run(Input::Quantized(&integers)).unwrap();
        let is_real = graph
            .nodes
            .iter()
            .any(|node| matches!(node.op, Op::Dequantize(_)) && node.output == graph.output);
        for (index, expected) in expected.iter().enumerate() {
            let found = f32::from(found.values()[index] as i8);
            let expected = match is_real {
                true => expected / output.scale + f32::from(output.zero_point),
                false => *expected,
            };
            most = most.max((found - expected).abs());
        }
    }
    (most, quantized)
}

fn names(graph: &QGraph) -> String {
    let name = |op: &QOp| match op {
        QOp::Conv(conv) => match conv.clamp {
            Some(_) => "Conv+clamp",
            None => "Conv",
        },
        QOp::Binary { clamp: Some(_), .. } => "Binary+clamp",
        QOp::Binary { .. } => "Binary",
        QOp::Pointwise(function) => function.name(),
        QOp::Requantize => "Requantize",
        QOp::PRelu(_) => "PRelu",
        QOp::MaxPool(_) => "MaxPool",
        QOp::AveragePool { .. } => "AveragePool",
        QOp::Concat(_) => "Concat",
        QOp::Pad { .. } => "Pad",
        QOp::Resize(_) => "Resize",
    };
    let all: Vec<_> = graph.layers.iter().map(|layer| name(&layer.op)).collect();
    all.join(" ")
}

#[test]
fn what_kiln_writes_it_reads() {
    for seed in 0..60 {
        let graph = random_graph(seed);
        let file = to_onnx(&graph);
        let back = load_quantized(&file).unwrap_or_else(|error| panic!("{seed}: {error}"));
        let (mut first, mut second) = (Engine::of(&graph).unwrap(), Engine::of(&back).unwrap());
        let mut random = Random::new(seed);
        for _ in 0..3 {
            let input = random.bytes(graph.tensors[graph.input].shape.len());
            let expected = first
                .run(Input::Quantized(&input))
                .unwrap()
                .values()
                .to_vec();
            let found = second.run(Input::Quantized(&input)).unwrap();
            assert_eq!(found.values(), expected, "seed {seed}");
        }
        assert_eq!(back.meta.layout, graph.meta.layout);
        let again = load_quantized(&to_onnx(&back)).unwrap();
        let names = |graph: &QGraph| {
            let tensors = graph.tensors.iter();
            tensors
                .map(|tensor| tensor.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&again), names(&back), "seed {seed}");
    }
}

#[test]
fn quantized_networks_of_mlperf_tiny() {
    // Layers, and multiply-accumulates.
    let cases = [
        ("ic", 14, 12_501_632),
        ("vww", 29, 7_489_664),
        ("kws", 11, 2_656_768),
        ("ad", 10, 264_192),
    ];
    for (name, layers, macs) in cases {
        let Some(file) = mlperf_tiny(&format!("{name}.int8-qdq.onnx")) else {
            continue;
        };
        let (most, graph) = difference(&file);
        assert_eq!(graph.layers.len(), layers, "{name}: {}", names(&graph));
        assert_eq!(graph.macs(), macs, "{name}");
        assert!(most <= 2.0, "{name}: {most} steps from floats");
        assert!(graph.tensors.iter().all(|tensor| !tensor.quant.unsigned));
    }
}

#[test]
fn what_onnx_runtime_quantizes_gives_what_onnx_runtime_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/quantized");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display();
        let file = OnnxFile::load(&path).unwrap();
        let expected: Vec<f32> = file.get_json("kiln.test.logits").unwrap();
        let graph = load_quantized(&file).unwrap_or_else(|error| panic!("{error}"));
        let count = graph.tensors[graph.input].shape.len();
        let input: Vec<f32> = (0..count).map(|i| (i as f64 / 3.0).sin() as f32).collect();
        let mut engine = Engine::of(&graph).unwrap();
        let logits = engine
            .logits(Input::Tensor(&input, graph.meta.layout))
            .unwrap();
        assert_eq!(logits, expected, "{name}");
        found += 1;
    }
    assert_eq!(found, 8, "two networks, four forms");
}

/// What reads the input as it comes, in floats, does not read what it is quantized to.
#[test]
fn a_file_that_is_quantized_in_part_is_refused_whatever_the_order() {
    use crate::load::testing::{Is, Model};
    for operands in ["q p", "p q"] {
        let window = [("kernel_shape", Is(&[1, 1]))];
        let model = Model::new(13, &[1, 3, 1, 1])
            .scalar("coarse", 0.4)
            .scalar("fine", 0.05)
            .i8("zero", &[], &[0])
            .node("QuantizeLinear", "x coarse zero", "a", &[])
            .node("DequantizeLinear", "a coarse zero", "b", &[])
            .node("MaxPool", "b", "c", &window)
            .node("QuantizeLinear", "c coarse zero", "d", &[])
            .node("DequantizeLinear", "d coarse zero", "q", &[])
            .node("MaxPool", "x", "e", &window)
            .node("QuantizeLinear", "e fine zero", "f", &[])
            .node("DequantizeLinear", "f fine zero", "p", &[])
            .node("Add", operands, "g", &[])
            .node("QuantizeLinear", "g coarse zero", "h", &[])
            .node("DequantizeLinear", "h coarse zero", "y", &[]);
        let error = load_quantized(&model.file()).unwrap_err().to_string();
        assert!(error.contains("floats"), "{operands}: {error}");
    }
}

#[test]
fn layers_of_one_node_have_names_of_their_own() {
    let model = Model::new(13, &[1, 3, 1, 1])
        .scalar("s", 0.05)
        .i8("z", &[], &[0])
        .i8("w", &[2, 3, 1, 1], &[40, -30, 20, -50, 60, -10])
        .node("QuantizeLinear", "x s z", "a", &[])
        .node("DequantizeLinear", "a s z", "b", &[])
        .node("DequantizeLinear", "w s z", "v", &[])
        .node("Conv", "b v", "c", &[])
        .node("Relu", "c", "r", &[])
        .node("QuantizeLinear", "r s z", "d", &[])
        .node("DequantizeLinear", "d s z", "e", &[])
        .node("QuantizeLinear", "c s z", "f", &[])
        .node("DequantizeLinear", "f s z", "g", &[])
        .node("Add", "e g", "h", &[])
        .node("QuantizeLinear", "h s z", "i", &[])
        .node("DequantizeLinear", "i s z", "y", &[]);
    let (most, graph) = difference(&model.file());
    // Both roundings of the convolution, in the sum.
    assert!(most <= 2.0, "{most}");
    assert_eq!(names(&graph), "Conv+clamp Conv Binary");
    let layers: HashSet<&str> = graph.layers.iter().map(|layer| &layer.name[..]).collect();
    assert_eq!(layers.len(), 3, "{layers:?}");
}

#[test]
fn integers_for_weights_alone_make_no_quantized_file() {
    let model = |opset| Model::new(opset, &[1, 3, 5, 5]).scalar("s", 0.01);
    let window = [("kernel_shape", Is(&[3, 3]))];
    let weights = |file: &OnnxFile| {
        assert!(!is_quantized_file(file));
        let graph = load(file).unwrap_or_else(|error| panic!("{error}"));
        match &graph.nodes[0].op {
            Op::Conv(conv) => (conv.weights.clone(), conv.stored.is_none()),
            other => panic!("{other:?}"),
        }
    };
    let stored: Vec<i8> = (0..54i32).map(|i| (i * 4 - 108) as i8).collect();
    let kept = model(13)
        .i8("w", &[2, 3, 3, 3], &stored)
        .i8("z", &[], &[0])
        .node("DequantizeLinear", "w s z", "v", &[])
        .node("Conv", "x v", "y", &window);
    let (kept, free) = weights(&kept.file());
    assert!(free && kept.iter().any(|weight| *weight < 0.0));
    // As floats, through both; signed by the attribute alone.
    let reals: Vec<f32> = stored
        .iter()
        .map(|weight| f32::from(*weight) * 0.01)
        .collect();
    let signed = [("output_dtype", I(DataType::Int8 as i64))];
    let passed = model(21)
        .floats("w", &[2, 3, 3, 3], &reals)
        .node("QuantizeLinear", "w s", "q", &signed)
        .node("DequantizeLinear", "q s", "v", &[])
        .node("Conv", "x v", "y", &window);
    assert_eq!(weights(&passed.file()), (kept, true));

    let wide = model(21)
        .floats("w", &[2, 3, 3, 3], &reals)
        .i32("z", &[], &[0])
        .node("QuantizeLinear", "w s z", "q", &[])
        .node("DequantizeLinear", "q s z", "v", &[])
        .node("Conv", "x v", "y", &window);
    let error = load(&wide.file()).unwrap_err().to_string();
    assert!(error.contains("8 bits"), "{error}");
}
