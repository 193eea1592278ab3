//! Sums of four products each, for 16 output channels: exact.

use core::arch::x86_64::*;

/// How unsigned bytes are multiplied by signed ones. Everything is unsafe for the instructions that
/// it takes, and is inlined into a function that has them.
pub trait Dot: Copy {
    /// Accumulators of 16 channels, in an order of its own.
    type Sums: Copy;

    /// Zeros.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn zero() -> Self::Sums;

    /// Adds, for each channel, four products. `values`: four bytes a channel; `weights`: `[16][4]`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn dot(sums: Self::Sums, values: [__m128i; 4], weights: &[u8; 64]) -> Self::Sums;

    /// The sums in the order of the channels.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn sums(sums: Self::Sums) -> [__m256i; 2];
}

/// AVX2: products of 16-bit numbers, of which two cannot overflow 32 bits. (`vpmaddubsw` would
/// saturate at 16 bits.)
#[derive(Clone, Copy)]
pub struct Widening;

impl Dot for Widening {
    /// Four channels each, two sums a channel beside each other.
    type Sums = [__m256i; 4];

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        // SAFETY: as this function's.
        unsafe { [_mm256_setzero_si256(); 4] }
    }

    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, values: [__m128i; 4], weights: &[u8; 64]) -> Self::Sums {
        let (weights, _) = weights.as_chunks::<16>();
        for part in 0..4 {
            // SAFETY: as this function's; there are 16 weights in each part.
            sums[part] = unsafe {
                let weights = _mm_loadu_si128(weights[part].as_ptr().cast());
                let weights = _mm256_cvtepi8_epi16(weights);
                let values = _mm256_cvtepu8_epi16(values[part]);
                _mm256_add_epi32(sums[part], _mm256_madd_epi16(values, weights))
            };
        }
        sums
    }

    #[inline(always)]
    unsafe fn sums(sums: Self::Sums) -> [__m256i; 2] {
        // SAFETY: as this function's.
        let pair = |a, b| unsafe {
            // Channels 0, 1, 4, 5, 2, 3, 6, 7.
            _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b))
        };
        [pair(sums[0], sums[1]), pair(sums[2], sums[3])]
    }
}

/// `vpdpbusd`, in the encoding of AVX-VNNI or in that of AVX-512.
#[derive(Clone, Copy)]
pub struct Vnni<const EVEX: bool>;

impl<const EVEX: bool> Dot for Vnni<EVEX> {
    /// Eight channels each.
    type Sums = [__m256i; 2];

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        // SAFETY: as this function's.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, values: [__m128i; 4], weights: &[u8; 64]) -> Self::Sums {
        let (weights, _) = weights.as_chunks::<32>();
        for half in 0..2 {
            // SAFETY: as this function's; there are 32 weights in each half.
            sums[half] = unsafe {
                let weights = _mm256_loadu_si256(weights[half].as_ptr().cast());
                let values = _mm256_set_m128i(values[2 * half + 1], values[2 * half]);
                match EVEX {
                    true => _mm256_dpbusd_epi32(sums[half], values, weights),
                    false => _mm256_dpbusd_avx_epi32(sums[half], values, weights),
                }
            };
        }
        sums
    }

    #[inline(always)]
    unsafe fn sums(sums: Self::Sums) -> [__m256i; 2] {
        sums
    }
}
