use kiln_core::tensor::Shape;

use crate::graph::{Axis, Binary, Layout, Op};
use crate::load::load;
use crate::load::testing::*;
use crate::onnx::RECIPE;
use crate::recipe::{ColorText, RecipeText};

#[test]
fn transposes_vanish() {
    // As tf2onnx writes Keras' models.
    let model = Model::new(13, &[1, 6, 5, 3])
        .random("w", &[4, 3, 3, 3])
        .random("d", &[48, 2])
        .ints("s", &[-1, 48])
        .node("Transpose", "x", "t", &[("perm", Is(&[0, 3, 1, 2]))])
        .node("Conv", "t w", "c", &[])
        .node("Transpose", "c", "u", &[("perm", Is(&[0, 2, 3, 1]))])
        .node("Reshape", "u s", "f", &[])
        .node("MatMul", "f d", "m", &[])
        .node("Softmax", "m", "y", &[]);
    let loaded = check("tf2onnx", &model.file());
    assert_eq!(loaded.graph.layout, Layout::Nhwc);
    assert_eq!(loaded.graph.nodes.len(), 2);
    assert!(loaded.graph.softmax);
    assert_eq!(loaded.graph.shape(loaded.graph.input), Shape::new(6, 5, 3));
}

#[test]
fn three_axes_are_a_grey_picture_where_the_recipe_says_so() {
    let model = Model::new(13, &[1, 6, 5])
        .random("w", &[30, 2])
        .node("Flatten", "x", "f", &[])
        .node("MatMul", "f w", "y", &[]);
    let mut file = model.file();
    let recipe = RecipeText {
        width: 5,
        height: 6,
        color: ColorText::Grey,
        ..Default::default()
    };
    file.set_json(RECIPE, &recipe);
    let picture = check("a grey picture", &file).graph;
    assert_eq!(picture.shape(picture.input), Shape::new(6, 5, 1));
    file.set_json(
        RECIPE,
        &RecipeText {
            width: 6,
            height: 5,
            ..recipe
        },
    );
    let row = check("six channels along a row", &file).graph;
    assert_eq!(row.shape(row.input), Shape::new(1, 5, 6));
    // Several at a time are refused, whatever the recipe says.
    let mut pair = Model::new(13, &[2, 6, 5])
        .node("Flatten", "x", "y", &[])
        .file();
    pair.set_json(RECIPE, &recipe);
    assert!(load(&pair).unwrap_err().to_string().contains("[2, 6, 5]"));
}

#[test]
fn inputs_are_read_as_the_nodes_need_them() {
    let conv1 = |input: &[i64]| Model::new(13, input).random("w", &[4, 1, 3, 3]);
    let cases = [
        (
            "a spectrogram with its channel added",
            conv1(&[1, 7, 9])
                .ints("a", &[1])
                .node("Unsqueeze", "x a", "u", &[])
                .node("Conv", "u w", "y", &[]),
            Layout::Nhwc,
            Shape::new(7, 9, 1),
        ),
        (
            "one channel, by Reshape",
            conv1(&[1, 7, 9, 1])
                .ints("s", &[-1, 1, 7, 9])
                .node("Reshape", "x s", "u", &[])
                .node("Conv", "u w", "y", &[]),
            Layout::Nhwc,
            Shape::new(7, 9, 1),
        ),
        (
            "sound with its channel added",
            Model::new(13, &[1, 30])
                .random("w", &[4, 1, 5])
                .ints("a", &[1])
                .node("Unsqueeze", "x a", "u", &[])
                .node("Conv", "u w", "y", &[]),
            Layout::Nhwc,
            Shape::new(1, 30, 1),
        ),
        (
            "channels last along a row",
            Model::new(13, &[1, 30, 2])
                .random("w", &[4, 2, 5])
                .node("Transpose", "x", "u", &[("perm", Is(&[0, 2, 1]))])
                .node("Conv", "u w", "y", &[]),
            Layout::Nhwc,
            Shape::new(1, 30, 2),
        ),
        (
            "1-D as 2-D",
            Model::new(13, &[1, 2, 30])
                .random("w", &[4, 2, 5, 1])
                .ints("a", &[3])
                .node("Unsqueeze", "x a", "u", &[])
                .node("Conv", "u w", "y", &[]),
            Layout::Nchw,
            Shape::new(1, 30, 2),
        ),
        (
            "rows and columns turned",
            Model::new(13, &[1, 2, 6, 8])
                .random("w", &[4, 2, 3, 2])
                .node("Transpose", "x", "u", &[("perm", Is(&[0, 1, 3, 2]))])
                .node("Conv", "u w", "y", &[("strides", Is(&[2, 1]))]),
            Layout::Nchw,
            Shape::new(6, 8, 2),
        ),
    ];
    for (name, model, layout, shape) in cases {
        let loaded = check(name, &model.file());
        assert_eq!(loaded.graph.layout, layout, "{name}");
        assert_eq!(loaded.graph.shape(loaded.graph.input), shape, "{name}");
    }
}

