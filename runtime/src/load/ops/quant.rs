//! QuantizeLinear and DequantizeLinear.

use super::layout;
use crate::graph::{Op, Quant};
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::{Constant, Data};
use crate::load::parts::Parts;
use crate::load::view::{Kind, View};
use crate::load::walk::{Outcome, Walk};

/// Scales and zero points as the file has them.
pub struct Scale {
    pub scales: Vec<f32>,
    /// As many.
    pub zero_points: Vec<i32>,
    pub axis: usize,
    /// Whether the zero point is a u8, as it also is where it is left out.
    pub unsigned: bool,
}

/// The scales at one input and the zero points at another.
pub fn scale(call: &Call<'_>, scale: usize, zero_point: usize) -> Result<Scale, Problem> {
    if call.int("block_size", 0) != 0 {
        return Err(Problem::new("scales by block", "use a scale a channel"));
    }
    let numbers = call.constant(scale)?;
    let scales = numbers.as_f32().unwrap_or_default().to_vec();
    let usable = |scale: &f32| *scale > 0.0 && scale.is_finite();
    if let Some(scale) = scales.iter().find(|scale| !usable(scale)) {
        return Err(Problem::new(
            format!("a scale is {scale}"),
            "quantize again: a channel that is always 0 needs a scale above 0 too",
        ));
    }
    let zero_points = call.optional(zero_point)?;
    let unsigned = zero_points.is_none_or(|constant| matches!(constant.data, Data::U8(_)));
    let zero_points = match zero_points {
        None => vec![0; scales.len()],
        Some(constant) => integers(constant)?,
    };
    if scales.is_empty() || zero_points.len() != scales.len() {
        return Err(Problem::broken(format!(
            "{} scales and {} zero points",
            scales.len(),
            zero_points.len()
        )));
    }
    Ok(Scale {
        scales,
        zero_points,
        axis: 0,
        unsigned,
    })
}

fn integers(constant: &Constant) -> Result<Vec<i32>, Problem> {
    let problem = || Problem::broken("a zero point is not an integer");
    let numbers = constant.data.integers().ok_or_else(problem)?;
    let numbers = numbers.into_iter().map(i32::try_from);
    numbers.collect::<Result<_, _>>().map_err(|_| problem())
}

/// The quantization of an activation.
pub fn activation(call: &Call<'_>, at: usize, zero_at: usize) -> Result<Quant, Problem> {
    let Scale {
        scales,
        zero_points,
        ..
    } = scale(call, at, zero_at)?;
    let unsigned = match call.optional(zero_at)?.map(|constant| &constant.data) {
        None | Some(Data::U8(_)) => true,
        Some(Data::I8(_)) => false,
        Some(_) => {
            return Err(Problem::new(
                "activations of other than 8 bits",
                "quantize to 8 bits",
            ));
        }
    };
    let ([scale], [zero_point]) = (&scales[..], &zero_points[..]) else {
        return Err(Problem::new(
            "an activation with a scale a channel",
            "quantize activations with one scale for all channels",
        ));
    };
    let zero_point = if unsigned {
        zero_point - 128
    } else {
        *zero_point
    };
    Ok(Quant {
        scale: *scale,
        // In 8 bits as the types say.
        zero_point: zero_point as i8,
        unsigned,
    })
}

/// Of what type a QuantizeLinear's integers are that has no zero point.
pub fn output_is_unsigned(call: &Call<'_>) -> Result<bool, Problem> {
    use tract_onnx::pb::tensor_proto::DataType;
    match call.int("output_dtype", 0) {
        0 => Ok(true),
        kind if kind == DataType::Uint8 as i64 => Ok(true),
        kind if kind == DataType::Int8 as i64 => Ok(false),
        _ => Err(other_than_8_bits()),
    }
}

/// Integers that Kiln has no kernels for.
pub fn other_than_8_bits() -> Problem {
    Problem::new("other than 8 bits", "quantize to 8 bits")
}

/// QuantizeLinear of an activation.
pub fn quantize<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let view = &parts.view;
    if view.softmax {
        return Ok(Slot::View(view.clone()));
    }
    let mut quant = activation(call, 1, 2)?;
    if call.optional(2)?.is_none() && !output_is_unsigned(call)? {
        quant.unsigned = false;
        quant.zero_point = 0;
    }
    if view.kind != Kind::Float {
        return Err(Problem::broken("its input is not of floats"));
    }
    of_all(walk, call, Op::Quantize(quant), &parts)
}

/// DequantizeLinear of an activation.
pub fn dequantize<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let view = &parts.view;
    if view.softmax {
        return Ok(Slot::View(view.clone()));
    }
    let quant = fitting(activation(call, 1, 2)?, view, call.optional(2)?.is_none())?;
    of_all(walk, call, Op::Dequantize(quant), &parts)
}

/// The same for each value, however the file has taken their axes apart: quantizers put pairs between the steps of a
/// shuffle.
fn of_all<'f>(walk: &mut Walk<'f>, call: &Call<'f>, op: Op, parts: &Parts) -> Outcome {
    let view = &parts.view;
    let view = walk.emit(call, op, &[view], view.shape, view.dims.clone())?;
    layout::settled(walk, call, parts.of(view))
}

/// Checks that a quantization is of the type of the integers that it reads. Without a zero point the
/// type is the integers'.
pub fn fitting(quant: Quant, view: &View, no_zero_point: bool) -> Result<Quant, Problem> {
    match (view.kind, quant.unsigned) {
        (Kind::Signed, false) | (Kind::Unsigned, true) => Ok(quant),
        (Kind::Signed, true) if no_zero_point => Ok(Quant {
            zero_point: 0,
            unsigned: false,
            ..quant
        }),
        _ => Err(Problem::broken(
            "its zero point is of another type than its input",
        )),
    }
}
