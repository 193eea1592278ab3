//! From accumulators to bytes.

use core::arch::x86_64::*;

use crate::layer::Conv;

/// What all outputs of a layer share.
pub struct Rounder {
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
}

impl Rounder {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub fn of(conv: &Conv<'_>) -> Self {
        Self {
            zero_point: _mm512_set1_epi16(conv.output.zero_point.into()),
            low: _mm512_set1_epi8(conv.rounding.low),
            high: _mm512_set1_epi8(conv.rounding.high),
        }
    }

    /// Equation (3) for four vectors, one behind the other.
    ///
    /// What the conversion to i32 cannot hold is -2^31, which is right for what is too small; what is
    /// too large is cut off before. All sums saturate, so that the limits come out right.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub fn round(&self, sums: [__m512i; 4], multipliers: [__m512; 4]) -> __m512i {
        let most = _mm512_set1_ps(32767.0);
        let word = |part: usize| {
            let real = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[part]), multipliers[part]);
            _mm512_cvtps_epi32(_mm512_min_ps(real, most))
        };
        let ab = _mm512_packs_epi32(word(0), word(1));
        let cd = _mm512_packs_epi32(word(2), word(3));
        let ab = _mm512_adds_epi16(ab, self.zero_point);
        let cd = _mm512_adds_epi16(cd, self.zero_point);
        let bytes = _mm512_packs_epi16(ab, cd);
        let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, self.low), self.high);
        // Packing goes by lanes of 128 bits: four channels of the four vectors in each.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, bytes)
    }
}

/// 16 bytes of 64.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
pub fn quarter(bytes: __m512i, index: usize) -> __m128i {
    match index {
        0 => _mm512_castsi512_si128(bytes),
        1 => _mm512_extracti32x4_epi32::<1>(bytes),
        2 => _mm512_extracti32x4_epi32::<2>(bytes),
        _ => _mm512_extracti32x4_epi32::<3>(bytes),
    }
}
