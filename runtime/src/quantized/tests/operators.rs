//! Operators with a Quantize after and Dequantizes before, those on integers, and what is none of it.

use super::*;

/// A file of u8 activations: `x` float, quantized as `q` with scale 0.1 and zero point 120.
fn start() -> Model {
    let bytes: Vec<i8> = (0..108u8)
        .map(|index| index.wrapping_mul(37) as i8)
        .collect();
    Model::new(13, &[1, 3, 6, 5])
        .scalar("s", 0.1)
        .u8("z", &[], &[120])
        .scalar("t", 0.3)
        .u8("low", &[], &[0])
        .i8("w8", &[4, 3, 3, 3], &bytes)
        .floats("ws", &[4], &[0.01, 0.02, 0.005, 0.03])
        .i8("wz", &[4], &[0; 4])
        .i32("b32", &[4], &[100, -200, 300, 0])
        .floats("bs", &[4], &[0.001, 0.002, 0.0005, 0.003])
        .floats("bias", &[4], &[0.5, -0.25, 0.125, 0.0])
        .node("QuantizeLinear", "x s z", "q", &[])
        .node("DequantizeLinear", "q s z", "d", &[])
        .node("DequantizeLinear", "w8 ws wz", "w", &[("axis", I(0))])
        .node("DequantizeLinear", "b32 bs", "b", &[("axis", I(0))])
}

#[test]
fn pairs_around_operators() {
    let end = |model: Model, value: &str, zero: &str| {
        let inputs = format!("{value} t {zero}");
        let outputs = format!("e t {zero}");
        model
            .node("QuantizeLinear", &inputs, "e", &[])
            .node("DequantizeLinear", &outputs, "y", &[])
    };
    let conv = |model: Model, inputs: &str| model.node("Conv", inputs, "c", &[]);
    let kernel = ("kernel_shape", Is(&[2, 2]));
    let cases = [
        ("Conv", end(conv(start(), "d w b"), "c", "z")),
        ("Conv", end(conv(start(), "d w bias"), "c", "z")),
        ("Conv", end(conv(start(), "d w"), "c", "z")),
        (
            "Conv",
            end(
                conv(start(), "d w b").node("Relu", "c", "r", &[]),
                "r",
                "low",
            ),
        ),
        (
            "Conv+clamp",
            end(conv(start(), "d w b").node("Relu", "c", "r", &[]), "r", "z"),
        ),
        (
            "Conv+clamp",
            end(
                conv(start(), "d w b")
                    .scalar("six", 6.0)
                    .node("Clip", "c - six", "r", &[]),
                "r",
                "low",
            ),
        ),
        (
            "Binary",
            end(start().node("Add", "d d", "a", &[]), "a", "z"),
        ),
        (
            "Binary+clamp",
            end(
                start()
                    .node("Mul", "d d", "a", &[])
                    .node("Relu", "a", "r", &[]),
                "r",
                "z",
            ),
        ),
        (
            "MaxPool Requantize",
            end(start().node("MaxPool", "d", "m", &[kernel]), "m", "z"),
        ),
        (
            "MaxPool Relu",
            end(
                start()
                    .node("MaxPool", "d", "m", &[kernel])
                    .node("Relu", "m", "r", &[]),
                "r",
                "z",
            ),
        ),
        (
            "AveragePool",
            end(start().node("AveragePool", "d", "m", &[kernel]), "m", "z"),
        ),
        (
            "AveragePool",
            end(start().node("GlobalAveragePool", "d", "m", &[]), "m", "z"),
        ),
        (
            "Sigmoid",
            end(start().node("Sigmoid", "d", "m", &[]), "m", "low"),
        ),
        (
            "Silu",
            end(
                start()
                    .node("DequantizeLinear", "q s z", "d2", &[])
                    .node("Sigmoid", "d2", "m", &[])
                    .node("Mul", "d m", "n", &[]),
                "n",
                "z",
            ),
        ),
        ("Relu", end(start().node("Relu", "d", "m", &[]), "m", "z")),
        ("Requantize", end(start(), "d", "z")),
        (
            "Concat",
            end(
                start().node("Concat", "d d", "m", &[("axis", I(1))]),
                "m",
                "z",
            ),
        ),
        (
            "Pad Requantize",
            end(
                start()
                    .ints("p", &[0, 0, 1, 0, 0, 0, 0, 2])
                    .node("Pad", "d p", "m", &[]),
                "m",
                "z",
            ),
        ),
    ];
    for (expected, model) in cases {
        let (most, graph) = difference(&model.file());
        assert_eq!(names(&graph), expected);
        assert!(most <= 1.0, "{expected}: {most} steps from floats");
        let input = graph.tensors[graph.input].quant;
        assert_eq!(
            input,
            Quant {
                scale: 0.1,
                zero_point: -8,
                unsigned: true
            }
        );
        if let QOp::Conv(QConv {
            scales,
            zero_points,
            ..
        }) = &graph.layers[0].op
        {
            assert_eq!(scales, &[0.01, 0.02, 0.005, 0.03]);
            assert_eq!(zero_points, &[0; 4]);
        }
    }
}

