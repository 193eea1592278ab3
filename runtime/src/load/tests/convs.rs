use crate::graph::Op;
use crate::load::testing::*;

struct Case {
    name: &'static str,
    input: &'static [i64],
    weights: &'static [usize],
    bias: bool,
    attributes: &'static [(&'static str, Attr<'static>)],
}

#[test]
fn convolutions() {
    let cases = [
        Case {
            name: "3×3",
            input: &[1, 3, 7, 5],
            weights: &[4, 3, 3, 3],
            bias: true,
            attributes: &[("pads", Is(&[1, 1, 1, 1]))],
        },
        Case {
            name: "strided, uneven",
            input: &[1, 2, 9, 8],
            weights: &[3, 2, 3, 2],
            bias: false,
            attributes: &[("strides", Is(&[2, 3])), ("pads", Is(&[1, 0, 2, 1]))],
        },
        Case {
            name: "dilated",
            input: &[1, 2, 9, 8],
            weights: &[3, 2, 3, 2],
            bias: true,
            attributes: &[("dilations", Is(&[2, 3]))],
        },
        Case {
            name: "1×1",
            input: &[1, 5, 4, 3],
            weights: &[17, 5, 1, 1],
            bias: true,
            attributes: &[],
        },
        Case {
            name: "groups",
            input: &[1, 6, 5, 4],
            weights: &[4, 3, 3, 3],
            bias: true,
            attributes: &[("group", I(2)), ("pads", Is(&[1, 1, 1, 1]))],
        },
        Case {
            name: "depthwise",
            input: &[1, 6, 5, 4],
            weights: &[6, 1, 3, 3],
            bias: true,
            attributes: &[("group", I(6)), ("kernel_shape", Is(&[3, 3]))],
        },
        Case {
            name: "multiplier",
            input: &[1, 3, 5, 4],
            weights: &[6, 1, 3, 3],
            bias: false,
            attributes: &[("group", I(3))],
        },
        Case {
            name: "same upper",
            input: &[1, 2, 8, 5],
            weights: &[3, 2, 3, 4],
            bias: true,
            attributes: &[("auto_pad", S("SAME_UPPER")), ("strides", Is(&[2, 2]))],
        },
        Case {
            name: "same lower",
            input: &[1, 2, 8, 5],
            weights: &[3, 2, 3, 4],
            bias: true,
            attributes: &[("auto_pad", S("SAME_LOWER")), ("strides", Is(&[2, 2]))],
        },
        Case {
            name: "valid",
            input: &[1, 2, 8, 5],
            weights: &[3, 2, 3, 4],
            bias: true,
            attributes: &[("auto_pad", S("VALID"))],
        },
        Case {
            name: "1-D",
            input: &[1, 3, 20],
            weights: &[4, 3, 5],
            bias: true,
            attributes: &[("strides", Is(&[2])), ("pads", Is(&[1, 2]))],
        },
        Case {
            name: "1-D depthwise",
            input: &[1, 3, 20],
            weights: &[3, 1, 5],
            bias: true,
            attributes: &[("group", I(3)), ("dilations", Is(&[2]))],
        },
        Case {
            name: "one channel",
            input: &[1, 1, 6, 7],
            weights: &[2, 1, 3, 3],
            bias: true,
            attributes: &[],
        },
        Case {
            name: "one row",
            input: &[1, 3, 1, 7],
            weights: &[2, 3, 1, 3],
            bias: true,
            attributes: &[],
        },
    ];
    for case in cases {
        for opset in [7, 11, 21] {
            let mut model = Model::new(opset, case.input).random("w", case.weights);
            let mut inputs = "x w";
            if case.bias {
                model = model.random("b", &case.weights[..1]);
                inputs = "x w b";
            }
            let model = model.node("Conv", inputs, "y", case.attributes);
            check(case.name, &model.file());
        }
    }
}

