//! Operators on integers with scales: each becomes DequantizeLinear, the operator, QuantizeLinear.

use std::sync::Arc;

use super::quant::{self, Scale};
use super::{binary, conv as float_conv, dense, fixed, join, pointwise, pool as float_pool};
use crate::graph::{Binary, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::{Constant, Data};
use crate::load::view::View;
use crate::load::walk::{Outcome, Walk};
use crate::pointwise::Pointwise;

/// The floats of the integers at an input, whose scale and zero point are the next two.
fn dequantized<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    input: usize,
) -> Result<(View, f32), Problem> {
    let view = call.view(input)?.clone();
    let none = call.optional(input + 2)?.is_none();
    let quant = quant::activation(call, input + 1, input + 2)?;
    let quant = quant::fitting(quant, &view, none)?;
    let part = call.part(&format!("input {input}"), vec![]);
    let op = Op::Dequantize(quant);
    let view = walk.emit(&part, op, &[&view], view.shape, view.dims.clone())?;
    Ok((view, quant.scale))
}

/// The output, whose scale and zero point are two inputs.
fn quantized<'f>(walk: &mut Walk<'f>, call: &Call<'f>, view: &View, scale: usize) -> Outcome {
    let quant = quant::activation(call, scale, scale + 1)?;
    let op = Op::Quantize(quant);
    let output = walk.emit(call, op, &[view], view.shape, view.dims.clone())?;
    Ok(Slot::View(output))
}

/// The weights at an input, whose scale and zero point are the next two.
fn weights(call: &Call<'_>, input: usize, axis: usize) -> Result<Constant, Problem> {
    let integers = call.constant(input)?;
    let scale = quant::scale(call, input + 1, input + 2)?;
    let fits = integers.dims.get(axis) == Some(&scale.scales.len());
    if scale.scales.len() > 1 && !fits {
        return Err(Problem::broken(
            "its weights have another number of scales than channels",
        ));
    }
    fixed::real(integers, Scale { axis, ..scale })
}

/// A bias of integers in units of the input's and the weights' scales.
fn bias(
    call: &Call<'_>,
    input: usize,
    scale: f32,
    weights: &Constant,
) -> Result<Option<Arc<Constant>>, Problem> {
    let Some(integers) = call.optional(input)? else {
        return Ok(None);
    };
    let stored = weights.stored.as_ref();
    let scales = stored.map_or(&[][..], |stored| &stored.scales);
    let scales: Vec<f32> = scales.iter().map(|each| each * scale).collect();
    let integers = integers.reshape(vec![integers.data.len()]);
    if scales.len() > 1 && scales.len() != integers.data.len() {
        return Err(Problem::broken(
            "its bias has another number of values than channels",
        ));
    }
    let scale = Scale {
        zero_points: vec![0; scales.len()],
        scales,
        axis: 0,
        unsigned: false,
    };
    if !matches!(integers.data, Data::I32(_)) {
        return Err(Problem::broken("its bias is not of 32-bit integers"));
    }
    fixed::real(&integers, scale).map(|bias| Some(Arc::new(bias)))
}

/// QLinearConv.
pub fn conv<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let (view, scale) = dequantized(walk, call, 0)?;
    let weights = weights(call, 3, 0)?;
    let bias = bias(call, 8, scale, &weights)?;
    let (conv, shape, dims) = float_conv::parts(call, &view, &weights, bias.as_ref())?;
    let part = call.part("float", vec![]);
    let output = walk.emit(&part, Op::Conv(conv), &[&view], shape, dims)?;
    quantized(walk, call, &output, 6)
}

/// QLinearMatMul of an activation by constants.
pub fn matmul<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let (view, _) = dequantized(walk, call, 0)?;
    let axis = call.constant(3)?.dims.len().saturating_sub(1);
    let weights = weights(call, 3, axis)?;
    let (conv, shape, dims) = dense::parts(&view, &weights, None)?;
    let part = call.part("float", vec![]);
    let output = walk.emit(&part, Op::Conv(conv), &[&view], shape, dims)?;
    quantized(walk, call, &output, 6)
}

