//! Where floats decide, the order of operations must not: whether a layer's results keep off the
//! half-way points between integers, so that every order of float operations, fused or not, and integers
//! of enough bits round alike.

use crate::graph::Quant;

/// Whether the exact value of an output, in steps of its scale with the zero point added, is clear of
/// half-way points by `margin`, or saturates.
fn is_clear(value: f64, margin: f64) -> bool {
    let inside = (-128.5 - margin..=127.5 + margin).contains(&value);
    !inside || ((value - value.floor()) - 0.5).abs() > margin
}

/// All that a quantization can hold, without its zero point.
fn steps(quant: Quant) -> impl Iterator<Item = f64> + Clone {
    let zero_point = i32::from(quant.zero_point);
    (-128 - zero_point..=127 - zero_point).map(f64::from)
}

fn ratio(a: Quant, b: Quant) -> f64 {
    f64::from(a.scale) / f64::from(b.scale)
}

/// Whether `a + sign * b` is clear of half-way points for all pairs.
pub(super) fn sums_are_clear(a: Quant, b: Quant, output: Quant, sign: f64, margin: f64) -> bool {
    let (by_a, by_b) = (ratio(a, output), sign * ratio(b, output));
    let zero_point = f64::from(output.zero_point);
    steps(a).all(|a| steps(b).all(|b| is_clear(a * by_a + b * by_b + zero_point, margin)))
}

/// Whether `a * b` is clear of half-way points for all pairs.
pub(super) fn products_are_clear(a: Quant, b: Quant, output: Quant, margin: f64) -> bool {
    let by = ratio(a, output) * f64::from(b.scale);
    let zero_point = f64::from(output.zero_point);
    steps(a).all(|a| steps(b).all(|b| is_clear(a * b * by + zero_point, margin)))
}

/// Whether a function of each value is clear of half-way points.
pub(super) fn table_is_clear(
    input: Quant,
    output: Quant,
    function: impl Fn(f64) -> f64,
    margin: f64,
) -> bool {
    let (scale, per) = (f64::from(input.scale), 1.0 / f64::from(output.scale));
    let zero_point = f64::from(output.zero_point);
    steps(input).all(|x| is_clear(function(x * scale) * per + zero_point, margin))
}

/// Whether the mean of `count` values is clear of half-way points by what summing them as f32 may lose.
pub(super) fn averages_are_clear(input: Quant, output: Quant, count: u32) -> bool {
    let zero_point = f64::from(input.zero_point);
    let count = f64::from(count);
    let ratio = ratio(input, output);
    let margin = 255.0 * (count / 2.0 + 4.0) * ratio.max(1.0) / 16_777_216.0;
    let (low, high) = (count * (-128.0 - zero_point), count * (127.0 - zero_point));
    let sums = (low as i64..=high as i64).map(|sum| sum as f64);
    let zero_point = f64::from(output.zero_point);
    sums.into_iter()
        .all(|sum| is_clear(sum * ratio / count + zero_point, margin))
}

/// Scales of a sum's inputs, and of its output, that make every float operation of it exact.
///
/// With `a / output = Ma / 2^S` and `b / output = Mb / 2^S`, Ma and Mb whole and below 2^15, all
/// intermediate results fit in 24 bits, whatever the order, and the sum is
/// `((x_a - z_a) * Ma + (x_b - z_b) * Mb + 2^(S-1)) >> S`: where no pair is half-way, which is what is
/// looked for among the neighbours of the scales as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    pub a: Quant,
    pub b: Quant,
    pub output: Quant,
    /// Which of a, b and the output must keep their scales.
    pub fixed: [bool; 3],
    /// Whether a and b share one scale.
    pub same: bool,
}

/// How far Ma and Mb may move.
const NEIGHBOURS: i32 = 16;

