//! Convolutions of up to 64 taps by vectors (Helium): a channel's weights stay in registers while columns go by.
//!
//! Columns are pixels where they lie, if the kernel is one by one; else, or where outputs would go over
//! them, they are gathered in scratch.

use super::constants::Constants;
use super::mve_depthwise::Task;
use super::mve_input::{Input, columns};
use super::{clamp, range};
use crate::layer::Conv;
use crate::operators::Set;
use crate::packing::Packing;

unsafe extern "C" {
    fn kiln_vector_points_16(task: *const Task);
    fn kiln_vector_points_32(task: *const Task);
    fn kiln_vector_points_48(task: *const Task);
    fn kiln_vector_points_64(task: *const Task);
}

/// What a vector holds.
const VECTOR: usize = 16;

/// Columns that go together.
const TOGETHER: usize = 4;

/// Columns for which loading weights pays.
const LEAST: usize = 8;

/// Runs the layer; none where it is left to others, and nothing is written.
pub fn run(conv: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    if conv.output.shape.pixels() < TOGETHER {
        return None;
    }
    super::dense::Plan::of(conv, super::Core::Vectors, Set::EVERY)?;
    let constants = Constants::of(conv)?;
    let (input, output) = (range(&conv.input, arena)?, range(&conv.output, arena)?);
    let pixels = conv.output.shape.pixels();
    let fours = Packing::taps(conv.kernel_shape()).div_ceil(4);
    let vectors = fours.div_ceil(4);
    let points = match vectors {
        1 => kiln_vector_points_16,
        2 => kiln_vector_points_32,
        3 => kiln_vector_points_48,
        4 => kiln_vector_points_64,
        _ => return None,
    };
    let straight = conv.window.taps() == 1 && conv.window.padding == [0; 4];
    let (gathered, room) = columns(conv, arena, 4 * fours)?;
    let from = gathered.addr() - arena.as_ptr().addr();
    // Whole fours of columns that can be read from a place on, up to whole vectors.
    let end = arena.len();
    let readable = |from: usize, pitch: usize| {
        let behind_first = end.saturating_sub(from).checked_sub(VECTOR * vectors);
        let columns = behind_first.and_then(|bytes| Some(bytes.checked_div(pitch)? + 1));
        columns.unwrap_or(0) / TOGETHER * TOGETHER
    };
    let room = (room / TOGETHER * TOGETHER).min(readable(from, 4 * fours));
    if room < TOGETHER {
        return None;
    }
    if room < LEAST {
        // In the middle as many have to be read where they lie.
        let inner = (input.start + input.end).abs_diff(output.start + output.end) / 2;
        let widest = conv.input.shape.channels.max(conv.output.shape.channels) as usize;
        if !straight || inner < LEAST * widest {
            return None;
        }
    }
    let bytes = arena.as_mut_ptr();
    let window = Input::of(conv, bytes.wrapping_add(input.start));
    let in_channels = conv.input.shape.channels as usize;
    let (channels, width) = (conv.output.shape.channels, conv.output.shape.width as usize);
    let mut task = Task {
        lanes: gathered,
        output: bytes,
        weights: constants.weights,
        bias: constants.bias,
        factors: constants.factors,
        factor_step: constants.factor_step(1),
        multipliers: constants.multipliers,
        zero_point: conv.output.zero_point.into(),
        channels: channels as usize,
        next_window: 4 * fours,
        next_output: TOGETHER * channels as usize,
        fours: 0,
        whole: 0xffff,
        last: 0,
        taps: 0xffff >> (4 * (4 * vectors - fours)),
        next_weights: 16 * fours,
        offsets: [0, 16, 32, 48],
        output_offsets: [0, channels, 2 * channels, 3 * channels],
        columns: [0; 4],
    };
    let channels = channels as usize;
    let [down, across] = conv.window.stride.map(usize::from);
    // Pixels of all rows follow one another, or those of one.
    let joined = straight && [down, across] == [1; 2];
    let pitch = across * in_channels;
    let (mut first, mut place) = (0, [0; 2]);
    while first < pixels {
        let [y, x] = place;
        let output = output.start + first * channels;
        let left = if joined { pixels - first } else { width - x };
        let pixel = y * down * conv.input.shape.width as usize + x * across;
        let from = input.start + pixel * in_channels;
        // As many as have no outputs over them.
        let apart = match from.checked_sub(output) {
            Some(bytes) => bytes.checked_div(channels),
            None => (output - from).checked_div(pitch),
        };
        let mut count = left.min(apart?).min(readable(from, pitch));
        if straight && (count == left || count >= LEAST) {
            if count < left {
                count = count / TOGETHER * TOGETHER;
            }
            task.lanes = bytes.wrapping_add(from);
            task.next_window = pitch;
        } else {
            count = room.min(pixels - first);
            task.lanes = gathered;
            task.next_window = 4 * fours;
        }
        // SAFETY: `Constants::of` and `range` have looked at the lengths, `readable` at what is read;
        // scratch has the room.
        unsafe {
            if task.lanes == gathered {
                window.gather(&mut place, count, gathered, 4 * fours);
            } else {
                let [y, x] = &mut place;
                *x += count;
                while *x >= width {
                    (*y, *x) = (*y + 1, *x - width);
                }
            }
            task.output = bytes.wrapping_add(output);
            task.fours = count / TOGETHER;
            task.last = (1 << (4 * (count % TOGETHER))) - 1;
            points(&task);
        }
        first += count;
    }
    clamp(conv, set, arena)
}