#[test]
fn operators_on_integers() {
    let start = |kind| {
        let bytes: Vec<u8> = (0..108u8).map(|index| index.wrapping_mul(37)).collect();
        let signed: Vec<i8> = bytes.iter().map(|byte| *byte as i8).collect();
        Model::typed(13, &[1, 3, 6, 5], kind)
            .scalar("s", 0.1)
            .u8("z", &[], &[120])
            .i8("iz", &[], &[-8])
            .scalar("t", 0.3)
            .scalar("ws", 0.01)
            .u8("wz", &[], &[128])
            .u8("odd", &[], &[130])
            .u8("wu", &[4, 3, 3, 3], &bytes)
            .i8("wi", &[4, 3, 3, 3], &signed)
            .floats("many", &[4], &[0.01, 0.02, 0.005, 0.03])
            .i8("zeros", &[4], &[0; 4])
            .i32("b", &[4], &[100, -200, 300, 0])
            .u8("m", &[3, 2], &bytes[..6])
            .u8("g", &[2, 3], &bytes[..6])
            .i32("gb", &[2], &[50, -60])
    };
    let u8s = || start(DataType::Uint8);
    let ms = |model: Model, op: &str, inputs: &str, attributes: &[(&str, Attr)]| {
        model.node_of("com.microsoft", op, inputs, "y", attributes)
    };
    let pooled = || ms_pool(u8s());
    fn ms_pool(model: Model) -> Model {
        model
            .node_of(
                "com.microsoft",
                "QLinearGlobalAveragePool",
                "x s z s z",
                "p",
                &[],
            )
            .node("Flatten", "p", "f", &[])
    }
    let kernel = ("kernel_shape", Is(&[2, 2]));
    let cases = [
        (
            "Conv",
            u8s().node("QLinearConv", "x s z wu ws wz t z b", "y", &[]),
        ),
        (
            "Conv",
            u8s().node("QLinearConv", "x s z wu ws odd t z b", "y", &[]),
        ),
        (
            "Conv",
            u8s().node("QLinearConv", "x s z wi many zeros t z", "y", &[]),
        ),
        (
            "Conv",
            start(DataType::Int8).node("QLinearConv", "x s iz wi many zeros t iz b", "y", &[]),
        ),
        (
            "AveragePool Conv",
            pooled().node("QLinearMatMul", "f s z m ws odd t z", "y", &[]),
        ),
        (
            "AveragePool Conv",
            ms(pooled(), "QGemm", "f s z m ws odd gb t z", &[]),
        ),
        (
            "AveragePool Conv",
            ms(
                pooled(),
                "QGemm",
                "f s z g ws odd gb t z",
                &[("transB", I(1))],
            ),
        ),
        ("Binary", ms(u8s(), "QLinearAdd", "x s z x s z t z", &[])),
        ("Binary", ms(u8s(), "QLinearMul", "x s z x s z t z", &[])),
        (
            "AveragePool Binary",
            ms(pooled(), "QLinearMul", "x s z p s z t z", &[]),
        ),
        (
            "AveragePool",
            ms(u8s(), "QLinearAveragePool", "x s z t z", &[kernel]),
        ),
        (
            "Concat",
            ms(u8s(), "QLinearConcat", "t z x s z x s z", &[("axis", I(1))]),
        ),
        ("Sigmoid", ms(u8s(), "QLinearSigmoid", "x s z t z", &[])),
        (
            "LeakyRelu",
            ms(u8s(), "QLinearLeakyRelu", "x s z t z", &[("alpha", F(0.2))]),
        ),
        (
            "MaxPool Conv",
            u8s().node("MaxPool", "x", "p", &[kernel]).node(
                "QLinearConv",
                "p s z wu ws wz t z b",
                "y",
                &[],
            ),
        ),
    ];
    for (expected, model) in cases {
        let (most, graph) = difference(&model.file());
        assert_eq!(names(&graph), expected);
        assert!(most <= 1.0, "{expected}: {most} steps from floats");
    }
    let odd = u8s().node("QLinearConv", "x s z wu ws odd t z b", "y", &[]);
    let graph = load_quantized(&odd.file()).unwrap();
    let QOp::Conv(conv) = &graph.layers[0].op else {
        panic!("{}", names(&graph));
    };
    assert_eq!(conv.zero_points, [2; 4]);
    assert_eq!(conv.bias, [100, -200, 300, 0]);
    // [out][in][rows][columns] 37 * (27 o + 9 i + 3 y + x), less 128.
    assert_eq!(conv.weights[0], -128);
    assert_eq!(
        conv.weights[1],
        (37u8.wrapping_mul(9) ^ 0x80) as i8,
        "the second channel"
    );
    assert_eq!(conv.weights[3], (37 ^ 0x80u8) as i8, "the second column");
}

