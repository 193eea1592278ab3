//! Sums, differences and products of two activations.

use core::arch::x86_64::*;

use crate::layer::{Binary, BinaryFixed, BinaryOp};

/// Values that are done together.
const STEP: usize = 64;

/// Four vectors of 16 values.
type Words = [__m512i; 4];
type Floats = [__m512; 4];

/// None where the layer is not one for this kernel: then nothing is written.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub fn run(layer: &Binary, arena: &mut [u8]) -> Option<()> {
    let end = Ends {
        zero_point: _mm512_set1_epi16(-128),
        low: _mm512_set1_epi8(layer.low),
        high: _mm512_set1_epi8(layer.high),
    };
    let zeros = [layer.a, layer.b].map(|tensor| i32::from(tensor.zero_point));
    if let Some(BinaryFixed { factors, shift }) = layer.fixed {
        let factors = factors.map(i32::from);
        let shift_by = _mm_cvtsi32_si128(shift.into());
        let half = 1 << (shift - 1);
        let end = Ends {
            zero_point: _mm512_set1_epi16(layer.output.zero_point.into()),
            ..end
        };
        if layer.op == BinaryOp::Mul {
            let [za, zb] = zeros.map(|zero| _mm512_set1_epi32(zero));
            let (factor, half) = (_mm512_set1_epi32(factors[0]), _mm512_set1_epi32(half));
            return each(layer, arena, |a, b| {
                let (a, b) = (words(a), words(b));
                end.narrow([0, 1, 2, 3].map(|part| {
                    let (a, b) = (_mm512_sub_epi32(a[part], za), _mm512_sub_epi32(b[part], zb));
                    let product = _mm512_mullo_epi32(_mm512_mullo_epi32(a, b), factor);
                    _mm512_sra_epi32(_mm512_add_epi32(product, half), shift_by)
                }))
            });
        }
        let to_b = if layer.op == BinaryOp::Sub {
            -factors[1]
        } else {
            factors[1]
        };
        // What the zero points add is the same for all, and all of it fits 32 bits.
        let start = half - zeros[0] * factors[0] - zeros[1] * to_b;
        let start = _mm512_set1_epi32(start);
        let pair = _mm512_set1_epi32(factors[0] | to_b << 16);
        return each(layer, arena, |a, b| {
            let part = |a: __m256i, b: __m256i| {
                let (a, b) = (_mm512_cvtepi8_epi16(a), _mm512_cvtepi8_epi16(b));
                let sum = |pairs| {
                    let sum = _mm512_dpwssd_epi32(start, pairs, pair);
                    _mm512_sra_epi32(sum, shift_by)
                };
                let low = sum(_mm512_unpacklo_epi16(a, b));
                let high = sum(_mm512_unpackhi_epi16(a, b));
                _mm512_adds_epi16(_mm512_packs_epi32(low, high), end.zero_point)
            };
            let low = part(_mm512_castsi512_si256(a), _mm512_castsi512_si256(b));
            let high = part(
                _mm512_extracti64x4_epi64::<1>(a),
                _mm512_extracti64x4_epi64::<1>(b),
            );
            let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
            end.limit(_mm512_permutexvar_epi64(
                order,
                _mm512_packs_epi16(low, high),
            ))
        });
    }
    real(layer, arena, &end)
}

/// In floats, in the order of `ops::binary::value`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn real(layer: &Binary, arena: &mut [u8], end: &Ends) -> Option<()> {
    let unsigned = |value: i8| (i32::from(value) + 128) as f32;
    let [za, zb, zc] = [layer.a, layer.b, layer.output].map(|tensor| unsigned(tensor.zero_point));
    let [sa, sb, sc] = layer.scales;
    // Of values and zero points the difference counts, but in a sum, as unsigned values.
    let flip = _mm512_set1_epi8(-128);
    let floats = |values: __m512i| -> Floats {
        unsigned_words(_mm512_xor_si512(values, flip)).map(|word| _mm512_cvtepi32_ps(word))
    };
    let all = |value: f32| _mm512_set1_ps(value);
    match layer.op {
        BinaryOp::Add => {
            let (to_a, to_b) = (sa / sc, sb / sc);
            let start = zc - crate::rounding::fma(to_a, za, to_b * zb);
            // Else sums may be NaN, which is another matter.
            if ![to_a, to_b, start].iter().all(|value| value.is_finite()) {
                return None;
            }
            let (to_a, to_b, start) = (all(to_a), all(to_b), all(start));
            each(layer, arena, |a, b| {
                let (a, b) = (floats(a), floats(b));
                end.round([0, 1, 2, 3].map(|part| {
                    let sum = _mm512_fmadd_ps(b[part], to_b, start);
                    _mm512_fmadd_ps(a[part], to_a, sum)
                }))
            })
        }
        BinaryOp::Sub => {
            // A difference of products may be NaN where they overflow.
            if ![sa * 255.0, sb * 255.0]
                .iter()
                .all(|value| value.is_finite())
            {
                return None;
            }
            let end = Ends {
                zero_point: _mm512_set1_epi16(layer.output.zero_point.into()),
                ..*end
            };
            let (sa, sb, sc, za, zb) = (all(sa), all(sb), all(sc), all(za), all(zb));
            each(layer, arena, |a, b| {
                let (a, b) = (floats(a), floats(b));
                end.round([0, 1, 2, 3].map(|part| {
                    let a = _mm512_mul_ps(_mm512_sub_ps(a[part], za), sa);
                    let b = _mm512_mul_ps(_mm512_sub_ps(b[part], zb), sb);
                    _mm512_div_ps(_mm512_sub_ps(a, b), sc)
                }))
            })
        }
        BinaryOp::Mul => {
            let factor = sa * sb / sc;
            if !factor.is_finite() {
                return None;
            }
            let (factor, za, zb, zc) = (all(factor), all(za), all(zb), all(zc));
            each(layer, arena, |a, b| {
                let (a, b) = (floats(a), floats(b));
                end.round([0, 1, 2, 3].map(|part| {
                    let (a, b) = (_mm512_sub_ps(a[part], za), _mm512_sub_ps(b[part], zb));
                    _mm512_add_ps(_mm512_mul_ps(_mm512_mul_ps(a, b), factor), zc)
                }))
            })
        }
    }
}

