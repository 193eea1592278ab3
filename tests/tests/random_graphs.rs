//! Random graphs of integers, with scales that nobody chose, beside ONNX Runtime: logits byte for byte.
//!
//! `KILN_SEEDS=FIRST..END` runs other seeds, `KILN_KEEP=FOLDER` keeps the files of what failed.

use kiln_core::tensor::Shape;
use kiln_runtime::engine::{LoadedModel, OfGraph};
use kiln_runtime::graph::Layout;
use kiln_runtime::onnx_out::to_onnx;
use kiln_runtime::qgraph::{QGraph, QOp};
use kiln_runtime::testing::{Kind, Random, random_graph_of};
use kiln_tests::conformance::{
    Batch, FLOAT, logits, repeat, same_on_all_targets, same_when_read_again, seeds,
};

/// As Kiln's own models are: symmetric weights, no activation but saturation behind a layer.
fn tame(mut graph: QGraph) -> QGraph {
    graph.meta.layout = Layout::Nchw;
    for layer in &mut graph.layers {
        match &mut layer.op {
            QOp::Conv(conv) => {
                conv.clamp = None;
                conv.zero_points.fill(0);
            }
            QOp::Binary { clamp, .. } => *clamp = None,
            _ => {}
        }
    }
    graph
}

#[test]
fn random_integer_graphs_give_onnx_runtimes_bytes() {
    const NAME: &str = "random_integer_graphs_give_onnx_runtimes_bytes";
    // ONNX Runtime makes one quantization of two in a row: it reads such files in another way.
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Requantize);
    let kinds: Vec<Kind> = kinds.collect();
    let mut batch = Batch::new();
    for seed in seeds(0..250) {
        let graph = tame(random_graph_of(seed, &kinds));
        let file = to_onnx(&graph);
        let input = &graph.tensors[graph.input];
        let mut random = Random::new(seed);
        let mut draw = || {
            let integers = random.bytes(input.shape.len()).into_iter();
            let steps =
                integers.map(|q| f32::from(i16::from(q) - i16::from(input.quant.zero_point)));
            steps.map(|steps| steps * input.quant.scale).collect()
        };
        let inputs: Vec<Vec<f32>> = (0..6).map(|_| draw()).collect();
        let model = LoadedModel::of(&graph).expect("it compiles");
        let found = logits(&model, &inputs, Layout::Nchw);
        same_on_all_targets(&graph, &inputs[..2], &found[..2]);
        // Which axis of length 1 a file joins along, nothing in it says.
        let Shape {
            height,
            width,
            channels,
        } = input.shape;
        if height > 1 && width > 1 && channels > 1 {
            same_when_read_again(&file, &inputs, &found);
        }
        batch.add(&seed.to_string(), &file, &inputs, &found);
    }
    batch.check(&FLOAT, |seed| repeat(NAME, seed));
}
