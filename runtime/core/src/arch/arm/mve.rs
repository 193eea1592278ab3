//! Convolutions of one group by vectors (Helium), two columns at a time. Equation (6).
//!
//! A column is its values as they are, in scratch; where the input is the one column, it is read where it
//! lies. Weights are [`Packing::Quads`], which VLD4 takes apart.

use core::arch::global_asm;

use super::constants::Constants;
use super::dense::Plan;
use super::mve_input::{Input, kiln_vector_fill};
use super::vectors::Way;
use super::{Core, clamp, mve_points, range, room, scratch};
use crate::layer::Conv;
use crate::operators::Set;

global_asm!(
    include_str!("mve.s"),
    include_str!("mve_depthwise.s"),
    include_str!("mve_points.s"),
    options(raw)
);

unsafe extern "C" {
    fn kiln_vector_one(task: *const Task);
    fn kiln_vector_two(task: *const Task);
}

/// What the inner loops take. `mve.s` knows the places.
#[repr(C)]
struct Task {
    /// The first column.
    columns: *const u8,
    /// Bytes to the second.
    next: usize,
    /// Sixteens of taps.
    sixteens: usize,
    /// Fours behind them.
    fours: usize,
    /// Biases.
    bias: *const i32,
    /// Factors; 0 where there is none.
    factors: *const i32,
    /// Bytes to the next four factors.
    factor_step: usize,
    /// Multipliers.
    multipliers: *const f32,
    /// Of the output.
    zero_point: i32,
    /// The first column's output.
    output: *mut u8,
    /// Bytes to the second's.
    channels_apart: usize,
    /// Channels, some.
    channels: usize,
    /// Weights.
    weights: *const u8,
}

/// Runs the layer; none where it is left to others, and nothing is written.
pub fn run(conv: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    let plan = Plan::of(conv, Core::Vectors, Set::EVERY)?;
    let way = Way::of(conv, &plan, room(conv))?;
    let constants = Constants::of(conv)?;
    let input = range(&conv.input, arena)?;
    let output = range(&conv.output, arena)?;
    let gathered = match way.len(&plan) {
        0 => None,
        len => {
            let gathered = scratch(conv, arena, len)?;
            // Read with the last columns, and not gathered.
            let first = way.not_gathered(&plan);
            // SAFETY: scratch has so many bytes.
            unsafe { kiln_vector_fill(gathered.wrapping_add(first), 0, len - first) };
            Some(gathered)
        }
    };
    let (column, most) = match (way, gathered) {
        (Way::Points(columns), _) => {
            return mve_points::run(conv, set, arena, &constants, (columns, gathered));
        }
        (Way::Pairs(columns), Some(gathered)) => (gathered, columns),
        _ => (arena.as_mut_ptr().wrapping_add(input.start), 1),
    };
    if most == 0 {
        return None;
    }
    let pixels = conv.output.shape.pixels();
    let channels = conv.output.shape.channels as usize;
    let fours = plan.fours();
    let bytes = arena.as_mut_ptr();
    let window = Input::of(conv, bytes.wrapping_add(input.start));
    let mut task = Task {
        columns: column,
        next: 4 * fours,
        sixteens: fours / 4,
        fours: fours % 4,
        bias: constants.bias,
        factors: constants.factors,
        factor_step: constants.factor_step(4),
        multipliers: constants.multipliers,
        zero_point: conv.output.zero_point.into(),
        output: bytes.wrapping_add(output.start),
        channels_apart: channels,
        channels,
        weights: constants.weights,
    };
    let mut place = [0; 2];
    for first in (0..pixels).step_by(most) {
        let count = (pixels - first).min(most);
        // SAFETY: `Constants::of` and `range` have looked at the lengths; scratch has room for the
        // columns.
        unsafe {
            if gathered.is_some() {
                window.gather(&mut place, count, column, 4 * fours);
            }
            task.columns = column;
            for index in (0..count).step_by(2) {
                match count - index {
                    1 => kiln_vector_one(&task),
                    _ => kiln_vector_two(&task),
                }
                task.columns = task.columns.wrapping_add(8 * fours);
                task.output = task.output.wrapping_add(2 * channels);
            }
        }
    }
    clamp(conv, set, arena)
}
