//! Factors and summands that are constants: one for all values, or one a channel.

use super::conv;
use crate::graph::{Axis, Op};
use crate::load::call::{Call, Problem, Slot, finite};
use crate::load::constant::Constant;
use crate::load::view::{View, size};
use crate::load::walk::{Outcome, Walk};

/// The numbers of a constant that is broadcast over a view, one a channel.
///
/// # Errors
/// Where they differ along another axis than channels, or make the view larger.
pub fn channels(view: &View, constant: &Constant) -> Result<Vec<f32>, Problem> {
    let numbers = finite(constant)?;
    let count = view.shape.channels as usize;
    let sizes = view.sizes();
    let problem = || {
        Problem::new(
            format!("a constant of {:?} for {sizes:?}", constant.dims),
            "use one number a channel, or one for all",
        )
    };
    let lead = constant.dims.len().saturating_sub(sizes.len());
    if constant.dims[..lead].iter().any(|size| *size != 1) {
        return Err(problem());
    }
    let own = &constant.dims[lead..];
    let skip = sizes.len() - own.len();
    // The axes that the constant runs over, with their sizes, the slowest first.
    let mut runs: Vec<(Axis, usize)> = vec![];
    for ((own, size_seen), axes) in own.iter().zip(&sizes[skip..]).zip(&view.dims[skip..]) {
        if *own == 1 {
            continue;
        }
        if own != size_seen {
            return Err(problem());
        }
        runs.extend(axes.iter().map(|axis| (*axis, size(view.shape, *axis))));
    }
    let inner = match runs.iter().position(|(axis, _)| *axis == Axis::Channels) {
        Some(at) => runs[at + 1..].iter().map(|(_, size)| size).product(),
        // All the same, then.
        None => usize::MAX,
    };
    let channel = |index: usize| index / inner % count;
    let mut found: Vec<Option<f32>> = vec![None; count];
    for (index, number) in numbers.iter().enumerate() {
        let before = found[channel(index)].get_or_insert(*number);
        if before != number {
            return Err(problem());
        }
    }
    let first = numbers[0];
    Ok(found
        .into_iter()
        .map(|number| number.unwrap_or(first))
        .collect())
}

/// The view with the axes of size 1 before it that a constant of a higher rank gives it.
pub fn widened(view: &View, rank: usize) -> View {
    let lead = rank.saturating_sub(view.rank());
    let mut dims = vec![vec![]; lead];
    dims.extend(view.dims.iter().cloned());
    view.with_dims(dims)
}

/// `scale * x + shift`.
pub fn emit<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    view: &View,
    scale: Vec<f32>,
    shift: Vec<f32>,
) -> Outcome {
    let mut numbers = scale.iter().chain(&shift);
    if let Some(number) = numbers.find(|number| !number.is_finite()) {
        return Err(Problem::new(
            format!("its constants come to {number}"),
            "the training diverged: train again from an earlier checkpoint",
        ));
    }
    let op = Op::Affine { scale, shift };
    let output = walk.emit(call, op, &[view], view.shape, view.dims.clone())?;
    Ok(Slot::View(output))
}

/// Adds a constant, to the bias of a MatMul where that is what it is.
pub fn add<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    view: &View,
    name: &str,
    constant: &Constant,
) -> Outcome {
    let view = widened(view, constant.dims.len());
    let shift = channels(&view, constant)?;
    let producer = walk.graph.producer(view.value);
    let matmul = producer.filter(|node| walk.bare.contains(node) && walk.read_once(name));
    if let Some(node) = matmul
        && walk.graph.values[view.value].name == name
        && let Op::Conv(conv) = &mut walk.graph.nodes[node].op
    {
        let per_channel = [1, conv.bias.len()].contains(&constant.data.len());
        if per_channel {
            conv::set_bias(conv, constant)?;
            walk.bare.remove(&node);
            return Ok(Slot::View(view));
        }
    }
    emit(walk, call, &view, vec![1.0; shift.len()], shift)
}

/// Div by a constant.
pub fn divide<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?;
    let constant = call.constant(1)?;
    let view = widened(view, constant.dims.len());
    let divisors = channels(&view, constant)?;
    let scale: Vec<f32> = divisors.iter().map(|divisor| 1.0 / divisor).collect();
    let shift = vec![0.0; scale.len()];
    emit(walk, call, &view, scale, shift)
}

/// Neg.
pub fn negate<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let count = view.shape.channels as usize;
    emit(walk, call, &view, vec![-1.0; count], vec![0.0; count])
}

/// BatchNormalization with the statistics of training.
pub fn batch_normalization<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    if call.int("training_mode", 0) != 0 {
        return Err(Problem::new(
            "it is in training mode",
            "export the model in evaluation mode: `model.eval()`",
        ));
    }
    if view.rank() < 2 {
        return Err(Problem::broken("its input has no channels"));
    }
    let mut all = vec![];
    for input in 1..5 {
        let constant = call.constant(input)?;
        let mut dims = vec![1; view.rank()];
        dims[1] = constant.data.len();
        all.push(channels(&view, &constant.reshape(dims))?);
    }
    let epsilon = f64::from(call.float("epsilon", 1e-5));
    let [gamma, beta, mean, variance] = &all[..] else {
        return Err(Problem::broken("it lacks inputs"));
    };
    let mut scale = vec![];
    let mut shift = vec![];
    for channel in 0..gamma.len() {
        let deviation = (f64::from(variance[channel]) + epsilon).sqrt();
        let factor = f64::from(gamma[channel]) / deviation;
        scale.push(factor as f32);
        shift.push((f64::from(beta[channel]) - f64::from(mean[channel]) * factor) as f32);
    }
    emit(walk, call, &view, scale, shift)
}
