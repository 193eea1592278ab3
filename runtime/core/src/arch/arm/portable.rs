//! The inner loops in Rust: for cores without the DSP extension, and what the others' equal.

use super::Core;
use super::binary::Sum;
use super::columns::{Copy, Rows};
use super::dense::Task;
use crate::rounding::{requantize, requantize_fixed};

mod depthwise;

#[cfg_attr(kiln_v7, allow(unused_imports, reason = "these loops are by hand"))]
pub use depthwise::*;

/// Where [`point_bytes`] reads a column: at any multiple of this.
pub const ADDRESS: usize = 1;

/// A four, in one access where that is at a multiple of 4: Armv6-M has no other.
///
/// # Safety
///
/// It is there.
#[inline(always)]
unsafe fn four(from: *const u8, aligned: bool) -> u32 {
    // SAFETY: as the caller says.
    unsafe {
        match aligned {
            true => from.cast::<u32>().read(),
            false => from.cast::<u32>().read_unaligned(),
        }
    }
}

/// Whether all are multiples of 4, where that matters.
fn aligned(places: &[usize]) -> bool {
    cfg!(kiln_v6) && places.iter().all(|place| place.is_multiple_of(4))
}

/// The cores that these loops are for.
pub const CORE: Core = Core::Bytes;

/// Columns that are computed together.
pub const COLUMNS: usize = if cfg!(kiln_v6) { 2 } else { 3 };

/// Words of lanes of a four.
pub const WORDS: usize = 1;

/// A four of int8 values as lanes: as it is.
pub const fn split(four: [u8; 4]) -> [u32; WORDS] {
    [u32::from_le_bytes(four)]
}

/// Equations (3) and (5).
fn round(acc: i32, factor: i32, multiplier: f32, zero_point: i32) -> u8 {
    let zero_point = zero_point as i8;
    let value = match factor {
        0 => requantize(acc, multiplier, zero_point, i8::MIN, i8::MAX),
        _ => requantize_fixed(acc, factor, zero_point, i8::MIN, i8::MAX),
    };
    value as u8
}

/// Rounds the accumulator of a channel of a task, whose factors are so many together.
///
/// # Safety
///
/// The channel is one of the task's.
pub unsafe fn round_of<const TOGETHER: usize>(task: &Task, channel: usize, acc: i32) -> u8 {
    // SAFETY: the caller's channel is one of the task's.
    unsafe {
        let groups = channel / TOGETHER;
        let factors = task.factors.byte_add(groups * task.factor_step);
        let factor = factors.add(channel % TOGETHER).read();
        let multipliers = task.bias.byte_offset(task.to_multipliers).cast::<f32>();
        let multiplier = multipliers.add(channel).read();
        round(acc, factor, multiplier, task.zero_point)
    }
}

/// Three columns through all pairs of channels.
///
/// # Safety
///
/// The task's pointers are what it says.
pub unsafe fn dense(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe {
        let task = &*task;
        let channels = task.output_end.offset_from(task.output) as usize;
        let mut weights = task.weights;
        for pair in 0..channels.div_ceil(2) {
            let channel = 2 * pair;
            let mut sums =
                [task.bias.add(channel), task.bias.add(channel + 1)].map(|bias| [bias.read(); 3]);
            for four in 0..task.fours {
                for (out, sums) in sums.iter_mut().enumerate() {
                    let w = weights.add(4 * out).cast::<[i8; 4]>().read();
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let x = task.columns.add(3 * four + column).cast::<[i8; 4]>().read();
                        *sum = dot(*sum, x, w);
                    }
                }
                weights = weights.add(16);
            }
            weights = weights.offset(task.turns[pair % 2]);
            let places = [0, task.offsets[0], task.offsets[1]];
            for out in [1, 0] {
                for column in [2, 1, 0] {
                    let value = round_of::<2>(task, channel + out, sums[out][column]);
                    let offset = places[column] + channel + out * task.second;
                    task.output.add(offset).write(value);
                }
            }
        }
    }
}

/// A sum with four products more.
fn dot(sum: i32, x: [i8; 4], w: [i8; 4]) -> i32 {
    let products = x.into_iter().zip(w);
    products.fold(sum, |sum, (x, w)| {
        sum.wrapping_add(i32::from(x) * i32::from(w))
    })
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
        let channels = (task.output_end.offset_from(task.output) as usize).next_multiple_of(4);
        for first in (0..channels).step_by(4) {
            let mut sums: [i32; 4] = task.bias.add(first).cast::<[i32; 4]>().read();
            let mut weights = task.weights.add(first * 4 * task.fours).cast::<[i8; 4]>();
            for four in 0..task.fours {
                let x = task.columns.add(four).cast::<[i8; 4]>().read();
                for sum in &mut sums {
                    *sum = dot(*sum, x, weights.read());
                    weights = weights.add(1);
                }
            }
            for (out, sum) in sums.into_iter().enumerate() {
                let value = round_of::<4>(task, first + out, sum);
                task.output.add(first + out).write(value);
            }
        }
    }
}

