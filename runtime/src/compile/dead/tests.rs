use kiln_core::Target;
use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::*;
use crate::compile::{Compiled, Options, compile};
use crate::engine::{Input, LoadedModel};
use crate::graph::Quant;
use crate::qgraph::QTensor;
use crate::testing::{Random, random_graph};

fn inputs(graph: &QGraph, count: usize) -> Vec<Vec<i8>> {
    let len = graph.tensors[graph.input].shape.len();
    let mut random = Random::new(len as u64);
    (0..count).map(|_| random.bytes(len)).collect()
}

/// The file, and the logits of each input.
fn run(graph: &QGraph, narrow: bool, inputs: &[Vec<i8>]) -> (Compiled, Vec<Vec<u8>>) {
    let options = Options {
        target: Target::CortexM4,
        narrow: Some(narrow),
        ..Options::default()
    };
    let compiled = compile(graph, &options).unwrap();
    let mut engine = LoadedModel::from_bytes(&compiled.bytes).unwrap().engine();
    let logits = inputs.iter().map(|input| {
        let output = engine.run(Input::Quantized(input)).unwrap();
        output.values().to_vec()
    });
    let logits = logits.collect();
    (compiled, logits)
}

/// The multiply-accumulates with and without the channels; the logits are the same.
fn macs(graph: &QGraph, count: usize) -> [u64; 2] {
    let inputs = inputs(graph, count);
    let (wide, expected) = run(graph, false, &inputs);
    let (narrow, found) = run(graph, true, &inputs);
    assert_eq!(found, expected, "{}", graph.meta.name);
    assert!(narrow.report.arena <= wide.report.arena);
    [wide, narrow].map(|compiled| {
        let layers = compiled.report.layers.iter();
        layers.map(|layer| layer.macs).sum()
    })
}

/// Some filters of each convolution become nothing but their bias.
fn deaden(graph: &mut QGraph, random: &mut Random) {
    for layer in &mut graph.layers {
        if let QOp::Conv(conv) = &mut layer.op {
            let len = conv.weights.len() / conv.bias.len().max(1);
            for channel in 0..conv.bias.len() {
                if random.below(2) == 0 {
                    let zero = conv.zero_points[channel];
                    conv.weights[channel * len..][..len].fill(zero);
                    if random.below(2) == 0 {
                        conv.bias[channel] = 0;
                    }
                }
            }
        }
    }
}

#[test]
fn random_graphs_keep_their_logits() {
    let mut narrowed = 0;
    for seed in 0..300 {
        let mut graph = random_graph(seed);
        deaden(&mut graph, &mut Random::new(seed));
        let [wide, narrow] = macs(&graph, 4);
        assert!(narrow <= wide, "{seed}");
        narrowed += usize::from(narrow < wide);
    }
    assert!(narrowed > 25, "only {narrowed} were narrowed");
}

fn conv(window: Window, weights: &[i8], bias: &[i32], groups: usize) -> QOp {
    let channels = bias.len();
    QOp::Conv(QConv {
        window,
        groups,
        weights: weights.to_vec(),
        scales: vec![0.01; channels],
        zero_points: vec![0; channels],
        bias: bias.to_vec(),
        clamp: None,
    })
}

