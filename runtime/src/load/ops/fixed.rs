//! Constants of constants that need no evaluation, or that keep the integers behind them.

use std::sync::Arc;

use tract_onnx::pb::AttributeProto;

use super::quant::{self, Scale};
use crate::load::call::{Call, Problem};
use crate::load::constant::{Constant, Data, Integers};

/// What a node of constants gives; none where it is not one of those that this is about.
pub fn constant(
    call: &Call<'_>,
    inputs: &[Option<Arc<Constant>>],
) -> Option<Result<Constant, Problem>> {
    let first = inputs.first().and_then(Option::as_ref);
    match (&call.node.op_type[..], first) {
        ("Constant", None) => Some(value(call)),
        ("Identity" | "Dropout", Some(input)) => Some(Ok(Constant::clone(input))),
        ("Transpose", Some(input)) => Some(transpose(call, input)),
        ("Reshape" | "Flatten" | "Squeeze" | "Unsqueeze", Some(input)) => {
            Some(regroup(call, input))
        }
        ("DequantizeLinear", Some(input)) => Some(dequantize(call, input)),
        ("QuantizeLinear", Some(input)) => Some(quantize(call, input)),
        _ => None,
    }
}

fn value(call: &Call<'_>) -> Result<Constant, Problem> {
    let attribute: Option<&AttributeProto> = call.node.attribute.first();
    let attribute = attribute.ok_or_else(|| Problem::broken("it has no value"))?;
    match &attribute.name[..] {
        "value" => {
            let tensor = attribute.t.as_ref();
            let tensor = tensor.ok_or_else(|| Problem::broken("it has no value"))?;
            Constant::decode(tensor).map_err(|why| Problem::broken(format!("its value {why}")))
        }
        "value_float" => Ok(Constant::new(vec![], Data::F32(vec![attribute.f]))),
        "value_floats" => Ok(Constant::floats(attribute.floats.clone())),
        "value_int" => Ok(Constant::new(vec![], Data::I64(vec![attribute.i]))),
        "value_ints" => Ok(Constant::ints(attribute.ints.clone())),
        other => Err(Problem::new(
            format!("its value is a `{other}`"),
            "use numbers",
        )),
    }
}

fn transpose(call: &Call<'_>, input: &Constant) -> Result<Constant, Problem> {
    let rank = input.dims.len();
    let permutation = permutation(call, rank)?;
    Ok(input.transpose(&permutation))
}

/// Other sizes for the same numbers in the same order.
fn regroup(call: &Call<'_>, input: &Constant) -> Result<Constant, Problem> {
    let refuse = || {
        let (op, dims) = (&call.node.op_type, &input.dims);
        Problem::broken(format!("a {op} that does not fit a constant of {dims:?}"))
    };
    let mut dims = input.dims.clone();
    let at = |axis: i64, rank: usize| {
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(axis)
            .ok()
            .filter(|axis| *axis < rank)
            .ok_or_else(refuse)
    };
    match &call.node.op_type[..] {
        "Flatten" => {
            let axis = at(call.int("axis", 1), dims.len() + 1)?;
            let (before, after) = dims.split_at(axis);
            dims = vec![before.iter().product(), after.iter().product()];
        }
        "Squeeze" => {
            let axes = match call.list("axes", 1)? {
                Some(axes) => axes.iter().map(|axis| at(*axis, dims.len())).collect(),
                None => Ok((0..dims.len()).filter(|axis| dims[*axis] == 1).collect()),
            };
            let axes: Vec<usize> = axes?;
            let left = dims
                .iter()
                .enumerate()
                .filter(|(axis, _)| !axes.contains(axis));
            dims = left.map(|(_, size)| *size).collect();
        }
        "Unsqueeze" => {
            let axes = call.list("axes", 1)?.ok_or_else(refuse)?;
            let rank = dims.len() + axes.len();
            let axes = axes.iter().map(|axis| at(*axis, rank));
            let mut axes: Vec<usize> = axes.collect::<Result<_, _>>()?;
            axes.sort_unstable();
            axes.iter()
                .for_each(|axis| dims.insert((*axis).min(dims.len()), 1));
        }
        _ => {
            let target = call.list("shape", 1)?.ok_or_else(refuse)?;
            let keep_zero = call.int("allowzero", 0) != 0;
            let mut wanted = vec![];
            for (axis, size) in target.iter().enumerate() {
                wanted.push(match size {
                    -1 => 0,
                    0 if !keep_zero => *dims.get(axis).ok_or_else(refuse)?,
                    size => usize::try_from(*size).map_err(|_| refuse())?,
                });
            }
            let others = wanted.iter().filter(|size| **size > 0);
            let others = others.fold(1usize, |all, size| all.saturating_mul(*size));
            for (size, target) in wanted.iter_mut().zip(&target) {
                if *target == -1 {
                    *size = input.data.len() / others;
                }
            }
            dims = wanted;
        }
    }
    let count = dims
        .iter()
        .fold(1usize, |all, size| all.saturating_mul(*size));
    if count != input.data.len() || dims.len() > 16 {
        return Err(refuse());
    }
    Ok(input.reshape(dims))
}