#[test]
fn what_is_not_quantized_is_named() {
    let pair = |model: Model, from: &str| {
        let inputs = format!("{from} t z");
        model
            .node("QuantizeLinear", &inputs, "e", &[])
            .node("DequantizeLinear", "e t z", "y", &[])
    };
    let cases = [
        (
            "Conv `y`: its output, the model's",
            start().node("Conv", "d w b", "y", &[]),
        ),
        ("Conv `c`: its weights", {
            let model = start()
                .random("f", &[4, 3, 3, 3])
                .node("Conv", "d f b", "c", &[]);
            pair(model, "c")
        }),
        ("Tanh `h`: it computes in floats", {
            pair(
                start()
                    .node("Conv", "d w b", "c", &[])
                    .node("Tanh", "c", "h", &[]),
                "h",
            )
        }),
        (
            "Tanh `h`: it computes in floats",
            pair(start().node("Tanh", "x", "h", &[]), "h"),
        ),
        (
            "Affine `m`: factors",
            pair(start().node("Mul", "d s", "m", &[]), "m"),
        ),
        ("QuantizeLinear `e`: the input", {
            let model = start().node("QuantizeLinear", "x t z", "e", &[]);
            model
                .node("DequantizeLinear", "e t z", "f", &[])
                .node("Add", "d f", "g", &[])
                .node("QuantizeLinear", "g t z", "h", &[])
                .node("DequantizeLinear", "h t z", "y", &[])
        }),
        (
            "DequantizeLinear `y`: it reads",
            start().node("DequantizeLinear", "q t z", "y", &[]),
        ),
        ("bias", {
            let model = start().node("DequantizeLinear", "b32 ws", "b2", &[("axis", I(0))]);
            pair(model.node("Conv", "d w b2", "c", &[]), "c")
        }),
        (
            "a scale is 0",
            pair(
                start()
                    .scalar("zero", 0.0)
                    .node("DequantizeLinear", "q zero z", "c", &[]),
                "c",
            ),
        ),
        (
            "a scale is NaN",
            pair(
                start()
                    .scalar("nan", f32::NAN)
                    .node("DequantizeLinear", "q nan z", "c", &[]),
                "c",
            ),
        ),
        (
            "not quantized",
            Model::new(13, &[1, 3, 4, 5]).node("Relu", "x", "y", &[]),
        ),
    ];
    for (expected, model) in cases {
        let error = load_quantized(&model.file()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} is not about: {expected}");
    }
}
