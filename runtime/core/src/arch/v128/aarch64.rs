//! 64-bit Arm: NEON, which all have, and the dot product of Armv8.2, which is found out when the
//! program runs.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use super::vector::{Dot, Vector, quarters};
use super::{blocks, others, sums};
use crate::layer::{Binary, Conv, Pool, Table};
use crate::packing::BLOCK;

/// An instruction set that the processor has.
#[derive(Clone, Copy, Debug)]
pub enum Isa {
    /// NEON with the dot product.
    Dotprod(Dotprod),
    /// Baseline NEON.
    Neon(Neon),
}

/// Those that the processor has, the fastest first.
pub fn isas() -> impl Iterator<Item = Isa> {
    let dotprod = Dotprod::new().map(Isa::Dotprod);
    dotprod.into_iter().chain([Isa::Neon(Neon(()))])
}

impl Isa {
    /// Convolution.
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        match self {
            Self::Dotprod(isa) => blocks::conv::<_, 4>(isa, layer, arena).is_some(),
            Self::Neon(isa) => blocks::conv::<_, 2>(isa, layer, arena).is_some(),
        }
    }

    /// Sum, difference or product.
    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        let (Self::Dotprod(Dotprod(isa)) | Self::Neon(isa)) = self;
        sums::binary(isa, layer, arena).is_some()
    }

    /// A table of each value.
    pub fn table(self, layer: &Table<'_>, arena: &mut [u8]) -> bool {
        let (Self::Dotprod(Dotprod(isa)) | Self::Neon(isa)) = self;
        others::table(isa, layer, arena).is_some()
    }

    /// Maximum or average.
    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        let (Self::Dotprod(Dotprod(isa)) | Self::Neon(isa)) = self;
        others::pool(isa, layer, arena).is_some()
    }
}

/// Baseline NEON; this file is not compiled without it.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

/// NEON with the dot product.
#[derive(Clone, Copy, Debug)]
pub struct Dotprod(Neon);

impl Dotprod {
    /// Asks the system, through the C library that every program on Linux and Android is linked with.
    /// Elsewhere it is there where the program was compiled for it, as it always is for Apple's.
    pub fn new() -> Option<Self> {
        let there = cfg!(target_feature = "dotprod") || capabilities() >> 20 & 1 == 1;
        there.then_some(Self(Neon(())))
    }
}

/// `AT_HWCAP`: bit 20 is the dot product's.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn capabilities() -> u64 {
    unsafe extern "C" {
        fn getauxval(kind: core::ffi::c_ulong) -> core::ffi::c_ulong;
    }
    // SAFETY: this is the C library's declaration; it can be called at any time, with any number.
    unsafe { getauxval(16) as u64 }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn capabilities() -> u64 {
    0
}

/// Operations that are one intrinsic.
macro_rules! intrinsics {
    ($($name:ident($($value:ident: $from:ty),*) -> $to:ty = $intrinsic:path;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($value: $from),*) -> $to {
                // SAFETY: the processor has NEON.
                unsafe { $intrinsic($($value),*) }
            }
        )*
    };
}

impl Vector for Neon {
    type Bytes = int8x16_t;
    type Halves = [int16x8_t; 2];
    type Words = int32x4_t;
    type Floats = float32x4_t;