/// A loop through all fours of channels of one column.
pub type Point = unsafe fn(*const Task);

/// [`point`] of weights that are read two at a time, of which there are none.
#[allow(unused_imports, reason = "Armv6-M has some")]
pub use point as point_twos;

/// [`point`] of values as they are, which its lanes are too.
///
/// # Safety
///
/// The task's pointers are what it says.
pub unsafe fn point_bytes(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe { point(task) }
}

/// Rows of bytes, by fours.
///
/// # Safety
///
/// The pointers are what `rows` says.
pub unsafe fn copy(rows: *const Copy) {
    // SAFETY: as the caller says.
    unsafe {
        let rows = &*rows;
        for row in 0..rows.rows {
            let to = rows.to.add(row * rows.to_pitch);
            let from = rows.from.add(row * rows.pitch);
            for at in (0..rows.bytes).step_by(4) {
                let four = from.add(at).cast::<[u8; 4]>().read();
                to.add(at).cast::<[u8; 4]>().write(four);
            }
        }
    }
}

/// Rows of fours of the columns that go together to lanes.
///
/// # Safety
///
/// The pointers are what `rows` says.
pub unsafe fn together(rows: *const Rows) {
    // SAFETY: as the caller says.
    unsafe {
        let rows = &*rows;
        if aligned(&[rows.from.addr(), rows.pitch, rows.next]) {
            together_by(rows, true);
        } else {
            together_by(rows, false);
        }
    }
}

#[inline(always)]
unsafe fn together_by(rows: &Rows, aligned: bool) {
    let mut to = rows.to;
    for row in 0..rows.rows {
        let mut from = rows.from.wrapping_add(row * rows.pitch);
        for _ in 0..rows.fours {
            for column in 0..COLUMNS {
                // SAFETY: as the caller of `together` says.
                unsafe {
                    to.add(column)
                        .write(four(from.add(column * rows.next), aligned))
                };
            }
            to = to.wrapping_add(COLUMNS);
            from = from.wrapping_add(4);
        }
    }
}

/// Fours to lanes, `step` bytes apart; gives the next place.
///
/// # Safety
///
/// The fours are there, and room for their lanes.
pub unsafe fn one(to: *mut u32, from: *const u8, fours: usize, step: usize) -> *mut u32 {
    let aligned = aligned(&[from.addr()]);
    let mut to = to;
    for index in 0..fours {
        // SAFETY: as the caller says; lanes are words.
        unsafe {
            let from = from.add(4 * index);
            to.write(if aligned {
                four(from, true)
            } else {
                four(from, false)
            });
        }
        to = to.wrapping_byte_add(step);
    }
    to
}

/// Where fours of columns go before they get lanes: they are these.
pub const fn narrow(lanes: *mut u32, _: usize) -> *mut u32 {
    lanes
}

/// Lanes of columns, which they are already.
///
/// # Safety
///
/// None is needed.
pub const unsafe fn widen(_: *mut u32, _: usize) {}

/// Sums of two tensors.
///
/// # Safety
///
/// The pointers are what `sum` says.
pub unsafe fn sum(sum: *const Sum) {
    // SAFETY: as the caller says.
    unsafe {
        let sum = &*sum;
        let [to_a, to_b, start] = sum.terms.map(|term| term as i32);
        for index in 0..4 * sum.fours {
            let [a, b] = [sum.a, sum.b].map(|from| i32::from(from.add(index).read() as i8));
            let value = (a * to_a + b * to_b).wrapping_add(start) >> sum.shift;
            sum.output.add(index).write(value.clamp(-128, 127) as u8);
        }
    }
}

/// Whether there is a sum by floats.
pub const HAS_FLOAT_SUM: bool = false;

/// There is none.
///
/// # Safety
///
/// None is needed.
pub unsafe fn float_sum(_: *const Sum) {}

/// Adds four channels of so many pixels, `step` bytes apart.
///
/// # Safety
///
/// They are there.
pub unsafe fn row_sums(from: *const u8, pixels: usize, step: usize, sums: &mut [i32; 4]) {
    let mut from = from;
    for _ in 0..pixels {
        for (channel, sum) in sums.iter_mut().enumerate() {
            // SAFETY: as the caller says.
            *sum += i32::from(unsafe { from.add(channel).cast::<i8>().read() });
        }
        from = from.wrapping_add(step);
    }
}
