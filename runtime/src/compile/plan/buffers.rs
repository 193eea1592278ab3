//! Tensors that share their bytes become one buffer; buffers become boxes to be placed.

use super::place::Boxes;
use super::{Plan, Problem, Share, Step, StepId, TensorId};

/// A step that may work in place.
pub(super) struct Merge {
    step: StepId,
    /// Inputs whose place it may take.
    pub(super) candidates: Vec<TensorId>,
    /// Index into `candidates`; none of them where it is their number.
    pub(super) chosen: usize,
}

/// What is to be placed, and which tensor lies where in it.
pub(super) struct Buffers {
    pub(super) boxes: Boxes,
    /// Buffer and offset in it of each tensor.
    pub(super) tensors: Vec<(usize, usize)>,
    /// Buffer of each step's scratch.
    pub(super) scratch: Vec<Option<usize>>,
}

/// From which to which position of the order each tensor is needed.
fn lifetimes(problem: &Problem, order: &[StepId]) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; problem.sizes.len()];
    let mut need = |tensor: TensorId, from: usize, to: usize| {
        let life = lives[tensor].get_or_insert((from, to));
        *life = (life.0.min(from), life.1.max(to));
    };
    need(problem.input, 0, 0);
    for (position, &step) in order.iter().enumerate() {
        let step = &problem.steps[step];
        for &tensor in step.reads.iter().chain([&step.writes]) {
            need(tensor, position, position);
        }
    }
    let last = order.len().saturating_sub(1);
    need(problem.output, last, last);
    // A whole is there as soon and as long as one of its parts.
    for part in &problem.inside {
        if let Some((from, to)) = lives[part.tensor] {
            let life = lives[part.of].get_or_insert((from, to));
            *life = (life.0.min(from), life.1.max(to));
        }
    }
    lives
}

/// For each step in the order of the plan, the end of the last tensor that is needed while it runs.
pub(super) fn live_ends(problem: &Problem, plan: &Plan) -> Vec<usize> {
    let lives = lifetimes(problem, &plan.order);
    let end = |(position, &step): (usize, &StepId)| {
        let live = lives
            .iter()
            .enumerate()
            .filter(|(_, life)| life.is_some_and(|(from, to)| (from..=to).contains(&position)));
        let ends = live.map(|(tensor, _)| plan.offsets[tensor] + problem.sizes[tensor]);
        let scratch = match problem.steps[step].scratch {
            0 => 0,
            len => plan.scratch[step] + len,
        };
        ends.max().unwrap_or(0).max(scratch)
    };
    plan.order.iter().enumerate().map(end).collect()
}

/// The steps that may work in place, with the first of their candidates chosen.
pub(super) fn merges(problem: &Problem, order: &[StepId]) -> Vec<Merge> {
    let lives = lifetimes(problem, order);
    let mut merges = Vec::new();
    for (position, &step) in order.iter().enumerate() {
        let Step { writes, shares, .. } = &problem.steps[step];
        let born = lives[*writes].is_some_and(|(from, _)| from == position);
        let joined =
            problem.is_part(*writes) || problem.inside.iter().any(|part| part.of == *writes);
        let candidates: Vec<TensorId> = shares
            .iter()
            .filter(|(tensor, share)| {
                let dies = lives[*tensor].is_some_and(|(_, to)| to == position);
                *share == Share::InPlace
                    && dies
                    && tensor != writes
                    && problem.sizes[*tensor] == problem.sizes[*writes]
                    && !problem.is_part(*tensor)
            })
            .map(|&(tensor, _)| tensor)
            .collect();
        if born && !joined && *writes != problem.input && !candidates.is_empty() {
            merges.push(Merge {
                step,
                candidates,
                chosen: 0,
            });
        }
    }
    merges
}

impl Buffers {
    pub(super) fn new(problem: &Problem, order: &[StepId], merges: &[Merge]) -> Self {
        let lives = lifetimes(problem, order);
        // Each tensor's whole: itself, or what it is merged into or a part of.
        let mut tensors: Vec<(usize, usize)> = (0..problem.sizes.len()).map(|id| (id, 0)).collect();
        for inside in &problem.inside {
            tensors[inside.tensor] = (inside.of, inside.at);
        }
        for merge in merges {
            if let Some(&input) = merge.candidates.get(merge.chosen) {
                tensors[problem.steps[merge.step].writes] = (input, 0);
            }
        }
        for id in 0..tensors.len() {
            let (mut of, mut at) = tensors[id];
            while tensors[of].0 != of {
                at += tensors[of].1;
                of = tensors[of].0;
            }
            tensors[id] = (of, at);
        }
        // Wholes, numbered.
        let mut number = vec![usize::MAX; tensors.len()];
        let mut boxes = Boxes::new(problem.alignment);
        for (id, &(of, at)) in tensors.iter().enumerate() {
            let Some((from, to)) = lives[id] else {
                continue;
            };
            if number[of] == usize::MAX {
                number[of] = boxes.push(problem.sizes[of], from, to);
            }
            boxes.widen(number[of], at + problem.sizes[id], from, to);
        }
        let scratch = scratch(problem, order, &mut boxes);
        // A tensor that no step touches has no place.
        if boxes.is_empty() {
            boxes.push(0, 0, 0);
        }
        let tensors: Vec<(usize, usize)> = tensors
            .into_iter()
            .map(|(of, at)| {
                if number[of] == usize::MAX {
                    (0, 0)
                } else {
                    (number[of], at)
                }
            })
            .collect();
        let mut behind = Vec::new();
        for (position, &step) in order.iter().enumerate() {
            let step = &problem.steps[step];
            for &(input, share) in &step.shares {
                let Share::Behind(gap) = share else { continue };
                let ((a, a_at), (b, b_at)) = (tensors[input], tensors[step.writes]);
                let only_here = boxes.to[a] == position && boxes.from[b] == position;
                let apart = a != b && !problem.is_part(input) && step.writes != problem.input;
                if apart && a_at == 0 && b_at == 0 && only_here {
                    behind.push((b, a, gap));
                }
            }
        }
        boxes.connect(&behind);
        Self {
            boxes,
            tensors,
            scratch,
        }
    }
}

fn scratch(problem: &Problem, order: &[StepId], boxes: &mut Boxes) -> Vec<Option<usize>> {
    let mut scratch = vec![None; problem.steps.len()];
    for (position, &step) in order.iter().enumerate() {
        let len = problem.steps[step].scratch;
        if len > 0 {
            scratch[step] = Some(boxes.push(len, position, position));
        }
    }
    scratch
}
