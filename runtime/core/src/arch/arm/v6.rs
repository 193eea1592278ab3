//! The inner loop for Armv6-M; [`portable`](super::portable) says the same in Rust, and has the others.

use core::arch::global_asm;

use super::dense::Task;
use super::depthwise::Row;
use super::portable::{self, round_of};

pub use super::portable::{
    HAS_FLOAT_SUM, WORDS, copy, float_sum, lanes, one, row_sums, split, sum, three,
};

global_asm!(include_str!("v6.s"), options(raw));

/// Where [`point_bytes`] reads a column: at any multiple of this.
pub const ADDRESS: usize = 4;

/// [`point`] of values as they are, which its lanes are too.
pub use point as point_bytes;

unsafe extern "C" {
    fn kiln_four(
        sums: *mut [i32; 4],
        column: *const u32,
        weights: *const u8,
        fours: usize,
        step: usize,
    );
    fn kiln_taps(
        sums: *mut [i32; 4],
        rows: *const *const u32,
        weights: *const i16,
        taps: usize,
        count: usize,
        from: usize,
    );
}

/// A row of depthwise outputs of three by three taps.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise_pairs(row: *const Row) {
    // SAFETY: as the caller says.
    unsafe { portable::pairs_by(&*row, taps) }
}

/// A row of depthwise outputs of any kernel.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise(row: *const Row) {
    // SAFETY: as the caller says.
    unsafe { portable::depthwise_by(&*row, taps) }
}

/// [`Taps`](portable::Taps) by hand.
///
/// # Safety
///
/// Lanes and weights are there.
unsafe fn taps(
    sums: &mut [i32; 4],
    rows: &[*const u32],
    from: usize,
    taps: usize,
    weights: *const i16,
) {
    // SAFETY: as the caller says.
    unsafe { kiln_taps(sums, rows.as_ptr(), weights, taps, rows.len(), from) };
}

/// Three columns through all pairs of channels. Channels that make no four are left to the portable loop.
///
/// # Safety
///
/// The task's pointers are what it says.
pub unsafe fn dense(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe {
        let task = &*task;
        let channels = task.output_end.offset_from(task.output) as usize;
        let whole = channels / 4 * 4;
        let places = [0, task.offsets[0], task.offsets[1]];
        for column in [2, 1, 0] {
            if column > 0 && places[column] == 0 {
                continue;
            }
            four::<2>(task, task.columns.add(column), 12, places[column], whole);
        }
        if whole < channels {
            let pairs = whole / 2;
            portable::dense(&Task {
                bias: task.bias.add(whole),
                factors: task.factors.byte_add(pairs * task.factor_step),
                output: task.output.add(whole),
                weights: task.weights.add(4 * whole * task.fours),
                ..*task
            });
        }
    }
}

/// One column through all fours of channels.
///
/// # Safety
///
/// The task's pointers are what it says.
pub unsafe fn point(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe {
        let task = &*task;
        let channels = task.output_end.offset_from(task.output) as usize;
        four::<4>(task, task.columns, 4, 0, channels.next_multiple_of(4));
    }
}

/// A column, whose fours are `step` bytes apart, through channels up to `channels`; outputs go so many
/// bytes behind the task's.
unsafe fn four<const TOGETHER: usize>(
    task: &Task,
    column: *const u32,
    step: usize,
    output: usize,
    channels: usize,
) {
    for first in (0..channels).step_by(4) {
        // SAFETY: as the caller says.
        unsafe {
            let mut sums = task.bias.add(first).cast::<[i32; 4]>().read();
            let weights = task.weights.add(4 * first * task.fours);
            kiln_four(&mut sums, column, weights, task.fours, step);
            for (channel, sum) in (first..).zip(sums) {
                let value = round_of::<TOGETHER>(task, channel, sum);
                task.output.add(output + channel).write(value);
            }
        }
    }
}
