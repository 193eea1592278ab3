//! `x * y + z`, rounded once, by an instruction or where there is none for it.

use super::shift_right;
use crate::arch;

/// `x * y + z`, rounded once to the nearest f32, ties to even.
pub fn fma(x: f32, y: f32, z: f32) -> f32 {
    if let Some(sum) = arch::fma(x, y, z) {
        return sum;
    }
    // A microcontroller computes f64 in software, which takes longer and some 2 KB of flash.
    if cfg!(target_os = "none") {
        in_integers(x, y, z)
    } else {
        in_doubles(x, y, z)
    }
}

/// In f64: the product is exact there, and the sum is rounded to odd, which the second rounding does
/// not see (Boldo and Melquiond 2008).
fn in_doubles(x: f32, y: f32, z: f32) -> f32 {
    let (product, z) = (f64::from(x) * f64::from(y), f64::from(z));
    let sum = product + z;
    // Knuth's two-sum: what `sum` has lost.
    let rest = sum - product;
    let lost = (product - (sum - rest)) + (z - rest);
    if lost == 0.0 || !sum.is_finite() {
        return sum as f32;
    }
    let bits = sum.to_bits();
    let odd = match bits & 1 == 1 {
        true => bits,
        false if (lost > 0.0) == (sum > 0.0) => bits + 1,
        false => bits - 1,
    };
    f64::from_bits(odd) as f32
}

/// In 64-bit integers: product and summand with spare bits below, the smaller shifted to the larger,
/// where what is lost leaves a one in the last bit.
fn in_integers(x: f32, y: f32, z: f32) -> f32 {
    if !(x.is_finite() && y.is_finite() && z.is_finite()) {
        return if x.is_finite() && y.is_finite() {
            z
        } else {
            x * y + z
        };
    }
    let [
        (x_part, x_exponent),
        (y_part, y_exponent),
        (z_part, z_exponent),
    ] = [x, y, z].map(parts);
    // What is exact but for one rounding, which keeps the sign of a result too small for an f32.
    if x_part == 0 || y_part == 0 {
        return x * y + z;
    }
    if z_part == 0 {
        return x * y;
    }
    // Below 2^62 both, with 14 and 38 spare bits.
    let mut product = (u64::from(x_part) * u64::from(y_part)) << 14;
    let mut summand = u64::from(z_part) << 38;
    let (product_exponent, summand_exponent) = (x_exponent + y_exponent - 14, z_exponent - 38);
    let exponent = product_exponent.max(summand_exponent);
    product = shift_right_sticky(product, product_exponent.abs_diff(exponent));
    summand = shift_right_sticky(summand, summand_exponent.abs_diff(exponent));
    let signed = |magnitude: u64, negative: bool| match negative {
        true => -(magnitude as i64),
        false => magnitude as i64,
    };
    let product = signed(product, x.is_sign_negative() != y.is_sign_negative());
    let sum = product + signed(summand, z.is_sign_negative());
    pack(sum, exponent)
}

/// A finite value is `part * 2^exponent`; the part is below 2^24, and from 2^23 on unless the value is
/// subnormal, when it is normalised too.
fn parts(value: f32) -> (u32, i32) {
    let bits = value.to_bits();
    let fraction = bits & 0x007f_ffff;
    match (bits >> 23 & 0xff) as i32 {
        0 => {
            let shift = fraction.leading_zeros().saturating_sub(8);
            // Zero stays zero, whatever its exponent.
            (
                fraction.checked_shl(shift).unwrap_or(0),
                -149 - shift as i32,
            )
        }
        exponent => (fraction | 1 << 23, exponent - 150),
    }
}

/// `value / 2^shift`; the last bit is one if any bit was lost.
fn shift_right_sticky(value: u64, shift: u32) -> u64 {
    match value.checked_shr(shift) {
        Some(kept) => kept | u64::from(kept << shift != value),
        None => u64::from(value != 0),
    }
}

/// The f32 nearest to `sum * 2^exponent`, of which the last bit may stand for lost ones.
fn pack(sum: i64, exponent: i32) -> f32 {
    let magnitude = sum.unsigned_abs();
    if magnitude == 0 {
        return 0.0;
    }
    // 2^top is the greatest power of two in it; 24 bits are kept, fewer below 2^-126.
    let top = 63 - magnitude.leading_zeros() as i32 + exponent;
    let shift = top.max(-126) - 23 - exponent;
    let kept = match shift {
        ..=0 => magnitude << shift.unsigned_abs(),
        1..=63 => shift_right(magnitude, shift.unsigned_abs()),
        _ => 0,
    };
    // A kept 2^23 counts one up in the exponent's bits, as does a carry.
    let biased = (top.max(-126) + 126) as u64;
    let bits = ((biased << 23) + kept).min(f32::INFINITY.to_bits().into());
    f32::from_bits(bits as u32 | u32::from(sum < 0) << 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, trials};

    const FORMS: [fn(f32, f32, f32) -> f32; 3] = [fma, in_doubles, in_integers];

    #[test]
    fn it_rounds_once() {
        // The product is 1 + 2^-23 + 2^-46, which is lost if rounded first.
        let x = 1.0 + f32::EPSILON / 2.0 * 2.0;
        for fma in FORMS {
            assert_eq!(
                fma(x, x, -1.0 - 2.0 * f32::EPSILON),
                f32::EPSILON * f32::EPSILON
            );
            assert_eq!(fma(1.0, 2.0, -2.0).to_bits(), 0);
        }
        let mut random = Random(3);
        for _ in 0..trials(2_000_000) {
            let mut float = |low, high| {
                let value = random.scale(low, high);
                if random.below(2) == 0 { value } else { -value }
            };
            // What Add asks for; then anything, sums that are half-way in f32 but for a far bit too.
            let cases = [
                (float(0, 8).trunc(), float(-8, 8), float(-10, 16)),
                (float(-40, 40), float(-40, 40), float(-80, 80)),
                (float(-70, -60), float(-70, -60), float(-149, -120)),
                (1.0 + f32::EPSILON, float(-30, -24), 1.0),
                (float(-60, -24), float(-10, 10), 16_777_215.0),
            ];
            for (x, y, z) in cases {
                let expected = x.mul_add(y, z);
                for fma in FORMS {
                    assert_eq!(fma(x, y, z).to_bits(), expected.to_bits(), "{x} {y} {z}");
                }
            }
        }
    }

    /// Any bits at all, and their neighbours: subnormals, infinities, what cancels.
    #[test]
    fn whatever_floats() {
        let special = [
            0.0,
            -0.0,
            1.0,
            f32::MAX,
            f32::MIN_POSITIVE,
            f32::INFINITY,
            f32::NAN,
        ];
        let mut random = Random(4);
        for _ in 0..trials(2_000_000) {
            let mut float = || match random.below(4) {
                0 => special[random.below(7) as usize],
                1 => f32::from_bits(random.next() as u32 & 0x80ff_ffff),
                _ => f32::from_bits(random.next() as u32),
            };
            let (x, y, z) = (float(), float(), float());
            let near = f32::from_bits((-x * y).to_bits().wrapping_add(random.below(5) as u32));
            for z in [z, near] {
                let expected = x.mul_add(y, z);
                for fma in FORMS {
                    let found = fma(x, y, z);
                    let same = found.to_bits() == expected.to_bits();
                    assert!(
                        same || found.is_nan() && expected.is_nan(),
                        "{x:e} {y:e} {z:e}"
                    );
                }
            }
        }
    }
}
