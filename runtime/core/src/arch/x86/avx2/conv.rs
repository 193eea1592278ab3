//! Convolutions of one group, and depthwise ones: some pixels by a block of 16 channels.

use core::array;

use super::*;
use crate::arch::strips::Strips;
use crate::packing::{BLOCK, Packing};
use crate::tensor::Tensor;

/// What the pixels of a block share.
struct Block<'a> {
    /// Those that exist.
    channels: usize,
    /// `[rows][fours]`.
    weights: &'a [[u8; 4 * BLOCK]],
    fours: usize,
    starts: [__m256i; 2],
    multipliers: [__m256; 2],
    zero_point: __m256i,
    low: __m128i,
    high: __m128i,
    /// Bytes between kernel rows.
    row: usize,
    /// Bytes between pixels.
    step: usize,
    /// Bytes between the pixels of the output.
    pixel: usize,
    depthwise: bool,
}

/// None where the layer is not one for this kernel: then nothing is written. `P` pixels are done
/// together.
///
/// # Safety
/// The instructions of AVX2, FMA and `D` are there.
#[inline(always)]
pub unsafe fn run<D: Dot, const P: usize>(conv: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    let strips = Strips::of(conv)?;
    let shape = conv.kernel_shape();
    let blocks = shape.out_channels.div_ceil(BLOCK);
    let block = Packing::block_len(shape);
    let (weights, rest) = conv.weights.split_at_checked(block.checked_mul(blocks)?)?;
    let (starts, _) = rest.get(..4 * BLOCK * blocks)?.as_chunks::<{ 4 * BLOCK }>();
    let multipliers = conv.rounding.multipliers.get(..4 * shape.out_channels)?;
    let ends = |tensor: &Tensor| {
        let first = tensor.offset as usize;
        first..first.saturating_add(tensor.shape.len())
    };
    let first = conv.scratch.offset as usize;
    let scratch = first..first.checked_add(strips.len())?;
    if (conv.scratch.len as usize) < strips.len() {
        return None;
    }
    let parts = arena.get_disjoint_mut([ends(&conv.input), ends(&conv.output), scratch]);
    let [input, output, strip] = parts.ok()?;
    let height = conv.output.shape.height as usize;
    let width = conv.output.shape.width as usize;
    let line = width * shape.out_channels;
    for first in (0..height).step_by(strips.out_rows) {
        let rows = first..height.min(first + strips.out_rows);
        let output = output.get_mut(rows.start * line..rows.end * line)?;
        strips.copy(conv, rows, input, strip);
        let all = weights.chunks_exact(block).zip(starts).enumerate();
        for (index, (weights, starts)) in all {
            let multipliers = multipliers.chunks(4 * BLOCK).nth(index)?;
            // SAFETY: as this function's. `Strips::len` has all rows that the outputs read, and
            // behind them what `Block::row` may read.
            unsafe {
                let block = Block::new(conv, &strips, weights, starts, multipliers);
                let slice = if strips.depthwise {
                    index * strips.slice()
                } else {
                    0
                };
                for (y, output) in output.chunks_exact_mut(line).enumerate() {
                    let at = slice + y * strips.stride[0] * strips.row();
                    let output = output.get_mut(index * BLOCK..)?;
                    block.row::<D, P>(strip.as_ptr().add(at), width, output);
                }
            }
        }
    }
    Some(())
}

impl<'a> Block<'a> {
    /// # Safety
    /// The instructions are there.
    #[inline(always)]
    unsafe fn new(
        conv: &Conv<'_>,
        strips: &Strips,
        weights: &'a [u8],
        starts: &[u8; 4 * BLOCK],
        multipliers: &[u8],
    ) -> Self {
        let mut padded = [0; 4 * BLOCK];
        for (padded, byte) in padded.iter_mut().zip(multipliers) {
            *padded = *byte;
        }
        let (starts, padded) = (starts.as_ptr(), padded.as_ptr());
        // SAFETY: as this function's; both arrays have 64 bytes.
        unsafe {
            Self {
                channels: multipliers.len() / 4,
                weights: weights.as_chunks().0,
                fours: Packing::fours(conv.kernel_shape()),
                starts: [0, 32].map(|at| _mm256_loadu_si256(starts.add(at).cast())),
                multipliers: [0, 32].map(|at| _mm256_loadu_ps(padded.add(at).cast())),
                zero_point: _mm256_set1_epi16(conv.output.zero_point.into()),
                low: _mm_set1_epi8(conv.rounding.low),
                high: _mm_set1_epi8(conv.rounding.high),
                row: strips.row() * usize::from(conv.window.dilation[0]),
                step: strips.step(),
                pixel: conv.output.shape.channels as usize,
                depthwise: strips.depthwise,
            }
        }
    }

