//! Gemm and MatMul by constants.

use std::borrow::Cow;
use std::sync::Arc;

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::conv;
use crate::graph::{Axis, Conv, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::{Constant, Data};
use crate::load::view::{View, size};
use crate::load::walk::{Outcome, Walk};

/// MatMul of an activation by a constant.
pub fn matmul<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    if matches!(call.inputs.get(1), Some(Some(Slot::View(_)))) {
        return Err(Problem::new(
            "a product of matrices that both depend on the input",
            "attention is not supported: use a convolutional network",
        ));
    }
    let view = call.view(0)?.clone();
    let (conv, shape, dims) = parts(&view, call.constant(1)?, None)?;
    let output = walk.emit(call, Op::Conv(conv), &[&view], shape, dims)?;
    walk.bare.insert(walk.graph.nodes.len() - 1);
    Ok(Slot::View(output))
}

/// Gemm of an activation by a constant.
pub fn gemm<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let (view, weights) = gemm_inputs(call, 0, 1)?;
    let alpha = call.float("alpha", 1.0);
    let weights = scaled(&weights, alpha);
    let beta = call.float("beta", 1.0);
    let bias = match call.optional(2)? {
        Some(bias) if beta != 0.0 => Some(Arc::new(scaled(bias, beta).into_owned())),
        _ => None,
    };
    let (conv, shape, dims) = parts(&view, &weights, bias.as_ref())?;
    let output = walk.emit(call, Op::Conv(conv), &[&view], shape, dims)?;
    Ok(Slot::View(output))
}

/// The activation and the weights `[in, out]` of a Gemm.
pub fn gemm_inputs<'c>(
    call: &'c Call<'_>,
    a: usize,
    b: usize,
) -> Result<(View, Cow<'c, Constant>), Problem> {
    let view = call.view(a)?.clone();
    let weights = &**call.constant(b)?;
    let two = || Problem::broken("its inputs do not have two axes");
    if view.rank() != 2 || weights.dims.len() != 2 {
        return Err(two());
    }
    let view = match call.int("transA", 0) {
        0 => view,
        _ => view.with_dims(view.dims.iter().rev().cloned().collect()),
    };
    let weights = match call.int("transB", 0) {
        0 => Cow::Borrowed(weights),
        _ => Cow::Owned(weights.transpose(&[1, 0])),
    };
    Ok((view, weights))
}

fn scaled(constant: &Constant, factor: f32) -> Cow<'_, Constant> {
    match &constant.data {
        Data::F32(data) if factor != 1.0 => Cow::Owned(Constant::new(
            constant.dims.clone(),
            Data::F32(data.iter().map(|value| value * factor).collect()),
        )),
        _ => Cow::Borrowed(constant),
    }
}

/// A fully connected layer: over channels at each place, or over all of the input.
pub fn parts(
    view: &View,
    weights: &Constant,
    bias: Option<&Arc<Constant>>,
) -> Result<(Conv, Shape, Vec<Vec<Axis>>), Problem> {
    let lead = weights.dims.len().saturating_sub(2);
    let leads = weights.dims[..lead].iter().all(|size| *size == 1);
    let (&[rows, out], true) = (&weights.dims[lead..], leads && lead < view.rank().max(1)) else {
        return Err(Problem::new(
            format!("weights of {:?}", weights.dims),
            "use weights of two axes",
        ));
    };
    let Some((last, before)) = view.dims.split_last() else {
        return Err(Problem::broken("its input has no axes"));
    };
    let columns: usize = last.iter().map(|axis| size(view.shape, *axis)).product();
    if columns != rows || rows == 0 || out == 0 {
        return Err(Problem::broken(format!(
            "an input of {:?} and weights of {:?}",
            view.sizes(),
            weights.dims
        )));
    }
    let channels = u32::try_from(out).map_err(|_| Problem::broken("too many channels"))?;
    let shape = view.shape;
    let mut dims = before.to_vec();
    dims.push(vec![Axis::Channels]);
    // Each place on its own.
    let by_place = last[..] == [Axis::Channels] || (last.is_empty() && shape.channels == 1);
    if by_place {
        let weights = weights.reshape(vec![rows, out]).transpose(&[1, 0]);
        let conv = conv::finish(Window::default(), 1, &weights, bias)?;
        return Ok((conv, Shape { channels, ..shape }, dims));
    }
    if before.iter().any(|axes| !axes.is_empty()) {
        return Err(Problem::new(
            format!("a product along other than channels of {:?}", view.sizes()),
            "mixing along space is not supported: use a convolution",
        ));
    }
    // The whole input at once: the kernel is as large as it is.
    let sizes = last.iter().map(|axis| size(shape, *axis));
    let weights = weights.reshape(sizes.chain([out]).collect());
    let mut order = vec![last.len()];
    for axis in [Axis::Rows, Axis::Columns, Axis::Channels] {
        order.extend(last.iter().position(|found| *found == axis));
    }
    let kernel = [shape.height, shape.width].map(u16::try_from);
    let [Ok(height), Ok(width)] = kernel else {
        return Err(Problem::new("an input this large", "pool it before"));
    };
    let window = Window {
        kernel: [height, width],
        ..Window::default()
    };
    let conv = conv::finish(window, 1, &weights.transpose(&order), bias)?;
    Ok((conv, Shape::vector(channels), dims))
}
