//! Concat and Pad.

use kiln_core::tensor::Shape;

use crate::graph::{Axis, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::view::{Kind, View, single_axis};
use crate::load::walk::{Outcome, Walk};

/// Concat of activations.
pub fn concat<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let mut views = vec![];
    for input in 0..call.inputs.len() {
        views.push(call.view(input)?.clone());
    }
    let (op, shape, dims) = parts(&views, call.int("axis", 1))?;
    let inputs: Vec<&View> = views.iter().collect();
    let output = walk.emit(call, op, &inputs, shape, dims)?;
    Ok(Slot::View(output))
}

/// The Concat of views along one of the file's axes, its output's shape, and the file's axes of it.
pub fn parts(views: &[View], axis: i64) -> Result<(Op, Shape, Vec<Vec<Axis>>), Problem> {
    let views: Vec<&View> = views.iter().collect();
    let first = *views.first().ok_or_else(|| Problem::broken("no inputs"))?;
    let dim = first.axis(axis)?;
    let refuse = || {
        let sizes: Vec<_> = views.iter().map(|view| view.sizes()).collect();
        Problem::new(
            format!("inputs of {sizes:?} along axis {axis}"),
            "join along channels or one axis of space, with the other axes the same",
        )
    };
    if views
        .iter()
        .any(|view| view.rank() != first.rank() || view.kind != first.kind)
    {
        return Err(refuse());
    }
    let along = single_axis(&views, dim).ok_or_else(refuse)?;
    let mut shape = first.shape;
    let others = |shape: Shape| match along {
        Axis::Rows => Shape { height: 0, ..shape },
        Axis::Columns => Shape { width: 0, ..shape },
        Axis::Channels => Shape {
            channels: 0,
            ..shape
        },
    };
    let mut total = 0u32;
    for view in &views {
        if others(view.shape) != others(shape) {
            return Err(refuse());
        }
        for (index, (axes, expected)) in view.dims.iter().zip(&first.dims).enumerate() {
            let clash = axes.len() > 1 || axes.iter().any(|axis| *axis != along);
            if (index != dim && axes != expected) || (index == dim && clash) {
                return Err(refuse());
            }
        }
        let more = match along {
            Axis::Rows => view.shape.height,
            Axis::Columns => view.shape.width,
            Axis::Channels => view.shape.channels,
        };
        total = total.checked_add(more).ok_or_else(refuse)?;
    }
    match along {
        Axis::Rows => shape.height = total,
        Axis::Columns => shape.width = total,
        Axis::Channels => shape.channels = total,
    }
    let mut dims = first.dims.clone();
    dims[dim] = vec![along];
    Ok((Op::Concat(along), shape, dims))
}

/// The graph's axis of space that one of the file's axes is.
pub fn axis_at(view: &View, dim: usize) -> Result<Axis, Problem> {
    match view.dims[dim][..] {
        [axis] => Ok(axis),
        [] if dim >= 2 => Ok(view.space()?.0[dim - 2]),
        _ => Err(Problem::new(
            format!("axis {dim} of {:?}", view.sizes()),
            "keep rows and columns apart",
        )),
    }
}

/// Pad with a constant.
pub fn pad<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let mode = call.text("mode", "constant");
    if mode != "constant" {
        return Err(Problem::new(
            format!("padding by `{mode}`"),
            "pad with zeros",
        ));
    }
    let pads = call.list("pads", 1)?;
    let pads = pads.ok_or_else(|| Problem::broken("no pads"))?;
    let axes = call.list("", 3)?;
    let axes = axes.unwrap_or_else(|| (0..view.rank() as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(Problem::broken(format!(
            "pads {pads:?} for {} axes",
            axes.len()
        )));
    }
    let value = match call.optional(2)? {
        Some(constant) => constant.scalar(),
        None => Some(call.float("value", 0.0)),
    };
    let value = value.filter(|value| value.is_finite());
    let value = value.ok_or_else(|| Problem::broken("its value is not a number"))?;
    let value = if view.kind == Kind::Unsigned {
        value - 128.0
    } else {
        value
    };
    let mut padding = [0u32; 4];
    let mut dims = view.dims.clone();
    for (index, axis) in axes.iter().enumerate() {
        let (begin, end) = (pads[index], pads[index + axes.len()]);
        if begin == 0 && end == 0 {
            continue;
        }
        let dim = view.axis(*axis)?;
        let axis = axis_at(&view, dim)?;
        let at = match axis {
            Axis::Rows => 0,
            Axis::Columns => 1,
            Axis::Channels => {
                return Err(Problem::new(
                    "it pads channels",
                    "use a 1×1 convolution to widen",
                ));
            }
        };
        let size = |pad: i64| {
            let narrow = u32::try_from(pad).ok().filter(|pad| *pad < 1 << 16);
            narrow.ok_or_else(|| Problem::new(format!("padding by {pad}"), "pad by 0 or more"))
        };
        padding[at] = size(begin)?;
        padding[at + 2] = size(end)?;
        dims[dim] = vec![axis];
    }
    if padding == [0; 4] {
        return Ok(Slot::View(view));
    }
    let [top, left, bottom, right] = padding;
    let shape = Shape {
        height: view.shape.height.saturating_add(top + bottom),
        width: view.shape.width.saturating_add(left + right),
        ..view.shape
    };
    let op = Op::Pad { padding, value };
    let output = walk.emit(call, op, &[&view], shape, dims)?;
    Ok(Slot::View(output))
}