    intrinsics! {
        byte(value: i8) -> int8x16_t = vdupq_n_s8;
        word(value: i32) -> int32x4_t = vdupq_n_s32;
        float(value: f32) -> float32x4_t = vdupq_n_f32;
        min(a: int8x16_t, b: int8x16_t) -> int8x16_t = vminq_s8;
        max(a: int8x16_t, b: int8x16_t) -> int8x16_t = vmaxq_s8;
        add(a: int32x4_t, b: int32x4_t) -> int32x4_t = vaddq_s32;
        sub(a: int32x4_t, b: int32x4_t) -> int32x4_t = vsubq_s32;
        mul(a: int32x4_t, b: int32x4_t) -> int32x4_t = vmulq_s32;
        to_floats(value: int32x4_t) -> float32x4_t = vcvtq_f32_s32;
        to_words(value: float32x4_t) -> int32x4_t = vcvtnq_s32_f32;
        add_floats(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32;
        sub_floats(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32;
        mul_floats(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmulq_f32;
        div_floats(a: float32x4_t, b: float32x4_t) -> float32x4_t = vdivq_f32;
    }

    #[inline(always)]
    fn bytes(self, values: &[u8; 16]) -> int8x16_t {
        // SAFETY: 16 bytes can be read.
        unsafe { vld1q_s8(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn to_array(self, values: int8x16_t) -> [u8; 16] {
        let mut bytes = [0; 16];
        // SAFETY: 16 bytes can be written.
        unsafe { vst1q_s8(bytes.as_mut_ptr().cast(), values) };
        bytes
    }

    #[inline(always)]
    fn words(self, values: &[i32; 4]) -> int32x4_t {
        // SAFETY: four words can be read.
        unsafe { vld1q_s32(values.as_ptr()) }
    }

    #[inline(always)]
    fn to_words_array(self, values: int32x4_t) -> [i32; 4] {
        let mut words = [0; 4];
        // SAFETY: four words can be written.
        unsafe { vst1q_s32(words.as_mut_ptr(), values) };
        words
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: int8x16_t) -> int8x16_t {
        let (parts, _) = table.as_chunks::<64>();
        // SAFETY: 64 bytes can be read of each part. The processor has NEON.
        unsafe {
            let mut index = veorq_u8(vreinterpretq_u8_s8(values), vdupq_n_u8(0x80));
            let mut found = vdupq_n_u8(0);
            for part in parts {
                let part = vld1q_u8_x4(part.as_ptr());
                // Indices outside of the part leave what was found.
                found = vqtbx4q_u8(found, part, index);
                index = vsubq_u8(index, vdupq_n_u8(64));
            }
            vreinterpretq_s8_u8(found)
        }
    }

    #[inline(always)]
    fn floats(self, values: &[f32; 4]) -> float32x4_t {
        // SAFETY: four floats can be read.
        unsafe { vld1q_f32(values.as_ptr()) }
    }

    #[inline(always)]
    fn widen(self, values: int8x16_t) -> [int16x8_t; 2] {
        // SAFETY: the processor has NEON.
        unsafe { [vmovl_s8(vget_low_s8(values)), vmovl_high_s8(values)] }
    }

    #[inline(always)]
    fn widen_more(self, [a, b]: [int16x8_t; 2]) -> [int32x4_t; 4] {
        // SAFETY: the processor has NEON.
        unsafe {
            [
                vmovl_s16(vget_low_s16(a)),
                vmovl_high_s16(a),
                vmovl_s16(vget_low_s16(b)),
                vmovl_high_s16(b),
            ]
        }
    }

    #[inline(always)]
    fn shift_right(self, value: int32x4_t, shift: u8) -> int32x4_t {
        // SAFETY: the processor has NEON.
        unsafe { vrshlq_s32(value, vdupq_n_s32(-i32::from(shift))) }
    }

    #[inline(always)]
    fn fma(self, x: float32x4_t, y: float32x4_t, z: float32x4_t) -> float32x4_t {
        // SAFETY: the processor has NEON.
        unsafe { vfmaq_f32(z, x, y) }
    }

    #[inline(always)]
    fn narrow(self, [a, b, c, d]: [int32x4_t; 4], zero_point: i16) -> int8x16_t {
        // SAFETY: the processor has NEON.
        unsafe {
            let zero_point = vdupq_n_s16(zero_point);
            let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero_point);
            let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), zero_point);
            vqmovn_high_s16(vqmovn_s16(low), high)
        }
    }

    #[inline(always)]
    fn multiply_add(
        self,
        [a, b, c, d]: [int32x4_t; 4],
        x: [int16x8_t; 2],
        w: [int16x8_t; 2],
    ) -> [int32x4_t; 4] {
        // SAFETY: the processor has NEON.
        unsafe {
            [
                vmlal_s16(a, vget_low_s16(x[0]), vget_low_s16(w[0])),
                vmlal_high_s16(b, x[0], w[0]),
                vmlal_s16(c, vget_low_s16(x[1]), vget_low_s16(w[1])),
                vmlal_high_s16(d, x[1], w[1]),
            ]
        }
    }

    #[inline(always)]
    fn taps(self, weights: &[u8; 4 * BLOCK]) -> [int8x16_t; 4] {
        // SAFETY: 64 bytes can be read.
        let int8x16x4_t(a, b, c, d) = unsafe { vld4q_s8(weights.as_ptr().cast()) };
        [a, b, c, d]
    }
}

impl Dot for Neon {
    type Vector = Self;
    /// Of channels `2n` and `2n + 1`, two words each.
    type Sums = [int32x4_t; 8];

    #[inline(always)]
    fn vector(self) -> Self {
        self
    }

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [self.word(0); 8]
    }

    #[inline(always)]
    unsafe fn dot<const P: usize>(
        self,
        sums: &mut [Self::Sums; P],
        weights: &[[u8; 4 * BLOCK]],
        x: [*const u8; P],
    ) {
        for (index, weights) in weights.iter().enumerate() {
            let weights = quarters(weights).map(|quarter| self.bytes(quarter));
            for (sums, x) in sums.iter_mut().zip(x) {
                // SAFETY: four bytes can be read behind each four that has weights: the caller.
                // Products of i8 fit in i16. The processor has NEON.
                unsafe {
                    let four = x.add(4 * index).cast::<i32>().read_unaligned();
                    let x = vreinterpretq_s8_s32(vdupq_n_s32(four));
                    for (weights, sums) in weights.into_iter().zip(sums.as_chunks_mut().0) {
                        let [low, high]: &mut [_; 2] = sums;
                        let product = vmull_s8(vget_low_s8(x), vget_low_s8(weights));
                        *low = vpadalq_s16(*low, product);
                        *high = vpadalq_s16(*high, vmull_high_s8(x, weights));
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn finish(self, [a, b, c, d, e, f, g, h]: Self::Sums) -> [int32x4_t; 4] {
        // SAFETY: the processor has NEON.
        unsafe {
            [
                vpaddq_s32(a, b),
                vpaddq_s32(c, d),
                vpaddq_s32(e, f),
                vpaddq_s32(g, h),
            ]
        }
    }
}

impl Dot for Dotprod {
    type Vector = Neon;
    /// In the order of channels.
    type Sums = [int32x4_t; 4];

    #[inline(always)]
    fn vector(self) -> Neon {
        self.0
    }

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [self.0.word(0); 4]
    }

    #[inline(always)]
    unsafe fn dot<const P: usize>(
        self,
        sums: &mut [Self::Sums; P],
        weights: &[[u8; 4 * BLOCK]],
        x: [*const u8; P],
    ) {
        let (chunks, rest) = weights.as_chunks::<4>();
        for (index, [a, b, c, d]) in chunks.iter().enumerate() {
            // SAFETY: 16 bytes can be read behind each chunk of four fours: the caller.
            let x = x.map(|x| unsafe { vld1q_s8(x.add(16 * index).cast()) });
            self.four::<P, 0>(sums, a, x);
            self.four::<P, 1>(sums, b, x);
            self.four::<P, 2>(sums, c, x);
            self.four::<P, 3>(sums, d, x);
        }
        for (index, weights) in (4 * chunks.len()..).zip(rest) {
            // SAFETY: four bytes can be read behind each four that has weights: the caller. The
            // processor has NEON.
            let x = x.map(|x| unsafe {
                let four = x.add(4 * index).cast::<i32>().read_unaligned();
                vreinterpretq_s8_s32(vdupq_n_s32(four))
            });
            self.four::<P, 0>(sums, weights, x);
        }
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums) -> [int32x4_t; 4] {
        sums
    }
}

impl Dotprod {
    /// Four inputs, number `LANE` of those in `x`, of `P` pixels times 16 output channels.
    #[inline(always)]
    fn four<const P: usize, const LANE: usize>(
        self,
        sums: &mut [[int32x4_t; 4]; P],
        weights: &[u8; 4 * BLOCK],
        x: [int8x16_t; P],
    ) {
        let weights = quarters(weights).map(|quarter| self.0.bytes(quarter));
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sum, weights) in sums.iter_mut().zip(weights) {
                // The intrinsic, vdotq_laneq_s32, is not stable.
                // SAFETY: the processor has the instruction, which touches nothing else.
                unsafe {
                    asm!(
                        ".arch_extension dotprod",
                        "sdot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{lane}]",
                        sum = inout(vreg) *sum,
                        weights = in(vreg) weights,
                        x = in(vreg) x,
                        lane = const LANE,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
            }
        }
    }
}
