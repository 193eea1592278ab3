//! The multiplier rule: whether integers alone round as the float multiplier does.
//!
//! An accumulator becomes an output through `clamp(round_half_even(f32(acc) * m) + zero_point)`. Cores
//! with no FPU, and cores with one instruction for the upper half of a product, would rather compute
//! `clamp(((acc * M + 2^31) >> 32) + zero_point)` with an integer `M` near `m * 2^32`. Both are step
//! functions of the accumulator that never fall, with at most 255 steps. So they are the same over an
//! interval of accumulators if and only if they have the same steps there, and [`Rounding::agrees`]
//! decides that by computing each step.
//!
//! [`Rounding::nearest_fixed`] finds an `M` if there is any.
//!
//! They differ where `M` is not `m` (small multipliers, far from 0), where a product is half-way
//! between two integers, and where rounding a product to f32 makes it half-way. A scale that is moved
//! by a few units in its last place has another `m` with other steps: [`find_scale`] looks for one that
//! agrees. It finds one down to about `m = 2^-12` (`2^-13` where outputs lie on both sides of the zero
//! point). Smaller multipliers, and those of 1/2 and more, for which `M` does not fit in 32 bits, keep
//! the float multiplication, whose bits are the same everywhere too.

mod interval;

use std::ops::RangeInclusive;

/// By how much [`find_scale`] may move a scale, relative to it.
const REACH: f32 = 1.0 / 256.0;
/// Half the multipliers that [`find_scale`] tries at most.
const TRIES: i32 = 1 << 13;

/// The accumulators that can occur.
pub type Accumulators = RangeInclusive<i64>;

/// From an accumulator to an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    /// The factor.
    pub multiplier: f32,
    /// Added after rounding.
    pub zero_point: i8,
    /// The least output.
    pub low: i8,
    /// The greatest output.
    pub high: i8,
}

impl Rounding {
    /// The output: what QUANTIZATION.md says.
    pub fn exact(&self, acc: i32) -> i8 {
        let rounded = (acc as f32 * self.multiplier).round_ties_even();
        // A float cast saturates, and no sum of saturated values comes back between the bounds.
        let output = (rounded as i32).saturating_add(self.zero_point.into());
        output.clamp(self.low.into(), self.high.into()) as i8
    }

    /// The output by integers.
    pub fn by_integers(&self, acc: i32, fixed: i32) -> i8 {
        let product = i64::from(acc) * i64::from(fixed);
        let output = ((product + (1 << 31)) >> 32) + i64::from(self.zero_point);
        output.clamp(self.low.into(), self.high.into()) as i8
    }

    /// Whether [`Rounding::exact`] and [`Rounding::by_integers`] are the same for all of `reach`.
    pub fn agrees(&self, fixed: i32, reach: &Accumulators) -> bool {
        let (Ok(first), Ok(last)) = (i32::try_from(*reach.start()), i32::try_from(*reach.end()))
        else {
            return false;
        };
        let proper = self.multiplier > 0.0 && self.multiplier.is_finite() && fixed > 0;
        if !proper || first > last {
            return false;
        }
        // The steps farthest from the zero point are those that most often differ.
        let outputs = i64::from(self.low) + 1..=i64::from(self.high);
        let steps = outputs.end() - outputs.start() + 1;
        let (low, high) = (*outputs.start(), *outputs.end());
        let inwards = (0..(steps + 1) / 2).flat_map(|step| [high - step, low + step]);
        inwards
            .into_iter()
            .all(|output| self.same_step(output, fixed, first, last))
    }

    /// Whether both reach `output` at the same accumulator, or neither does between `first` and `last`.
    fn same_step(&self, output: i64, fixed: i32, first: i32, last: i32) -> bool {
        // The least accumulator of which acc * M + 2^31 >= k * 2^32.
        let k = output - i64::from(self.zero_point);
        let fixed = i64::from(fixed);
        let least = ((k << 32) - (1 << 31) + fixed - 1).div_euclid(fixed);
        let reaches = |acc: i32| i64::from(self.exact(acc)) >= output;
        match i32::try_from(least) {
            _ if least > last.into() => !reaches(last),
            Ok(least) if least > first => reaches(least) && !reaches(least - 1),
            _ => reaches(first),
        }
    }

    /// The `M` that stands for the multiplier over all of `reach`, if there is one.
    pub fn fixed(&self, reach: &Accumulators) -> Option<i32> {
        let fixed = (f64::from(self.multiplier) * 4_294_967_296.0).round();
        if !(1.0..=f64::from(i32::MAX)).contains(&fixed) {
            return None;
        }
        let fixed = fixed as i32;
        self.agrees(fixed, reach).then_some(fixed)
    }
}

