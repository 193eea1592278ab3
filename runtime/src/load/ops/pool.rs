//! Pools and reductions over space.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::{affine, window};
use crate::graph::{Axis, Conv, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::view::View;
use crate::load::walk::{Outcome, Walk};

/// MaxPool and AveragePool.
pub fn pool<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let (op, shape) = parts(call, &view, call.node.op_type == "MaxPool")?;
    let dims = view.space()?.dims();
    let output = walk.emit(call, op, &[&view], shape, dims)?;
    Ok(Slot::View(output))
}

/// The pool over a view by its attributes, and its output's shape.
pub fn parts(call: &Call<'_>, view: &View, max: bool) -> Result<(Op, Shape), Problem> {
    let space = view.space()?;
    let kernel = call.ints("kernel_shape").unwrap_or_default();
    let mut window = window::window(call, &space, kernel, view.shape)?;
    if call.int("storage_order", 0) != 0 {
        return Err(Problem::new("storage_order 1", "leave it out"));
    }
    let padded = window.padding != [0; 4];
    let count_include_pad = !max && padded && call.int("count_include_pad", 0) != 0;
    let [top, left, bottom, right] = window.padding.map(u32::from);
    let [rows, columns] = window.span();
    if top >= rows || bottom >= rows || left >= columns || right >= columns {
        return Err(Problem::new(
            "padding as large as the kernel: some windows have no input",
            "use less padding",
        ));
    }
    if call.int("ceil_mode", 0) != 0 {
        ceil(&mut window, view.shape, count_include_pad)?;
    }
    let shape = window::output(&window, view.shape, view.shape.channels as usize)?;
    let op = if max {
        Op::MaxPool(window)
    } else {
        Op::AveragePool {
            window,
            count_include_pad,
        }
    };
    Ok((op, shape))
}

/// Pads below and to the right until the last windows count, unless they begin outside the input.
fn ceil(window: &mut Window, shape: Shape, count_include_pad: bool) -> Result<(), Problem> {
    for (axis, size) in [shape.height, shape.width].into_iter().enumerate() {
        let (begin, end) = (u32::from(window.padding[axis]), window.padding[axis + 2]);
        let stride = u32::from(window.stride[axis]);
        let padded = size.saturating_add(begin + u32::from(end));
        let Some(steps) = padded.checked_sub(window.span()[axis]) else {
            continue;
        };
        let rest = steps % stride;
        let last = (steps / stride + 1) * stride;
        if rest == 0 || last >= size + begin {
            continue;
        }
        if count_include_pad {
            return Err(Problem::new(
                "ceil_mode with count_include_pad where the last windows hang over",
                "use count_include_pad 0, or ceil_mode 0",
            ));
        }
        let more = u16::try_from(stride - rest)
            .ok()
            .and_then(|more| end.checked_add(more));
        window.padding[axis + 2] = more.ok_or_else(|| Problem::broken("absurd strides"))?;
    }
    Ok(())
}

/// GlobalAveragePool and GlobalMaxPool.
pub fn global<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let dims = view.space()?.dims();
    let (op, shape) = over(&view, [true; 2], call.node.op_type == "GlobalMaxPool")?;
    let output = walk.emit(call, op, &[&view], shape, dims)?;
    Ok(Slot::View(output))
}

/// A pool over all rows, all columns, or both.
pub fn over(view: &View, reduced: [bool; 2], max: bool) -> Result<(Op, Shape), Problem> {
    let sizes = [view.shape.height, view.shape.width];
    let mut window = Window::default();
    for axis in 0..2 {
        if reduced[axis] {
            let size = u16::try_from(sizes[axis]);
            window.kernel[axis] =
                size.map_err(|_| Problem::new("an input this large", "pool it in steps"))?;
        }
    }
    let shape = window::output(&window, view.shape, view.shape.channels as usize)?;
    let op = if max {
        Op::MaxPool(window)
    } else {
        Op::AveragePool {
            window,
            count_include_pad: false,
        }
    };
    Ok((op, shape))
}

/// ReduceMean and ReduceSum, and ReduceMax over axes of space.
pub fn reduce<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let axes = call.list("axes", 1)?.unwrap_or_default();
    if axes.is_empty() && call.int("noop_with_empty_axes", 0) != 0 {
        return Ok(Slot::View(view));
    }
    let mut gone = vec![axes.is_empty(); view.rank()];
    for axis in axes {
        gone[view.axis(axis)?] = true;
    }
    let keep = call.int("keepdims", 1) != 0;
    let (mut reduced, mut channels) = ([false; 2], false);
    let mut dims = vec![];
    for (axes, gone) in view.dims.iter().zip(gone) {
        if !gone {
            dims.push(axes.clone());
            continue;
        }
        for axis in axes {
            match axis {
                Axis::Rows => reduced[0] = true,
                Axis::Columns => reduced[1] = true,
                Axis::Channels => channels = true,
            }
        }
        if keep {
            dims.push(vec![]);
        }
    }
    let kind = &call.node.op_type[..];
    if channels {
        return match kind {
            "ReduceMax" => Err(Problem::new(
                "it is a maximum over channels",
                "reduce over space, with axes [2, 3], or use the mean",
            )),
            _ => over_channels(walk, call, &view, reduced, dims),
        };
    }
    let (op, shape) = over(&view, reduced, kind == "ReduceMax")?;
    if kind != "ReduceSum" {
        let output = walk.emit(call, op, &[&view], shape, dims)?;
        return Ok(Slot::View(output));
    }
    let taps = taps(&op);
    let mean = walk.emit(&call.part("mean", vec![]), op, &[&view], shape, dims)?;
    let count = shape.channels as usize;
    affine::emit(walk, call, &mean, vec![taps; count], vec![0.0; count])
}

/// How many values an average is of.
fn taps(op: &Op) -> f32 {
    match op {
        Op::AveragePool { window, .. } => window.taps() as f32,
        _ => 1.0,
    }
}

/// The sum or mean over channels, and over what else is reduced: a convolution to one channel.
fn over_channels<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    view: &View,
    reduced: [bool; 2],
    dims: Vec<Vec<Axis>>,
) -> Outcome {
    let (op, shape) = over(view, reduced, false)?;
    let count = shape.channels as usize;
    let weight = match &call.node.op_type[..] {
        "ReduceSum" => taps(&op),
        _ => 1.0 / count as f32,
    };
    let mut view = view.clone();
    if reduced != [false; 2] {
        let part = call.part("pixels", vec![]);
        view = walk.emit(&part, op, &[&view], shape, view.dims.clone())?;
    }
    let conv = Conv {
        window: Window::default(),
        groups: 1,
        weights: vec![weight; count],
        bias: vec![0.0],
        stored: None,
    };
    let shape = Shape {
        channels: 1,
        ..shape
    };
    let output = walk.emit(call, Op::Conv(conv), &[&view], shape, dims)?;
    Ok(Slot::View(output))
}
