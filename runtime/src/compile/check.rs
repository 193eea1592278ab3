//! Whether a quantized graph says what it means: ids, order, shapes, lengths, scales.

use kiln_core::format::MAX_ARENA;
use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::CompileError;
use crate::graph::Axis;
use crate::qgraph::{QConv, QGraph, QLayer, QOp, TensorId};

/// Finds the first contradiction.
pub(super) fn check(graph: &QGraph) -> Result<(), CompileError> {
    for tensor in &graph.tensors {
        let error = |problem: String| {
            Err(CompileError::Tensor {
                tensor: tensor.name.clone(),
                problem,
            })
        };
        let scale = tensor.quant.scale;
        if !scale.is_normal() || scale < 0.0 {
            return error(format!("its scale is {scale}: quantize the model again"));
        }
        if tensor.shape.is_empty() || tensor.shape.len() > MAX_ARENA as usize {
            return error(format!("its shape is {}", text(tensor.shape)));
        }
    }
    let count = graph.tensors.len();
    if graph.input >= count || graph.output >= count {
        return Err(CompileError::layer(&graph.meta.name, "no input or output"));
    }
    let mut written = vec![false; count];
    written[graph.input] = true;
    for layer in &graph.layers {
        let error = |problem: &str| Err(CompileError::layer(&layer.name, problem));
        if layer.inputs.iter().any(|&id| id >= count || !written[id]) {
            return error("it reads what no layer before it writes");
        }
        if layer.output >= count || written[layer.output] {
            return error("what it writes is written already");
        }
        written[layer.output] = true;
        check_layer(graph, layer).map_err(|problem| CompileError::layer(&layer.name, problem))?;
    }
    if !written[graph.output] {
        let name = &graph.tensors[graph.output].name;
        return Err(CompileError::layer(name, "no layer writes the output"));
    }
    Ok(())
}

/// `height×width×channels`.
pub(super) fn text(shape: Shape) -> String {
    format!("{}×{}×{}", shape.height, shape.width, shape.channels)
}

fn check_layer(graph: &QGraph, layer: &QLayer) -> Result<(), String> {
    let shape = |id: TensorId| graph.tensors[id].shape;
    let output = shape(layer.output);
    let arity = match &layer.op {
        QOp::Binary { .. } => 2..=2,
        QOp::Concat(_) => 1..=usize::MAX,
        _ => 1..=1,
    };
    if !arity.contains(&layer.inputs.len()) {
        return Err(format!("it has {} inputs", layer.inputs.len()));
    }
    let input = shape(layer.inputs[0]);
    let expected = match &layer.op {
        QOp::Conv(conv) => {
            check_conv(conv, input, output)?;
            windowed(&conv.window, input, output.channels)?
        }
        QOp::Binary { clamp, .. } => {
            check_clamp(*clamp)?;
            let second = shape(layer.inputs[1]);
            if second != input && second != Shape::vector(input.channels) {
                let (input, second) = (text(input), text(second));
                return Err(format!("its inputs are {input} and {second}"));
            }
            input
        }
        QOp::PRelu(slopes) => {
            let channels = input.channels as usize;
            if slopes.len() != channels || !slopes.iter().all(|slope| slope.is_finite()) {
                let found = slopes.len();
                return Err(format!(
                    "{found} slopes for {channels} channels, or not finite"
                ));
            }
            input
        }
        QOp::Pointwise(_) | QOp::Requantize => input,
        QOp::MaxPool(window) | QOp::AveragePool { window, .. } => {
            windowed(window, input, input.channels)?
        }
        QOp::Concat(axis) => joined(*axis, layer.inputs.iter().map(|&id| shape(id)))?,
        QOp::Pad { padding, .. } => {
            let [top, left, bottom, right] = *padding;
            Shape {
                height: sum([input.height, top, bottom])?,
                width: sum([input.width, left, right])?,
                ..input
            }
        }
        QOp::Resize([down, across]) => Shape {
            height: input.height.saturating_mul(*down),
            width: input.width.saturating_mul(*across),
            ..input
        },
    };
    if expected != output {
        let (expected, output) = (text(expected), text(output));
        return Err(format!("it makes {expected}, but its output is {output}"));
    }
    Ok(())
}

fn sum<const N: usize>(parts: [u32; N]) -> Result<u32, String> {
    let sum = parts.into_iter().try_fold(0u32, u32::checked_add);
    sum.ok_or_else(|| "its output is too large".into())
}

fn windowed(window: &Window, input: Shape, channels: u32) -> Result<Shape, String> {
    let Window {
        kernel, dilation, ..
    } = window;
    let empty = kernel.contains(&0) || dilation.contains(&0);
    match window.output(input.height, input.width) {
        Some([height, width]) if !empty => Ok(Shape::new(height, width, channels)),
        _ => Err(format!(
            "its window does not fit into {}: {window:?}",
            text(input)
        )),
    }
}

fn check_conv(conv: &QConv, input: Shape, output: Shape) -> Result<(), String> {
    let (inputs, outputs) = (input.channels as usize, output.channels as usize);
    let groups = conv.groups;
    if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        return Err(format!(
            "{inputs} and {outputs} channels in {groups} groups"
        ));
    }
    let lengths = [
        (
            "weights",
            conv.weights.len(),
            outputs
                .saturating_mul(conv.window.taps())
                .saturating_mul(inputs / groups),
        ),
        ("scales", conv.scales.len(), outputs),
        ("zero points", conv.zero_points.len(), outputs),
        ("biases", conv.bias.len(), outputs),
    ];
    for (what, found, expected) in lengths {
        if found != expected {
            return Err(format!("it has {found} {what}, not {expected}"));
        }
    }
    check_clamp(conv.clamp)
}

fn check_clamp(clamp: Option<(f32, f32)>) -> Result<(), String> {
    match clamp {
        Some((low, high)) if low > high || low.is_nan() || high.is_nan() => {
            Err(format!("it is clamped to {low}..={high}"))
        }
        _ => Ok(()),
    }
}

/// The shape of tensors joined along an axis.
fn joined(axis: Axis, mut shapes: impl Iterator<Item = Shape>) -> Result<Shape, String> {
    let mut whole = shapes.next().unwrap_or_default();
    for shape in shapes {
        let mut other = shape;
        let (along, add) = match axis {
            Axis::Rows => (&mut whole.height, &mut other.height),
            Axis::Columns => (&mut whole.width, &mut other.width),
            Axis::Channels => (&mut whole.channels, &mut other.channels),
        };
        let joined = sum([*along, *add])?;
        *add = *along;
        if other != whole {
            return Err(format!(
                "it joins {} with others along {axis:?}",
                text(shape)
            ));
        }
        match axis {
            Axis::Rows => whole.height = joined,
            Axis::Columns => whole.width = joined,
            Axis::Channels => whole.channels = joined,
        }
    }
    Ok(whole)
}