#[test]
fn fully_connected() {
    let gemm = |attributes: &[(&str, Attr)], weights: &[usize], bias: &[usize]| {
        Model::new(13, &[1, 6])
            .random("w", weights)
            .random("b", bias)
            .node("Gemm", "x w b", "y", attributes)
    };
    let cases = [
        ("plain", gemm(&[], &[6, 4], &[4])),
        ("transposed", gemm(&[("transB", I(1))], &[4, 6], &[1, 4])),
        (
            "scaled",
            gemm(&[("alpha", F(0.5)), ("beta", F(2.0))], &[6, 4], &[1]),
        ),
        (
            "matmul",
            Model::new(13, &[1, 6])
                .random("w", &[6, 4])
                .node("MatMul", "x w", "y", &[]),
        ),
        (
            "matmul, bias before",
            Model::new(13, &[1, 6])
                .random("w", &[6, 4])
                .random("b", &[4])
                .node("MatMul", "x w", "m", &[])
                .node("Add", "b m", "y", &[]),
        ),
        (
            "flattened",
            Model::new(13, &[1, 3, 4, 5])
                .random("w", &[60, 7])
                .node("Flatten", "x", "f", &[])
                .node("Gemm", "f w", "y", &[]),
        ),
        (
            "at each place",
            Model::new(13, &[1, 6, 4])
                .random("w", &[6, 3])
                .random("b", &[3])
                .node("Transpose", "x", "t", &[("perm", Is(&[0, 2, 1]))])
                .node("MatMul", "t w", "m", &[])
                .node("Add", "m b", "y", &[]),
        ),
        (
            "flattened by columns",
            Model::new(13, &[1, 3, 4, 5])
                .random("w", &[60, 7])
                .ints("s", &[1, 60])
                .node("Transpose", "x", "t", &[("perm", Is(&[0, 3, 1, 2]))])
                .node("Reshape", "t s", "f", &[])
                .node("MatMul", "f w", "y", &[]),
        ),
    ];
    for (name, model) in cases {
        let loaded = check(name, &model.file());
        assert_eq!(loaded.graph.nodes.len(), 1, "{name}");
    }
}

#[test]
fn pools() {
    let pool = |op, attributes: &[(&str, Attr)]| {
        Model::new(12, &[1, 3, 9, 8]).node(op, "x", "y", attributes)
    };
    let kernel = ("kernel_shape", Is(&[3, 2]));
    let strides = ("strides", Is(&[2, 3]));
    let pads = ("pads", Is(&[1, 0, 0, 1]));
    let cases = [
        ("max", pool("MaxPool", &[kernel, strides, pads])),
        (
            "max, ceil",
            pool(
                "MaxPool",
                &[kernel, ("strides", Is(&[4, 4])), ("ceil_mode", I(1))],
            ),
        ),
        (
            "average, ceil",
            pool(
                "AveragePool",
                &[kernel, ("strides", Is(&[3, 3])), ("ceil_mode", I(1))],
            ),
        ),
        ("average", pool("AveragePool", &[kernel, strides, pads])),
        (
            "average with padding",
            pool(
                "AveragePool",
                &[kernel, strides, pads, ("count_include_pad", I(1))],
            ),
        ),
        (
            "same",
            pool(
                "AveragePool",
                &[kernel, strides, ("auto_pad", S("SAME_UPPER"))],
            ),
        ),
        ("global", pool("GlobalAveragePool", &[])),
        ("global max", pool("GlobalMaxPool", &[])),
        (
            "mean",
            pool("ReduceMean", &[("axes", Is(&[2, 3])), ("keepdims", I(0))]),
        ),
        ("mean, kept", pool("ReduceMean", &[("axes", Is(&[-1, -2]))])),
        (
            "mean of rows",
            pool("ReduceMean", &[("axes", Is(&[2])), ("keepdims", I(0))]),
        ),
        ("largest", pool("ReduceMax", &[("axes", Is(&[2, 3]))])),
        (
            "sum",
            pool("ReduceSum", &[("axes", Is(&[2, 3])), ("keepdims", I(0))]),
        ),
        (
            "mean by input",
            Model::new(18, &[1, 3, 9, 8]).ints("a", &[2, 3]).node(
                "ReduceMean",
                "x a",
                "y",
                &[("keepdims", I(0))],
            ),
        ),
        (
            "1-D",
            Model::new(12, &[1, 3, 9]).node("MaxPool", "x", "y", &[("kernel_shape", Is(&[2]))]),
        ),
    ];
    for (name, model) in cases {
        check(name, &model.file());
    }
}

