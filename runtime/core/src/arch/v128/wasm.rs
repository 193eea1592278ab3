//! WebAssembly with simd128, for which the module must be compiled.
#![allow(unsafe_code)]

use core::arch::wasm32::*;

use super::vector::{Dot, Vector, quarters};
use super::{blocks, others, sums};
use crate::layer::{Binary, Conv, Pool, Table};
use crate::ops::table::look_up;
use crate::packing::BLOCK;

/// The instruction set.
pub type Isa = Simd128;

/// It alone.
pub fn isas() -> impl Iterator<Item = Isa> {
    core::iter::once(Simd128(()))
}

impl Simd128 {
    /// Convolution.
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        blocks::conv::<_, 2>(self, layer, arena).is_some()
    }

    /// Sum, difference or product.
    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        sums::binary(self, layer, arena).is_some()
    }

    /// A table of each value.
    pub fn table(self, layer: &Table<'_>, arena: &mut [u8]) -> bool {
        others::table(self, layer, arena).is_some()
    }

    /// Maximum or average.
    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        others::pool(self, layer, arena).is_some()
    }
}

/// This file is not compiled without it.
#[derive(Clone, Copy, Debug)]
pub struct Simd128(());

impl Vector for Simd128 {
    type Bytes = v128;
    type Halves = [v128; 2];
    type Words = v128;
    type Floats = v128;

