//! Operators that change how the file sees an activation, and not its values.

use super::fixed::permutation;
use super::{affine, unknown};
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::Constant;
use crate::load::evaluate::broadcast;
use crate::load::view::{EXPORT, View};
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

/// A Slice that leaves nothing out.
pub fn slice<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let sizes = view.sizes();
    let (starts, ends) = (call.list("starts", 1)?, call.list("ends", 2)?);
    let (starts, ends) = (starts.unwrap_or_default(), ends.unwrap_or_default());
    let all = (0..starts.len() as i64).collect();
    let axes: Vec<i64> = call.list("axes", 3)?.unwrap_or(all);
    let steps = call.list("steps", 4)?.unwrap_or(vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Problem::broken("a Slice of lists of other lengths"));
    }
    for (index, axis) in axes.iter().enumerate() {
        let size = sizes[view.axis(*axis)?] as i64;
        let from_the_end = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let whole = from_the_end(starts[index]) <= 0 && from_the_end(ends[index]) >= size;
        if !whole || steps[index] != 1 {
            return Err(unknown(call));
        }
    }
    Ok(Slot::View(view.clone()))
}

/// A Gather that takes all, in their order.
pub fn gather<'f>(_: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let Some(Some(Slot::Constant(indices))) = call.inputs.get(1) else {
        return Err(unknown(call));
    };
    let axis = view.axis(call.int("axis", 0))?;
    let size = view.sizes()[axis] as i64;
    let found = indices.data.integers().unwrap_or_default();
    if !found.iter().copied().eq(0..size) {
        return Err(unknown(call));
    }
    // The axes of the indices take the axis' place.
    let mut target: Vec<i64> = view.sizes().iter().map(|size| *size as i64).collect();
    target.splice(axis..=axis, indices.dims.iter().map(|size| *size as i64));
    view.reshape(&target, true).map(Slot::View)
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