impl Sum {
    /// The scales of a, b and the output; none where no neighbour will do.
    pub fn grid(&self) -> Option<[f32; 3]> {
        let (by_a, by_b) = (ratio(self.a, self.output), ratio(self.b, self.output));
        let exponent = by_a.max(by_b).log2().floor() as i32;
        let shift = (14 - exponent).min(16);
        if !(1..=16).contains(&shift) {
            return None;
        }
        let unit = f64::from(shift).exp2();
        let start = [(by_a * unit).round() as i32, (by_b * unit).round() as i32];
        let mut moves: Vec<[i32; 2]> = (-NEIGHBOURS..=NEIGHBOURS)
            .flat_map(|a| (-NEIGHBOURS..=NEIGHBOURS).map(move |b| [a, b]))
            .filter(|[a, b]| !self.same || a == b)
            .collect();
        moves.sort_by_key(|[a, b]| a.abs() + b.abs());
        let mut candidates = moves.iter().filter_map(|[a, b]| {
            let multipliers = [start[0] + a, start[1] + b];
            let fit = multipliers.iter().all(|m| (1..1 << 15).contains(m));
            fit.then_some(multipliers)
        });
        candidates.find_map(|multipliers| {
            let scales = self.scales(multipliers, unit)?;
            self.has_no_tie(multipliers, shift).then_some(scales)
        })
    }

    /// The scales with these multipliers, as near as may be to those that are fixed.
    fn scales(&self, multipliers: [i32; 2], unit: f64) -> Option<[f32; 3]> {
        let [by_a, by_b] = multipliers.map(|m| f64::from(m) / unit);
        let output = match self.fixed {
            [true, _, false] => (f64::from(self.a.scale) / by_a) as f32,
            [false, true, false] => (f64::from(self.b.scale) / by_b) as f32,
            _ => self.output.scale,
        };
        let input = |quant: Quant, fixed: bool, by: f64| {
            let scale = if fixed {
                quant.scale
            } else {
                (f64::from(output) * by) as f32
            };
            // The grid holds for what f32 computes.
            (f64::from(scale / output) == by).then_some(scale)
        };
        let a = input(self.a, self.fixed[0], by_a)?;
        let b = input(self.b, self.fixed[1], by_b)?;
        Some([a, b, output])
    }

    /// Whether no pair is half-way between two integers that the output has.
    fn has_no_tie(&self, [by_a, by_b]: [i32; 2], shift: i32) -> bool {
        let half = 1i64 << (shift - 1);
        let (low, high) = (
            (-128 - i64::from(self.output.zero_point)) << shift,
            (127 - i64::from(self.output.zero_point)) << shift,
        );
        let mask = (1i64 << shift) - 1;
        steps(self.a).all(|a| {
            let a = a as i64 * i64::from(by_a);
            steps(self.b).all(|b| {
                let sum = a + b as i64 * i64::from(by_b);
                sum & mask != half || sum < low || sum > high
            })
        })
    }
}

