//! Convolutions of one group: tiles of some pixels by some blocks of 16 channels, in registers.

use core::arch::x86_64::*;

use super::Constants;
use super::round::quarter;
use crate::arch::strips::{MORE_PIXELS, Strips};
use crate::layer::Conv;
use crate::packing::BLOCK;

/// Channels that fill half a vector.
const NARROW: usize = 8;

/// A loop that is written out.
macro_rules! for_each_constant {
    ($name:ident in [$($value:literal),*] $body:block) => {
        $({
            let $name = $value;
            $body
        })*
    };
}

/// A row of pixels.
struct Row<'a> {
    constants: &'a Constants<'a>,
    /// Bytes between kernel rows.
    row: usize,
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
    let row = Row {
        constants,
        row: strips.row() * usize::from(conv.window.dilation[0]),
        step: strips.step(),
    };
    let mut width = conv.output.shape.width as usize;
    // Without kernel and borders, all rows are one.
    if conv.window.taps() == 1 {
        width = output.len() / constants.channels;
    }
    if constants.channels == NARROW {
        for (y, output) in output.chunks_exact_mut(width * NARROW).enumerate() {
            // SAFETY: as below.
            unsafe {
                let x = strip.as_ptr().add(y * strips.stride[0] * strips.row());
                row.narrow(x, output);
            }
        }
        return;
    }
    let blocks = constants.blocks();
    let mut first = 0;
    while first < blocks {
        let together = match blocks - first {
            1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        for (y, output) in output
            .chunks_exact_mut(width * constants.channels)
            .enumerate()
        {
            // SAFETY: `Strips::len` has all rows that the outputs read, and behind them what
            // `Row::pixels` may read. `output` has `width` pixels.
            unsafe {
                let x = strip.as_ptr().add(y * strips.stride[0] * strips.row());
                row.pixels([first, together], x, width, output.as_mut_ptr());
            }
        }
        first += together;
    }
}