    #[inline(always)]
    fn bytes(self, values: &[u8; 16]) -> v128 {
        // SAFETY: 16 bytes can be read, at any address.
        unsafe { v128_load(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn to_array(self, values: v128) -> [u8; 16] {
        let mut bytes = [0; 16];
        // SAFETY: 16 bytes can be written, at any address.
        unsafe { v128_store(bytes.as_mut_ptr().cast(), values) };
        bytes
    }

    #[inline(always)]
    fn byte(self, value: i8) -> v128 {
        i8x16_splat(value)
    }

    #[inline(always)]
    fn word(self, value: i32) -> v128 {
        i32x4_splat(value)
    }

    #[inline(always)]
    fn words(self, &[a, b, c, d]: &[i32; 4]) -> v128 {
        i32x4(a, b, c, d)
    }

    #[inline(always)]
    fn to_words_array(self, values: v128) -> [i32; 4] {
        [
            i32x4_extract_lane::<0>(values),
            i32x4_extract_lane::<1>(values),
            i32x4_extract_lane::<2>(values),
            i32x4_extract_lane::<3>(values),
        ]
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: v128) -> v128 {
        self.bytes(&self.to_array(values).map(|value| look_up(table, value)))
    }

    #[inline(always)]
    fn float(self, value: f32) -> v128 {
        f32x4_splat(value)
    }

    #[inline(always)]
    fn floats(self, &[a, b, c, d]: &[f32; 4]) -> v128 {
        f32x4(a, b, c, d)
    }

    #[inline(always)]
    fn widen(self, values: v128) -> [v128; 2] {
        [
            i16x8_extend_low_i8x16(values),
            i16x8_extend_high_i8x16(values),
        ]
    }

    #[inline(always)]
    fn widen_more(self, [a, b]: [v128; 2]) -> [v128; 4] {
        [
            i32x4_extend_low_i16x8(a),
            i32x4_extend_high_i16x8(a),
            i32x4_extend_low_i16x8(b),
            i32x4_extend_high_i16x8(b),
        ]
    }

    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        i8x16_min(a, b)
    }

    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        i8x16_max(a, b)
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        i32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        i32x4_mul(a, b)
    }

    #[inline(always)]
    fn shift_right(self, value: v128, shift: u8) -> v128 {
        let half = i32x4_splat(1 << (shift - 1));
        i32x4_shr(i32x4_add(value, half), shift.into())
    }

    #[inline(always)]
    fn to_floats(self, value: v128) -> v128 {
        f32x4_convert_i32x4(value)
    }

    #[inline(always)]
    fn to_words(self, value: v128) -> v128 {
        i32x4_trunc_sat_f32x4(f32x4_nearest(value))
    }

    #[inline(always)]
    fn add_floats(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub_floats(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul_floats(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }

    #[inline(always)]
    fn div_floats(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }

    /// As [`rounding::fma`](crate::rounding::fma); the relaxed instruction may round twice.
    #[inline(always)]
    fn fma(self, x: v128, y: v128, z: v128) -> v128 {
        let low = [x, y, z].map(|value| f64x2_promote_low_f32x4(value));
        let high =
            [x, y, z].map(|value| f64x2_promote_low_f32x4(i64x2_shuffle::<1, 1>(value, value)));
        let [low, high] = [low, high].map(|parts| f32x4_demote_f64x2_zero(sum_to_odd(parts)));
        i64x2_shuffle::<0, 2>(low, high)
    }

    #[inline(always)]
    fn narrow(self, [a, b, c, d]: [v128; 4], zero_point: i16) -> v128 {
        let zero_point = i16x8_splat(zero_point);
        let low = i16x8_add_sat(i16x8_narrow_i32x4(a, b), zero_point);
        let high = i16x8_add_sat(i16x8_narrow_i32x4(c, d), zero_point);
        i8x16_narrow_i16x8(low, high)
    }

    #[inline(always)]
    fn multiply_add(self, [a, b, c, d]: [v128; 4], x: [v128; 2], w: [v128; 2]) -> [v128; 4] {
        [
            i32x4_add(a, i32x4_extmul_low_i16x8(x[0], w[0])),
            i32x4_add(b, i32x4_extmul_high_i16x8(x[0], w[0])),
            i32x4_add(c, i32x4_extmul_low_i16x8(x[1], w[1])),
            i32x4_add(d, i32x4_extmul_high_i16x8(x[1], w[1])),
        ]
    }

    #[inline(always)]
    fn taps(self, weights: &[u8; 4 * BLOCK]) -> [v128; 4] {
        let [a, b, c, d] = quarters(weights).map(|quarter| {
            let quarter = self.bytes(quarter);
            // Words that hold a tap of four channels.
            i8x16_shuffle::<0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15>(quarter, quarter)
        });
        let ab = [
            i32x4_shuffle::<0, 4, 1, 5>(a, b),
            i32x4_shuffle::<2, 6, 3, 7>(a, b),
        ];
        let cd = [
            i32x4_shuffle::<0, 4, 1, 5>(c, d),
            i32x4_shuffle::<2, 6, 3, 7>(c, d),
        ];
        [
            i64x2_shuffle::<0, 2>(ab[0], cd[0]),
            i64x2_shuffle::<1, 3>(ab[0], cd[0]),
            i64x2_shuffle::<0, 2>(ab[1], cd[1]),
            i64x2_shuffle::<1, 3>(ab[1], cd[1]),
        ]
    }
}

impl Dot for Simd128 {
    type Vector = Self;
    /// Of channels `2n` and `2n + 1`, two words each.
    type Sums = [v128; 8];

    #[inline(always)]
    fn vector(self) -> Self {
        self
    }

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [i32x4_splat(0); 8]
    }

    #[inline(always)]
    unsafe fn dot<const P: usize>(
        self,
        sums: &mut [Self::Sums; P],
        weights: &[[u8; 4 * BLOCK]],
        x: [*const u8; P],
    ) {
        for (index, weights) in weights.iter().enumerate() {
            // Each four twice.
            let x = x.map(|x| {
                // SAFETY: four bytes can be read behind each four that has weights: the caller.
                i16x8_extend_low_i8x16(unsafe { v128_load32_splat(x.add(4 * index).cast()) })
            });
            let weights = quarters(weights).map(|quarter| self.widen(self.bytes(quarter)));
            for (sums, x) in sums.iter_mut().zip(x) {
                for (sum, weights) in sums.iter_mut().zip(weights.as_flattened()) {
                    *sum = i32x4_add(*sum, i32x4_dot_i16x8(*weights, x));
                }
            }
        }
    }

    #[inline(always)]
    fn finish(self, [a, b, c, d, e, f, g, h]: Self::Sums) -> [v128; 4] {
        [[a, b], [c, d], [e, f], [g, h]].map(|[a, b]| {
            let even = i32x4_shuffle::<0, 2, 4, 6>(a, b);
            let odd = i32x4_shuffle::<1, 3, 5, 7>(a, b);
            i32x4_add(even, odd)
        })
    }
}

/// `x * y + z`, the product exact and the sum rounded to odd.
#[inline(always)]
fn sum_to_odd([x, y, z]: [v128; 3]) -> v128 {
    let product = f64x2_mul(x, y);
    let sum = f64x2_add(product, z);
    let rest = f64x2_sub(sum, product);
    let lost = f64x2_add(f64x2_sub(product, f64x2_sub(sum, rest)), f64x2_sub(z, rest));
    let inexact = f64x2_ne(lost, f64x2_splat(0.0));
    let even = i64x2_eq(v128_and(sum, i64x2_splat(1)), i64x2_splat(0));
    // Away from zero where both have the same sign.
    let step = v128_or(i64x2_shr(v128_xor(sum, lost), 63), i64x2_splat(1));
    i64x2_add(sum, v128_and(step, v128_and(inexact, even)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounding;
    use crate::testing::{Random, trials};

    #[test]
    fn sums_are_rounded_once() {
        let mut random = Random(9);
        let isa = Simd128(());
        for _ in 0..trials(100_000) {
            let mut float = |low, high| {
                let value = random.scale(low, high);
                if random.below(2) == 0 { value } else { -value }
            };
            // What sums ask for; anything; half-way in f32 but for a bit far away; exact.
            let x = [float(0, 8).trunc(), float(-40, 40), 1.0 + f32::EPSILON, 3.0];
            let y = [float(-8, 8), float(-40, 40), float(-30, -24), 5.0];
            let z = [float(-10, 16), float(-40, 40), 1.0, -15.0];
            let [a, b, c] = [x, y, z].map(|values| isa.floats(&values));
            let found = isa.to_words_array(isa.fma(a, b, c));
            let expected = core::array::from_fn(|lane| {
                rounding::fma(x[lane], y[lane], z[lane])
                    .to_bits()
                    .cast_signed()
            });
            assert_eq!(found, expected, "{x:?} {y:?} {z:?}");
        }
    }
}