    /// `width` pixels.
    ///
    /// # Safety
    /// The instructions are there; `x` is in a strip, with all that `width` pixels read, `P` pixels
    /// more and some bytes; `output` is from the block's first channel of the first pixel on.
    #[inline(always)]
    unsafe fn row<D: Dot, const P: usize>(&self, x: *const u8, width: usize, output: &mut [u8]) {
        for column in (0..width).step_by(P) {
            // SAFETY: as this function's.
            unsafe {
                let x = x.add(column * self.step);
                let mut sums = [D::zero(); P];
                let mut weights = self.weights.iter();
                let mut start = x;
                // There are as many weights as fours in all kernel rows.
                while let [_, ..] = weights.as_slice() {
                    let mut x = start;
                    for weights in weights.by_ref().take(self.fours) {
                        for (pixel, sums) in sums.iter_mut().enumerate() {
                            let values = self.values(x.add(pixel * self.step));
                            *sums = D::dot(*sums, values, weights);
                        }
                        x = x.add(if self.depthwise { 4 * BLOCK } else { 4 });
                    }
                    start = start.wrapping_add(self.row);
                }
                for (pixel, sums) in sums.into_iter().enumerate().take(width - column) {
                    let bytes = self.round(D::sums(sums));
                    let output = output.get_mut((column + pixel) * self.pixel..);
                    self.write(bytes, output.unwrap_or_default());
                }
            }
        }
    }

    /// Four bytes for each channel.
    ///
    /// # Safety
    /// The instructions are there, and what is read at `x`.
    #[inline(always)]
    unsafe fn values(&self, x: *const u8) -> [__m128i; 4] {
        // SAFETY: as this function's.
        unsafe {
            if !self.depthwise {
                return [_mm_set1_epi32(x.cast::<i32>().read_unaligned()); 4];
            }
            let [a, b, c, d]: [__m128i; 4] =
                array::from_fn(|tap| _mm_loadu_si128(x.add(tap * BLOCK).cast()));
            let (ab, cd) = (_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, d));
            let (ab_high, cd_high) = (_mm_unpackhi_epi8(a, b), _mm_unpackhi_epi8(c, d));
            [
                _mm_unpacklo_epi16(ab, cd),
                _mm_unpackhi_epi16(ab, cd),
                _mm_unpacklo_epi16(ab_high, cd_high),
                _mm_unpackhi_epi16(ab_high, cd_high),
            ]
        }
    }

    /// Equation (3), as AVX-512's `Rounder` does it.
    ///
    /// # Safety
    /// The instructions are there.
    #[inline(always)]
    unsafe fn round(&self, sums: [__m256i; 2]) -> __m128i {
        // SAFETY: as this function's.
        unsafe {
            let most = _mm256_set1_ps(32767.0);
            let [a, b]: [__m256i; 2] = array::from_fn(|half| {
                let sum = _mm256_add_epi32(sums[half], self.starts[half]);
                let real = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), self.multipliers[half]);
                _mm256_cvtps_epi32(_mm256_min_ps(real, most))
            });
            let words = _mm256_adds_epi16(_mm256_packs_epi32(a, b), self.zero_point);
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let high = _mm256_extracti128_si256::<1>(words);
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), high);
            _mm_min_epi8(_mm_max_epi8(bytes, self.low), self.high)
        }
    }

    /// Writes the channels that exist.
    ///
    /// # Safety
    /// The instructions are there.
    #[inline(always)]
    unsafe fn write(&self, bytes: __m128i, output: &mut [u8]) {
        if let (Some(output), BLOCK) = (output.first_chunk_mut::<BLOCK>(), self.channels) {
            // SAFETY: as this function's; `output` has 16 bytes.
            unsafe { _mm_storeu_si128(output.as_mut_ptr().cast(), bytes) };
            return;
        }
        let mut all = [0; BLOCK];
        // SAFETY: as this function's; `all` has 16 bytes.
        unsafe { _mm_storeu_si128(all.as_mut_ptr().cast(), bytes) };
        for (output, byte) in output.iter_mut().zip(all).take(self.channels) {
            *output = byte;
        }
    }
}