/// What is multiplied by: `input * weight / output` in f32, the product first.
pub fn multiplier(input: f32, weight: f32, output: f32) -> f32 {
    input * weight / output
}

/// What a channel's accumulator can be, whatever the input: `bias + Σ (x - zero_point) * (w - weight
/// zero point)`. Taps in the padding count as 0, which is among what others give.
pub fn accumulators(
    bias: i32,
    weights: &[i8],
    weight_zero_point: i8,
    zero_point: i8,
) -> Accumulators {
    let least = i64::from(i8::MIN) - i64::from(zero_point);
    let greatest = i64::from(i8::MAX) - i64::from(zero_point);
    let (mut low, mut high) = (i64::from(bias), i64::from(bias));
    for weight in weights {
        let weight = i64::from(*weight) - i64::from(weight_zero_point);
        low += (weight * least).min(weight * greatest);
        high += (weight * least).max(weight * greatest);
    }
    low..=high
}

/// The weight scale nearest to `scales[1]` whose multiplier agrees with integers over all of `reach`;
/// `scales` are those of input, weights and output. None where none within 0.4% does.
///
/// `rounding.multiplier` is not read. Weights change with the scale and `reach` with the weights: check
/// again with [`Rounding::fixed`], or pass a wider one.
pub fn find_scale(scales: [f32; 3], rounding: Rounding, reach: &Accumulators) -> Option<f32> {
    let [input, weight, output] = scales;
    let with = |multiplier| Rounding {
        multiplier,
        ..rounding
    };
    let start = multiplier(input, weight, output);
    if with(start).fixed(reach).is_some() {
        return Some(weight);
    }
    let start = nearest_whole(start)?;
    (1..=TRIES)
        .flat_map(|step| [step, -step])
        .map_while(|step| move_multiplier(start, step))
        .take_while(|candidate| (candidate / start - 1.0).abs() <= REACH)
        .filter(|candidate| with(*candidate).fixed(reach).is_some())
        .find_map(|candidate| weight_scale(input, candidate, output))
}

/// The multiplier nearest to `m` that is a whole number of 2^-32.
fn nearest_whole(m: f32) -> Option<f32> {
    let whole = (f64::from(m) * 4_294_967_296.0).round() / 4_294_967_296.0;
    (whole > 0.0 && whole < 0.5).then_some(whole as f32)
}

/// The multiplier that is `steps` farther among those that f32 has and are a whole number of 2^-32.
fn move_multiplier(start: f32, steps: i32) -> Option<f32> {
    const SMALLEST_EXACT: f32 = 1.0 / 256.0;
    let moved = if start < SMALLEST_EXACT {
        (f64::from(start) + f64::from(steps) / 4_294_967_296.0) as f32
    } else {
        f32::from_bits(start.to_bits().checked_add_signed(steps)?)
    };
    (moved > 0.0).then_some(moved)
}