/// QGemm.
pub fn gemm<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    if call.float("alpha", 1.0) != 1.0 {
        return Err(Problem::new(
            "alpha is not 1",
            "put it into the weights' scale",
        ));
    }
    let (view, scale) = dequantized(walk, call, 0)?;
    let axis = usize::from(call.int("transB", 0) == 0);
    let weights = weights(call, 3, axis)?;
    let bias = bias(call, 6, scale, &weights)?;
    let inputs = [Slot::View(view), Slot::Constant(Arc::new(weights))];
    let part = call.part("float", inputs.into_iter().map(Some).collect());
    let (view, weights) = dense::gemm_inputs(&part, 0, 1)?;
    let (conv, shape, dims) = dense::parts(&view, &weights, bias.as_ref())?;
    let quantizes = matches!(call.inputs.get(7), Some(Some(_)));
    let under = if quantizes { &part } else { call };
    let output = walk.emit(under, Op::Conv(conv), &[&view], shape, dims)?;
    match quantizes {
        true => quantized(walk, call, &output, 7),
        false => Ok(Slot::View(output)),
    }
}

/// QLinearAdd and QLinearMul.
pub fn binary<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let op = match &call.node.op_type[..] {
        "QLinearMul" => Binary::Mul,
        _ => Binary::Add,
    };
    if call.view(0).is_err() || call.view(3).is_err() {
        return Err(Problem::new(
            "an operand is a constant",
            "fold it into the convolution before it is quantized",
        ));
    }
    let (a, _) = dequantized(walk, call, 0)?;
    let (b, _) = dequantized(walk, call, 3)?;
    let output = binary::views(walk, &call.part("float", vec![]), op, &a, &b)?;
    quantized(walk, call, &output, 6)
}

/// QLinearGlobalAveragePool and QLinearAveragePool.
pub fn pool<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let (view, _) = dequantized(walk, call, 0)?;
    let last = call.int("channels_last", 0) != 0;
    let view = match &view.dims[..] {
        [batch, space @ .., channels] if last => {
            let dims = [&[batch.clone(), channels.clone()], space].concat();
            view.with_dims(dims)
        }
        _ => view,
    };
    let mut dims = view.space()?.dims();
    let (op, shape) = match &call.node.op_type[..] {
        "QLinearAveragePool" => float_pool::parts(call, &view, false)?,
        _ => float_pool::over(&view, [true; 2], false)?,
    };
    if last {
        let channels = dims.remove(1);
        dims.push(channels);
    }
    let output = walk.emit(&call.part("float", vec![]), op, &[&view], shape, dims)?;
    quantized(walk, call, &output, 3)
}

/// QLinearConcat.
pub fn concat<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let mut views = vec![];
    for input in (2..call.inputs.len()).step_by(3) {
        views.push(dequantized(walk, call, input)?.0);
    }
    let (op, shape, dims) = join::parts(&views, call.int("axis", 1))?;
    let inputs: Vec<&View> = views.iter().collect();
    let output = walk.emit(&call.part("float", vec![]), op, &inputs, shape, dims)?;
    quantized(walk, call, &output, 0)
}

/// QLinearSigmoid and QLinearLeakyRelu.
pub fn activation<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let (view, _) = dequantized(walk, call, 0)?;
    let function = match &call.node.op_type[..] {
        "QLinearLeakyRelu" => Pointwise::LeakyRelu {
            alpha: call.float("alpha", 0.01),
        },
        _ => Pointwise::Sigmoid,
    };
    let part = call.part("float", vec![Some(Slot::View(view))]);
    let Slot::View(output) = pointwise::emit(walk, &part, function)? else {
        return Err(Problem::broken("no activation"));
    };
    quantized(walk, call, &output, 3)
}