#[test]
fn batch_normalization_and_constants_of_channels() {
    let start = || {
        Model::new(13, &[1, 3, 4, 5])
            .random("c", &[3, 1, 1])
            .random("v", &[1, 3, 1, 1])
    };
    let cases = [
        (
            "batch norm",
            start()
                .random("scale", &[3])
                .random("b", &[3])
                .random("mean", &[3])
                .floats("var", &[3], &[0.5, 1.0, 2.0])
                .node(
                    "BatchNormalization",
                    "x scale b mean var",
                    "y",
                    &[("epsilon", F(1e-3))],
                ),
        ),
        ("add", start().node("Add", "c x", "y", &[])),
        ("subtract", start().node("Sub", "x v", "y", &[])),
        ("subtract from", start().node("Sub", "v x", "y", &[])),
        ("multiply", start().node("Mul", "x c", "y", &[])),
        ("divide", start().node("Div", "x c", "y", &[])),
        (
            "scalar",
            start().scalar("s", 2.5).node("Mul", "s x", "y", &[]),
        ),
        ("negate", start().node("Neg", "x", "y", &[])),
        (
            "all the same",
            start()
                .floats("f", &[4, 5], &[0.5; 20])
                .node("Add", "x f", "y", &[]),
        ),
    ];
    for (name, model) in cases {
        let loaded = check(name, &model.file());
        assert!(
            matches!(loaded.graph.nodes[0].op, Op::Affine { .. }),
            "{name}"
        );
    }
}

#[test]
fn convolutions_along_channels() {
    // Efficient channel attention, as PyTorch writes it.
    let attention = |attributes: &[(&str, Attr)], taps: usize| {
        Model::new(13, &[1, 12, 4, 5])
            .random("w", &[1, 1, taps])
            .floats("b", &[1], &[0.3])
            .ints("end", &[-1])
            .ints("space", &[2])
            .ints("one", &[1, 2])
            .node("GlobalAveragePool", "x", "p", &[])
            .node("Squeeze", "p end", "q", &[])
            .node("Transpose", "q", "r", &[("perm", Is(&[0, 2, 1]))])
            .node("Conv", "r w b", "c", attributes)
            .node("Transpose", "c", "s", &[("perm", Is(&[0, 2, 1]))])
            .node("Unsqueeze", "s end", "u", &[])
    };
    let gated = attention(&[("pads", Is(&[1, 1]))], 3)
        .node("Sigmoid", "u", "g", &[])
        .node("Mul", "x g", "m", &[])
        .node("Relu", "m", "y", &[]);
    check("attention", &gated.file());
    let cases: [(&[(&str, Attr)], usize); 3] = [
        (&[("strides", Is(&[3]))], 2),
        (&[("pads", Is(&[4, 1])), ("dilations", Is(&[3]))], 5),
        (&[("auto_pad", S("SAME_UPPER"))], 5),
    ];
    for (attributes, taps) in cases {
        let model = attention(attributes, taps).node("Tanh", "u", "y", &[]);
        check(&format!("{attributes:?}"), &model.file());
    }
    let flat = Model::new(13, &[1, 12, 4, 5])
        .random("w", &[1, 1, 1, 3])
        .node("GlobalAveragePool", "x", "p", &[])
        .node("Transpose", "p", "t", &[("perm", Is(&[0, 2, 3, 1]))])
        .node("Conv", "t w", "c", &[("pads", Is(&[0, 1, 0, 1]))])
        .node("Transpose", "c", "g", &[("perm", Is(&[0, 3, 1, 2]))])
        .node("Mul", "x g", "y", &[]);
    check("with two axes of space", &flat.file());
}

#[test]
fn means_and_sums_over_channels() {
    for op in ["ReduceMean", "ReduceSum"] {
        for (axes, keep) in [(&[1][..], 1), (&[1, 2, 3], 0), (&[-3, 3], 1), (&[1], 0)] {
            let attributes = [("keepdims", I(keep)), ("axes", Is(axes))];
            let model = Model::new(11, &[1, 3, 4, 5])
                .random("w", &[4, 3, 1, 1])
                .node("Conv", "x w", "c", &[])
                .node(op, "c", "y", &attributes);
            check(&format!("{op} over {axes:?}"), &model.file());
        }
    }
}