/// A weight scale that gives the multiplier to the bit, if f32 has one.
fn weight_scale(input: f32, wanted: f32, output: f32) -> Option<f32> {
    let near = (f64::from(wanted) * f64::from(output) / f64::from(input)) as f32;
    let around = [0, 1, -1, 2, -2, 3, -3];
    let mut candidates = around
        .into_iter()
        .filter_map(|ulps| near.to_bits().checked_add_signed(ulps))
        .map(f32::from_bits);
    candidates.find(|scale| scale.is_normal() && multiplier(input, *scale, output) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same on every run.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            self.0 >> 33
        }

        fn between(&mut self, low: f32, high: f32) -> f32 {
            low + (high - low) * (self.next() as f32 / (1u64 << 31) as f32)
        }

        fn byte(&mut self) -> i8 {
            self.next() as i8
        }
    }

    #[test]
    fn the_decision_is_that_of_all_accumulators() {
        let mut numbers = Numbers(1);
        let mut outcomes = [0; 2];
        for case in 0..600 {
            let multiplier = match case % 4 {
                // With few bits: half-way products are common.
                0 => (numbers.next() % 63 + 1) as f32 / 4096.0,
                1 => 2f32.powf(numbers.between(-9.0, -1.1)),
                2 => 2f32.powf(numbers.between(-13.0, -9.0)),
                _ => nearest_whole(2f32.powf(numbers.between(-13.0, -8.0))).unwrap(),
            };
            let (a, b) = (numbers.byte(), numbers.byte());
            let rounding = Rounding {
                multiplier,
                zero_point: numbers.byte(),
                low: if case % 3 == 0 { a.min(b) } else { -128 },
                high: if case % 3 == 0 { a.max(b) } else { 127 },
            };
            let start = numbers.between(-300.0, 200.0) / multiplier;
            let len = (numbers.between(0.0, 400.0) / multiplier).min(60_000.0);
            let reach = start as i64..=(start + len) as i64;
            let fixed = (f64::from(multiplier) * 4_294_967_296.0).round() as i32;
            let fixed = fixed + (case % 5 == 0) as i32 * (numbers.next() % 3) as i32;
            let expected = reach
                .clone()
                .all(|acc| rounding.exact(acc as i32) == rounding.by_integers(acc as i32, fixed));
            assert_eq!(
                rounding.agrees(fixed, &reach),
                expected,
                "{rounding:?} {fixed} {reach:?}"
            );
            outcomes[usize::from(expected)] += 1;
        }
        // Both outcomes are met, so that the comparison means something.
        assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
    }

    #[test]
    fn half_way_products_do_not_agree_where_the_even_one_is_below() {
        // acc * m = 0.5 gives 0 by round_half_even and 1 by integers.
        let rounding = |zero_point| Rounding {
            multiplier: 0.25,
            zero_point,
            low: -128,
            high: 127,
        };
        let cases = [
            (0..=1, true),
            (0..=2, false),
            (3..=7, true),
            (5..=10, false),
            (-5..=-1, true),
            (-6..=-1, false),
        ];
        for (reach, expected) in cases {
            assert_eq!(rounding(3).fixed(&reach).is_some(), expected, "{reach:?}");
        }
    }

    #[test]
    fn scales_are_found_for_the_usual_multipliers() {
        let mut numbers = Numbers(7);
        // The least multiplier, the zero point, and how many of 100 must be found.
        let cases = [
            (-4.0, -128, 100),
            (-8.0, -128, 100),
            (-10.0, -128, 100),
            (-11.0, 3, 100),
            (-12.0, -128, 95),
            (-12.0, 3, 100),
        ];
        for (exponent, zero_point, least) in cases {
            let mut found = 0;
            for _ in 0..100 {
                let (input, output) = (numbers.between(0.005, 0.05), numbers.between(0.01, 0.1));
                let wanted = 2f32.powf(exponent + numbers.between(0.0, 1.0));
                let weight = wanted * output / input;
                let rounding = Rounding {
                    multiplier: 0.0,
                    zero_point,
                    low: -128,
                    high: 127,
                };
                let reach = -(1 << 22)..=1 << 22;
                let Some(scale) = find_scale([input, weight, output], rounding, &reach) else {
                    continue;
                };
                found += 1;
                let rounding = Rounding {
                    multiplier: multiplier(input, scale, output),
                    ..rounding
                };
                assert!(rounding.fixed(&reach).is_some());
                assert!(
                    (scale / weight - 1.0).abs() <= 1.1 * REACH,
                    "{scale} for {weight}"
                );
            }
            assert!(
                found >= least,
                "2^{exponent}, zero point {zero_point}: {found} of 100"
            );
        }
    }

    #[test]
    fn multipliers_that_do_not_fit_are_left_to_float() {
        let rounding = |multiplier| Rounding {
            multiplier,
            zero_point: 0,
            low: -128,
            high: 127,
        };
        for multiplier in [0.5, 1.5, 1e-11, 0.0, f32::NAN, f32::INFINITY, -0.1] {
            assert_eq!(
                rounding(multiplier).fixed(&(-1000..=1000)),
                None,
                "{multiplier}"
            );
        }
        assert_eq!(rounding(0.01).fixed(&(-(1 << 40)..=1000)), None);
    }

    #[test]
    fn accumulators_are_bounded_by_the_extremes_of_each_tap() {
        let cases: [(i32, &[i8], i8, i8, Accumulators); 3] = [
            (10, &[], 0, 5, 10..=10),
            (10, &[2, -3], 0, -128, 10 - 765..=10 + 510),
            (-1, &[1, 4], 1, 0, -1 - 384..=-1 + 381),
        ];
        for (bias, weights, weight_zero_point, zero_point, expected) in cases {
            assert_eq!(
                accumulators(bias, weights, weight_zero_point, zero_point),
                expected
            );
        }
    }
}
