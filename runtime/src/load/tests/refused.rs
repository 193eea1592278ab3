use crate::float::FloatModel;
use crate::load::testing::*;
use crate::load::{LoadError, load};

#[test]
fn all_that_is_not_supported_is_in_one_list() {
    let model = Model::new(13, &[1, 3, 4, 5])
        .floats("nan", &[2, 3, 1, 1], &[f32::NAN; 6])
        .node("LSTM", "x", "a", &[])
        .node("Shrink", "a", "b", &[])
        .node("Conv", "x nan", "c", &[])
        .node("Add", "b c", "y", &[]);
    let error = load(&model.file()).unwrap_err();
    let LoadError::Unsupported { nodes, .. } = &error else {
        panic!("{error}");
    };
    let ops: Vec<_> = nodes.iter().map(|node| &node.op[..]).collect();
    assert_eq!(ops, ["LSTM", "Shrink", "Conv"]);
    let text = error.to_string();
    assert!(
        text.contains("3 nodes are not supported:\n  LSTM `a`"),
        "{text}"
    );
    assert!(text.contains("Conv `c`: a weight is NaN"), "{text}");
}

#[test]
fn each_refusal_says_why() {
    let start = || Model::new(13, &[1, 3, 4, 5]);
    let cases = [
        ("no such name", start().node("Relu", "z", "y", &[])),
        ("no output", start().node("Relu", "x", "z", &[])),
        (
            "groups",
            start()
                .random("w", &[4, 2, 1, 1])
                .node("Conv", "x w", "y", &[]),
        ),
        (
            "large kernel",
            start()
                .random("w", &[4, 3, 9, 9])
                .node("Conv", "x w", "y", &[]),
        ),
        (
            "zero kernel",
            start()
                .random("w", &[4, 3, 0, 1])
                .node("Conv", "x w", "y", &[]),
        ),
        (
            "stride 0",
            start().random("w", &[4, 3, 1, 1]).node(
                "Conv",
                "x w",
                "y",
                &[("strides", Is(&[0, 1]))],
            ),
        ),
        (
            "absurd stride",
            start().random("w", &[4, 3, 1, 1]).node(
                "Conv",
                "x w",
                "y",
                &[("strides", Is(&[1 << 40, 1]))],
            ),
        ),
        (
            "negative padding",
            start().random("w", &[4, 3, 1, 1]).node(
                "Conv",
                "x w",
                "y",
                &[("pads", Is(&[-1, 0, 0, 0]))],
            ),
        ),
        (
            "infinite bias",
            start()
                .random("w", &[1, 3, 1, 1])
                .floats("b", &[1], &[f32::INFINITY])
                .node("Conv", "x w b", "y", &[]),
        ),
        (
            "division by 0",
            start().scalar("z", 0.0).node("Div", "x z", "y", &[]),
        ),
        (
            "zero variance",
            start()
                .floats("n", &[3], &[-1.0; 3])
                .node("BatchNormalization", "x n n n n", "y", &[]),
        ),
        (
            "space reshaped",
            start()
                .ints("s", &[1, 6, 10])
                .node("Reshape", "x s", "y", &[]),
        ),
        (
            "shape does not fit",
            start()
                .ints("s", &[1, 7, -1])
                .node("Reshape", "x s", "y", &[]),
        ),
        (
            "maximum of channels",
            start()
                .random("w", &[4, 3, 2, 2])
                .node("Conv", "x w", "c", &[])
                .node("ReduceMax", "c", "y", &[("axes", Is(&[1]))]),
        ),
        (
            "softmax inside",
            start()
                .node("Softmax", "x", "a", &[("axis", I(1))])
                .node("Relu", "a", "y", &[]),
        ),
        (
            "reflected",
            start().ints("p", &[0, 0, 1, 1, 0, 0, 1, 1]).node(
                "Pad",
                "x p",
                "y",
                &[("mode", S("reflect"))],
            ),
        ),
        (
            "huge padding",
            start()
                .ints("p", &[0, 0, 1 << 40, 1, 0, 0, 1, 1])
                .node("Pad", "x p", "y", &[]),
        ),
        (
            "bilinear",
            start().floats("s", &[4], &[1.0, 1.0, 2.0, 2.0]).node(
                "Resize",
                "x - s",
                "y",
                &[("mode", S("linear"))],
            ),
        ),
        (
            "NaN scale",
            start()
                .floats("s", &[4], &[1.0, 1.0, f32::NAN, 2.0])
                .node("Resize", "x - s", "y", &[]),
        ),
        (
            "permutation",
            start().node("Transpose", "x", "y", &[("perm", Is(&[0, 1, 1, 2]))]),
        ),
        ("axis", start().node("Flatten", "x", "y", &[("axis", I(9))])),
        (
            "axes twice",
            start()
                .ints("a", &[0, 0])
                .node("Unsqueeze", "x a", "y", &[]),
        ),
        (
            "concat",
            start().node("GlobalMaxPool", "x", "g", &[]).node(
                "Concat",
                "x g",
                "y",
                &[("axis", I(1))],
            ),
        ),
        (
            "operands",
            start()
                .node("MaxPool", "x", "g", &[("kernel_shape", Is(&[2, 2]))])
                .node("Add", "x g", "y", &[]),
        ),
        (
            "ceil",
            start().node(
                "AveragePool",
                "x",
                "y",
                &[
                    ("kernel_shape", Is(&[2, 2])),
                    ("strides", Is(&[2, 2])),
                    ("ceil_mode", I(1)),
                    ("count_include_pad", I(1)),
                    ("pads", Is(&[1, 0, 0, 0])),
                ],
            ),
        ),
        (
            "empty windows",
            start().node(
                "MaxPool",
                "x",
                "y",
                &[("kernel_shape", Is(&[2, 2])), ("pads", Is(&[2, 2, 2, 2]))],
            ),
        ),
        (
            "huge constant",
            start()
                .ints("s", &[1 << 40])
                .node("ConstantOfShape", "s", "c", &[])
                .node("Add", "x c", "y", &[]),
        ),
        (
            "tract refuses",
            start()
                .ints("s", &[5, 5])
                .ints("t", &[7])
                .node("Reshape", "s t", "c", &[])
                .node("Add", "x c", "y", &[]),
        ),
        (
            "local function",
            start().node_of("my.functions", "Act", "x", "y", &[]),
        ),
        (
            "constant output",
            start().scalar("c", 1.0).node("Neg", "c", "y", &[]),
        ),
        ("no inputs", start().node("Conv", "", "y", &[])),
        (
            "flat input",
            Model::new(13, &[5]).node("Relu", "x", "y", &[]),
        ),
        (
            "batch of 2",
            Model::new(13, &[2, 3, 4, 5]).node("Relu", "x", "y", &[]),
        ),
        (
            "huge input",
            Model::new(13, &[1, 1 << 20, 1 << 20, 3]).node("Relu", "x", "y", &[]),
        ),
        (
            "old operators",
            Model::new(6, &[1, 3, 4, 5]).node("Relu", "x", "y", &[]),
        ),
    ];
    for (name, model) in cases {
        let result = load(&model.file());
        let error = result.expect_err(name).to_string();
        assert!(error.contains("; "), "{name}: {error}");
        if std::env::var_os("KILN_SHOW").is_some() {
            eprintln!("{name}: {error}");
        }
    }
}

