//! Slice, Split and Gather: operators that take something out of an activation.

use kiln_core::tensor::Shape;

use super::{layout, unknown};
use crate::graph::{Axis, Op};
use crate::load::MAX_CHANNELS;
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::Constant;
use crate::load::parts::{Parts, Range};
use crate::load::view::{View, axis_of};
use crate::load::walk::{Outcome, Walk};

/// Slice.
pub fn slice<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let mut parts = call.parts()?;
    let sizes = parts.sizes();
    let (starts, ends) = (call.list("starts", 1)?, call.list("ends", 2)?);
    let (starts, ends) = (starts.unwrap_or_default(), ends.unwrap_or_default());
    let all = (0..starts.len() as i64).collect();
    let axes: Vec<i64> = call.list("axes", 3)?.unwrap_or(all);
    let steps = call.list("steps", 4)?.unwrap_or(vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Problem::broken("a Slice of lists of other lengths"));
    }
    let mut taken = vec![false; sizes.len()];
    for (index, axis) in axes.iter().enumerate() {
        let dim = axis_of(*axis, sizes.len())?;
        if std::mem::replace(&mut taken[dim], true) {
            return Err(Problem::broken(format!("axis {axis} twice")));
        }
        let range = range(starts[index], ends[index], steps[index], sizes[dim])?;
        parts = take(call, &parts, dim, range)?;
    }
    layout::settled(walk, call, parts)
}

/// A possibly negative index of so many.
fn from_the_end(at: i64, size: i64) -> i64 {
    if at < 0 { at.saturating_add(size) } else { at }
}

/// The indices that ONNX's Slice takes.
fn range(start: i64, end: i64, step: i64, size: usize) -> Result<Range, Problem> {
    let size = size as i64;
    let [start, end] = [start, end].map(|at| from_the_end(at, size));
    let (first, steps) = match step {
        1.. => {
            let first = start.clamp(0, size);
            (first, end.clamp(0, size) - first)
        }
        // So that a count comes out: the last index is one above the end.
        ..=-1 => {
            let first = start.clamp(0, size - 1);
            (first, first - end.clamp(-1, size - 1))
        }
        0 => return Err(Problem::broken("a Slice by steps of 0")),
    };
    let count = usize::try_from(steps.max(0))
        .unwrap_or_default()
        .div_ceil(step.unsigned_abs().try_into().unwrap_or(usize::MAX));
    match count {
        0 => Err(Problem::broken("a Slice of nothing")),
        // The step is not taken, and may be whatever.
        1 => Ok(Range {
            first,
            count,
            step: 1,
        }),
        _ => Ok(Range { first, count, step }),
    }
}

fn take(call: &Call<'_>, parts: &Parts, dim: usize, range: Range) -> Result<Parts, Problem> {
    parts.take(dim, range).ok_or_else(|| unknown(call))
}

/// Split: an activation for each output.
pub fn split<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Result<Vec<Slot>, Problem> {
    let parts = call.parts()?;
    let sizes = parts.sizes();
    let dim = axis_of(call.int("axis", 0), sizes.len())?;
    let (size, outputs) = (sizes[dim], call.node.output.len().max(1));
    let counts = match call.list("split", 1)? {
        Some(counts) => counts,
        None => {
            let each = size.div_ceil(outputs);
            let starts = (0..outputs).map(|output| (output * each).min(size));
            let counts = starts.map(|start| each.min(size - start) as i64);
            counts.collect()
        }
    };
    let whole = counts.iter().all(|count| *count > 0);
    let sum = counts
        .iter()
        .fold(0i64, |sum, count| sum.saturating_add(*count));
    if !whole || sum != size as i64 || counts.len() != outputs {
        return Err(Problem::broken(format!(
            "a Split of {size} into {counts:?}"
        )));
    }
    let told = call.int("num_outputs", outputs as i64);
    if told != outputs as i64 {
        return Err(Problem::broken(format!("{outputs} outputs of {told}")));
    }
    let (mut slots, mut first) = (vec![], 0);
    for (count, name) in counts.into_iter().zip(&call.node.output) {
        let range = Range {
            first,
            count: count as usize,
            step: 1,
        };
        first += count;
        let part = Call {
            name: name.clone(),
            output: name.clone(),
            ..call.with(vec![])
        };
        let parts = take(call, &parts, dim, range)?;
        slots.push(layout::settled(walk, &part, parts)?);
    }
    Ok(slots)
}

