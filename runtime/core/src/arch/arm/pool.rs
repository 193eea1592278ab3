//! Maxima and averages over windows within the input. QUANTIZATION.md, equations (12), (13) and (15).

use super::{loops, makes, start};
use crate::layer::{Pool, PoolKind};
use crate::operators::{Operator, Set};
use crate::rounding::{limit, requantize, requantize_fixed};
use crate::window::sizes;

/// Channels that go together.
const TOGETHER: usize = 4;

/// The kernel that takes the layer; none where it is left to the plain loop.
pub fn needs(layer: &Pool) -> Option<Set> {
    let (input, output, window) = (layer.input.shape, layer.output.shape, &layer.window);
    let fits = window.padding == [0; 4]
        && window.dilation == [1; 2]
        && window.taps() > 0
        && input.channels == output.channels
        && makes(window, &input, &output);
    let [rows, columns] = sizes(window.kernel);
    let global = [rows, columns] == [input.height as usize, input.width as usize];
    let set = match layer.kind {
        PoolKind::Max => Set::NONE.with(Operator::Maximum),
        PoolKind::Average { fixed, .. } if fixed != 0 || global => Set::NONE
            .with(Operator::Average)
            .with_if(fixed == 0, Operator::Exact),
        PoolKind::Average { .. } => return None,
    };
    let rest = !input.channels.is_multiple_of(TOGETHER as u32);
    fits.then_some(set.with_if(rest, Operator::Rest))
}

/// Runs the layer; none where it is left to the plain loop, and nothing is written.
pub fn run(layer: &Pool, set: Set, arena: &mut [u8]) -> Option<()> {
    if !set.has_all(needs(layer)?) {
        return None;
    }
    let (input, output, window) = (layer.input.shape, layer.output.shape, &layer.window);
    let [rows, columns] = sizes(window.kernel);
    let width = input.width as usize;
    let taps = window.taps();
    let average = match layer.kind {
        PoolKind::Max if set.has(Operator::Maximum) => None,
        PoolKind::Average { scales, fixed, .. } if set.has(Operator::Average) => {
            Some((scales[0] / (scales[1] * taps as f32), fixed))
        }
        _ => return None,
    };
    let (from, mut at) = (start(&layer.input, arena)?, start(&layer.output, arena)?);
    let channels = input.channels as usize;
    let zero = i32::from(layer.input.zero_point).wrapping_mul(taps as i32);
    let [down, across] = sizes(window.stride);
    for y in 0..output.height as usize {
        for x in 0..output.width as usize {
            let first = from + (y * down * width + x * across) * channels;
            // The plain loop may write over what it has read of a pixel's first channels, not later.
            let mut pixel = [0; crate::ops::PIXEL];
            for part in (0..channels).step_by(pixel.len()) {
                let pixel = pixel.get_mut(..(channels - part).min(crate::ops::PIXEL))?;
                for (group, values) in pixel.chunks_mut(TOGETHER).enumerate() {
                    let start = first + part + group * TOGETHER;
                    let windows = Windows {
                        rows,
                        columns,
                        width,
                        channels,
                    };
                    match average {
                        None => {
                            let most = windows.fold(
                                arena,
                                start,
                                values.len(),
                                i32::from(i8::MIN),
                                i32::max,
                            )?;
                            for (value, most) in values.iter_mut().zip(most) {
                                *value = limit(most, layer.low, layer.high) as u8;
                            }
                        }
                        Some((factor, fixed)) => {
                            let sums = match values.len() {
                                few if few < TOGETHER && set.has(Operator::Rest) => {
                                    windows.fold(arena, start, few, 0, i32::wrapping_add)?
                                }
                                _ => windows.sums(arena, start)?,
                            };
                            for (value, sum) in values.iter_mut().zip(sums) {
                                let sum = sum.wrapping_sub(zero);
                                let zero_point = layer.output.zero_point;
                                let (low, high) = (layer.low, layer.high);
                                let rounded = match fixed {
                                    0 if set.has(Operator::Exact) => {
                                        requantize(sum, factor, zero_point, low, high)
                                    }
                                    _ => requantize_fixed(sum, fixed, zero_point, low, high),
                                };
                                *value = rounded as u8;
                            }
                        }
                    }
                }
                arena.get_mut(at..at + pixel.len())?.copy_from_slice(pixel);
                at += pixel.len();
            }
        }
    }
    Some(())
}

/// Rows and columns of a window in rows of `width` pixels.
struct Windows {
    rows: usize,
    columns: usize,
    width: usize,
    channels: usize,
}

impl Windows {
    /// Sums of four channels over the window whose first value is at `start`.
    fn sums(&self, arena: &[u8], start: usize) -> Option<[i32; TOGETHER]> {
        // Rows with nothing between them are one.
        let (rows, columns) = match self.columns == self.width {
            true => (1, self.rows * self.columns),
            false => (self.rows, self.columns),
        };
        let pitch = self.width * self.channels;
        let last = start + (rows - 1) * pitch + (columns - 1) * self.channels;
        let bytes = arena.get(start..last + TOGETHER)?;
        let mut sums = [0; TOGETHER];
        for row in 0..rows {
            // SAFETY: the last row's last four end where `bytes` do.
            unsafe {
                let from = bytes.as_ptr().add(row * pitch);
                loops::row_sums(from, columns, self.channels, &mut sums);
            }
        }
        Some(sums)
    }

    /// Folds the values of up to four channels over the window whose first value is at `start`.
    #[inline(always)]
    fn fold(
        &self,
        arena: &[u8],
        start: usize,
        channels: usize,
        first: i32,
        f: impl Fn(i32, i32) -> i32,
    ) -> Option<[i32; TOGETHER]> {
        let mut folded = [first; TOGETHER];
        for row in 0..self.rows {
            let mut rest = arena.get(start + row * self.width * self.channels..)?;
            for column in 0..self.columns {
                if column > 0 {
                    rest = rest.get(self.channels..)?;
                }
                match rest.first_chunk::<TOGETHER>() {
                    Some(four) if channels == TOGETHER => {
                        for (value, x) in folded.iter_mut().zip(four) {
                            *value = f(*value, i32::from(*x as i8));
                        }
                    }
                    _ => {
                        for (value, x) in folded.iter_mut().zip(rest.get(..channels)?) {
                            *value = f(*value, i32::from(*x as i8));
                        }
                    }
                }
            }
        }
        Some(folded)
    }
}
