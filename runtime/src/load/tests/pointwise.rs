use crate::graph::Op;
use crate::load::testing::*;
use crate::pointwise::Pointwise;

#[test]
fn activations() {
    let one = |opset, op, attributes: &[(&str, Attr)]| {
        Model::new(opset, &[1, 3, 4, 5]).node(op, "x", "y", attributes)
    };
    let six = crate::onnx::scalar("", 6.0);
    let clip = Model::new(13, &[1, 3, 4, 5])
        .scalar("low", 0.0)
        .node("Constant", "", "c", &[("value", T(&six))])
        .node("Identity", "c", "high", &[])
        .node("Clip", "x low high", "y", &[]);
    let min = Model::new(13, &[1, 3, 4, 5])
        .scalar("c", 1.0)
        .node("Min", "x c", "y", &[]);
    let max = Model::new(13, &[1, 3, 4, 5])
        .scalar("c", 0.0)
        .node("Max", "c x", "y", &[]);
    let prelu = Model::new(13, &[1, 3, 4, 5]).floats("s", &[3, 1, 1], &[0.5; 3]);
    let cases = [
        (one(13, "Relu", &[]), Pointwise::Relu),
        (clip, Pointwise::Clip { min: 0.0, max: 6.0 }),
        (
            one(7, "Clip", &[("min", F(0.0)), ("max", F(6.0))]),
            Pointwise::Clip { min: 0.0, max: 6.0 },
        ),
        (
            min,
            Pointwise::Clip {
                min: f32::NEG_INFINITY,
                max: 1.0,
            },
        ),
        (max, Pointwise::Relu),
        (
            one(13, "LeakyRelu", &[("alpha", F(0.25))]),
            Pointwise::LeakyRelu { alpha: 0.25 },
        ),
        (one(13, "Elu", &[]), Pointwise::Elu { alpha: 1.0 }),
        (
            one(13, "Selu", &[("gamma", F(1.5))]),
            Pointwise::Selu {
                alpha: 1.673_263_2,
                gamma: 1.5,
            },
        ),
        (one(13, "Celu", &[]), Pointwise::Elu { alpha: 1.0 }),
        (one(13, "Softplus", &[]), Pointwise::Softplus),
        (one(13, "Softsign", &[]), Pointwise::Softsign),
        (one(18, "Mish", &[]), Pointwise::Mish),
        (one(13, "Sigmoid", &[]), Pointwise::Sigmoid),
        (
            one(13, "HardSigmoid", &[("alpha", F(0.25))]),
            Pointwise::HardSigmoid {
                alpha: 0.25,
                beta: 0.5,
            },
        ),
        (one(14, "HardSwish", &[]), Pointwise::HardSwish),
        (one(13, "Tanh", &[]), Pointwise::Tanh),
        (
            prelu.node("PRelu", "x s", "y", &[]),
            Pointwise::LeakyRelu { alpha: 0.5 },
        ),
    ];
    for (model, function) in cases {
        let loaded = check(function.name(), &model.file());
        assert_eq!(loaded.graph.nodes.len(), 1);
        assert_eq!(loaded.graph.nodes[0].op, Op::Pointwise(function));
    }
    let prelu =
        Model::new(13, &[1, 3, 4, 5])
            .random("s", &[3, 1, 1])
            .node("PRelu", "x s", "y", &[]);
    let loaded = check("PRelu", &prelu.file());
    assert!(matches!(loaded.graph.nodes[0].op, Op::PRelu(_)));
}

