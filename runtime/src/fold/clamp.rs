//! Relu and Clip.

use super::{absorb, bypass, sole_producer};
use crate::graph::{Graph, Op, ValueId};
use crate::pointwise::Pointwise;

fn bounds(graph: &Graph, node: usize) -> Option<(f32, f32)> {
    match graph.nodes[node].op {
        Op::Pointwise(function) => function.clamp(),
        _ => None,
    }
}

/// The function that clamps to these bounds.
pub fn clamp(min: f32, max: f32) -> Pointwise {
    match min == 0.0 && max == f32::INFINITY {
        true => Pointwise::Relu,
        false => Pointwise::Clip { min, max },
    }
}

/// The bounds of a clamp and another one after it.
pub fn compose((low, high): (f32, f32), (min, max): (f32, f32)) -> (f32, f32) {
    let within = |bound: f32| bound.max(min).min(max);
    (within(low), within(high))
}

/// Two clamps in a row to one.
pub fn join(graph: &mut Graph, node: usize) -> bool {
    let (Some(second), Some(producer)) = (bounds(graph, node), sole_producer(graph, node)) else {
        return false;
    };
    let Some(first) = bounds(graph, producer) else {
        return false;
    };
    let (min, max) = compose(first, second);
    graph.nodes[producer].op = Op::Pointwise(clamp(min, max));
    absorb(graph, producer, node);
    true
}

/// Relu of what is not negative.
pub fn drop_needless(graph: &mut Graph, node: usize) -> bool {
    let relu = matches!(graph.nodes[node].op, Op::Pointwise(Pointwise::Relu));
    let needless = relu && not_negative(graph, graph.nodes[node].inputs[0]);
    if needless {
        bypass(graph, node);
    }
    needless
}

/// Whether a value is known not to be below 0.
pub fn not_negative(graph: &Graph, value: ValueId) -> bool {
    let mut value = value;
    while let Some(producer) = graph.producer(value) {
        match &graph.nodes[producer].op {
            Op::Pointwise(function) => {
                return match function {
                    Pointwise::Relu | Pointwise::Sigmoid | Pointwise::HardSigmoid { .. } => true,
                    Pointwise::Clip { min, .. } => *min >= 0.0,
                    _ => false,
                };
            }
            Op::MaxPool(_) | Op::AveragePool { .. } | Op::Resize(_) => {
                value = graph.nodes[producer].inputs[0];
            }
            _ => return false,
        }
    }
    false
}
