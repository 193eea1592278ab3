//! What kernels of 128-bit vectors ask of an instruction set.
#![allow(unsafe_code)]

use crate::packing::BLOCK;

/// An instruction set with vectors of 16 bytes. A value of such a type is the proof that the
/// processor has it.
///
/// Sixteen channels together are one [`Bytes`](Self::Bytes) of i8 or four [`Words`](Self::Words) of
/// i32, in order.
pub trait Vector: Copy {
    /// Sixteen i8.
    type Bytes: Copy;
    /// Sixteen i16.
    type Halves: Copy;
    /// Four i32.
    type Words: Copy;
    /// Four f32.
    type Floats: Copy;

    fn bytes(self, values: &[u8; 16]) -> Self::Bytes;
    fn to_array(self, values: Self::Bytes) -> [u8; 16];
    /// All the same.
    fn byte(self, value: i8) -> Self::Bytes;
    fn word(self, value: i32) -> Self::Words;
    fn words(self, values: &[i32; 4]) -> Self::Words;
    fn to_words_array(self, values: Self::Words) -> [i32; 4];
    fn float(self, value: f32) -> Self::Floats;
    fn floats(self, values: &[f32; 4]) -> Self::Floats;

    /// Sign-extended.
    fn widen(self, values: Self::Bytes) -> Self::Halves;
    /// Sign-extended.
    fn widen_more(self, values: Self::Halves) -> [Self::Words; 4];
    fn min(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    fn max(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// `table[value + 128]` for each.
    fn look_up(self, table: &[u8; 256], values: Self::Bytes) -> Self::Bytes;

    fn add(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn sub(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn mul(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// `(value + 2^(shift - 1)) >> shift`, where the sum does not overflow; `shift` is 1 to 31.
    fn shift_right(self, value: Self::Words, shift: u8) -> Self::Words;

    fn to_floats(self, value: Self::Words) -> Self::Floats;
    /// Half to even; what does not fit becomes the nearest that does.
    fn to_words(self, value: Self::Floats) -> Self::Words;
    fn add_floats(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub_floats(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul_floats(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn div_floats(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `x * y + z`, rounded once, for finite values.
    fn fma(self, x: Self::Floats, y: Self::Floats, z: Self::Floats) -> Self::Floats;

    /// `value + zero_point`, saturated at -128 and 127; each value is saturated to 16 bits first.
    fn narrow(self, values: [Self::Words; 4], zero_point: i16) -> Self::Bytes;

    /// Products of sixteen values added to four words each.
    fn multiply_add(
        self,
        sums: [Self::Words; 4],
        x: Self::Halves,
        weights: Self::Halves,
    ) -> [Self::Words; 4];
    /// From `[channel][tap]` to one vector a tap.
    fn taps(self, weights: &[u8; 4 * BLOCK]) -> [Self::Bytes; 4];
}

/// How an instruction set multiplies and adds along input channels.
pub trait Dot: Copy {
    /// What does the rest.
    type Vector: Vector;
    /// Accumulators of 16 output channels on their way.
    type Sums: Copy;

    fn vector(self) -> Self::Vector;
    /// No sums yet.
    fn zero(self) -> Self::Sums;
    /// For each of `P` pixels, adds what the 16 output channels make of the `4 * weights.len()` inputs
    /// from `x` on.
    ///
    /// # Safety
    /// So many bytes can be read at each of `x`.
    unsafe fn dot<const P: usize>(
        self,
        sums: &mut [Self::Sums; P],
        weights: &[[u8; 4 * BLOCK]],
        x: [*const u8; P],
    );
    /// The accumulators.
    fn finish(self, sums: Self::Sums) -> [<Self::Vector as Vector>::Words; 4];
}

/// The weights of four channels each.
#[inline(always)]
pub fn quarters(weights: &[u8; 4 * BLOCK]) -> [&[u8; 16]; 4] {
    let (quarters, _) = weights.as_chunks();
    core::array::from_fn(|quarter| &quarters[quarter])
}