/// Zero point and limits of the output.
#[derive(Clone, Copy)]
struct Ends {
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
}

impl Ends {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn limit(&self, bytes: __m512i) -> __m512i {
        _mm512_min_epi8(_mm512_max_epi8(bytes, self.low), self.high)
    }

    /// Adds the zero point; 64 values in order.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn narrow(&self, [a, b, c, d]: Words) -> __m512i {
        let ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), self.zero_point);
        let cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), self.zero_point);
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        self.limit(_mm512_permutexvar_epi32(order, _mm512_packs_epi16(ab, cd)))
    }

    /// Half to even, then [`narrow`](Self::narrow).
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn round(&self, values: Floats) -> __m512i {
        let most = _mm512_set1_ps(32767.0);
        self.narrow(values.map(|value| _mm512_cvtps_epi32(_mm512_min_ps(value, most))))
    }
}

/// Sign-extended.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn words(bytes: __m512i) -> Words {
    [
        _mm512_cvtepi8_epi32(_mm512_castsi512_si128(bytes)),
        _mm512_cvtepi8_epi32(_mm512_extracti32x4_epi32::<1>(bytes)),
        _mm512_cvtepi8_epi32(_mm512_extracti32x4_epi32::<2>(bytes)),
        _mm512_cvtepi8_epi32(_mm512_extracti32x4_epi32::<3>(bytes)),
    ]
}

/// Zero-extended.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn unsigned_words(bytes: __m512i) -> Words {
    [
        _mm512_cvtepu8_epi32(_mm512_castsi512_si128(bytes)),
        _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32::<1>(bytes)),
        _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32::<2>(bytes)),
        _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32::<3>(bytes)),
    ]
}

/// Applies a function to 64 values of both at a time; a vector `b` starts anew with every pixel.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn each(layer: &Binary, arena: &mut [u8], f: impl Fn(__m512i, __m512i) -> __m512i) -> Option<()> {
    let len = layer.output.shape.len();
    let period = layer.b.shape.len();
    let [a, b, out] = [layer.a, layer.b, layer.output].map(|tensor| tensor.offset as usize);
    // The output lies where an input lies, or apart from it.
    let apart = |from: usize, size: usize| from + size <= out || out + len <= from;
    let fits = layer.a.shape.len() == len
        && period > 0
        && len.is_multiple_of(period)
        && [a, b, out]
            .iter()
            .all(|start| start.checked_add(len).is_some())
        && arena.len() >= (a + len).max(b + period).max(out + len)
        && (a == out || apart(a, len))
        && ((b == out && period == len) || apart(b, period));
    if !fits {
        return None;
    }
    let arena = arena.as_mut_ptr();
    for pixel in (0..len).step_by(period) {
        let mut at = 0;
        while at < period {
            let mask = u64::MAX >> (STEP - (period - at).min(STEP));
            // SAFETY: the three are within the arena, and the mask has none but values of this
            // pixel. What a step writes, no later step reads.
            unsafe {
                let a = _mm512_maskz_loadu_epi8(mask, arena.add(a + pixel + at).cast());
                let b = _mm512_maskz_loadu_epi8(mask, arena.add(b + at).cast());
                _mm512_mask_storeu_epi8(arena.add(out + pixel + at).cast(), mask, f(a, b));
            }
            at += STEP;
        }
    }
    Some(())
}