/// The attribute `perm`, checked.
pub fn permutation(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, Problem> {
    let Some(given) = call.ints("perm") else {
        return Ok((0..rank).rev().collect());
    };
    let axes: Vec<usize> = given
        .iter()
        .filter_map(|axis| usize::try_from(*axis).ok())
        .collect();
    let all = (0..rank).all(|axis| axes.contains(&axis));
    if axes.len() != rank || !all {
        return Err(Problem::broken(format!("perm {given:?} for {rank} axes")));
    }
    Ok(axes)
}

fn integers(call: &Call<'_>, dims: &[usize]) -> Result<Scale, Problem> {
    let scale = quant::scale(call, 1, 2)?;
    let axis = call.int("axis", 1);
    let axis = if axis < 0 {
        axis + dims.len() as i64
    } else {
        axis
    };
    let fits = usize::try_from(axis)
        .ok()
        .filter(|axis| dims.get(*axis) == Some(&scale.scales.len()));
    if scale.scales.len() > 1 && fits.is_none() {
        let scales = scale.scales.len();
        return Err(Problem::broken(format!(
            "{scales} scales along axis {axis} of {dims:?}"
        )));
    }
    Ok(Scale {
        axis: fits.unwrap_or(0),
        ..scale
    })
}

/// The position along `axis` of each number in turn.
fn positions(dims: &[usize], axis: usize, scales: usize) -> impl Fn(usize) -> usize {
    let inner: usize = dims.get(axis + 1..).unwrap_or_default().iter().product();
    move |index| {
        if scales == 1 {
            0
        } else {
            index / inner % scales
        }
    }
}

fn dequantize(call: &Call<'_>, input: &Constant) -> Result<Constant, Problem> {
    real(input, integers(call, &input.dims)?)
}

/// What integers stand for, which are kept.
pub fn real(input: &Constant, scale: Scale) -> Result<Constant, Problem> {
    let Scale {
        scales,
        zero_points,
        axis,
        ..
    } = scale;
    let at = positions(&input.dims, axis, scales.len());
    let numbers = input.data.integers();
    let numbers = numbers.ok_or_else(|| Problem::broken("its input is not of integers"))?;
    let real = numbers.iter().enumerate().map(|(index, number)| {
        let position = at(index);
        (number - i64::from(zero_points[position])) as f32 * scales[position]
    });
    Ok(Constant {
        dims: input.dims.clone(),
        data: Data::F32(real.collect()),
        stored: Some(Arc::new(Integers {
            data: input.data.clone(),
            scales,
            zero_points,
            axis,
        })),
    })
}

/// Weights that are stored as floats before a pair of QuantizeLinear and DequantizeLinear.
fn quantize(call: &Call<'_>, input: &Constant) -> Result<Constant, Problem> {
    let Scale {
        scales,
        zero_points,
        axis,
        unsigned,
    } = integers(call, &input.dims)?;
    let unsigned = match call.optional(2)? {
        Some(zero) if !matches!(zero.data, Data::I8(_) | Data::U8(_)) => {
            return Err(quant::other_than_8_bits());
        }
        Some(_) => unsigned,
        None => quant::output_is_unsigned(call)?,
    };
    let at = positions(&input.dims, axis, scales.len());
    let real = crate::load::call::finite(input)?;
    let integer = |(index, value): (usize, &f32)| {
        let position = at(index);
        (value / scales[position]).round_ties_even() + zero_points[position] as f32
    };
    let integers = real.iter().enumerate().map(integer);
    let data = if unsigned {
        Data::U8(integers.map(|value| value as u8).collect())
    } else {
        Data::I8(integers.map(|value| value as i8).collect())
    };
    Ok(Constant::new(input.dims.clone(), data))
}
