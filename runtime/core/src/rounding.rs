//! From accumulators to int8: `runtime/core/QUANTIZATION.md`, equations (1) to (4).
//!
//! [`requantize`] has two forms of the same bits: floats where the core has them, else integers.

use crate::layer::Rounding;

/// Whether this target multiplies f32 in hardware, so that floats are the faster form: Arm's
/// Cortex-M without an FPU (or built for the soft-float ABI) and RISC-V without F do not.
pub const HAS_FLOATS: bool = !cfg!(any(
    all(target_arch = "arm", not(target_abi = "eabihf")),
    all(
        any(target_arch = "riscv32", target_arch = "riscv64"),
        not(target_feature = "f")
    ),
));

/// The integer nearest to `value`, the even one of two; exact for magnitudes up to 2^22. Equation (1).
pub const fn round_half_even(value: f32) -> i32 {
    // The sum's last bit is worth 1, so that adding rounds; it has its own exponent's bits.
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23
    (value + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}

/// `clamp(round_half_even(value) + zero_point, low, high)`, for any value; NaN becomes `low`.
pub fn quantize(value: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    let zero_point = i32::from(zero_point);
    let least = (i32::from(low) - zero_point) as f32;
    let greatest = (i32::from(high) - zero_point) as f32;
    // As comparisons, which take NaN to the least.
    let value = if value > least { value } else { least };
    let value = if value < greatest { value } else { greatest };
    (round_half_even(value) + zero_point) as i8
}

/// `clamp(round_half_even(value + zero_point), low, high)`: the zero point comes before the rounding,
/// so that ties go to the even output. NaN becomes `low`.
pub fn quantize_shifted(value: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    quantize(value + f32::from(zero_point), 0, low, high)
}

/// `clamp(round_half_even(f32(acc) * multiplier) + zero_point, low, high)`, `multiplier` finite and
/// above zero. Equation (2).
pub fn requantize(acc: i32, multiplier: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    if HAS_FLOATS {
        requantize_float(acc, multiplier, zero_point, low, high)
    } else {
        requantize_integer(acc, multiplier, zero_point, low, high)
    }
}

/// [`requantize`] in floats.
pub fn requantize_float(acc: i32, multiplier: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    quantize(acc as f32 * multiplier, zero_point, low, high)
}

/// [`requantize`] in integers: the accumulator and the product are each rounded to 24 bits, as f32
/// does it, and the product then to a whole number. Equation (3).
///
/// Products too small for 24 bits in an f32 are below 2^-126, which is 0 either way; products too
/// large for it are clamped either way.
pub fn requantize_integer(acc: i32, multiplier: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    let bits = multiplier.to_bits();
    let exponent = (bits >> 23 & 0xff) as i32;
    let fraction = u64::from(bits & 0x007f_ffff);
    let (mantissa, exponent) = match exponent {
        0 => (fraction, -149),
        _ => (fraction | 1 << 23, exponent - 150),
    };
    let (acc24, acc_shift) = round_24(acc.unsigned_abs().into());
    let (product, product_shift) = round_24(acc24 * mantissa);
    // The product is `product * 2^shift`, with at most 25 bits.
    let shift = exponent + (acc_shift + product_shift) as i32;
    let magnitude = match shift {
        0..=16 => product << shift,
        17.. => product.min(1) << 31,
        -26..=-1 => shift_right(product, shift.unsigned_abs()),
        _ => 0,
    };
    let magnitude = magnitude.min(1 << 30) as i32;
    let signed = if acc < 0 { -magnitude } else { magnitude };
    (signed + i32::from(zero_point)).clamp(low.into(), high.into()) as i8
}

/// `value` as `mantissa * 2^shift`, rounded half to even to 24 bits.
fn round_24(value: u64) -> (u64, u32) {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(24);
    (shift_right(value, shift), shift)
}

/// `value / 2^shift` rounded half to even; `shift` below 64.
fn shift_right(value: u64, shift: u32) -> u64 {
    if shift == 0 {
        return value;
    }
    let kept = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    kept + u64::from(rest > half || (rest == half && kept & 1 == 1))
}

/// `clamp(((acc * factor + 2^31) >> 32) + zero_point, low, high)`. Equation (4).
pub fn requantize_fixed(acc: i32, factor: i32, zero_point: i8, low: i8, high: i8) -> i8 {
    let product = i64::from(acc) * i64::from(factor) + (1 << 31);
    let rounded = (product >> 32) as i32 + i32::from(zero_point);
    rounded.clamp(low.into(), high.into()) as i8
}

impl Rounding<'_> {
    /// The output of an accumulator of one channel; none for a channel that is not there.
    pub fn apply(&self, acc: i32, channel: usize, zero_point: i8) -> Option<i8> {
        let factor = match self.fixed {
            [] => 0,
            fixed => i32::from_le_bytes(word(fixed, channel)?),
        };
        if factor != 0 {
            return Some(requantize_fixed(
                acc, factor, zero_point, self.low, self.high,
            ));
        }
        let multiplier = f32::from_le_bytes(word(self.multipliers, channel)?);
        Some(requantize(acc, multiplier, zero_point, self.low, self.high))
    }
}

/// Four bytes of an array of words.
pub(crate) fn word(bytes: &[u8], index: usize) -> Option<[u8; 4]> {
    let (words, _) = bytes.as_chunks();
    words.get(index).copied()
}
