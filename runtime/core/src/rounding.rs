//! From accumulators and floats to int8: `runtime/core/QUANTIZATION.md`, equations (1) to (5).
//!
//! [`requantize`] has two forms of the same bits: floats where the core has them, else integers.

mod fma;

pub use fma::fma;

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

/// The integer nearest to `value`, the even one of two; exact for magnitudes up to 2^22.
pub const fn round_half_even(value: f32) -> i32 {
    // The sum's last bit is worth 1, so that adding rounds; it has its own exponent's bits.
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23
    (value + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}

/// `clamp(value, low, high)`; `high` where that is below `low`, which the standard library's panics at.
pub(crate) fn limit(value: i32, low: i8, high: i8) -> i8 {
    value.max(low.into()).min(high.into()) as i8
}

/// `clamp(round_half_even(value) + zero_point, low, high)`, for any value; NaN becomes `low`.
/// Equation (1).
pub fn quantize(value: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    let zero_point = i32::from(zero_point);
    let least = (i32::from(low) - zero_point) as f32;
    let greatest = (i32::from(high) - zero_point) as f32;
    // As comparisons, which take NaN to the least.
    let value = if value > least { value } else { least };
    let value = if value < greatest { value } else { greatest };
    (round_half_even(value) + zero_point) as i8
}

/// `clamp(round_half_even(value + (zero_point + 128)) - 128, low, high)`: the zero point, that of the
/// unsigned output, comes before the rounding. NaN becomes `low`. Equation (2).
pub fn quantize_shifted(value: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    let zero_point = (i32::from(zero_point) + 128) as f32;
    quantize(value + zero_point, -128, low, high)
}

/// `clamp(round_half_even(f32(acc) * multiplier) + zero_point, low, high)`, `multiplier` not below zero. 0 times
/// infinity becomes `low`. Equation (3).
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
/// does it, and the product then to a whole number. Equation (4).
///
/// Products too small for 24 bits in an f32 are below 2^-126, which is 0 either way; products too
/// large for it are clamped either way.
pub fn requantize_integer(acc: i32, multiplier: f32, zero_point: i8, low: i8, high: i8) -> i8 {
    let bits = multiplier.to_bits();
    if let Some(rounded) = far_from_ties(acc, bits) {
        return limit(rounded + i32::from(zero_point), low, high);
    }
    // No number.
    if acc == 0 && bits == f32::INFINITY.to_bits() {
        return low;
    }
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
    limit(signed + i32::from(zero_point), low, high)
}

/// `round_half_even(f32(acc) * multiplier)` for multipliers below 1/2 and products that are not near a
/// tie: there it does not matter how the product is rounded. What is returned for products of
/// more than 2^9 is more than 2^8, of their sign.
///
/// Rounding to 24 bits, twice, moves a product below 2^9 by less than 2^-14; so does cutting it to 16
/// fraction bits.
fn far_from_ties(acc: i32, multiplier: u32) -> Option<i32> {
    const NEAR: u32 = 8;
    let shift = 125_u32.checked_sub(multiplier >> 23)?;
    let mantissa = (multiplier << 8 | 1 << 31) >> 1;
    // 2^(32 + shift) for 1; then 16 fraction bits.
    let (upper, lower) = product(acc, mantissa as i32);
    let scaled = match shift {
        0..16 => {
            let most = 1 << (9 + shift);
            if upper >= most || upper < -most {
                return Some(if upper < 0 { -512 } else { 512 });
            }
            upper << (16 - shift) | (lower >> 16 >> shift) as i32
        }
        16..32 => upper >> (shift - 16),
        _ => return None,
    };
    let rounded = scaled.wrapping_add(1 << 15);
    let fraction = rounded as u32 & 0xffff;
    (fraction.wrapping_sub(NEAR) < 0x1_0000 - 2 * NEAR).then_some(rounded >> 16)
}

/// `value` as `mantissa * 2^shift`, rounded half to even to 24 bits.
fn round_24(value: u64) -> (u64, u32) {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(24);
    (shift_right(value, shift), shift)
}

/// `value / 2^shift` rounded half to even; `shift` below 64.
const fn shift_right(value: u64, shift: u32) -> u64 {
    if shift == 0 {
        return value;
    }
    let kept = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    kept + (rest > half || (rest == half && kept & 1 == 1)) as u64
}

/// `clamp(((acc * factor + 2^31) >> 32) + zero_point, low, high)`. Equation (5).
pub fn requantize_fixed(acc: i32, factor: i32, zero_point: i8, low: i8, high: i8) -> i8 {
    let (upper, lower) = product(acc, factor);
    let rounded = upper + (lower >> 31) as i32 + i32::from(zero_point);
    limit(rounded, low, high)
}

/// The upper and the lower half of a product; `factor` is not negative.
fn product(acc: i32, factor: i32) -> (i32, u32) {
    if !cfg!(kiln_v6) {
        let product = i64::from(acc) * i64::from(factor);
        return ((product >> 32) as i32, product as u32);
    }
    // Armv6-M multiplies to 32 bits: by halves.
    let (acc_upper, acc_lower) = (acc >> 16, acc as u32 & 0xffff);
    let (upper, lower) = (factor >> 16, factor as u32 & 0xffff);
    let low = acc_lower * lower;
    let middle = acc_lower * upper as u32 + (low >> 16);
    let other = acc_upper * lower as i32 + (middle & 0xffff) as i32;
    let high = acc_upper * upper + (middle >> 16) as i32 + (other >> 16);
    (high, (other as u32) << 16 | low & 0xffff)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, rounded, trials};

    #[test]
    fn rounds_to_the_nearest_and_ties_to_even() {
        let cases = [
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (0.499_999_97, 0),
            (0.500_000_06, 1),
            (254.5, 254),
            (-255.500_02, -256),
            (4_194_303.5, 4_194_304),
            (-4_194_303.5, -4_194_304),
        ];
        for (value, expected) in cases {
            assert_eq!(round_half_even(value), expected, "{value}");
        }
        for eighth in -4096..=4096 {
            let value = eighth as f32 / 8.0;
            assert_eq!(round_half_even(value), value.round_ties_even() as i32);
        }
    }

    #[test]
    fn whatever_float_is_quantized() {
        let cases = [
            (f32::NAN, -90),
            (f32::INFINITY, 100),
            (f32::NEG_INFINITY, -90),
            (3e38, 100),
            (-0.0, 7),
            (1e-45, 7),
            (92.5, 99),
            (93.5, 100),
            (-97.5, -90),
        ];
        for (value, expected) in cases {
            assert_eq!(quantize(value, 7, -90, 100), expected, "{value}");
        }
        // The zero point of the unsigned output is 135: 0.5 + 135 goes to 136, 1.5 + 135 too.
        let cases = [(0.5, 8), (1.5, 8), (-0.5, 6), (f32::NAN, -90), (1e30, 100)];
        for (value, expected) in cases {
            assert_eq!(quantize_shifted(value, 7, -90, 100), expected, "{value}");
        }
    }

    fn forms_agree(acc: i32, multiplier: f32, zero_point: i8, low: i8, high: i8) {
        let product = acc as f32 * multiplier;
        let expected = rounded(product, zero_point.into(), low, high);
        let float = requantize_float(acc, multiplier, zero_point, low, high);
        let integer = requantize_integer(acc, multiplier, zero_point, low, high);
        let case = (acc, multiplier, multiplier.to_bits(), zero_point, low, high);
        assert_eq!(float, expected, "{case:?}");
        assert_eq!(integer, expected, "{case:?}");
    }

    /// Of accumulators and of multipliers: the ends, powers of two and their neighbours.
    #[test]
    fn float_and_integer_requantization_agree_at_the_edges() {
        let mut accs = std::vec![0, i32::MIN, i32::MIN + 1, i32::MAX];
        for bit in 0..31 {
            for near in -3..=3 {
                let acc = (1i32 << bit).wrapping_add(near);
                accs.extend([acc, acc.wrapping_neg()]);
            }
        }
        let mut multipliers = std::vec![f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1)];
        for exponent in 0..255u32 {
            for mantissa in [
                0, 1, 2, 0x3f_ffff, 0x40_0000, 0x55_5555, 0x60_0000, 0x7f_ffff,
            ] {
                multipliers.push(f32::from_bits((exponent << 23 | mantissa).max(1)));
            }
        }
        for &multiplier in &multipliers {
            for &acc in &accs {
                forms_agree(acc, multiplier, 0, -128, 127);
            }
        }
    }

    #[test]
    fn nothing_times_infinity_is_low_in_both_forms() {
        for (acc, expected) in [(0, -20), (1, 100), (-1, -20)] {
            let forms = [requantize_float, requantize_integer];
            let found = forms.map(|form| form(acc, f32::INFINITY, 5, -20, 100));
            assert_eq!(found, [expected; 2], "{acc}");
        }
    }

    #[test]
    fn float_and_integer_requantization_agree_at_random() {
        let mut random = Random(11);
        for _ in 0..trials(4_000_000) {
            let acc = (random.next() as i32) >> random.below(31);
            // The product lies around the range of outputs, or anywhere.
            let multiplier = match random.below(4) {
                0 => f32::from_bits((random.below(0x7f7f_ffff) + 1) as u32),
                1 => random.scale(-40, 4),
                _ => {
                    let size = acc.unsigned_abs().max(1) as f32;
                    let wanted = random.scale(-3, 9);
                    wanted / size
                }
            };
            let [a, b] = [random.i8(), random.i8()];
            forms_agree(acc, multiplier, random.i8(), a.min(b), a.max(b));
        }
    }

    /// Multipliers of few bits give many exact ties.
    #[test]
    fn float_and_integer_requantization_agree_on_ties() {
        let step = crate::testing::every(997);
        for multiplier in [
            0.5,
            0.25,
            0.125,
            1.5,
            3.0 / 256.0,
            1.0 / 4096.0,
            1023.0 / 65536.0,
        ] {
            for acc in (-70_000..70_000).step_by(step) {
                forms_agree(acc, multiplier, 3, -128, 127);
            }
        }
    }

    #[test]
    fn fixed_requantization_rounds_half_up() {
        let half = 1 << 31;
        let cases = [
            (3, 1 << 30, 0, 1),   // 0.75
            (2, 1 << 30, 0, 1),   // 0.5
            (-2, 1 << 30, 0, 0),  // -0.5
            (-3, 1 << 30, 0, -1), // -0.75
            (10, i32::MAX, -4, 1),
            (i32::MIN, i32::MAX, 0, -100),
            (i32::MAX, i32::MAX, 0, 90),
            (i32::MIN, 1, 100, 90),
        ];
        for (acc, factor, zero_point, expected) in cases {
            let found = requantize_fixed(acc, factor, zero_point, -100, 90);
            assert_eq!(found, expected, "{acc} {factor} {zero_point}");
        }
        let mut random = Random(5);
        for _ in 0..trials(100_000) {
            let acc = (random.next() as i32) >> random.below(31);
            let factor = (random.next() as i32 & i32::MAX) >> random.below(31);
            let exact = (i128::from(acc) * i128::from(factor) + half).div_euclid(1 << 32);
            let found = requantize_fixed(acc, factor, 5, -128, 127);
            assert_eq!(i128::from(found), (exact + 5).clamp(-128, 127));
        }
    }

    #[test]
    fn a_channel_goes_by_its_factor_or_its_multiplier() {
        let multipliers = crate::testing::floats(&[0.5, 0.25]);
        let fixed = crate::testing::words(&[0, 1 << 30]);
        let rounding = Rounding {
            multipliers: &multipliers,
            fixed: &fixed,
            low: -10,
            high: 10,
        };
        // 0.5 goes to 0 by (3), to 1 by (5).
        assert_eq!(rounding.apply(1, 0, 0), Some(0));
        assert_eq!(rounding.apply(2, 1, 0), Some(1));
        assert_eq!(rounding.apply(2, 2, 0), None);
        let plain = Rounding {
            fixed: &[],
            ..rounding
        };
        assert_eq!(plain.apply(2, 1, 0), Some(0));
        assert_eq!(plain.apply(2000, 1, 0), Some(10));
    }
}
