//! Conv.

use std::sync::Arc;

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::window;
use crate::graph::{Axis, Conv, Op, Stored};
use crate::load::call::{Call, Problem, Slot, finite};
use crate::load::constant::{Constant, Data, Integers};
use crate::load::view::View;
use crate::load::walk::{Outcome, Walk};

/// Conv.
pub fn conv<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let lie_along = |dims: &[Vec<Axis>]| dims.contains(&vec![Axis::Channels]);
    if view.shape.pixels() == 1 && view.dims.get(2..).is_some_and(lie_along) {
        return along_channels(walk, call, &view);
    }
    let (conv, shape, dims) = parts(call, &view, call.constant(1)?, call.optional(2)?)?;
    let output = walk.emit(call, Op::Conv(conv), &[&view], shape, dims)?;
    Ok(Slot::View(output))
}

/// Weights of one of those.
const MOST_ALONG_CHANNELS: usize = 1 << 24;

/// A convolution along the channels of a vector, as efficient channel attention has it: one over channels, with the
/// taps at their places and zeros elsewhere.
fn along_channels<'f>(walk: &mut Walk<'f>, call: &Call<'f>, view: &View) -> Outcome {
    let length = view.shape.channels;
    let row = Shape::new(1, length, 1);
    let renamed = |dims: &[Vec<Axis>], from: Axis, to: Axis| {
        let axis = |axis: &Axis| if *axis == from { to } else { *axis };
        let axes = |axes: &Vec<Axis>| axes.iter().map(axis).collect();
        dims.iter().map(axes).collect::<Vec<Vec<Axis>>>()
    };
    let dims = renamed(&view.dims, Axis::Channels, Axis::Columns);
    let lying = View::new(view.value, row, dims, view.kind);
    let (taps, output, dims) = parts(call, &lying, call.constant(1)?, call.optional(2)?)?;
    if output.channels != 1 || output.height != 1 || taps.window.kernel[0] != 1 {
        return Err(Problem::new(
            "it makes more than one row of channels along channels",
            "use one filter, as in efficient channel attention",
        ));
    }
    let length = length as usize;
    let count = length.saturating_mul(output.width as usize);
    if count > MOST_ALONG_CHANNELS {
        return Err(Problem::new(
            format!("{length} channels are too many along which to convolve"),
            "use squeeze-and-excite, or fewer channels",
        ));
    }
    walk.count(Shape::vector(count as u32))?;
    let mut weights = vec![0.0; output.width as usize * length];
    let window = &taps.window;
    for (at, row) in weights.chunks_mut(length).enumerate() {
        for (tap, weight) in taps.weights.iter().enumerate() {
            let place = at * usize::from(window.stride[1]) + tap * usize::from(window.dilation[1]);
            let place = place.checked_sub(window.padding[1] as usize);
            if let Some(cell) = place.and_then(|place| row.get_mut(place)) {
                *cell += weight;
            }
        }
    }
    let conv = Conv {
        window: Window::default(),
        groups: 1,
        bias: vec![taps.bias[0]; output.width as usize],
        weights,
        stored: None,
    };
    let shape = Shape::vector(output.width);
    // One of the axes of space is the channels again; no other axis has a name.
    let dims = dims.into_iter().enumerate().map(|(at, axes)| match at {
        1 => vec![],
        _ => axes,
    });
    let dims = renamed(&dims.collect::<Vec<_>>(), Axis::Columns, Axis::Channels);
    let output = walk.emit(call, Op::Conv(conv), &[view], shape, dims)?;
    Ok(Slot::View(output))
}

