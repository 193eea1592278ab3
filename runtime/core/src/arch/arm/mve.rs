//! Convolutions of one group by vectors (Helium), two columns at a time. Equation (6).
//!
//! A column is its values as they are, in scratch; where the input is the one column, it is read where it
//! lies. Weights are [`Packing::Quads`], which VLD4 takes apart.

use core::arch::global_asm;

use super::constants::Constants;
use super::dense::Plan;
use super::{clamp, range, scratch};
use crate::layer::Conv;
use crate::operators::Set;
use crate::packing::Packing;

global_asm!(
    include_str!("mve.s"),
    include_str!("mve_depthwise.s"),
    options(raw)
);

unsafe extern "C" {
    fn kiln_vector_one(task: *const Task);
    fn kiln_vector_two(task: *const Task);
    fn kiln_vector_copy(to: *mut u8, from: *const u8, bytes: usize, rows: usize, pitch: usize);
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
pub fn run(conv: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    // Columns of values take no more scratch than columns of lanes.
    let plan = Plan::of(conv, 1)?;
    let constants = Constants::of(conv)?;
    let input = range(&conv.input, arena)?;
    let output = range(&conv.output, arena)?;
    let pixels = conv.output.shape.pixels();
    let channels = conv.output.shape.channels as usize;
    let fours = Packing::taps(conv.kernel_shape()).div_ceil(4);
    let apart = output.end <= input.start || input.end <= output.start;
    let straight = plan.straight() && apart;
    let columns = if pixels == 1 { 1 } else { 2 };
    let column: *mut u8 = match straight {
        true => arena.as_mut_ptr().wrapping_add(input.start),
        false => scratch(conv, arena, columns * 4 * fours)?,
    };
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
    let width = conv.output.shape.width as usize;
    let (mut y, mut x) = (0, 0);
    for first in (0..pixels).step_by(2) {
        let count = (pixels - first).min(2);
        // SAFETY: `Constants::of` and `range` have looked at the lengths; scratch has room for the
        // columns.
        unsafe {
            for index in 0..if straight { 0 } else { count } {
                window.gather(y, x, column.wrapping_add(4 * fours * index));
                x += 1;
                if x == width {
                    (y, x) = (y + 1, 0);
                }
            }
            match count {
                1 => kiln_vector_one(&task),
                _ => kiln_vector_two(&task),
            }
        }
        task.output = task.output.wrapping_add(2 * channels);
    }
    clamp(conv, Set::EVERY, arena)
}

/// What columns are made from.
struct Input {
    bytes: *const u8,
    height: isize,
    width: isize,
    channels: usize,
    kernel: [isize; 2],
    stride: [isize; 2],
    dilation: [isize; 2],
    /// Above, and to the left.
    padding: [isize; 2],
    zero: u8,
}

impl Input {
    fn of(conv: &Conv<'_>, bytes: *const u8) -> Self {
        let (shape, window) = (conv.input.shape, &conv.window);
        let [top, left, ..] = window.padding;
        let both = |pair: [u16; 2]| pair.map(|side| side as isize);
        Self {
            bytes,
            height: shape.height as isize,
            width: shape.width as isize,
            channels: shape.channels as usize,
            kernel: both(window.kernel),
            stride: both(window.stride),
            dilation: both(window.dilation),
            padding: both([top, left]),
            zero: conv.input.zero_point.cast_unsigned(),
        }
    }

    /// The values under the window of an output pixel, one behind the other.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `to` has the room.
    unsafe fn gather(&self, y: usize, x: usize, to: *mut u8) {
        let top = y as isize * self.stride[0] - self.padding[0];
        let left = x as isize * self.stride[1] - self.padding[1];
        let [height, width] = self.kernel;
        let inside = |start: isize, taps: isize, step: isize, end: isize| {
            start >= 0 && start + (taps - 1) * step < end
        };
        let dense = width == 1 || self.dilation[1] == 1;
        if dense
            && inside(top, height, self.dilation[0], self.height)
            && inside(left, width, 1, self.width)
        {
            let pitch = (self.dilation[0] * self.width) as usize * self.channels;
            let row = width as usize * self.channels;
            // SAFETY: all taps are within the input.
            unsafe { kiln_vector_copy(to, self.at(top, left), row, height as usize, pitch) };
            return;
        }
        let mut to = to;
        for row in 0..height {
            let y = top + row * self.dilation[0];
            for column in 0..width {
                let x = left + column * self.dilation[1];
                let within = (0..self.height).contains(&y) && (0..self.width).contains(&x);
                // SAFETY: as the caller says; what is not within the input is filled.
                unsafe {
                    match within {
                        true => kiln_vector_copy(to, self.at(y, x), self.channels, 1, 0),
                        false => to.write_bytes(self.zero, self.channels),
                    }
                }
                to = to.wrapping_add(self.channels);
            }
        }
    }

    /// A pixel of the input.
    const fn at(&self, y: isize, x: isize) -> *const u8 {
        let pixel = y.wrapping_mul(self.width).wrapping_add(x);
        self.bytes
            .wrapping_offset(pixel.wrapping_mul(self.channels as isize))
    }
}
