use kiln_core::Target;

use super::*;
use crate::engine::{Engine, Input, LoadedModel, OfGraph};
use crate::graph::Axis;
use crate::qgraph::{QLayer, QOp};
use crate::testing::{Kind, Random, random_graph, random_graph_of};

/// Random inputs for a graph.
fn inputs(graph: &QGraph, count: usize) -> Vec<Vec<i8>> {
    let len = graph.tensors[graph.input].shape.len();
    let mut random = Random::new(len as u64);
    (0..count).map(|_| random.bytes(len)).collect()
}

fn logits(engine: &mut Engine, inputs: &[Vec<i8>]) -> Vec<Vec<u8>> {
    let run = |input: &Vec<i8>| {
        let output = engine.run(Input::Quantized(input)).unwrap();
        output.values().to_vec()
    };
    inputs.iter().map(run).collect()
}

#[test]
fn every_target_and_way_of_sharing_gives_the_same_logits() {
    let (mut overlapping, mut copied, mut fast) = (0, 0, 0);
    for seed in 0..120 {
        let graph = random_graph(seed);
        let inputs = inputs(&graph, 3);
        let apart = Options {
            sharing: Some(Sharing::Apart),
            ..Options::default()
        };
        let plain = compile(&graph, &apart).unwrap();
        let mut engine = LoadedModel::from_bytes(&plain.bytes).unwrap().engine();
        let expected = logits(&mut engine, &inputs);
        for target in Target::ALL {
            for sharing in [Sharing::Apart, Sharing::InPlace, Sharing::Overlapping] {
                let options = Options {
                    target,
                    sharing: Some(sharing),
                    golden: 1,
                    ..Options::default()
                };
                let compiled = compile(&graph, &options).unwrap();
                let mut engine = LoadedModel::from_bytes(&compiled.bytes).unwrap().engine();
                assert_eq!(
                    logits(&mut engine, &inputs),
                    expected,
                    "{seed} {target:?} {sharing:?}"
                );
                assert_eq!(engine.verify_golden().unwrap(), 1, "{seed} {target:?}");
                assert_eq!(engine.model().target(), target);
                if target == Target::X86_64 {
                    let layers = &compiled.report.layers;
                    fast += layers.iter().filter(|layer| layer.scratch > 0).count();
                }
                if target == Target::Generic && sharing == Sharing::Overlapping {
                    overlapping += usize::from(compiled.report.arena < plain.report.arena);
                    copied += compiled
                        .report
                        .layers
                        .iter()
                        .filter(|l| l.op == "copy")
                        .count();
                }
            }
        }
    }
    assert!(
        overlapping > 60,
        "sharing made {overlapping} of 120 smaller"
    );
    assert!(copied > 10, "{copied} copies");
    assert!(fast > 300, "{fast} convolutions with scratch");
}

#[test]
fn the_arena_is_as_large_as_it_is_said_to_be() {
    for seed in 200..240 {
        let graph = random_graph(seed);
        let options = Options {
            sharing: Some(Sharing::Overlapping),
            ..Options::default()
        };
        let compiled = compile(&graph, &options).unwrap();
        let Report { arena, layers, .. } = &compiled.report;
        assert_eq!(layers.iter().map(|layer| layer.arena).max(), Some(*arena));
        assert_eq!(compiled.report.file, compiled.bytes.len());
        assert_eq!(compiled.report.macs, alive_macs(&graph, &compiled.report));
        let model = kiln_core::Model::new(&compiled.bytes).unwrap();
        assert_eq!(model.arena_bytes(), *arena);
        assert_eq!(kiln_core::Model::arena_len(&compiled.bytes), *arena);
        let input = &inputs(&graph, 1)[0];
        let mut exact = vec![0x55; *arena];
        let found = model.run(&mut exact, input).unwrap().values().to_vec();
        assert!(model.run(&mut exact[1..], input).is_err());
        // Whatever was in the arena before.
        let mut other = vec![0xaa; arena + 100];
        let again = model.run(&mut other, input).unwrap();
        assert_eq!(again.values(), found);
    }
}

/// Multiply-accumulates of the layers that were compiled.
fn alive_macs(graph: &QGraph, report: &Report) -> u64 {
    let names: Vec<&str> = report
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    let mut alive = graph.clone();
    alive
        .layers
        .retain(|layer| names.contains(&layer.name.as_str()));
    alive.macs()
}

