//! What one float operator between Dequantize and Quantize becomes.

use super::region::{PARTLY, Refusal};
use crate::graph::{Conv, Op, Quant};
use crate::qgraph::{QConv, QOp};

/// A layer for an operator.
pub enum Core {
    /// All of it, clamp and output scale included.
    Whole(QOp),
    /// The operator alone, with the output on the input's scale.
    InputScale(QOp),
}

/// The layer of an operator with these quantizations in and out, and a clamp before the output.
pub fn layer(
    op: &Op,
    inputs: &[Quant],
    output: Quant,
    clamp: Option<(f32, f32)>,
) -> Result<Core, Refusal> {
    let first = inputs[0];
    // What neither rounds nor mixes values: exact on the input's scale.
    let moves = |op: QOp| match clamp.is_none() && first == output {
        true => Core::Whole(op),
        false => Core::InputScale(op),
    };
    let plain = |op: QOp| match clamp {
        None => Ok(Core::Whole(op)),
        Some((min, max)) => Err((
            format!("a clamp to {min}..{max} after it, before QuantizeLinear"),
            "put QuantizeLinear and DequantizeLinear between them",
        )),
    };
    match op {
        Op::Conv(conv) => Ok(Core::Whole(QOp::Conv(convolution(conv, first, clamp)?))),
        Op::Binary(op) => Ok(Core::Whole(QOp::Binary { op: *op, clamp })),
        Op::Pointwise(function) => plain(QOp::Pointwise(*function)),
        Op::PRelu(slopes) => plain(QOp::PRelu(slopes.clone())),
        Op::AveragePool {
            window,
            count_include_pad,
        } => plain(QOp::AveragePool {
            window: *window,
            count_include_pad: *count_include_pad,
        }),
        Op::Concat(axis) => plain(QOp::Concat(*axis)),
        Op::MaxPool(window) => Ok(moves(QOp::MaxPool(*window))),
        Op::Resize(factors) => Ok(moves(QOp::Resize(*factors))),
        Op::Pad { padding, value } => pad(*padding, *value, first).map(moves),
        Op::Affine { .. } => Err((
            "factors or summands a channel are not quantized".into(),
            "fold them into a convolution before quantizing: `onnxruntime.quantization.preprocess`",
        )),
        // `load` leaves no Gather.
        Op::Quantize(_) | Op::Dequantize(_) | Op::Gather(_) => Err((
            "a second QuantizeLinear with no operator between".into(),
            PARTLY,
        )),
    }
}

/// A Pad whose value is one of the input's.
fn pad(padding: [u32; 4], value: f32, quant: Quant) -> Result<QOp, Refusal> {
    let whole = (value / quant.scale).round_ties_even() + f32::from(quant.zero_point);
    let exact = (whole - f32::from(quant.zero_point)) * quant.scale == value;
    if !exact || !(-128.0..=127.0).contains(&whole) {
        return Err((
            format!("its value {value} is none of those that its input can have"),
            "pad with 0",
        ));
    }
    Ok(QOp::Pad {
        padding,
        value: whole as i8,
    })
}

fn convolution(conv: &Conv, input: Quant, clamp: Option<(f32, f32)>) -> Result<QConv, Refusal> {
    let Some(stored) = &conv.stored else {
        return Err(("its weights are not quantized".into(), PARTLY));
    };
    let units: Vec<f32> = stored
        .scales
        .iter()
        .map(|scale| scale * input.scale)
        .collect();
    let bias = match &stored.bias {
        Some((bias, scales)) => {
            // What ONNX Runtime lets pass: it takes the integers as they are.
            let near = |(scale, unit): (&f32, &f32)| (scale / unit - 1.0).abs() < 0.01;
            if !scales.iter().zip(&units).all(near) {
                return Err((
                    "its bias is not in units of its input's times its weights' scale".into(),
                    "quantize the bias with the product of both scales",
                ));
            }
            bias.clone()
        }
        None => {
            let whole = |(bias, unit): (&f32, &f32)| (bias / unit).round_ties_even();
            let bias: Vec<f32> = conv.bias.iter().zip(&units).map(whole).collect();
            if bias
                .iter()
                .any(|bias| bias.abs() >= 2_147_483_648.0 || bias.is_nan())
            {
                return Err((
                    "its bias does not fit into 32 bits".into(),
                    "quantize with larger weight scales for channels of tiny weights",
                ));
            }
            bias.into_iter().map(|bias| bias as i32).collect()
        }
    };
    Ok(QConv {
        window: conv.window,
        groups: conv.groups,
        weights: stored.weights.clone(),
        scales: stored.scales.clone(),
        zero_points: stored.zero_points.clone(),
        bias,
        clamp,
    })
}

/// ONNX's name of an operator.
pub fn name(op: &Op) -> &'static str {
    match op {
        Op::Conv(_) => "Conv",
        Op::Affine { .. } => "Affine",
        Op::Binary(_) => "Add, Sub or Mul",
        Op::Pointwise(function) => function.name(),
        Op::PRelu(_) => "PRelu",
        Op::MaxPool(_) => "MaxPool",
        Op::AveragePool { .. } => "AveragePool",
        Op::Concat(_) => "Concat",
        Op::Pad { .. } => "Pad",
        Op::Resize(_) => "Resize",
        Op::Quantize(_) => "QuantizeLinear",
        Op::Dequantize(_) => "DequantizeLinear",
        Op::Gather(_) => "Gather",
    }
}
