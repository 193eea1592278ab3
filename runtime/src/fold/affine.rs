//! Factors and summands a channel go into convolutions.

use kiln_core::window::Window;

use super::{absorb, bypass, free_conv, sole_producer};
use crate::graph::{Conv, Graph, Op};

fn constants(graph: &Graph, node: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    match &graph.nodes[node].op {
        Op::Affine { scale, shift } => Some((scale.clone(), shift.clone())),
        _ => None,
    }
}

/// Affine, Affine to one.
pub fn join(graph: &mut Graph, node: usize) -> bool {
    let Some((scale, shift)) = constants(graph, node) else {
        return false;
    };
    let Some(producer) = sole_producer(graph, node) else {
        return false;
    };
    let Op::Affine {
        scale: first,
        shift: first_shift,
    } = &mut graph.nodes[producer].op
    else {
        return false;
    };
    for channel in 0..scale.len() {
        first[channel] *= scale[channel];
        first_shift[channel] = first_shift[channel] * scale[channel] + shift[channel];
    }
    absorb(graph, producer, node);
    true
}

/// Conv, Affine to Conv.
pub fn into_conv_before(graph: &mut Graph, node: usize) -> bool {
    let Some((scale, shift)) = constants(graph, node) else {
        return false;
    };
    let producer = sole_producer(graph, node).filter(|producer| free_conv(graph, *producer));
    let Some(producer) = producer else {
        return false;
    };
    let Op::Conv(conv) = &mut graph.nodes[producer].op else {
        return false;
    };
    let depth = conv.weights.len() / conv.bias.len();
    for (channel, weights) in conv.weights.chunks_exact_mut(depth).enumerate() {
        weights
            .iter_mut()
            .for_each(|weight| *weight *= scale[channel]);
        conv.bias[channel] = conv.bias[channel] * scale[channel] + shift[channel];
    }
    absorb(graph, producer, node);
    true
}

/// Affine, Conv to Conv, unless padding would have to hold the shift.
pub fn into_conv_after(graph: &mut Graph, node: usize) -> bool {
    let producer = sole_producer(graph, node).filter(|_| free_conv(graph, node));
    let Some(producer) = producer else {
        return false;
    };
    let Some((scale, shift)) = constants(graph, producer) else {
        return false;
    };
    let Op::Conv(conv) = &mut graph.nodes[node].op else {
        return false;
    };
    if conv.window.padding != [0; 4] && shift.iter().any(|shift| *shift != 0.0) {
        return false;
    }
    let inputs = scale.len() / conv.groups;
    let depth = conv.weights.len() / conv.bias.len();
    let outs = conv.bias.len() / conv.groups;
    for (out, weights) in conv.weights.chunks_exact_mut(depth).enumerate() {
        let first = out / outs * inputs;
        let mut added = f64::from(conv.bias[out]);
        for (index, weight) in weights.iter_mut().enumerate() {
            let channel = first + index % inputs;
            added += f64::from(*weight) * f64::from(shift[channel]);
            *weight *= scale[channel];
        }
        conv.bias[out] = added as f32;
    }
    bypass(graph, producer);
    true
}

/// Affine by 1 and 0.
pub fn drop_identity(graph: &mut Graph, node: usize) -> bool {
    let Some((scale, shift)) = constants(graph, node) else {
        return false;
    };
    let identity =
        scale.iter().all(|scale| *scale == 1.0) && shift.iter().all(|shift| *shift == 0.0);
    if identity {
        bypass(graph, node);
    }
    identity
}

/// What Affines are left: a depthwise convolution of one tap.
pub fn to_depthwise(graph: &mut Graph, node: usize) -> bool {
    let Some((scale, shift)) = constants(graph, node) else {
        return false;
    };
    graph.nodes[node].op = Op::Conv(Conv {
        window: Window::default(),
        groups: scale.len(),
        weights: scale,
        bias: shift,
        stored: None,
    });
    true
}
