//! Operators that change how the file sees an activation, and not its values.

use kiln_core::tensor::Shape;

use super::fixed::permutation;
use super::{affine, crop};
use crate::graph::Op;
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::Constant;
use crate::load::evaluate::broadcast;
use crate::load::parts::Parts;
use crate::load::view::{EXPORT, Kind, View, axis_of};
use crate::load::walk::{Outcome, Walk};

/// Identity and Dropout.
pub fn identity<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    if let Some(Some(Slot::Constant(mode))) = call.inputs.get(2)
        && mode.scalar() != Some(0.0)
    {
        return Err(Problem::new(
            "a Dropout in training mode",
            "export the model in evaluation mode: `model.eval()`",
        ));
    }
    settled(walk, call, call.parts()?)
}

/// Cast between floats.
pub fn cast<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    use tract_onnx::pb::tensor_proto::DataType;
    let view = call.view(0)?;
    let floats = [DataType::Float, DataType::Float16, DataType::Double];
    let to = call.int("to", 0);
    if !floats.iter().any(|kind| *kind as i64 == to) {
        return Err(Problem::new(
            "a Cast to integers",
            "leave values of the network as floats",
        ));
    }
    Ok(Slot::View(view.clone()))
}

/// What an operator that moves axes makes of them.
pub fn settled<'f>(walk: &mut Walk<'f>, call: &Call<'f>, parts: Parts) -> Outcome {
    let left = parts.left();
    let all = matches!(&left, Some(left) if left.channels.is_none());
    if parts.view.softmax && !all {
        return Err(after_softmax());
    }
    let Some(left) = left else {
        return Ok(Slot::Parts(parts));
    };
    let mut view = parts.view.with_dims(left.dims.clone());
    let crops = crop::ops(walk, &left, view.shape)?;
    if let Some(channels) = left.channels {
        let call = match &crops[..] {
            [] => call.with(vec![]),
            _ => call.part("channels", vec![]),
        };
        let shape = Shape {
            channels: channels.len() as u32,
            ..view.shape
        };
        let op = Op::Gather(channels);
        view = walk.emit(&call, op, &[&view], shape, left.dims.clone())?;
    }
    if !crops.is_empty() && view.kind != Kind::Float {
        return Err(Problem::new(
            "it takes rows or columns of integers",
            "give Kiln the float model",
        ));
    }
    let steps = crops.len();
    for (step, (op, shape)) in crops.into_iter().enumerate() {
        let call = match step + 1 == steps {
            true => call.with(vec![]),
            false => call.part("rows", vec![]),
        };
        view = walk.emit(&call, op, &[&view], shape, left.dims.clone())?;
    }
    Ok(Slot::View(view))
}

/// Why nothing but what names the same values otherwise may follow a Softmax.
pub fn after_softmax() -> Problem {
    Problem::new(
        "it reads a Softmax",
        "Softmax is supported at the end only, where Kiln leaves it to the caller",
    )
}

/// Reshape to constant sizes.
pub fn reshape<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let target = call.list("shape", 1)?;
    let target = target.ok_or_else(|| Problem::broken("no sizes"))?;
    let allow_zero = call.int("allowzero", 0) != 0;
    settled(walk, call, parts.reshape(&target, allow_zero)?)
}

/// Flatten.
pub fn flatten<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let rank = parts.dims.len() as i64;
    let axis = call.int("axis", 1);
    let axis = if axis < 0 { axis + rank } else { axis };
    if !(0..=rank).contains(&axis) {
        return Err(Problem::new(format!("axis {axis}"), EXPORT));
    }
    let (before, after) = parts.dims.split_at(axis as usize);
    let dims = vec![before.concat(), after.concat()];
    settled(walk, call, parts.with_dims(dims))
}

/// Squeeze.
pub fn squeeze<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let gone = match call.list("axes", 1)? {
        Some(axes) => axes
            .iter()
            .map(|axis| axis_of(*axis, parts.dims.len()))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..parts.dims.len())
            .filter(|axis| parts.dims[*axis].is_empty())
            .collect(),
    };
    if gone.iter().any(|axis| !parts.dims[*axis].is_empty()) {
        return Err(Problem::broken(format!(
            "axes {gone:?} of {:?}",
            parts.sizes()
        )));
    }
    let left = parts
        .dims
        .iter()
        .enumerate()
        .filter(|(axis, _)| !gone.contains(axis));
    let dims = left.map(|(_, factors)| factors.clone()).collect();
    settled(walk, call, parts.with_dims(dims))
}