/// Of two channels three, the second of which is its bias alone; then `second`, a mean, two classes.
fn chain(bias: i32, second: QOp, channels: u32, shape: [u32; 2]) -> QGraph {
    let quant = Quant {
        scale: 0.05,
        zero_point: -3,
        ..Quant::default()
    };
    let tensor = |name: &str, shape| QTensor {
        name: name.into(),
        shape,
        quant,
    };
    let [height, width] = shape;
    let tensors = vec![
        tensor("in", Shape::new(5, 4, 2)),
        tensor("first", Shape::new(5, 4, 3)),
        tensor("second", Shape::new(height, width, channels)),
        tensor("mean", Shape::vector(channels)),
        tensor("classes", Shape::vector(2)),
    ];
    let first = conv(
        Window::default(),
        &[90, -70, 0, 0, 50, 110],
        &[9, bias, -40],
        1,
    );
    let mean = QOp::AveragePool {
        window: Window {
            kernel: shape.map(|side| side as u16),
            ..Window::default()
        },
        count_include_pad: false,
    };
    let weights: Vec<i8> = (0..2 * channels as i8).map(|at| 13 * at - 60).collect();
    let classes = conv(Window::default(), &weights, &[100, -100], 1);
    let ops = [first, second, mean, classes];
    let layers = ops.into_iter().enumerate().map(|(at, op)| QLayer {
        name: format!("layer {at}"),
        op,
        inputs: vec![at],
        output: at + 1,
    });
    QGraph {
        layers: layers.collect(),
        tensors,
        input: 0,
        output: 4,
        ..QGraph::default()
    }
}

fn window(padding: u16) -> Window {
    Window {
        kernel: [3; 2],
        padding: [padding; 4],
        ..Window::default()
    }
}

/// The channels that are left of the first and the second layer.
fn left(graph: &QGraph) -> [u32; 2] {
    macs(graph, 30);
    let narrow = narrowed(graph);
    let graph = narrow.as_ref().unwrap_or(graph);
    [1, 2].map(|tensor| graph.tensors[tensor].shape.channels)
}

#[test]
fn a_constant_goes_into_the_bias_where_padding_lets_it() {
    let mut random = Random::new(1);
    let weights = random.bytes(4 * 9 * 3);
    let second = |padding| conv(window(padding), &weights, &[5, 0, -8, 70], 1);
    // A bias of 4000 is 40 steps.
    for (bias, padding, shape, expected) in [
        (4000, 0, [3, 2], 2),
        (4000, 1, [5, 4], 3),
        (0, 0, [3, 2], 2),
        (0, 1, [5, 4], 2),
    ] {
        let graph = chain(bias, second(padding), 4, shape);
        assert_eq!(left(&graph), [expected, 4], "{bias} {padding}");
    }
}

#[test]
fn a_constant_goes_through_depthwise_layers() {
    let mut random = Random::new(2);
    let weights = random.bytes(9 * 3);
    let second = |padding| conv(window(padding), &weights, &[5, 0, -8], 3);
    for (bias, padding, shape, expected) in [
        (4000, 0, [3, 2], 2),
        (4000, 1, [5, 4], 3),
        (0, 1, [5, 4], 2),
    ] {
        let graph = chain(bias, second(padding), 3, shape);
        assert_eq!(left(&graph), [expected; 2], "{bias} {padding}");
    }
}

#[test]
fn pools_pass_a_constant_on() {
    for (bias, expected) in [(4000, 2), (0, 2)] {
        let graph = chain(bias, QOp::MaxPool(window(1)), 3, [5, 4]);
        assert_eq!(left(&graph), [expected; 2], "{bias}");
    }
}

#[test]
fn only_cortex_m_files_are_narrow() {
    let graph = chain(0, QOp::MaxPool(window(1)), 3, [5, 4]);
    for target in Target::ALL {
        let options = Options {
            target,
            ..Options::default()
        };
        let compiled = compile(&graph, &options).unwrap();
        let model = LoadedModel::from_bytes(&compiled.bytes).unwrap();
        let (_, first) = model.model().layers().next().unwrap();
        let narrow = first.output().shape.channels < 3;
        assert_eq!(narrow, target.name().starts_with("cortex-m"), "{target:?}");
    }
}

/// The output's own channels stay, and one of each tensor.
#[test]
fn something_is_always_kept() {
    let mut graph = chain(0, QOp::MaxPool(window(1)), 3, [5, 4]);
    for layer in &mut graph.layers {
        if let QOp::Conv(conv) = &mut layer.op {
            conv.weights.fill(0);
        }
    }
    assert_eq!(left(&graph), [1; 2]);
    let narrow = narrowed(&graph).unwrap();
    assert_eq!(narrow.tensors[4].shape, Shape::vector(2));
}