/// The convolution of `view`, its output's shape, and the file's axes of that.
pub fn parts(
    call: &Call<'_>,
    view: &View,
    weights: &Constant,
    bias: Option<&Arc<Constant>>,
) -> Result<(Conv, Shape, Vec<Vec<Axis>>), Problem> {
    let space = view.space()?;
    let rank = space.0.len() + 2;
    if weights.dims.len() != rank || weights.dims.contains(&0) {
        return Err(Problem::broken(format!("weights {:?}", weights.dims)));
    }
    let kernel: Vec<i64> = weights.dims[2..].iter().map(|size| *size as i64).collect();
    if call
        .ints("kernel_shape")
        .is_some_and(|shape| shape != kernel)
    {
        return Err(Problem::broken("kernel_shape is not that of its weights"));
    }
    let groups = usize::try_from(call.int("group", 1)).unwrap_or(0);
    let (out, per_group) = (weights.dims[0], weights.dims[1]);
    let channels = view.shape.channels as usize;
    if groups == 0 || groups.checked_mul(per_group) != Some(channels) || !out.is_multiple_of(groups)
    {
        return Err(Problem::broken(format!(
            "weights {:?} in {groups} groups for {channels} channels",
            weights.dims
        )));
    }
    let window = window::window(call, &space, &kernel, view.shape)?;
    let shape = window::output(&window, view.shape, out)?;
    // [out][in][space] to [out][rows][columns][in].
    let [rows, columns] = space.pair(&[2, 3][..space.0.len()], 0);
    let mut order = vec![0];
    order.extend([rows, columns].into_iter().filter(|axis| *axis > 0));
    order.push(1);
    let conv = finish(window, groups, &weights.transpose(&order), bias)?;
    Ok((conv, shape, space.dims()))
}

/// A convolution of weights in Kiln's order; `weights.dims[0]` is the number of output channels.
pub fn finish(
    window: Window,
    groups: usize,
    weights: &Constant,
    bias: Option<&Arc<Constant>>,
) -> Result<Conv, Problem> {
    let out = weights.dims[0];
    let stored = match &weights.stored {
        None => None,
        Some(integers) => Some(stored(integers, out)?),
    };
    let mut conv = Conv {
        window,
        groups,
        weights: finite(weights)?.to_vec(),
        bias: vec![0.0; out],
        stored,
    };
    if let Some(bias) = bias {
        set_bias(&mut conv, bias)?;
    }
    Ok(conv)
}

/// Gives a convolution its bias: one number, or one an output channel.
pub fn set_bias(conv: &mut Conv, bias: &Constant) -> Result<(), Problem> {
    let out = conv.bias.len();
    let numbers = finite(bias)?;
    if numbers.len() != out && numbers.len() != 1 {
        let found = numbers.len();
        return Err(Problem::broken(format!(
            "a bias of {found} for {out} channels"
        )));
    }
    let each = |index: usize| numbers[index % numbers.len()];
    conv.bias = (0..out).map(each).collect();
    let Some(stored) = &mut conv.stored else {
        return Ok(());
    };
    if let Some(integers) = &bias.stored
        && let Data::I32(data) = &integers.data
    {
        if integers.zero_points.iter().any(|zero| *zero != 0) {
            return Err(Problem::new(
                "a bias with a zero point",
                "use zero points of 0",
            ));
        }
        let repeat = |index: usize| integers.scales[index % integers.scales.len()];
        let data = (0..out).map(|index| data[index % data.len()]).collect();
        stored.bias = Some((data, (0..out).map(repeat).collect()));
    }
    Ok(())
}

fn stored(integers: &Integers, out: usize) -> Result<Stored, Problem> {
    let (weights, shift) = match &integers.data {
        Data::I8(data) => (data.clone(), 0),
        Data::U8(data) => (data.iter().map(|byte| (*byte ^ 0x80) as i8).collect(), 128),
        _ => {
            return Err(Problem::new(
                "weights of other than 8 bits",
                "quantize weights to 8 bits",
            ));
        }
    };
    let count = integers.scales.len();
    if count != 1 && (integers.axis != 0 || count != out) {
        return Err(Problem::new(
            "its weights have scales along another axis than output channels",
            "quantize weights with a scale an output channel, or one for all",
        ));
    }
    let zero_points = integers
        .zero_points
        .iter()
        .map(|zero| i8::try_from(zero - shift));
    let zero_points: Result<Vec<i8>, _> = zero_points.collect();
    let zero_points = zero_points.map_err(|_| Problem::broken("a zero point of a weight"))?;
    Ok(Stored {
        weights,
        scales: (0..out)
            .map(|index| integers.scales[index % count])
            .collect(),
        zero_points: (0..out).map(|index| zero_points[index % count]).collect(),
        bias: None,
    })
}
