//! Where each activation lies in the arena, and in which order the layers run.
//!
//! | stage | file | what |
//! |---|---|---|
//! | order | `order` | a topological order of the steps whose fullest step is as empty as can be |
//! | merge | `buffers` | tensors that share their bytes become one buffer |
//! | place | `place` | offsets of the buffers: greedy orders, improved, or exact |
//!
//! Two tensors that are needed at one time must not share bytes, with three exceptions:
//!
//! - A step may work in place: its output takes the place of an input that nobody needs afterwards
//!   ([`Share::InPlace`]).
//! - A step that goes through its output in NHWC order has read the first rows of its input when it
//!   writes the later ones. Its output may overlap an input that nobody needs afterwards if it
//!   starts far enough before it ([`Share::Behind`]).
//! - A tensor may be a part of another one ([`Inside`]): an input of Concat that is written where
//!   the joined tensor has it.

mod buffers;
mod order;
mod place;

use buffers::Buffers;
use place::Placement;

/// Index into [`Problem::sizes`].
pub type TensorId = usize;
/// Index into [`Problem::steps`].
pub type StepId = usize;

/// What is to be planned.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// Bytes of each tensor.
    pub sizes: Vec<usize>,
    /// What is done, in an order in which each step comes after those that write what it reads.
    pub steps: Vec<Step>,
    /// There before the first step.
    pub input: TensorId,
    /// There after the last step.
    pub output: TensorId,
    /// Offsets are multiples of this; at least 1.
    pub alignment: usize,
    /// Tensors that are parts of others, which are themselves no parts.
    pub inside: Vec<Inside>,
}

/// What one layer needs.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What it reads.
    pub reads: Vec<TensorId>,
    /// What it writes, or a part of what it writes: a tensor may have several steps that write it.
    pub writes: TensorId,
    /// Bytes that it needs while it runs.
    pub scratch: usize,
    /// Which of `reads` may share bytes with `writes` where this step is the last to need them.
    pub shares: Vec<(TensorId, Share)>,
}

/// How an output may lie over an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Both at the same offset; they have the same size.
    InPlace,
    /// The input starts at least this many bytes after the output.
    Behind(usize),
}

/// A tensor that is a part of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The part.
    pub tensor: TensorId,
    /// The whole.
    pub of: TensorId,
    /// Where the part starts in the whole; a multiple of the alignment.
    pub at: usize,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps in the order in which they are to run.
    pub order: Vec<StepId>,
    /// Of each tensor.
    pub offsets: Vec<usize>,
    /// The offset of each step's scratch; 0 where it has none.
    pub scratch: Vec<usize>,
    /// Bytes of the arena, exactly.
    pub peak: usize,
    /// No plan with this order can be smaller.
    pub bound: usize,
}

impl Problem {
    fn is_part(&self, tensor: TensorId) -> bool {
        self.inside.iter().any(|part| part.tensor == tensor)
    }
}

/// Plans the arena.
///
/// At least as small as the best of the greedy placements by size, lifetime, area, first and last
/// use. Exact for the merges it chose where there are few buffers.
pub fn plan(problem: &Problem) -> Plan {
    let given: Vec<StepId> = (0..problem.steps.len()).collect();
    let best = plan_in_order(problem, &given);
    match order::lowest(problem) {
        Some(order) if order != given => {
            let other = plan_in_order(problem, &order);
            if other.peak < best.peak { other } else { best }
        }
        _ => best,
    }
}

/// For each step in the order of the plan, the end of the last tensor that is needed while it runs:
/// the greatest of them is the peak.
pub fn live_ends(problem: &Problem, plan: &Plan) -> Vec<usize> {
    buffers::live_ends(problem, plan)
}

/// A plan with steps of the problem that need no more scratch than when it was made, and perhaps less.
pub fn with_scratch_of(problem: &Problem, mut plan: Plan) -> Plan {
    for (offset, step) in plan.scratch.iter_mut().zip(&problem.steps) {
        // A place that nothing needs may lie behind the peak.
        if step.scratch == 0 {
            *offset = 0;
        }
    }
    Plan {
        peak: live_ends(problem, &plan)
            .into_iter()
            .max()
            .unwrap_or(plan.peak),
        bound: order::peak(problem, &plan.order),
        ..plan
    }
}

/// Plans without a change of the order.
fn plan_in_order(problem: &Problem, order: &[StepId]) -> Plan {
    let bound = order::peak(problem, order);
    let mut merges = buffers::merges(problem, order);
    let buffers = |merges: &[buffers::Merge]| Buffers::new(problem, order, merges);
    let quick = |merges: &[buffers::Merge]| place::greedy(&buffers(merges).boxes, bound).peak;
    // Of a step that could take the place of either input, the better choice; and whether it pays at
    // all, because one place for a long time can be worse than two for a short time.
    let mut peak = quick(&merges);
    for index in 0..merges.len() {
        if peak <= bound {
            break;
        }
        for choice in 0..=merges[index].candidates.len() {
            let before = merges[index].chosen;
            merges[index].chosen = choice;
            let other = quick(&merges);
            if other < peak {
                peak = other;
            } else {
                merges[index].chosen = before;
            }
        }
    }
    let buffers = buffers(&merges);
    let Placement { offsets, peak } = place::best(&buffers.boxes, bound);
    Plan {
        order: order.to_vec(),
        offsets: buffers
            .tensors
            .iter()
            .map(|&(of, at)| offsets[of] + at)
            .collect(),
        scratch: buffers
            .scratch
            .iter()
            .map(|of| of.map_or(0, |of| offsets[of]))
            .collect(),
        peak,
        bound,
    }
}

#[cfg(test)]
mod tests;