impl Row<'_> {
    /// `width` pixels of some blocks: the first, and how many.
    ///
    /// # Safety
    /// `x` is in a strip, with all that `width` pixels and [`MORE_PIXELS`] read; `out` is the first of
    /// as many pixels of all channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn pixels(&self, blocks: [usize; 2], x: *const u8, width: usize, out: *mut u8) {
        let [first, together] = blocks;
        let most = match together {
            1 => 16,
            2 => 12,
            _ => 6,
        };
        let each = width.div_ceil(width.div_ceil(most));
        let mut done = 0;
        while done < width {
            let count = each.min(width - done);
            // SAFETY: the pixels from `done` on are within the row, and tiles are of at most
            // `MORE_PIXELS`.
            unsafe {
                let x = x.add(done * self.step);
                let out = out.add(done * self.constants.channels);
                match (together, count) {
                    (1, 9..) => self.tile::<16, 1>(first, x, count, out),
                    (1, 5..) => self.tile::<8, 1>(first, x, count, out),
                    (1, _) => self.tile::<4, 1>(first, x, count, out),
                    (2, 9..) => self.tile::<12, 2>(first, x, count, out),
                    (2, 5..) => self.tile::<8, 2>(first, x, count, out),
                    (2, 3..) => self.tile::<4, 2>(first, x, count, out),
                    (2, _) => self.tile::<2, 2>(first, x, count, out),
                    (_, 5..) => self.tile::<6, 4>(first, x, count, out),
                    (_, 3..) => self.tile::<4, 4>(first, x, count, out),
                    (_, 2..) => self.tile::<2, 4>(first, x, count, out),
                    _ => self.tile::<1, 4>(first, x, count, out),
                }
            }
            done += count;
        }
    }

    /// `count` of `P` pixels by `B` blocks.
    ///
    /// # Safety
    /// As for [`pixels`](Self::pixels); `count` is at most `P`, which is at most [`MORE_PIXELS`]; the
    /// blocks exist.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn tile<const P: usize, const B: usize>(
        &self,
        first: usize,
        x: *const u8,
        count: usize,
        out: *mut u8,
    ) {
        const { assert!(P <= MORE_PIXELS && 4 % B == 0) };
        let constants = self.constants;
        let mut sums = [[_mm512_setzero_si512(); B]; P];
        for block in 0..B {
            let start = constants.start(first + block);
            for pixel in 0..P {
                sums[pixel][block] = start;
            }
        }
        let mut weights = constants
            .weights
            .as_ptr()
            .wrapping_add(first * constants.block);
        for row in 0..constants.rows {
            let mut x = x.wrapping_add(row * self.row);
            for _ in 0..constants.fours {
                let mut w = [_mm512_setzero_si512(); B];
                for block in 0..B {
                    // SAFETY: the block has weights for each row and four.
                    w[block] =
                        unsafe { _mm512_loadu_si512(weights.add(block * constants.block).cast()) };
                }
                for pixel in 0..P {
                    // SAFETY: what `P` pixels from `x` on read is there, and up to 3 bytes more.
                    let four = unsafe { x.add(pixel * self.step).cast::<i32>().read_unaligned() };
                    let values = _mm512_set1_epi32(four);
                    for block in 0..B {
                        sums[pixel][block] =
                            _mm512_dpbusd_epi32(sums[pixel][block], values, w[block]);
                    }
                }
                x = x.wrapping_add(4);
                weights = weights.wrapping_add(4 * BLOCK);
            }
        }
        // SAFETY: as this function's.
        unsafe { self.write(first, sums, count, out) };
    }

    /// Rounds and writes a tile's sums.
    ///
    /// # Safety
    /// As for [`tile`](Self::tile).
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn write<const P: usize, const B: usize>(
        &self,
        first: usize,
        sums: [[__m512i; B]; P],
        count: usize,
        out: *mut u8,
    ) {
        let constants = self.constants;
        let channels = constants.channels;
        let multipliers = [0, 1, 2, 3].map(|part| constants.multipliers(first + part % B));
        // Whether 64 bytes lie together in the output.
        let whole = channels >= (first + B) * BLOCK && (B == 4 || channels == B * BLOCK);
        // Four vectors, of this many pixels, are rounded together.
        let pixels = 4 / B;
        let quad = |quad: usize| {
            let left = count.saturating_sub(quad * pixels).min(pixels);
            let mut four = [_mm512_setzero_si512(); 4];
            for part in 0..4 {
                if quad * pixels + part / B < P {
                    four[part] = sums[quad * pixels + part / B][part % B];
                }
            }
            let bytes = constants.rounder.round(four, multipliers);
            let out = out.wrapping_add(quad * pixels * channels + first * BLOCK);
            if whole && left == pixels {
                // SAFETY: the pixels are there, and their 64 bytes lie together.
                unsafe { _mm512_storeu_si512(out.cast(), bytes) };
            } else {
                // SAFETY: the pixels are there.
                unsafe { self.scatter(out, bytes, [first, B], left) };
            }
        };
        // Not a loop: were it one, the sums would have to lie in memory.
        const { assert!(P.div_ceil(4 / B) <= 6) };
        let quads = P.min(count).div_ceil(pixels);
        for_each_constant!(number in [0, 1, 2, 3, 4, 5] {
            if number < const { P.div_ceil(4 / B) } && number < quads {
                quad(number);
            }
        });
    }

    /// A row of pixels of eight channels.
    ///
    /// # Safety
    /// `x` is in a strip, with all that the pixels of `output` and [`MORE_PIXELS`] read; there are
    /// eight channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn narrow(&self, x: *const u8, output: &mut [u8]) {
        let constants = self.constants;
        let start = _mm512_castsi512_si256(constants.start(0));
        let multipliers = _mm512_castps512_ps256(constants.multipliers(0));
        let multipliers = _mm512_broadcast_f32x8(multipliers);
        for (index, output) in output.chunks_mut(MORE_PIXELS * NARROW).enumerate() {
            let x = x.wrapping_add(index * MORE_PIXELS * self.step);
            let mut sums = [start; MORE_PIXELS];
            let mut weights = constants.weights.as_ptr();
            for row in 0..constants.rows {
                let mut x = x.wrapping_add(row * self.row);
                for _ in 0..constants.fours {
                    // SAFETY: there are weights for each row and four.
                    let w = unsafe { _mm256_loadu_si256(weights.cast()) };
                    for pixel in 0..MORE_PIXELS {
                        // SAFETY: what the pixels read is there, and up to 3 bytes more.
                        let four =
                            unsafe { x.add(pixel * self.step).cast::<i32>().read_unaligned() };
                        let values = _mm256_set1_epi32(four);
                        sums[pixel] = _mm256_dpbusd_epi32(sums[pixel], values, w);
                    }
                    x = x.wrapping_add(4);
                    weights = weights.wrapping_add(4 * BLOCK);
                }
            }
            let pair = |pixel: usize| {
                let low = _mm512_castsi256_si512(sums[pixel]);
                _mm512_inserti64x4::<1>(low, sums[pixel + 1])
            };
            let halves = [
                [pair(0), pair(2), pair(4), pair(6)],
                [pair(8), pair(10), pair(12), pair(14)],
            ];
            for (output, sums) in output.chunks_mut(8 * NARROW).zip(halves) {
                let bytes = constants.rounder.round(sums, [multipliers; 4]);
                let mask = u64::MAX >> (64 - output.len());
                // SAFETY: the mask has as many bits as `output` has bytes.
                unsafe { _mm512_mask_storeu_epi8(output.as_mut_ptr().cast(), mask, bytes) };
            }
        }
    }

    /// 16 channels at a time.
    ///
    /// # Safety
    /// `out` is the first of `blocks[1]` blocks from `blocks[0]` on, of the first of `pixels` pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline(never)]
    unsafe fn scatter(&self, out: *mut u8, bytes: __m512i, blocks: [usize; 2], pixels: usize) {
        let [first, together] = blocks;
        for part in 0..pixels * together {
            let block = part % together;
            let at = part / together * self.constants.channels + block * BLOCK;
            let mask = self.constants.mask(first + block);
            // SAFETY: the pixel is there, and the mask has none but the channels that are.
            unsafe { _mm_mask_storeu_epi8(out.add(at).cast(), mask, quarter(bytes, part)) };
        }
    }
}
