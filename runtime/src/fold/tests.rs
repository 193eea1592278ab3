use super::*;
use crate::graph::Graph;
use crate::load::load_with_axes;
use crate::load::testing::*;

/// Folds a file's graph, and compares its output with that of the graph as it was.
fn folded(name: &str, model: &Model) -> Graph {
    let mut loaded = load_with_axes(&model.file()).unwrap();
    let input = numbers(loaded.graph.shape(loaded.graph.input).len(), 5);
    let expected = run_graph(&loaded, &input);
    loaded.graph = fold(&loaded.graph);
    assert_close(&run_graph(&loaded, &input), &expected, name);
    loaded.graph
}

fn kinds(graph: &Graph) -> String {
    let kind = |op: &Op| match op {
        Op::Conv(_) => "Conv",
        Op::Affine { .. } => "Affine",
        Op::Binary(_) => "Binary",
        Op::Pointwise(function) => function.name(),
        Op::MaxPool(_) => "MaxPool",
        Op::AveragePool { .. } => "AveragePool",
        Op::Pad { .. } => "Pad",
        _ => "other",
    };
    let all: Vec<_> = graph.nodes.iter().map(|node| kind(&node.op)).collect();
    all.join(" ")
}

fn start() -> Model {
    Model::new(13, &[1, 4, 6, 5])
        .random("w", &[6, 4, 3, 3])
        .random("g", &[6, 2, 3, 2])
        .random("b", &[6])
        .random("four", &[4, 1, 1])
        .random("six", &[6, 1, 1])
        .ints("p", &[0, 0, 1, 2, 0, 0, 0, 1])
        .scalar("two", 2.0)
        .scalar("half", 0.5)
        .scalar("zero", 0.0)
        .scalar("one", 1.0)
        .scalar("minus", -1.0)
}

#[test]
fn constants_of_channels_go_into_convolutions() {
    let pads = ("pads", Is(&[1, 1, 0, 0]));
    let group = ("group", I(2));
    let after = |model: Model| {
        model
            .node("Mul", "c six", "m", &[])
            .node("Add", "m six", "y", &[])
    };
    let cases = [
        (
            "after",
            after(start().node("Conv", "x w b", "c", &[pads])),
            "Conv",
        ),
        (
            "after groups",
            after(start().node("Conv", "x g b", "c", &[group])),
            "Conv",
        ),
        (
            "before",
            start()
                .node("Mul", "x four", "m", &[])
                .node("Add", "m four", "a", &[])
                .node("Conv", "a w b", "y", &[]),
            "Conv",
        ),
        (
            "before groups",
            start()
                .node("Add", "x four", "a", &[])
                .node("Conv", "a g b", "y", &[group]),
            "Conv",
        ),
        (
            "factors go before padding",
            start()
                .node("Mul", "x four", "a", &[])
                .node("Conv", "a w b", "y", &[pads]),
            "Conv",
        ),
        (
            "summands do not",
            start()
                .node("Add", "x four", "a", &[])
                .node("Conv", "a w b", "y", &[pads]),
            "Conv Conv",
        ),
        (
            "read twice",
            start()
                .node("Add", "x four", "a", &[])
                .node("Conv", "a w b", "c", &[])
                .node("GlobalAveragePool", "a", "d", &[])
                .node("GlobalAveragePool", "c", "e", &[])
                .node("Concat", "d e", "y", &[("axis", I(1))]),
            "Conv AveragePool Conv AveragePool other",
        ),
        (
            "identity",
            start()
                .node("Mul", "x one", "a", &[])
                .node("Relu", "a", "y", &[]),
            "Relu",
        ),
        (
            "joined",
            start()
                .node("Mul", "x four", "a", &[])
                .node("Sub", "two a", "y", &[]),
            "Conv",
        ),
    ];
    for (name, model, expected) in cases {
        assert_eq!(kinds(&folded(name, &model)), expected, "{name}");
    }
}

#[test]
fn padding_goes_into_windows() {
    let pad = || start().node("Pad", "x p", "q", &[]);
    let kernel = ("kernel_shape", Is(&[3, 3]));
    let more = ("pads", Is(&[1, 0, 1, 0]));
    let cases = [
        (
            "conv",
            pad().node("Conv", "q w b", "y", &[("pads", Is(&[1, 0, 1, 0]))]),
            "Conv",
        ),
        (
            "average",
            pad().node("AveragePool", "q", "y", &[kernel]),
            "AveragePool",
        ),
        (
            "average with uncounted padding",
            pad().node("AveragePool", "q", "y", &[kernel, more]),
            "Pad AveragePool",
        ),
        (
            "max of any sign",
            pad().node("MaxPool", "q", "y", &[kernel]),
            "Pad MaxPool",
        ),
        (
            "max of no sign",
            start()
                .node("Relu", "x", "r", &[])
                .node("Pad", "r p", "q", &[])
                .node("MaxPool", "q", "y", &[kernel]),
            "Relu MaxPool",
        ),
        (
            "another value",
            start()
                .node("Pad", "x p one", "q", &[])
                .node("Conv", "q w b", "y", &[]),
            "Pad Conv",
        ),
        (
            "read twice",
            pad()
                .node("Conv", "q w b", "c", &[])
                .node("MaxPool", "q", "d", &[kernel])
                .node("GlobalAveragePool", "c", "e", &[])
                .node("GlobalAveragePool", "d", "f", &[])
                .node("Concat", "e f", "y", &[("axis", I(1))]),
            "Pad Conv AveragePool MaxPool AveragePool other",
        ),
    ];
    for (name, model, expected) in cases {
        assert_eq!(kinds(&folded(name, &model)), expected, "{name}");
    }
}

#[test]
fn clamps_are_joined() {
    let cases = [
        (
            start()
                .node("Max", "x zero", "a", &[])
                .node("Min", "a half", "y", &[]),
            "Clip",
        ),
        (
            start()
                .node("Relu", "x", "a", &[])
                .node("Relu", "a", "y", &[]),
            "Relu",
        ),
        (
            start()
                .node("Clip", "x minus half", "a", &[])
                .node("Clip", "a one two", "y", &[]),
            "Clip",
        ),
        (
            start()
                .node("Sigmoid", "x", "a", &[])
                .node("Relu", "a", "y", &[]),
            "Sigmoid",
        ),
        (
            start()
                .node("Relu", "x", "a", &[])
                .node("Clip", "a minus one", "y", &[]),
            "Clip",
        ),
    ];
    for (model, expected) in cases {
        assert_eq!(kinds(&folded(expected, &model)), expected);
    }
}

#[test]
fn names_and_values_that_are_left() {
    let model = start()
        .node("Conv", "x w b", "c", &[])
        .node("Mul", "c six", "m", &[])
        .node("Relu", "m", "y", &[]);
    let graph = folded("names", &model);
    let values: Vec<_> = graph.values.iter().map(|value| &value.name[..]).collect();
    assert_eq!(values, ["x", "m", "y"]);
    assert_eq!(graph.nodes[0].name, "c");
    assert_eq!(graph.fused_clamp(0), Some((1, (0.0, f32::INFINITY))));
    assert_eq!(graph.fused_clamp(1), None);
}