#[test]
fn dead_ends_are_gone() {
    let mut graph = random_graph(1);
    let before = compile(&graph, &Options::default()).unwrap();
    let mut dead = graph.layers[0].clone();
    dead.name = "dead".into();
    dead.output = graph.tensors.len();
    graph
        .tensors
        .push(graph.tensors[graph.layers[0].output].clone());
    graph.layers.push(dead);
    assert_eq!(
        compile(&graph, &Options::default()).unwrap().bytes,
        before.bytes
    );
}

#[test]
fn errors_name_the_layer() {
    let conv_of = |graph: &mut QGraph| {
        let is_conv = |layer: &QLayer| matches!(layer.op, QOp::Conv(_));
        graph.layers.iter().rposition(is_conv).unwrap()
    };
    type Break = fn(&mut QGraph, usize);
    let cases: [(&str, Break); 8] = [
        ("biases", |graph, at| {
            if let QOp::Conv(conv) = &mut graph.layers[at].op {
                conv.bias.pop();
            }
        }),
        ("32 bits", |graph, at| {
            if let QOp::Conv(conv) = &mut graph.layers[at].op {
                conv.bias[0] = i32::MAX;
            }
        }),
        ("multiplier", |graph, at| {
            if let QOp::Conv(conv) = &mut graph.layers[at].op {
                conv.scales[0] = f32::NAN;
            }
        }),
        ("clamped", |graph, at| {
            if let QOp::Conv(conv) = &mut graph.layers[at].op {
                conv.clamp = Some((1.0, 0.0));
            }
        }),
        ("but its output is", |graph, at| {
            graph.tensors[graph.layers[at].output].shape.height += 1;
        }),
        ("groups", |graph, at| {
            if let QOp::Conv(conv) = &mut graph.layers[at].op {
                conv.groups = 0;
            }
        }),
        ("no layer before it", |graph, at| {
            graph.layers[at].inputs[0] = graph.layers[at].output;
        }),
        ("inputs", |graph, at| {
            let input = graph.layers[at].inputs[0];
            graph.layers[at].inputs.push(input);
        }),
    ];
    for (expected, break_it) in cases {
        let mut graph = random_graph(4);
        let at = conv_of(&mut graph);
        break_it(&mut graph, at);
        let name = &graph.layers[at].name;
        let error = compile(&graph, &Options::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected) && error.contains(name),
            "{expected}: {error}"
        );
    }
    let mut graph = random_graph(4);
    graph.tensors[graph.input].quant.scale = 0.0;
    let error = compile(&graph, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tensor `t0`") && error.contains("scale"),
        "{error}"
    );
    let mut graph = random_graph(4);
    graph.meta.labels = vec!["one".into()];
    let error = compile(&graph, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 labels"), "{error}");
}

#[test]
fn what_has_no_layers_is_its_input() {
    let mut graph = random_graph(4);
    graph.layers.clear();
    graph.output = graph.input;
    let len = graph.tensors[graph.input].shape.len();
    let compiled = compile(&graph, &Options::default()).unwrap();
    assert_eq!(
        (compiled.report.arena, compiled.report.layers.len()),
        (len, 0)
    );
    let inputs = inputs(&graph, 1);
    let found = logits(&mut Engine::of(&graph).unwrap(), &inputs);
    assert!(
        found[0]
            .iter()
            .map(|&byte| byte as i8)
            .eq(inputs[0].iter().copied())
    );
}

#[test]
fn what_is_too_large_is_refused_with_the_layer() {
    let mut graph = random_graph_of(2, &[Kind::Requantize]);
    graph.layers.truncate(1);
    graph.layers[0].inputs = vec![graph.input];
    graph.layers[0].op = QOp::Requantize;
    graph.output = graph.layers[0].output;
    for id in [graph.input, graph.output] {
        graph.tensors[id].shape = Shape::new(1 << 10, 1 << 10, 600);
    }
    let apart = Options {
        sharing: Some(Sharing::Apart),
        ..Options::default()
    };
    let error = compile(&graph, &apart).unwrap_err();
    let layer = graph.layers[0].name.clone();
    let bytes = 1200 << 20;
    assert_eq!(error, CompileError::Arena { bytes, layer });
}

