//! What to do about operators that are not supported.

use crate::load::call::{Call, Problem};

/// Why an operator is not supported, and what helps.
pub fn unknown(call: &Call<'_>) -> Problem {
    let domain = &call.node.domain[..];
    if !matches!(domain, "" | "ai.onnx" | "com.microsoft") {
        return Problem::new(
            format!("operators of `{domain}` are not supported"),
            "export with ONNX's own operators; functions are resolved by `onnx.inliner`",
        );
    }
    let op = &call.node.op_type[..];
    let (why, instead) = match op {
        "Slice" | "Split" | "Gather" | "GatherND" | "Tile" => (
            "it takes parts of several axes in one, or by indices that are not constant",
            "take channels, rows and columns by constants, each axis by itself",
        ),
        "DepthToSpace" | "SpaceToDepth" => (
            "pixels do not become channels, nor channels pixels",
            "use a convolution with a stride, or Resize (nearest) and a convolution",
        ),
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "LRN" => (
            "its statistics depend on each picture",
            "train with BatchNormalization, which is folded into convolutions",
        ),
        "LSTM" | "GRU" | "RNN" | "Loop" | "If" | "Scan" => (
            "there is no control flow and no memory between steps",
            "use a convolutional network",
        ),
        "ConvTranspose" => (
            "it is not supported",
            "use Resize (nearest) and a convolution",
        ),
        "DynamicQuantizeLinear" | "ConvInteger" | "MatMulInteger" => (
            "scales that are computed at run time are not supported",
            "quantize statically: give Kiln the float model",
        ),
        "Attention" | "MultiHeadAttention" | "Einsum" => {
            ("attention is not supported", "use a convolutional network")
        }
        "Erfc" | "Expm1" | "StatefulPartitionedCall" | "PartitionedCall" => (
            "it is no operator of ONNX: tf2onnx did not convert a part of the network",
            "use Relu, or what else the README lists, in that part",
        ),
        "RandomUniform" | "RandomNormal" | "RandomUniformLike" | "RandomNormalLike"
        | "Bernoulli" | "Multinomial" => (
            "its values are drawn anew for each picture",
            "export the model for inference: training=False, or model.eval()",
        ),
        "ThresholdedRelu" | "Shrink" | "Sin" | "Cos" => (
            "this activation is not supported",
            "train with Relu, HardSwish, Silu or Gelu",
        ),
        "NonMaxSuppression" | "TopK" | "ArgMax" => {
            ("Kiln's models end in logits", "cut the model off before it")
        }
        _ => (
            "it is not supported",
            "the README lists the operators that are; use one of them",
        ),
    };
    Problem::new(why, instead)
}
