//! Operators that take nothing away, and what stands at a classifier's end.

use kiln_core::tensor::Shape;

use crate::float::FloatModel;
use crate::float_graph::FloatGraph;
use crate::graph::Op;
use crate::load::load;
use crate::load::testing::*;
use crate::onnx::{LABELS, OnnxFile};

#[test]
fn an_expand_is_what_broadcasts_by_itself() {
    // Squeeze-and-excite as PyTorch users write it: `x * scale.expand_as(x)`.
    let scaled = |op: &str, inputs: &str| {
        Model::new(17, &[1, 3, 4, 5])
            .ints("sizes", &[1, 3, 4, 5])
            .ints("less", &[3, 1, 5])
            .random("k", &[1, 3, 4, 5])
            .node("GlobalAveragePool", "x", "p", &[])
            .node("Sigmoid", "p", "s", &[])
            .node("Expand", "s sizes", "e", &[])
            .node("Expand", "x less", "same", &[])
            .node(op, inputs, "y", &[])
    };
    for (op, inputs) in [("Mul", "x e"), ("Add", "e x"), ("Sub", "e same")] {
        let graph = check(op, &scaled(op, inputs).file()).graph;
        assert_eq!(graph.shape(graph.output), Shape::new(4, 5, 3), "{op}");
    }
    for (op, inputs, says) in [
        ("Relu", "e", "it reads an Expand"),
        ("Mul", "e s", "where both operands are smaller"),
        ("Mul", "e k", "an Expand with a constant"),
    ] {
        let error = load(&scaled(op, inputs).file()).unwrap_err().to_string();
        assert!(error.contains(says), "{op} {inputs}: {error}");
    }
    // A Silu in two parts, and the output itself.
    let silu = scaled("Sigmoid", "e").node("Mul", "e y", "z", &[]);
    for (mut model, output, says) in [
        (silu, "z", "it reads an Expand"),
        (scaled("Relu", "x"), "e", "an Expand writes it"),
    ] {
        model.graph().output[0].name = output.into();
        let error = load(&model.file()).unwrap_err().to_string();
        assert!(error.contains(says), "{output}: {error}");
    }
    let wrong = Model::new(17, &[1, 3, 4, 5])
        .ints("sizes", &[1, 2, 4, 5])
        .node("Expand", "x sizes", "e", &[])
        .node("Add", "x e", "y", &[]);
    assert!(load(&wrong.file()).is_err());
}

#[test]
fn a_slice_or_gather_of_everything_is_nothing() {
    let slice = |starts: i64, ends: i64, steps: i64| {
        Model::new(13, &[1, 3, 4, 5])
            .ints("starts", &[0, starts])
            .ints("ends", &[i64::MAX, ends])
            .ints("axes", &[1, -1])
            .ints("steps", &[1, steps])
            .node("Slice", "x starts ends axes steps", "y", &[])
            .file()
    };
    for (starts, ends) in [(0, 5), (-5, i64::MAX), (i64::MIN, 9)] {
        let loaded = check("a whole slice", &slice(starts, ends, 1));
        assert!(loaded.graph.nodes.is_empty());
    }
    // As PyTorch writes `as_strided` of channels that lie together.
    let gather = |places: &[i64]| {
        Model::new(18, &[1, 3, 4, 5])
            .ints("flat", &[-1])
            .ints("places", places)
            .ints("whole", &[1, 3, 1, 1])
            .node("GlobalAveragePool", "x", "p", &[])
            .node("Reshape", "p flat", "f", &[])
            .node("Reshape", "places whole", "at", &[])
            .node("Gather", "f at", "y", &[])
            .file()
    };
    let loaded = check("a whole gather", &gather(&[0, 1, 2]));
    assert_eq!(loaded.output_dims, [1, 3, 1, 1]);
    let turned = check("an order of channels", &gather(&[0, 2, 1]));
    assert_eq!(turned.output_dims, [1, 3, 1, 1]);
}

#[test]
fn a_split_is_refused_once() {
    let model = Model::new(11, &[1, 4, 4, 5])
        .node(
            "Split",
            "x",
            "a b",
            &[("axis", I(1)), ("split", Is(&[3, 3]))],
        )
        .node("Concat", "b a", "y", &[("axis", I(1))]);
    let error = load(&model.file()).unwrap_err().to_string();
    assert!(error.contains("Split `a`"), "{error}");
    assert!(!error.contains("nothing writes"), "{error}");
}

#[test]
fn what_is_said_is_about_the_order_that_fits() {
    // Rows, columns, channels would stop at the first convolution, with one problem.
    let model = Model::new(13, &[1, 3, 8, 8])
        .random("w", &[4, 3, 3, 3])
        .node("Conv", "x w", "c", &[])
        .node("LSTM", "c", "l", &[])
        .node("Shrink", "c", "s", &[])
        .node("Add", "l s", "y", &[]);
    let error = load(&model.file()).unwrap_err().to_string();
    assert!(error.contains("2 nodes are not supported"), "{error}");
    assert!(!error.contains("Conv"), "{error}");
}

fn labelled(model: Model, labels: &[&str]) -> OnnxFile {
    let mut file = model.file();
    file.set_json(LABELS, labels);
    file
}

/// What the graph and the float model make of an input.
fn both(file: &OnnxFile) -> [Vec<f32>; 2] {
    let graph = load(file).unwrap();
    let input = numbers(4, 5);
    let mut of_graph = FloatGraph::new(&graph);
    let found = of_graph.run(&input, &mut |_, _| {}).unwrap();
    [found, FloatModel::new(file).unwrap().run(&input).unwrap()]
}

#[test]
fn one_logit_of_two_labels_is_the_second_ones() {
    let dense = || Model::new(13, &[1, 4]).random("w", &[4, 1]);
    let with_sigmoid = dense()
        .node("MatMul", "x w", "z", &[])
        .node("Sigmoid", "z", "y", &[]);
    // Where no convolution writes it.
    let behind = dense()
        .node("MatMul", "x w", "z", &[])
        .node("Tanh", "z", "y", &[]);
    let plain = dense().node("MatMul", "x w", "y", &[]);
    for model in [plain, with_sigmoid, behind] {
        let alone = FloatModel::new(&model.file()).unwrap();
        let [z] = alone.run(&numbers(4, 5)).unwrap()[..] else {
            panic!("more than one value")
        };
        let z = match model.0.graph.as_ref().unwrap().node.last().unwrap() {
            node if node.op_type == "Sigmoid" => (z / (1.0 - z)).ln(),
            _ => z,
        };
        for found in both(&labelled(model.clone(), &["cat", "dog"])) {
            assert_close(&found, &[0.0, z], "two labels");
        }
        // One label, or none, says nothing of a second class.
        assert_eq!(
            load(&model.file())
                .map(|graph| graph.shape(graph.output).len())
                .unwrap(),
            1
        );
    }
}

#[test]
fn a_sigmoid_of_classes_is_left_to_the_caller() {
    let model = Model::new(13, &[1, 4])
        .random("w", &[4, 3])
        .node("MatMul", "x w", "z", &[])
        .node("Sigmoid", "z", "y", &[]);
    let file = labelled(model.clone(), &["a", "b", "c"]);
    let graph = load(&file).unwrap();
    assert!(graph.softmax && graph.nodes.len() == 1);
    let [found, expected] = both(&file);
    assert_close(&found, &expected, "logits");
    // Without labels its values may be anything.
    let graph = load(&model.file()).unwrap();
    assert!(
        graph
            .nodes
            .iter()
            .any(|node| matches!(node.op, Op::Pointwise(_)))
    );
}