#[test]
fn every_bit_may_be_wrong() {
    use prost::Message;
    let model = Model::new(13, &[1, 3, 4, 5])
        .random("w", &[4, 3, 3, 3])
        .random("d", &[8, 2])
        .ints("s", &[1, -1])
        .node("Conv", "x w", "c", &[("pads", Is(&[0, 1, 0, 0]))])
        .node(
            "MaxPool",
            "c",
            "p",
            &[("kernel_shape", Is(&[1, 2])), ("strides", Is(&[1, 2]))],
        )
        .node("ReduceMean", "p", "m", &[("axes", Is(&[2]))])
        .node("Reshape", "m s", "f", &[])
        .node("Gemm", "f d", "y", &[]);
    let bytes = model.0.encode_to_vec();
    load(&model.file()).unwrap();
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        let mut broken = bytes.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let file = crate::onnx::OnnxFile::from_bytes(&broken, "broken.onnx".as_ref());
        refused += usize::from(file.map_or(true, |file| load(&file).is_err()));
    }
    assert!(refused > bytes.len(), "{refused}");
}

#[test]
fn constants_that_would_fill_the_memory_are_refused() {
    let start = || Model::new(13, &[1, 3, 4, 5]);
    let product = start()
        .floats("a", &[5000, 0], &[])
        .floats("b", &[0, 5000], &[])
        .node("MatMul", "a b", "c", &[]);
    // In floats, both ends are the same number.
    let range = start()
        .int("first", 1 << 50)
        .int("end", (1 << 50) + (1 << 26))
        .int("step", 1)
        .node("Range", "first end step", "c", &[]);
    for model in [product, range] {
        let model = model.node("Add", "x c", "y", &[]);
        let error = load(&model.file()).unwrap_err().to_string();
        assert!(error.contains("too many to be real"), "{error}");
    }
}

#[test]
fn what_tract_panics_at_is_an_error() {
    let model = Model::new(13, &[1, 2])
        .floats("values", &[2], &[1.0, 2.0])
        .ints("places", &[5, 9])
        .node("Gather", "values places", "c", &[("axis", I(0))])
        .node("Add", "x c", "y", &[]);
    let run = |model: FloatModel| model.run(&[1.0, 2.0]);
    let error = FloatModel::new(&model.file()).and_then(run).unwrap_err();
    assert!(error.to_string().contains("cannot be computed"), "{error}");
}
