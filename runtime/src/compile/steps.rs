//! The planner's view of the layers.

use kiln_core::Target;
use kiln_core::window::Window;

use super::lower::{Layer, Lowered, Op, unplaced};
use super::overlap::{gap, resize_gap};
use super::plan::{self, Plan, Problem, Share, Step};
use super::target::{Sharing, scratch_for, wants};
use crate::qgraph::{QGraph, TensorId};

/// What is to be planned.
pub(super) fn problem(
    graph: &QGraph,
    lowered: &Lowered<'_>,
    target: Target,
    sharing: Sharing,
) -> Problem {
    let step = |layer: &Layer<'_>| Step {
        reads: layer.reads.clone(),
        writes: layer.writes,
        scratch: match &layer.op {
            Op::Conv(conv) => {
                let [input, output] = [layer.reads[0], layer.writes].map(|id| unplaced(graph, id));
                let mut geometry = conv.geometry(input, output);
                geometry.packing = conv.packing(target, &geometry);
                scratch_for(target, &geometry)
            }
            _ => 0,
        },
        shares: shares(graph, layer, sharing),
    };
    Problem {
        sizes: graph
            .tensors
            .iter()
            .map(|tensor| tensor.shape.len())
            .collect(),
        steps: lowered.layers.iter().map(step).collect(),
        input: graph.input,
        output: graph.output,
        alignment: wants(target).alignment,
        inside: lowered.inside.clone(),
    }
}

/// Plans the arena so that what a last pool reads outlives it and the linear layer behind it, where the network
/// ends so and that costs nothing; else as `plan` has it.
pub(super) fn keeping(
    graph: &QGraph,
    lowered: &Lowered<'_>,
    problem: Problem,
    plan: Plan,
) -> (Problem, Plan) {
    let Some(features) = explained(graph, lowered) else {
        return (problem, plan);
    };
    let mut kept = problem.clone();
    if let Some(last) = kept.steps.last_mut() {
        last.reads.push(features);
    }
    let keeping = plan::plan(&kept);
    match keeping.peak <= plan.peak {
        true => (kept, keeping),
        false => (problem, plan),
    }
}

/// What the pool before a last linear layer reads.
fn explained(graph: &QGraph, lowered: &Lowered<'_>) -> Option<TensorId> {
    let [.., pool, linear] = &lowered.layers[..] else {
        return None;
    };
    let linked = linear.reads[0] == pool.writes && linear.writes == graph.output;
    let kinds = matches!((&pool.op, &linear.op), (Op::Pool { .. }, Op::Conv(_)));
    (linked && kinds).then(|| pool.reads[0])
}

/// Over which of its inputs a layer may write.
fn shares(graph: &QGraph, layer: &Layer<'_>, sharing: Sharing) -> Vec<(TensorId, Share)> {
    let shape = |id: TensorId| graph.tensors[id].shape;
    let output = shape(layer.writes);
    let input = layer.reads[0];
    let windowed = |window: &Window| Share::Behind(gap(window, shape(input), output));
    let one = match &layer.op {
        _ if sharing == Sharing::Apart => return Vec::new(),
        Op::Binary { .. } => {
            let mut reads = layer.reads.clone();
            reads.dedup();
            reads.retain(|&read| shape(read) == output);
            return reads
                .into_iter()
                .map(|read| (read, Share::InPlace))
                .collect();
        }
        Op::Table(_) => Share::InPlace,
        _ if sharing != Sharing::Overlapping => return Vec::new(),
        Op::Conv(conv) => windowed(&conv.window),
        Op::Pool { window, .. } => windowed(window),
        Op::Resize(factors) => Share::Behind(resize_gap(*factors, shape(input), output)),
        Op::Copy { .. } => return Vec::new(),
    };
    vec![(input, one)]
}
