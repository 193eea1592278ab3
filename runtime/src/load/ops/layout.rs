//! Operators that change how the file sees an activation, and not its values.

use super::fixed::permutation;
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::Constant;
use crate::load::view::EXPORT;
use crate::load::walk::{Outcome, Walk};

/// Identity and Dropout.
pub fn identity<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    if let Some(Some(Slot::Constant(mode))) = call.inputs.get(2)
        && mode.scalar() != Some(0.0)
    {
        return Err(Problem::new(
            "a Dropout in training mode",
            "export the model in evaluation mode: `model.eval()`",
        ));
    }
    Ok(Slot::View(call.view(0)?.clone()))
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

/// Reshape to constant sizes.
pub fn reshape<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let target = call.list("shape", 1)?;
    let target = target.ok_or_else(|| Problem::broken("no sizes"))?;
    let allow_zero = call.int("allowzero", 0) != 0;
    view.reshape(&target, allow_zero).map(Slot::View)
}

/// Flatten.
pub fn flatten<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let rank = view.rank() as i64;
    let axis = call.int("axis", 1);
    let axis = if axis < 0 { axis + rank } else { axis };
    if !(0..=rank).contains(&axis) {
        return Err(Problem::new(format!("axis {axis}"), EXPORT));
    }
    let (before, after) = view.dims.split_at(axis as usize);
    Ok(Slot::View(
        view.with_dims(vec![before.concat(), after.concat()]),
    ))
}

/// Squeeze.
pub fn squeeze<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let gone = match call.list("axes", 1)? {
        Some(axes) => axes
            .iter()
            .map(|axis| view.axis(*axis))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..view.rank())
            .filter(|axis| view.dims[*axis].is_empty())
            .collect(),
    };
    if gone.iter().any(|axis| !view.dims[*axis].is_empty()) {
        return Err(Problem::broken(format!(
            "axes {gone:?} of {:?}",
            view.sizes()
        )));
    }
    let left = view
        .dims
        .iter()
        .enumerate()
        .filter(|(axis, _)| !gone.contains(axis));
    Ok(Slot::View(
        view.with_dims(left.map(|(_, axes)| axes.clone()).collect()),
    ))
}

/// Unsqueeze.
pub fn unsqueeze<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let axes = call.list("axes", 1)?.unwrap_or_default();
    let rank = view.rank() + axes.len();
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
    let mut old = view.dims.iter().cloned();
    let dims = new.iter().map(|new| {
        if *new {
            vec![]
        } else {
            old.next().unwrap_or_default()
        }
    });
    Ok(Slot::View(view.with_dims(dims.collect())))
}

/// Transpose.
pub fn transpose<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let order = permutation(call, view.rank())?;
    let dims = order.iter().map(|axis| view.dims[*axis].clone());
    Ok(Slot::View(view.with_dims(dims.collect())))
}

/// Shape of an activation: a constant, with a batch of 1.
pub fn shape<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let sizes = call.view(0)?.sizes();
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