#[test]
fn patterns() {
    let start = || {
        Model::new(13, &[1, 3, 4, 5])
            .scalar("half", 0.5)
            .scalar("one", 1.0)
            .scalar("three", 3.0)
            .scalar("six", 6.0)
            .scalar("zero", 0.0)
            .scalar("sixth", 1.0 / 6.0)
            .scalar("root2", std::f32::consts::SQRT_2)
            .scalar("k", 0.044_715)
            .scalar("root2pi", 0.797_884_6)
            .scalar("slope", 0.1)
    };
    let erf = || {
        start()
            .node("Div", "x root2", "d", &[])
            .node("Erf", "d", "e", &[])
            .node("Add", "e one", "a", &[])
    };
    let swish = || {
        start()
            .node("Add", "x three", "a", &[])
            .node("Clip", "a zero six", "c", &[])
    };
    let cases = [
        (
            "x * tanh(softplus(x))",
            start()
                .node("Softplus", "x", "s", &[])
                .node("Tanh", "s", "t", &[])
                .node("Mul", "x t", "y", &[]),
            Pointwise::Mish,
        ),
        (
            "x / (1 + |x|)",
            start()
                .node("Abs", "x", "m", &[])
                .node("Add", "one m", "a", &[])
                .node("Div", "x a", "y", &[]),
            Pointwise::Softsign,
        ),
        (
            // As PyTorch's newer exporter writes Softplus.
            "log(1 + exp(x)) up to a threshold",
            start()
                .scalar("threshold", 20.0)
                .node("Exp", "x", "e", &[])
                .node("Add", "e one", "a", &[])
                .node("Log", "a", "l", &[])
                .node("Greater", "x threshold", "g", &[])
                .node("Where", "g x l", "y", &[]),
            Pointwise::Softplus,
        ),
        (
            "x * sigmoid",
            start()
                .node("Sigmoid", "x", "s", &[])
                .node("Mul", "x s", "y", &[]),
            Pointwise::Silu,
        ),
        (
            "sigmoid * x",
            start()
                .node("Sigmoid", "x", "s", &[])
                .node("Mul", "s x", "y", &[]),
            Pointwise::Silu,
        ),
        (
            "x / (1 + exp(-x))",
            start()
                .node("Neg", "x", "n", &[])
                .node("Exp", "n", "e", &[])
                .node("Add", "one e", "a", &[])
                .node("Div", "x a", "y", &[]),
            Pointwise::Silu,
        ),
        (
            "hard sigmoid",
            start()
                .node(
                    "HardSigmoid",
                    "x",
                    "s",
                    &[("alpha", F(1.0 / 6.0)), ("beta", F(0.5))],
                )
                .node("Mul", "x s", "y", &[]),
            Pointwise::HardSwish,
        ),
        (
            "divided last",
            swish()
                .node("Mul", "x c", "m", &[])
                .node("Div", "m six", "y", &[]),
            Pointwise::HardSwish,
        ),
        (
            "divided first",
            swish()
                .node("Div", "c six", "d", &[])
                .node("Mul", "x d", "y", &[]),
            Pointwise::HardSwish,
        ),
        (
            "times a sixth",
            swish()
                .node("Mul", "c sixth", "d", &[])
                .node("Mul", "d x", "y", &[]),
            Pointwise::HardSwish,
        ),
        (
            "gelu, half last",
            erf()
                .node("Mul", "x a", "m", &[])
                .node("Mul", "m half", "y", &[]),
            Pointwise::Gelu,
        ),
        (
            "gelu, half first",
            erf()
                .node("Mul", "half x", "m", &[])
                .node("Mul", "m a", "y", &[]),
            Pointwise::Gelu,
        ),
        (
            "gelu, half inside",
            erf()
                .node("Mul", "a half", "m", &[])
                .node("Mul", "x m", "y", &[]),
            Pointwise::Gelu,
        ),
        (
            "gelu by tanh",
            start()
                .node("Pow", "x three", "p", &[])
                .node("Mul", "p k", "q", &[])
                .node("Add", "x q", "r", &[])
                .node("Mul", "r root2pi", "s", &[])
                .node("Tanh", "s", "t", &[])
                .node("Add", "t one", "u", &[])
                .node("Mul", "x u", "v", &[])
                .node("Mul", "v half", "y", &[]),
            Pointwise::GeluTanh,
        ),
        (
            "max(x, x / 10)",
            start()
                .node("Mul", "x slope", "m", &[])
                .node("Max", "x m", "y", &[]),
            Pointwise::LeakyRelu { alpha: 0.1 },
        ),
    ];
    for (name, model, function) in cases {
        let loaded = check(name, &model.file());
        assert_eq!(loaded.graph.nodes.len(), 1, "{name}");
        assert_eq!(loaded.graph.nodes[0].op, Op::Pointwise(function), "{name}");
    }
}

#[test]
fn what_looks_like_a_pattern() {
    // A gate by another value's sigmoid, and x * sigmoid(2x).
    let other = Model::new(13, &[1, 3, 4, 5])
        .node("Tanh", "x", "t", &[])
        .node("Sigmoid", "t", "s", &[])
        .node("Mul", "x s", "y", &[]);
    let twice = Model::new(13, &[1, 3, 4, 5])
        .scalar("two", 2.0)
        .node("Mul", "x two", "t", &[])
        .node("Sigmoid", "t", "s", &[])
        .node("Mul", "x s", "y", &[]);
    for model in [other, twice] {
        let loaded = check("not Silu", &model.file());
        assert_eq!(loaded.graph.nodes.len(), 3);
    }
}

#[test]
fn the_larger_and_the_smaller_of_two() {
    let other = || {
        Model::new(13, &[1, 3, 4, 5])
            .node("Tanh", "x", "t", &[])
            .node("GlobalAveragePool", "x", "g", &[])
    };
    for op in ["Max", "Min"] {
        for inputs in ["x t", "t x", "x g", "g x"] {
            let name = format!("{op} of {inputs}");
            check(&name, &other().node(op, inputs, "y", &[]).file());
        }
    }
    for op in ["Max", "Min"] {
        check(op, &other().node(op, "x t g", "y", &[]).file());
        check(
            op,
            &other()
                .node(op, "x", "z", &[])
                .node("Relu", "z", "y", &[])
                .file(),
        );
        // A bound with more axes than what it bounds.
        let wider = Model::new(13, &[1, 8])
            .floats("two", &[1, 1, 1], &[0.3])
            .node(op, "x two", "m", &[])
            .node("Transpose", "m", "t", &[("perm", Is(&[0, 2, 1]))])
            .node("Flatten", "t", "y", &[]);
        check("a bound of three axes", &wider.file());
    }
}