#[test]
fn sizes_computed_at_run_time_are_constants() {
    // As PyTorch writes x.view(x.size(0), -1).
    let model = Model::new(11, &[1, 3, 4, 5])
        .random("w", &[7, 60])
        .int("zero", 0)
        .ints("minus", &[-1])
        .node("Shape", "x", "s", &[])
        .node("Gather", "s zero", "g", &[("axis", I(0))])
        .node("Unsqueeze", "g", "u", &[("axes", Is(&[0]))])
        .node("Concat", "u minus", "t", &[("axis", I(0))])
        .node("Reshape", "x t", "f", &[])
        .node("Gemm", "f w", "y", &[("transB", I(1))]);
    let loaded = check("view", &model.file());
    assert_eq!(loaded.graph.nodes.len(), 1);
}

#[test]
fn unsorted_nodes_are_sorted_and_dead_ones_dropped() {
    let mut model = Model::new(13, &[1, 3, 4, 5])
        .node("Relu", "b", "y", &[])
        .node("Tanh", "a", "b", &[])
        .node("Sigmoid", "x", "a", &[])
        .node("NonZero", "x", "dead", &[]);
    let loaded = crate::load::load_with_axes(&model.file()).unwrap();
    let names: Vec<_> = loaded
        .graph
        .nodes
        .iter()
        .map(|node| &node.name[..])
        .collect();
    assert_eq!(names, ["a", "b", "y"]);
    model.graph().node[2].input = vec!["b".into()];
    let error = crate::load::load(&model.file()).unwrap_err().to_string();
    assert!(error.contains("ring"), "{error}");
}

#[test]
fn two_activations() {
    let gate = || {
        Model::new(13, &[1, 3, 4, 5])
            .node("GlobalAveragePool", "x", "g", &[])
            .node("Sigmoid", "g", "s", &[])
    };
    let cases = [
        (
            "add",
            Model::new(13, &[1, 3, 4, 5])
                .node("Tanh", "x", "t", &[])
                .node("Add", "x t", "y", &[]),
        ),
        (
            "sum",
            Model::new(13, &[1, 3, 4, 5])
                .node("Tanh", "x", "t", &[])
                .node("Sum", "x t x", "y", &[]),
        ),
        ("gate", gate().node("Mul", "x s", "y", &[])),
        ("gate before", gate().node("Mul", "s x", "y", &[])),
        ("less a vector", gate().node("Sub", "x s", "y", &[])),
        ("from a vector", gate().node("Sub", "s x", "y", &[])),
    ];
    for (name, model) in cases {
        let loaded = check(name, &model.file());
        let is_binary = |op: &Op| matches!(op, Op::Binary(Binary::Add | Binary::Sub | Binary::Mul));
        let nodes = loaded.graph.nodes.iter();
        for node in nodes.filter(|node| is_binary(&node.op)) {
            let shape = loaded.graph.shape(node.inputs[0]);
            assert_eq!(
                shape,
                Shape::new(4, 5, 3),
                "{name}: the larger one is first"
            );
        }
    }
}

#[test]
fn joins() {
    let two = |axis: i64| {
        Model::new(13, &[1, 3, 4, 5])
            .node("Tanh", "x", "t", &[])
            .node("Concat", "x t x", "y", &[("axis", I(axis))])
    };
    for (axis, expected) in [(1, Axis::Channels), (2, Axis::Rows), (-1, Axis::Columns)] {
        let loaded = check("concat", &two(axis).file());
        assert_eq!(loaded.graph.nodes[1].op, Op::Concat(expected));
    }
    let pad = Model::new(13, &[1, 3, 4, 5])
        .ints("p", &[0, 0, 1, 2, 0, 0, 3, 4])
        .scalar("v", 0.5)
        .node("Pad", "x p v", "y", &[]);
    check("pad", &pad.file());
    let old = Model::new(10, &[1, 3, 4, 5]).node(
        "Pad",
        "x",
        "y",
        &[("pads", Is(&[0, 0, 1, 2, 0, 0, 3, 4])), ("value", F(-1.0))],
    );
    check("old pad", &old.file());
    let resize = |mode: &str, rounding: &str| {
        Model::new(13, &[1, 3, 4, 5])
            .floats("s", &[4], &[1.0, 1.0, 2.0, 3.0])
            .node(
                "Resize",
                "x - s",
                "y",
                &[
                    ("mode", S("nearest")),
                    ("coordinate_transformation_mode", S(mode)),
                    ("nearest_mode", S(rounding)),
                ],
            )
    };
    check("asymmetric", &resize("asymmetric", "floor").file());
    let half = crate::load::load_with_axes(&resize("half_pixel", "round_prefer_floor").file());
    assert_eq!(half.unwrap().graph.nodes[0].op, Op::Resize([2, 3]));
}
