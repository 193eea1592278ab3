//! A topological order of the steps whose fullest step is as empty as can be.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{Problem, Share, StepId, TensorId};

/// Sets of steps that are looked at, at most, before the given order is kept.
const STATES: usize = 20_000;

/// Steps that are done, one bit each.
type Done = Vec<u64>;

fn has(done: &Done, step: StepId) -> bool {
    done[step / 64] >> (step % 64) & 1 == 1
}

fn with(done: &Done, step: StepId) -> Done {
    let mut done = done.clone();
    done[step / 64] |= 1 << (step % 64);
    done
}

/// Who writes and reads each tensor. A part of a tensor counts as the whole.
struct Uses<'a> {
    problem: &'a Problem,
    whole: Vec<TensorId>,
    writers: Vec<Vec<StepId>>,
    readers: Vec<Vec<StepId>>,
}

impl<'a> Uses<'a> {
    fn new(problem: &'a Problem) -> Self {
        let count = problem.sizes.len();
        let mut whole: Vec<TensorId> = (0..count).collect();
        for part in &problem.inside {
            whole[part.tensor] = part.of;
        }
        for id in 0..count {
            while whole[whole[id]] != whole[id] {
                whole[id] = whole[whole[id]];
            }
        }
        let mut writers = vec![Vec::new(); count];
        let mut readers = vec![Vec::new(); count];
        for (id, step) in problem.steps.iter().enumerate() {
            writers[whole[step.writes]].push(id);
            for &tensor in &step.reads {
                readers[whole[tensor]].push(id);
            }
        }
        Self {
            problem,
            whole,
            writers,
            readers,
        }
    }

    /// Whether all that a step reads is there.
    fn ready(&self, done: &Done, step: StepId) -> bool {
        let steps = &self.problem.steps;
        let there = |&tensor: &TensorId| {
            let whole = self.whole[tensor];
            let mut writers = self.writers[whole].iter();
            // Of a whole, parts are read before all of them are written.
            writers.all(|&writer| {
                has(done, writer) || whole != tensor && steps[writer].writes != tensor
            })
        };
        steps[step].reads.iter().all(there)
    }

    /// The bytes without which a step cannot run after those that are done.
    fn need(&self, done: &Done, step: StepId) -> usize {
        let problem = self.problem;
        let this = &problem.steps[step];
        let align = |bytes: usize| bytes.next_multiple_of(problem.alignment);
        let output = self.whole[this.writes];
        // Sizes are rounded up, but for that of the last one.
        let mut slack = align(this.scratch) - this.scratch;
        let mut total = align(this.scratch);
        let mut dying = Vec::new();
        for (tensor, &size) in problem.sizes.iter().enumerate() {
            if self.whole[tensor] != tensor || tensor == output {
                continue;
            }
            let here = this.reads.iter().any(|&read| self.whole[read] == tensor);
            let born = tensor == self.whole[problem.input]
                || self.writers[tensor].iter().any(|&writer| has(done, writer));
            let later = |&other: &StepId| other != step && !has(done, other);
            let wanted = tensor == self.whole[problem.output]
                || self.writers[tensor].iter().any(later)
                || self.readers[tensor].iter().any(later);
            let share = this.shares.iter().find(|(shared, _)| *shared == tensor);
            match share {
                Some((_, share)) if !wanted => dying.push((size, *share)),
                _ if here || born && wanted => total += align(size),
                _ => continue,
            }
            slack = slack.max(align(size) - size);
        }
        let size = problem.sizes[output];
        slack = slack.max(align(size) - size);
        total + together(size, &dying, align) - slack
    }
}

/// The least bytes that hold an output and the inputs that it may overlap.
fn together(output: usize, inputs: &[(usize, Share)], align: impl Fn(usize) -> usize) -> usize {
    let output = align(output);
    let saved = inputs.iter().map(|&(input, share)| {
        let gap = match share {
            Share::InPlace => 0,
            Share::Behind(gap) => align(gap),
        };
        let input = align(input);
        (output + input).saturating_sub(output.max(gap + input))
    });
    let saved: usize = saved.sum();
    let inputs: usize = inputs.iter().map(|&(input, _)| align(input)).sum();
    (output + inputs).saturating_sub(saved).max(inputs)
}

/// The bytes without which no plan of this order can do.
pub(super) fn peak(problem: &Problem, order: &[StepId]) -> usize {
    let uses = Uses::new(problem);
    let mut done = vec![0; problem.steps.len().div_ceil(64)];
    let size = |tensor: TensorId| problem.sizes[uses.whole[tensor]];
    let mut peak = size(problem.input).max(size(problem.output));
    for &step in order {
        peak = peak.max(uses.need(&done, step));
        done = with(&done, step);
    }
    peak
}

/// The order with the lowest peak; none where too many orders would have to be looked at.
///
/// Dijkstra's algorithm over sets of steps that are done, where a way is as long as its fullest
/// step. Among equals the one that got further, then the one that keeps to the given order.
pub(super) fn lowest(problem: &Problem) -> Option<Vec<StepId>> {
    let uses = Uses::new(problem);
    let count = problem.steps.len();
    let given: Vec<StepId> = (0..count).collect();
    let limit = peak(problem, &given);
    let start: Done = vec![0; count.div_ceil(64)];
    let mut heap = BinaryHeap::new();
    let mut ways: HashMap<Done, (usize, Option<StepId>)> = HashMap::new();
    ways.insert(start.clone(), (0, None));
    heap.push((Reverse(0), 0, Reverse(0), start));
    let mut pushed = 0;
    while let Some((Reverse(peak), steps, _, done)) = heap.pop() {
        if ways.get(&done).is_some_and(|&(best, _)| best < peak) {
            continue;
        }
        if steps == count {
            return Some(trace(&ways, done));
        }
        for step in (0..count).filter(|&step| !has(&done, step) && uses.ready(&done, step)) {
            let peak = peak.max(uses.need(&done, step));
            let next = with(&done, step);
            let known = ways.get(&next).is_some_and(|&(best, _)| best <= peak);
            if known || peak > limit {
                continue;
            }
            pushed += 1;
            if pushed > STATES {
                return None;
            }
            ways.insert(next.clone(), (peak, Some(step)));
            heap.push((Reverse(peak), steps + 1, Reverse(pushed), next));
        }
    }
    None
}

fn trace(ways: &HashMap<Done, (usize, Option<StepId>)>, mut done: Done) -> Vec<StepId> {
    let mut order = Vec::new();
    while let Some(&(_, Some(step))) = ways.get(&done) {
        order.push(step);
        done[step / 64] &= !(1 << (step % 64));
    }
    order.reverse();
    order
}
