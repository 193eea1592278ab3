//! Depthwise convolutions: 16 channels at a time, whose taps along a row are brought together.

use core::arch::x86_64::*;

use super::Constants;
use super::round::quarter;
use crate::arch::strips::Strips;
use crate::layer::Conv;
use crate::packing::BLOCK;
use crate::window::Window;

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

/// Whether three kernel rows of at most three columns are moved by 1.
fn is_three_by_three(window: &Window) -> bool {
    let [rows, columns] = window.kernel;
    rows == 3 && columns <= 3 && window.stride == [1; 2] && window.dilation[0] == 1
}

/// Whether a strip's pixels are to be of eight channels.
pub fn is_narrow(conv: &Conv<'_>) -> bool {
    is_three_by_three(&conv.window) && conv.groups == 8 && conv.input.shape.channels == 8
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
    let width = conv.output.shape.width as usize;
    let line = width * constants.channels;
    for index in 0..strips.slices {
        let slice = Slice {
            constants,
            index,
            start: constants.start(index),
            multipliers: constants.multipliers(index),
            row: strips.row(),
            kernel_row: strips.row() * usize::from(conv.window.dilation[0]),
            step: strips.step(),
        };
        let x = strip.as_ptr().wrapping_add(index * strips.slice());
        if is_three_by_three(&conv.window) {
            for (pair, output) in output.chunks_mut(2 * line).enumerate() {
                let x = x.wrapping_add(2 * pair * strips.row());
                // SAFETY: `Strips::len` has all rows that the outputs read, and enough behind them.
                unsafe {
                    match is_narrow(conv) {
                        true => slice.three_by_three_narrow(x, width, output),
                        false => slice.three_by_three(x, width, output),
                    }
                }
            }
            continue;
        }
        for (y, output) in output.chunks_exact_mut(line).enumerate() {
            let x = x.wrapping_add(y * strips.stride[0] * strips.row());
            // SAFETY: as above.
            unsafe { slice.any(x, width, output) };
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

    /// The sums of two outputs of two rows, or of twice as many where pixels are narrow: of `taps`,
    /// four pixels beside each other hold what two outputs read, four rows what two rows read.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn sums(start: __m512i, taps: [__m512i; 4], weights: [[__m512i; 3]; 2]) -> [__m512i; 4] {
        let [left, right] = weights;
        let mut sums = [start; 4];
        for row in 0..3 {
            sums[0] = _mm512_dpbusd_epi32(sums[0], taps[row], left[row]);
            sums[1] = _mm512_dpbusd_epi32(sums[1], taps[row], right[row]);
            sums[2] = _mm512_dpbusd_epi32(sums[2], taps[row + 1], left[row]);
            sums[3] = _mm512_dpbusd_epi32(sums[3], taps[row + 1], right[row]);
        }
        sums
    }

    /// Of three rows: for the left output of two that share their taps, and for the right one.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn three_weights(&self) -> [[__m512i; 3]; 2] {
        // SAFETY: a row has one four, and there are three rows.
        let left = unsafe { [self.weights(0), self.weights(1), self.weights(2)] };
        [left, left.map(|weights| _mm512_slli_epi32::<8>(weights))]
    }

    /// Where the four rows of two rows of outputs are; the last is not read for one row of outputs.
    fn four_rows(&self, rows: usize) -> [usize; 4] {
        [0, 1, 2, if rows > 1 { 3 } else { 2 }].map(|row| row * self.row)
    }

    /// One or two rows of outputs, for three kernel rows of at most three columns and strides of 1.
    ///
    /// # Safety
    /// `x` is in a strip, with all that the rows of `width` pixels read and four pixels more; `output`
    /// is one or two rows of `width` pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn three_by_three(&self, x: *const u8, width: usize, output: &mut [u8]) {
        let weights = self.three_weights();
        let channels = self.constants.channels;
        let rows = output.len() / (width * channels);
        let four_rows = self.four_rows(rows);
        let output = output.as_mut_ptr();
        for column in (0..width).step_by(2) {
            let x = x.wrapping_add(column * BLOCK);
            // SAFETY: four pixels of each row are there.
            let taps = four_rows.map(|row| unsafe { Self::taps(x.add(row)) });
            let sums = Self::sums(self.start, taps, weights);
            let bytes = self.constants.rounder.round(sums, [self.multipliers; 4]);
            for part in 0..2 * rows {
                if column + part % 2 < width {
                    let at = (part / 2 * width + column + part % 2) * channels;
                    // SAFETY: the pixel is in `output`.
                    unsafe { self.write(output.add(at), quarter(bytes, part)) };
                }
            }
        }
    }

    /// The same for pixels of eight channels.
    ///
    /// # Safety
    /// As for [`three_by_three`](Self::three_by_three), but that eight pixels more are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn three_by_three_narrow(&self, x: *const u8, width: usize, output: &mut [u8]) {
        const CHANNELS: usize = 8;
        let twice = |half: __m512i| _mm512_broadcast_i64x4(_mm512_castsi512_si256(half));
        let weights = self.three_weights().map(|three| three.map(twice));
        let start = twice(self.start);
        let multipliers = _mm512_castps_si512(self.multipliers);
        let multipliers = _mm512_castsi512_ps(twice(multipliers));
        // Pixels 0 to 3, then 2 to 5.
        let order = {
            let channel = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
            let channel = _mm512_mullo_epi32(channel, _mm512_set1_epi32(0x0101_0101));
            _mm512_add_epi32(channel, _mm512_set1_epi32(0x1810_0800))
        };
        let four_rows = self.four_rows(output.len() / (width * CHANNELS));
        let lines = output.chunks_exact_mut(width * CHANNELS);
        let mut lines = lines.map(|line| line.as_mut_ptr());
        let lines = [lines.next(), lines.next()];
        for column in (0..width).step_by(4) {
            let x = x.wrapping_add(column * CHANNELS);
            let taps = four_rows.map(|row| {
                // SAFETY: eight pixels of each row are there.
                let pixels = unsafe { _mm512_loadu_si512(x.add(row).cast()) };
                _mm512_permutexvar_epi8(order, pixels)
            });
            let sums = Self::sums(start, taps, weights);
            let bytes = self.constants.rounder.round(sums, [multipliers; 4]);
            // Of each row pixels 0 and 2, then 1 and 3.
            let swap = _mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7);
            let bytes = _mm512_permutexvar_epi64(swap, bytes);
            let rows = [
                _mm512_castsi512_si256(bytes),
                _mm512_extracti64x4_epi64::<1>(bytes),
            ];
            let mask = u32::MAX >> (32 - (width - column).min(4) * CHANNELS);
            for (line, row) in lines.into_iter().zip(rows) {
                if let Some(line) = line {
                    // SAFETY: the mask has as many bits as there are bytes of pixels.
                    unsafe {
                        _mm256_mask_storeu_epi8(line.add(column * CHANNELS).cast(), mask, row)
                    };
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