/// Unsqueeze.
pub fn unsqueeze<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let axes = call.list("axes", 1)?.unwrap_or_default();
    let rank = parts.dims.len() + axes.len();
    if rank > 16 {
        return Err(Problem::broken("more than 16 axes"));
    }
    let mut new = vec![false; rank];
    for axis in &axes {
        let at = if *axis < 0 { axis + rank as i64 } else { *axis };
        let slot = usize::try_from(at).ok().and_then(|at| new.get_mut(at));
        let slot = slot.ok_or_else(|| Problem::broken(format!("axis {axis} of {rank}")))?;
        if std::mem::replace(slot, true) {
            return Err(Problem::broken(format!("axis {axis} twice")));
        }
    }
    let mut old = parts.dims.iter().cloned();
    let dims = new.iter().map(|new| match new {
        true => vec![],
        false => old.next().unwrap_or_default(),
    });
    settled(walk, call, parts.with_dims(dims.collect()))
}

/// Transpose.
pub fn transpose<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let order = permutation(call, parts.dims.len())?;
    let dims = order.iter().map(|axis| parts.dims[*axis].clone());
    let dims = dims.collect();
    settled(walk, call, parts.with_dims(dims))
}

/// Expand: axes of size 1 are repeated by what reads it.
pub fn expand<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let target = call.list("shape", 1)?;
    let target = target.ok_or_else(|| Problem::broken("no sizes"))?;
    let sizes: Option<Vec<usize>> = target
        .iter()
        .map(|size| usize::try_from(*size).ok())
        .collect();
    let sizes = sizes.ok_or_else(|| Problem::broken(format!("an Expand to {target:?}")))?;
    let own = view.sizes();
    let repeated = broadcast([&own[..], &sizes[..]].into_iter());
    let view = affine::widened(view, repeated.len());
    // Aligned at their ends, each size is 1 or the common one.
    let fits = |sizes: &[usize]| {
        let mut pairs = sizes.iter().rev().zip(repeated.iter().rev());
        pairs.all(|(size, common)| size == common || *size == 1)
    };
    if !fits(&own) || !fits(&sizes) {
        return Err(Problem::broken(format!(
            "an Expand of {own:?} to {target:?}"
        )));
    }
    let same = view.sizes() == repeated;
    Ok(Slot::View(View {
        repeated: if same { vec![] } else { repeated },
        ..view
    }))
}

/// Shape of an activation: a constant, with a batch of 1.
pub fn shape<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let sizes = call.parts()?.sizes();
    let rank = sizes.len() as i64;
    let at = |axis: i64| (if axis < 0 { axis + rank } else { axis }).clamp(0, rank) as usize;
    let (start, end) = (at(call.int("start", 0)), at(call.int("end", rank)));
    let part = sizes.get(start..end).unwrap_or_default();
    let sizes = part.iter().map(|size| *size as i64).collect();
    Ok(Slot::Constant(Constant::ints(sizes).into()))
}

/// Softmax over classes at the end, which is left to the caller.
pub fn softmax<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let mut view = call.view(0)?.clone();
    let axis = call.int("axis", if call.opset < 13 { 1 } else { -1 });
    let axis = view.axis(axis)?;
    // Before opset 13 it went over all axes from this one on.
    let over = match call.opset {
        ..13 => view.dims[axis..].concat(),
        _ => view.dims[axis].clone(),
    };
    let all = view.dims.concat();
    if over != all || view.shape.pixels() != 1 {
        return Err(Problem::new(
            format!("a Softmax along axis {axis} of {:?}", view.sizes()),
            "Softmax is supported at the end, over classes",
        ));
    }
    view.softmax = true;
    Ok(Slot::View(view))
}

/// The Sigmoid at a classifier's end, which is left to the caller too.
pub fn left_to_the_caller(call: &Call<'_>) -> Outcome {
    let mut view = call.view(0)?.clone();
    if view.shape.pixels() != 1 {
        return Err(Problem::new(
            format!("a Sigmoid of {:?} at the end", view.sizes()),
            "end in one value for each class",
        ));
    }
    view.softmax = true;
    Ok(Slot::View(view))
}
