//! Depthwise convolutions in Rust.

use super::{aligned, four, round};
use crate::arch::arm::depthwise::{Pixels, Row};

/// Fours of channels of pixels to lanes.
///
/// # Safety
///
/// The pointers are what `pixels` says.
pub unsafe fn lanes(pixels: *const Pixels) {
    // SAFETY: as the caller says; lanes are words.
    unsafe {
        let pixels = &*pixels;
        let aligned = aligned(&[pixels.from.addr(), pixels.rest]);
        let mut from = pixels.from;
        for pixel in 0..pixels.pixels {
            let mut to = pixels.to.add(pixel);
            for _ in 0..pixels.groups {
                to.write(if aligned {
                    four(from, true)
                } else {
                    four(from, false)
                });
                to = to.wrapping_byte_add(pixels.apart);
                from = from.add(4);
            }
            from = from.add(pixels.rest);
        }
    }
}

/// A row of depthwise outputs of three by three taps, two columns at a time.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise_pairs(row: *const Row) {
    // SAFETY: as the caller says.
    unsafe { pairs_by(&*row, taps) }
}

/// A row of depthwise outputs of any kernel.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise(row: *const Row) {
    // SAFETY: as the caller says.
    unsafe { depthwise_by(&*row, taps) }
}

/// Adds to the sums of four channels what lies under so many taps of each row of lanes, so many bytes
/// behind its start.
pub type Taps = unsafe fn(&mut [i32; 4], &[*const u32], usize, usize, *const i16);

/// [`Taps`] in Rust.
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
    let mut weights = weights.cast::<[i16; 4]>();
    for &lanes in rows {
        let lanes = lanes.wrapping_byte_add(from).cast::<[i8; 4]>();
        for tap in 0..taps {
            // SAFETY: as the caller says.
            let (x, w) = unsafe { (lanes.add(tap).read(), weights.read()) };
            // Weights are those of channels 0, 2, 1 and 3.
            for (channel, lane) in [0, 2, 1, 3].into_iter().enumerate() {
                let product = i32::from(x[channel]) * i32::from(w[lane]);
                sums[channel] = sums[channel].wrapping_add(product);
            }
            weights = weights.wrapping_add(1);
        }
    }
}

/// [`depthwise_pairs`] by any taps.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn pairs_by(row: &Row, taps: Taps) {
    // SAFETY: as the caller says; two columns advance the lanes by 8 bytes.
    unsafe {
        let columns = row.last.offset_from(row.output) as usize / row.pixel + 1;
        let lanes = 8 * columns.div_ceil(2);
        let outputs = columns.next_multiple_of(2) * row.pixel;
        channels(row, &row.rows, 3, 4, [lanes, outputs], taps);
    }
}

/// [`depthwise`] by any taps.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise_by(row: &Row, taps: Taps) {
    // SAFETY: as the caller says.
    unsafe {
        let columns = row.last.offset_from(row.output) as usize / row.pixel + 1;
        let [table, rows, across] = row.rows;
        let table = core::slice::from_raw_parts(table.cast(), rows.addr());
        let behind = [columns * row.stride, columns * row.pixel];
        channels(row, table, across.addr(), row.stride, behind, taps);
    }
}

/// All channels of a row; `behind` is how far lanes and outputs have gone behind its last output.
unsafe fn channels(
    row: &Row,
    rows: &[*const u32],
    across: usize,
    stride: usize,
    behind: [usize; 2],
    taps: Taps,
) {
    let [lanes, outputs] = behind;
    for group in 0..row.groups {
        let next = |step: usize, behind: usize| step.wrapping_add(behind).wrapping_mul(group);
        // SAFETY: the caller's pointers are what the row says.
        unsafe {
            let weights = row.weights.add(group * row.next_weights).cast::<i16>();
            let mut from = next(row.next_lanes, lanes);
            let last = row.last.wrapping_add(next(row.next_output, outputs));
            let mut output = row.output.wrapping_add(next(row.next_output, outputs));
            let factors = row
                .factors
                .byte_add(group * row.factor_step)
                .cast::<[i32; 4]>();
            let bias = row.bias.add(4 * group).cast::<[i32; 4]>();
            let multipliers = bias.byte_offset(row.to_multipliers).cast::<[f32; 4]>();
            while output <= last {
                let mut sums = bias.read();
                taps(&mut sums, rows, from, across, weights);
                for (channel, sum) in sums.into_iter().enumerate() {
                    let (factor, multiplier) = ((*factors)[channel], (*multipliers)[channel]);
                    let value = round(sum, factor, multiplier, row.zero_point);
                    output.add(channel).write(value);
                }
                output = output.wrapping_add(row.pixel);
                from = from.wrapping_add(stride);
            }
        }
    }
}