/// Two convolutions of one input whose outputs are joined along the rows: written in place.
#[test]
fn rows_are_joined_without_a_copy() {
    let mut seed = 0;
    let graph = loop {
        let mut graph = random_graph_of(seed, &[Kind::Conv]);
        if graph.layers.len() == 2 {
            let first = graph.layers[0].output;
            let tensor = graph.tensors[first].clone();
            let mut second = graph.layers[0].clone();
            second.output = graph.tensors.len();
            graph.tensors.push(tensor.clone());
            let mut joined = tensor;
            joined.shape.height *= 2;
            let whole = graph.tensors.len();
            graph.tensors.push(joined);
            let concat = QLayer {
                name: "concat".into(),
                op: QOp::Concat(Axis::Rows),
                inputs: vec![first, second.output],
                output: whole,
            };
            graph.layers.truncate(1);
            graph.layers.extend([second, concat]);
            graph.output = whole;
            break graph;
        }
        seed += 1;
    };
    let joined = compile(&graph, &Options::default()).unwrap();
    let ops: Vec<&str> = joined.report.layers.iter().map(|layer| layer.op).collect();
    assert_eq!(ops, ["Conv", "Conv"]);
    let apart = Options {
        sharing: Some(Sharing::Apart),
        ..Options::default()
    };
    let copied = compile(&graph, &apart).unwrap();
    let ops: Vec<&str> = copied.report.layers.iter().map(|layer| layer.op).collect();
    assert_eq!(ops, ["Conv", "Conv", "copy", "copy"]);
    assert!(copied.report.arena >= joined.report.arena);
    let inputs = inputs(&graph, 2);
    let run = |bytes| {
        logits(
            &mut LoadedModel::from_bytes(bytes).unwrap().engine(),
            &inputs,
        )
    };
    assert_eq!(run(&joined.bytes), run(&copied.bytes));
}

/// What is joined in place is written by several layers: a class activation map sees all of them.
#[test]
fn maps_of_what_is_joined_in_place_are_those_of_what_is_copied() {
    use kiln_core::explain::Maps;
    use kiln_core::tensor::Shape;
    use kiln_core::window::Window;

    use crate::graph::Quant;
    use crate::qgraph::{QConv, QTensor};

    let quant = Quant {
        scale: 0.1,
        zero_point: 3,
        unsigned: false,
    };
    let shapes = [
        [6, 5, 4],
        [5, 4, 4],
        [5, 4, 4],
        [10, 4, 4],
        [1, 1, 4],
        [1, 1, 2],
    ];
    let tensor = |(id, [height, width, channels]): (usize, [u32; 3])| QTensor {
        name: format!("t{id}"),
        shape: Shape::new(height, width, channels),
        quant,
    };
    let square = |kernel: [u16; 2]| Window {
        kernel,
        ..Window::default()
    };
    let linear = QConv {
        window: Window::default(),
        groups: 1,
        weights: vec![90, -70, 50, 20, -80, 60, 30, -40],
        scales: vec![0.01; 2],
        zero_points: vec![0; 2],
        bias: vec![100, -100],
        clamp: None,
    };
    let pool = QOp::AveragePool {
        window: square([10, 4]),
        count_include_pad: false,
    };
    let layers = [
        (QOp::MaxPool(square([2, 2])), vec![0], 1),
        (QOp::MaxPool(square([2, 2])), vec![0], 2),
        (QOp::Concat(Axis::Rows), vec![1, 2], 3),
        (pool, vec![3], 4),
        (QOp::Conv(linear), vec![4], 5),
    ];
    let layer = |(op, inputs, output)| QLayer {
        name: format!("to{output}"),
        op,
        inputs,
        output,
    };
    let graph = QGraph {
        tensors: shapes.into_iter().enumerate().map(tensor).collect(),
        layers: layers.map(layer).into(),
        input: 0,
        output: 5,
        ..QGraph::default()
    };
    let input: Vec<u8> = inputs(&graph, 1)[0]
        .iter()
        .map(|&byte| byte as u8)
        .collect();
    let found = [Sharing::Apart, Sharing::Overlapping].map(|sharing| {
        let options = Options {
            sharing: Some(sharing),
            ..Options::default()
        };
        let bytes = compile(&graph, &options).unwrap().bytes;
        let model = Model::new(&bytes).unwrap();
        let maps = Maps::of(&model).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        model.input_mut(&mut arena).unwrap().copy_from_slice(&input);
        let mut features = vec![0; maps.shape().len()];
        maps.run(&model, &mut arena, &mut features).unwrap();
        (model.layer_count(), features)
    });
    let [(copied, apart), (joined, inside)] = found;
    assert!(joined < copied, "{joined} layers and {copied}");
    assert_eq!(apart, inside);
    assert!(apart[..80] == apart[80..] && apart.iter().any(|&byte| byte != 3));
}
