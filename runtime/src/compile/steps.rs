//! The planner's view of the layers.

use kiln_core::Target;
use kiln_core::layer::Conv;
use kiln_core::tensor::Tensor;
use kiln_core::window::Window;

use super::lower::{Layer, Lowered, Op, unplaced};
use super::overlap::{gap, resize_gap};
use super::plan::{self, Plan, Problem, Share, Step};
use super::target::{Sharing, most_scratch_for, scratch_for, wants};
use crate::qgraph::{QGraph, TensorId};

/// What is to be planned: scratch is enough wherever tensors come to lie.
pub(super) fn problem(
    graph: &QGraph,
    lowered: &Lowered<'_>,
    target: Target,
    sharing: Sharing,
) -> Problem {
    let place = |id: TensorId| unplaced(graph, id);
    let step = |layer: &Layer<'_>| Step {
        reads: layer.reads.clone(),
        writes: layer.writes,
        scratch: scratch(layer, target, place, most_scratch_for),
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

/// The scratch of a layer whose tensors lie where `place` says.
fn scratch(
    layer: &Layer<'_>,
    target: Target,
    place: impl Fn(TensorId) -> Tensor,
    ask: impl Fn(Target, &Conv<'_>) -> usize,
) -> usize {
    let Op::Conv(conv) = &layer.op else { return 0 };
    let [input, output] = [layer.reads[0], layer.writes].map(place);
    let mut geometry = conv.geometry(input, output);
    geometry.packing = conv.packing(target, &geometry);
    ask(target, &geometry)
}

/// Plans the arena. Tensors of layers that then need no scratch lie apart where that costs nothing; all scratch is as
/// long as it has to be where tensors lie.
pub(super) fn planned(
    graph: &QGraph,
    lowered: &Lowered<'_>,
    target: Target,
    mut problem: Problem,
) -> (Problem, Plan) {
    let scratch_at = |index: usize, offset: &dyn Fn(TensorId) -> usize| {
        let place = |id: TensorId| Tensor {
            offset: u32::try_from(offset(id)).unwrap_or(u32::MAX),
            ..unplaced(graph, id)
        };
        scratch(&lowered.layers[index], target, place, scratch_for)
    };
    let scratch_in = |plan: &Plan, index| scratch_at(index, &|id| plan.offsets[id]);
    let mut plan = plan::plan(&problem);
    let mut apart = problem.clone();
    for index in 0..problem.steps.len() {
        // The output behind the input.
        let Step { reads, writes, .. } = &problem.steps[index];
        let behind = |id| {
            if id == *writes {
                problem.sizes[reads[0]]
            } else {
                0
            }
        };
        if scratch_in(&plan, index) > 0 && scratch_at(index, &behind) == 0 {
            let mut other = apart.clone();
            other.steps[index].shares.clear();
            other.steps[index].scratch = 0;
            let planned = plan::plan(&other);
            let mut steps = other.steps.iter().enumerate();
            let enough = steps.all(|(index, step)| scratch_in(&planned, index) <= step.scratch);
            if enough && planned.peak <= plan.peak {
                (apart, plan) = (other, planned);
            }
        }
    }
    for (index, step) in problem.steps.iter_mut().enumerate() {
        step.scratch = scratch_in(&plan, index);
    }
    let plan = plan::with_scratch_of(&problem, plan);
    (problem, plan)
}

/// Plans the arena so that what a last pool reads outlives it and the linear layer behind it, where the network
/// ends so and that costs nothing; else as `plan` has it.
pub(super) fn keeping(
    graph: &QGraph,
    lowered: &Lowered<'_>,
    target: Target,
    sharing: Sharing,
    (problem, plan): (Problem, Plan),
) -> (Problem, Plan) {
    let Some(features) = explained(graph, lowered) else {
        return (problem, plan);
    };
    let mut kept = self::problem(graph, lowered, target, sharing);
    if let Some(last) = kept.steps.last_mut() {
        last.reads.push(features);
    }
    let (kept, keeping) = planned(graph, lowered, target, kept);
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
    let windowed = |window: &Window, held| Share::Behind(gap(window, shape(input), output, held));
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
        // The one pixel of a fully connected layer is read anew for each few channels.
        Op::Conv(conv) => windowed(&conv.window, output.pixels() > 1),
        Op::Pool { window, .. } => windowed(window, true),
        Op::Resize(factors) => Share::Behind(resize_gap(*factors, shape(input), output)),
        Op::Copy { .. } => return Vec::new(),
    };
    vec![(input, one)]
}

#[cfg(test)]
mod tests {
    use kiln_core::packing::Packing;
    use kiln_core::{Model, arch, layer};

    use super::super::{Options, compile};
    use super::*;
    use crate::testing::random_graph;

    /// Not a byte more than a core's kernels take where tensors lie, nor less: no layer of theirs is left to the plain
    /// loop.
    #[test]
    fn scratch_is_what_kernels_take() {
        let (mut layers, mut taken) = (0, 0);
        for seed in 300..360 {
            let graph = random_graph(seed);
            for target in Target::ALL {
                let options = Options {
                    target,
                    ..Options::default()
                };
                let compiled = compile(&graph, &options).unwrap();
                let model = Model::new(&compiled.bytes).unwrap();
                let convs = model.layers().filter_map(|(_, layer)| match layer {
                    layer::Layer::Conv(conv) => Some(conv),
                    _ => None,
                });
                let kernels = wants(target).sharing == Sharing::Overlapping;
                for conv in convs {
                    let len = scratch_for(target, &conv);
                    assert_eq!(conv.scratch.len as usize, len, "{seed} {target:?} {conv:?}");
                    layers += 1;
                    if kernels && conv.packing != Packing::Plain {
                        assert!(arch::takes_for(target, &conv), "{seed} {target:?} {conv:?}");
                        taken += 1;
                    }
                }
            }
        }
        assert!(layers > 1000 && taken > 400, "{layers} {taken}");
    }
}