/// The nearest scale, within `most` relative to it, with which `holds`.
pub(super) fn nudge(scale: f32, most: f64, mut holds: impl FnMut(f32) -> bool) -> Option<f32> {
    /// Tries on either side.
    const TRIES: i32 = 200;
    let moved =
        |step: i32| (f64::from(scale) * (1.0 + most * f64::from(step) / f64::from(TRIES))) as f32;
    let steps = std::iter::once(0).chain((1..=TRIES).flat_map(|step| [step, -step]));
    steps
        .map(moved)
        .find(|scale| scale.is_normal() && holds(*scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quant(scale: f32, zero_point: i8) -> Quant {
        Quant {
            scale,
            zero_point,
            unsigned: true,
        }
    }

    fn scales(seed: u32) -> [f32; 3] {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
        std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.01 + (state >> 8) as f32 / (1 << 24) as f32 * 0.05
        })
    }

    #[test]
    fn on_the_grid_every_order_and_the_integers_give_the_same() {
        let mut found = 0;
        for seed in 0..30 {
            let [a, b, output] = scales(seed);
            let fixed = [
                [false, false, true],
                [false; 3],
                [true, false, false],
                [false, true, false],
            ][seed as usize % 4];
            let zero_points: [i8; 3] = [7, -4, 5].map(|step| (step * seed as i32 - 70) as i8);
            let mut sum = Sum {
                a: quant(a, zero_points[0]),
                b: quant(b, zero_points[1]),
                output: quant(output, zero_points[2]),
                fixed,
                same: false,
            };
            let Some(scales) = sum.grid() else { continue };
            found += 1;
            for (index, (scale, old)) in scales.iter().zip([a, b, output]).enumerate() {
                assert!((scale / old - 1.0).abs() < 1e-2, "{scale} {old}");
                assert!(!fixed[index] || *scale == old);
            }
            (sum.a.scale, sum.b.scale, sum.output.scale) = (scales[0], scales[1], scales[2]);
            compare_orders(&sum);
        }
        assert!(found >= 28, "{found} of 30");
    }

    fn compare_orders(sum: &Sum) {
        let (ra, rb) = (
            sum.a.scale / sum.output.scale,
            sum.b.scale / sum.output.scale,
        );
        let [za, zb, zc] = [sum.a, sum.b, sum.output].map(|quant| f32::from(quant.zero_point));
        let fold = zc - ra.mul_add(za, rb * zb);
        let saturate = |value: f32| value.round_ties_even().clamp(-128.0, 127.0);
        for a in -128..=127 {
            for b in -128..=127 {
                let (a, b) = (a as f32, b as f32);
                let orders = [
                    a.mul_add(ra, b.mul_add(rb, fold)),
                    (a - za) * ra + (b - zb) * rb + zc,
                    a * ra + b * rb + fold,
                    (a - za).mul_add(ra, (b - zb) * rb) + zc,
                ];
                let exact = (f64::from(a - za) * f64::from(ra)
                    + f64::from(b - zb) * f64::from(rb)
                    + f64::from(zc)
                    + 0.5)
                    .floor()
                    .clamp(-128.0, 127.0);
                for order in orders {
                    assert_eq!(f64::from(saturate(order)), exact, "{sum:?} {a} {b}");
                }
            }
        }
    }

    #[test]
    fn what_is_fixed_and_off_the_grid_is_refused() {
        let sum = Sum {
            a: quant(0.0123, 3),
            b: quant(0.02, 4),
            output: quant(0.031, 0),
            fixed: [true, true, true],
            same: false,
        };
        assert!(sum.grid().is_none());
        // One input far above the output: no multiplier fits.
        let far = Sum {
            a: quant(1e6, 3),
            fixed: [false; 3],
            ..sum
        };
        assert!(far.grid().is_none());
    }

    #[test]
    fn half_way_points_are_seen() {
        let (one, half) = (quant(1.0, 0), quant(0.5, 3));
        assert!(sums_are_clear(one, one, one, 1.0, 1e-4));
        assert!(!sums_are_clear(one, half, one, -1.0, 1e-4));
        assert!(!products_are_clear(one, half, one, 1e-4));
        assert!(products_are_clear(one, quant(2.0, 5), one, 1e-4));
        assert!(table_is_clear(one, one, |x| x + 0.25, 1e-3));
        assert!(!table_is_clear(one, one, |x| x + 0.4995, 1e-3));
        // Saturated outputs do not count: from 127.5 on.
        assert!(table_is_clear(one, one, |_| 300.5, 1e-3));
        assert!(averages_are_clear(one, one, 3));
        assert!(!averages_are_clear(one, one, 4));
    }

    #[test]
    fn a_nudge_is_as_small_as_may_be() {
        let (input, output) = (quant(0.02, 0), quant(0.01, 0));
        let holds = |scale| table_is_clear(input, Quant { scale, ..output }, |x| x * 0.77, 1e-3);
        assert!(!holds(0.01 * 0.77 * 4.0));
        let found = nudge(0.01 * 0.77 * 4.0, 1e-2, holds).unwrap();
        assert!(
            holds(found) && (found / 0.0308 - 1.0).abs() < 5e-3,
            "{found}"
        );
        assert_eq!(nudge(0.01, 1e-2, |_| false), None);
    }
}
