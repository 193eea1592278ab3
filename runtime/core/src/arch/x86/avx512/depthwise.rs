//! Depthwise convolutions: 16 channels at a time, whose taps along a row are brought together.

use core::arch::x86_64::*;

use super::Constants;
use super::round::quarter;
use crate::arch::strips::Strips;
use crate::layer::Conv;
use crate::packing::BLOCK;

/// 16 channels of a strip.
struct Slice<'a> {
    constants: &'a Constants<'a>,
    index: usize,
    start: __m512i,
    multipliers: __m512,
    /// Bytes between strip rows.
    row: usize,
    /// Bytes between kernel rows.
    kernel_row: usize,
    /// Bytes between pixels.
    step: usize,
}

/// `output`: the rows of the strip, `[rows][width][channels]`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub fn run(
    constants: &Constants<'_>,
    strips: &Strips,
    conv: &Conv<'_>,
    strip: &[u8],
    output: &mut [u8],
) {
    let window = conv.window;
    let width = conv.output.shape.width as usize;
    let line = width * constants.channels;
    let three = window.kernel[0] == 3
        && window.kernel[1] <= 3
        && window.stride == [1; 2]
        && window.dilation[0] == 1;
    for index in 0..strips.slices {
        let slice = Slice {
            constants,
            index,
            start: constants.start(index),
            multipliers: constants.multipliers(index),
            row: strips.row(),
            kernel_row: strips.row() * usize::from(window.dilation[0]),
            step: strips.step(),
        };
        let mut x = strip.as_ptr().wrapping_add(index * strips.slice());
        let paired = if three {
            output.len() / (2 * line) * 2 * line
        } else {
            0
        };
        let (pairs, single) = output.split_at_mut(paired);
        for output in pairs.chunks_exact_mut(2 * line) {
            // SAFETY: `Strips::len` has all rows that the outputs read, and enough behind them.
            unsafe { slice.three_by_three(x, width, output) };
            x = x.wrapping_add(2 * strips.row());
        }
        for output in single.chunks_exact_mut(line) {
            // SAFETY: as above.
            unsafe { slice.any(x, width, output) };
            x = x.wrapping_add(strips.stride[0] * strips.row());
        }
    }
}

impl Slice<'_> {
    /// Four pixels, by channel: byte `4 * channel + pixel` is byte `16 * pixel + channel` in memory.
    ///
    /// # Safety
    /// There are 64 bytes at `x`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn taps(x: *const u8) -> __m512i {
        let channel = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let channel = _mm512_mullo_epi32(channel, _mm512_set1_epi32(0x0101_0101));
        let order = _mm512_add_epi32(channel, _mm512_set1_epi32(0x3020_1000));
        // SAFETY: as this function's.
        _mm512_permutexvar_epi8(order, unsafe { _mm512_loadu_si512(x.cast()) })
    }

    /// # Safety
    /// `four` is below the fours of all kernel rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn weights(&self, four: usize) -> __m512i {
        let at = self.index * self.constants.block + four * 4 * BLOCK;
        // SAFETY: there are weights for each four of each block.
        unsafe { _mm512_loadu_si512(self.constants.weights.as_ptr().add(at).cast()) }
    }

    /// Two rows of outputs, for three kernel rows of at most three columns and strides of 1. Four
    /// pixels beside each other hold what two outputs read, and four rows what two rows read.
    ///
    /// # Safety
    /// `x` is in a strip, with all that two rows of `width` pixels read and four pixels more; `output`
    /// is two rows of `width` pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn three_by_three(&self, x: *const u8, width: usize, output: &mut [u8]) {
        let mut left = [self.start; 3];
        for (row, weights) in left.iter_mut().enumerate() {
            // SAFETY: a row has one four, and there are three rows.
            *weights = unsafe { self.weights(row) };
        }
        let right = [0, 1, 2].map(|row| _mm512_slli_epi32::<8>(left[row]));
        let channels = self.constants.channels;
        for column in (0..width).step_by(2) {
            let x = x.wrapping_add(column * BLOCK);
            let mut taps = [self.start; 4];
            for (row, taps) in taps.iter_mut().enumerate() {
                // SAFETY: four rows of four pixels are there.
                *taps = unsafe { Self::taps(x.add(row * self.row)) };
            }
            let mut sums = [self.start; 4];
            for row in 0..3 {
                sums[0] = _mm512_dpbusd_epi32(sums[0], taps[row], left[row]);
                sums[1] = _mm512_dpbusd_epi32(sums[1], taps[row], right[row]);
                sums[2] = _mm512_dpbusd_epi32(sums[2], taps[row + 1], left[row]);
                sums[3] = _mm512_dpbusd_epi32(sums[3], taps[row + 1], right[row]);
            }
            let bytes = self.constants.rounder.round(sums, [self.multipliers; 4]);
            for part in 0..4 {
                if column + part % 2 < width {
                    let at = (part / 2 * width + column + part % 2) * channels;
                    // SAFETY: the pixel is in `output`.
                    unsafe { self.write(output.as_mut_ptr().add(at), quarter(bytes, part)) };
                }
            }
        }
    }

    /// A row of outputs, for any kernel.
    ///
    /// # Safety
    /// `x` is in a strip, with all that `width` pixels read and four pixels more; `output` is `width`
    /// pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn any(&self, x: *const u8, width: usize, output: &mut [u8]) {
        let Constants {
            rows,
            fours,
            channels,
            ..
        } = *self.constants;
        for column in (0..width).step_by(4) {
            let mut sums = [self.start; 4];
            for row in 0..rows {
                let x = x.wrapping_add(column * self.step + row * self.kernel_row);
                for four in 0..fours {
                    // SAFETY: the four is one of the row's.
                    let weights = unsafe { self.weights(row * fours + four) };
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        let at = pixel * self.step + four * 4 * BLOCK;
                        // SAFETY: what the pixel reads is there.
                        let taps = unsafe { Self::taps(x.add(at)) };
                        *sum = _mm512_dpbusd_epi32(*sum, taps, weights);
                    }
                }
            }
            let bytes = self.constants.rounder.round(sums, [self.multipliers; 4]);
            for part in 0..4.min(width - column) {
                let at = (column + part) * channels;
                // SAFETY: the pixel is in `output`.
                unsafe { self.write(output.as_mut_ptr().add(at), quarter(bytes, part)) };
            }
        }
    }

    /// The slice's channels of a pixel.
    ///
    /// # Safety
    /// `out` is the first channel of a pixel.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn write(&self, out: *mut u8, bytes: __m128i) {
        let mask = self.constants.mask(self.index);
        // SAFETY: the mask has none but the channels that are there.
        unsafe { _mm_mask_storeu_epi8(out.wrapping_add(self.index * BLOCK).cast(), mask, bytes) };
    }
}