/// Gather by constant indices.
pub fn gather<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let axis = call.int("axis", 0);
    let Some(Some(Slot::Constant(indices))) = call.inputs.get(1) else {
        return Err(unknown(call));
    };
    by_indices(walk, call, axis, indices, &indices.dims)
}

/// GatherND of one axis, as PyTorch writes `x[:, [2, 1, 0]]`.
pub fn gather_nd<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let Some(Some(Slot::Constant(indices))) = call.inputs.get(1) else {
        return Err(unknown(call));
    };
    match &indices.dims[..] {
        [dims @ .., 1] if call.int("batch_dims", 0) == 0 => {
            by_indices(walk, call, 0, indices, dims)
        }
        _ => Err(unknown(call)),
    }
}

/// Tile: channels several times.
pub fn tile<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let parts = call.parts()?;
    let repeats = call.list("", 1)?.unwrap_or_default();
    let sizes = parts.sizes();
    if repeats.len() != sizes.len() {
        return Err(Problem::broken(format!(
            "a Tile of {sizes:?} by {repeats:?}"
        )));
    }
    let repeated = repeats.iter().enumerate().filter(|(_, count)| **count != 1);
    let [(dim, count)] = repeated.collect::<Vec<_>>()[..] else {
        return match repeats.iter().all(|count| *count == 1) {
            true => layout::settled(walk, call, parts),
            false => Err(unknown(call)),
        };
    };
    let size = sizes[dim] as i64;
    let count = size.saturating_mul(*count);
    if !(1..=MAX_CHANNELS as i64).contains(&count) {
        return Err(Problem::new(
            format!("a Tile of {sizes:?} by {repeats:?}"),
            "repeat a few channels a few times",
        ));
    }
    let indices: Vec<i64> = (0..count).map(|at| at % size).collect();
    listed(walk, call, &parts, dim, &indices).map(Slot::View)
}

fn by_indices<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    axis: i64,
    indices: &Constant,
    dims: &[usize],
) -> Outcome {
    let parts = call.parts()?;
    let sizes = parts.sizes();
    let dim = axis_of(axis, sizes.len())?;
    let size = sizes[dim] as i64;
    let found = indices.data.integers().unwrap_or_default();
    let found: Vec<i64> = found.into_iter().map(|at| from_the_end(at, size)).collect();
    let Some(&first) = found.first() else {
        return Err(Problem::broken("a Gather of nothing"));
    };
    if let Some(at) = found.iter().find(|at| !(0..size).contains(*at)) {
        return Err(Problem::broken(format!("a Gather of index {at} of {size}")));
    }
    let step = found.get(1).map_or(1, |second| second - first);
    let steady = |pair: &[i64]| pair[1] - pair[0] == step;
    let picked = if step != 0 && found.windows(2).all(steady) {
        let count = found.len();
        take(call, &parts, dim, Range { first, count, step })?
    } else {
        Parts::from(listed(walk, call, &parts, dim, &found)?)
    };
    // The axes of the indices take the axis' place.
    let mut target: Vec<i64> = sizes.iter().map(|size| *size as i64).collect();
    target.splice(dim..=dim, dims.iter().map(|size| *size as i64));
    layout::settled(walk, call, picked.reshape(&target, true)?)
}

/// Channels in whatever order.
fn listed<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    parts: &Parts,
    dim: usize,
    indices: &[i64],
) -> Result<View, Problem> {
    let part = call.part("before", vec![]);
    let Slot::View(view) = layout::settled(walk, &part, parts.clone())? else {
        return Err(unknown(call));
    };
    let mut dims = view.dims.clone();
    // The only channel of a grey picture is no axis by itself.
    if dim > 0 && dims[dim].is_empty() && view.shape.channels == 1 {
        dims[dim].push(Axis::Channels);
    }
    if dims[dim] != [Axis::Channels] {
        return Err(unknown(call));
    }
    let from: Vec<u32> = indices.iter().map(|at| *at as u32).collect();
    let shape = Shape {
        channels: from.len() as u32,
        ..view.shape
    };
    walk.emit(call, Op::Gather(from), &[&view], shape, dims)
}
