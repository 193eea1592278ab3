//! Quantized files that split and shuffle channels.

use super::*;

/// A model in the making, whose activations all have a pair of QuantizeLinear and DequantizeLinear behind them, as
/// ONNX Runtime's quantizer puts them.
struct Pairs(Model);

impl Pairs {
    /// A node, and a pair behind each of its outputs.
    fn node(self, op: &str, inputs: &str, outputs: &str, attributes: &[(&str, Attr)]) -> Self {
        let raw: Vec<String> = outputs
            .split_whitespace()
            .map(|name| format!("{name}_raw"))
            .collect();
        let mut model = self.0.node(op, inputs, &raw.join(" "), attributes);
        for (raw, output) in raw.iter().zip(outputs.split_whitespace()) {
            let integers = format!("{output}_q");
            model = model
                .node("QuantizeLinear", &format!("{raw} s z"), &integers, &[])
                .node("DequantizeLinear", &format!("{integers} s z"), output, &[]);
        }
        Self(model)
    }

    /// A 1×1 convolution with weights of a scale for each row.
    fn mix(self, input: &str, output: &str, from: usize, to: usize) -> Self {
        let name = |word: &str| format!("{output}_{word}");
        let weights: Vec<i8> = (0..to * from)
            .map(|index| (index * 37 % 251) as i8)
            .collect();
        let scales: Vec<f32> = (0..to)
            .map(|row| 0.003_134_7 + 0.001_073_1 * row as f32)
            .collect();
        let model = self
            .0
            .i8(&name("w"), &[to, from, 1, 1], &weights)
            .i8(
                &name("wz"),
                &[to],
                &(0..to).map(|row| row as i8 - 2).collect::<Vec<_>>(),
            )
            .floats(&name("ws"), &[to], &scales)
            .node(
                "DequantizeLinear",
                &["w", "ws", "wz"].map(name).join(" "),
                &name("wr"),
                &[("axis", I(0))],
            );
        let inputs = format!("{input} {}", name("wr"));
        Self(model).node("Conv", &inputs, output, &[])
    }
}

#[test]
fn units_of_a_shufflenet_keep_their_numbers() {
    let model = Model::new(13, &[1, 8, 5, 4])
        .scalar("s", 0.04)
        .u8("z", &[], &[120])
        .ints("apart", &[1, 2, 4, 5, 4])
        .ints("together", &[1, -1, 5, 4]);
    let mut model = Pairs(model)
        .node("Identity", "x", "i", &[])
        .mix("i", "last0", 8, 8);
    for unit in 0..3 {
        let name = |word: &str| format!("{word}{unit}");
        let [last, halves, right, next] = [
            name("last"),
            format!("l{unit} r{unit}"),
            name("r"),
            format!("last{}", unit + 1),
        ];
        let [mixed, joined, taken, turned] = ["m", "j", "p", "t"].map(name);
        model = model
            .node("Split", &last, &halves, &[("axis", I(1))])
            .mix(&right, &mixed, 4, 4)
            .node(
                "Concat",
                &format!("l{unit} {mixed}"),
                &joined,
                &[("axis", I(1))],
            )
            .node("Reshape", &format!("{joined} apart"), &taken, &[])
            .node(
                "Transpose",
                &taken,
                &turned,
                &[("perm", Is(&[0, 2, 1, 3, 4]))],
            )
            .node("Reshape", &format!("{turned} together"), &next, &[]);
    }
    let file = model.mix("last3", "y", 8, 5).0.file();
    check("a quantized ShuffleNet", &file);
    let (difference, graph) = difference(&file);
    assert!(difference < 1e-3, "{difference}");
    let convolutions = graph
        .layers
        .iter()
        .filter(|layer| matches!(layer.op, QOp::Conv(_)));
    let weights = convolutions.map(|layer| match &layer.op {
        QOp::Conv(conv) => conv.weights.len(),
        _ => 0,
    });
    // No channel is computed twice.
    assert_eq!(weights.sum::<usize>(), 8 * 8 + 3 * 4 * 4 + 8 * 5);
}

#[test]
fn a_half_of_the_input_is_read_with_weights_of_zero_for_the_other() {
    let model = Model::new(13, &[1, 8, 5, 4])
        .scalar("s", 0.04)
        .u8("z", &[], &[120]);
    let file = Pairs(model)
        .node("Identity", "x", "i", &[])
        .node("Split", "i", "l r", &[("axis", I(1))])
        .mix("r", "y", 4, 3)
        .0
        .file();
    check("a half of a quantized input", &file);
    let (difference, _) = difference(&file);
    assert!(difference < 1e-3, "{difference}");
}

#[test]
fn channels_of_integers_are_not_moved_by_a_layer_of_their_own() {
    let model = Model::new(13, &[1, 8, 5, 4])
        .scalar("s", 0.04)
        .u8("z", &[], &[120])
        .ints("order", &[3, 1, 2, 0]);
    let file = Pairs(model)
        .mix("x", "c", 8, 4)
        .node("Gather", "c order", "y", &[("axis", I(1))])
        .0
        .file();
    let error = load_quantized(&file).unwrap_err().to_string();
    assert!(error.contains("read in another order"), "{error}");
    assert!(error.contains("give Kiln the float model"), "{error}");
}
