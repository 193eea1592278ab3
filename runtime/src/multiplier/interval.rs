//! All integers that stand for a multiplier: each step of the outputs leaves an interval of them.

use super::{Accumulators, Rounding};

impl Rounding {
    /// The `M` nearest to `multiplier * 2^32` that stands for it over all of `reach`, if there is one.
    /// Unlike [`fixed`](Self::fixed) this also finds one that is not the nearest integer.
    ///
    /// With `B = (k << 32) - 2^31`, an output of `k` above the zero point, or more, is `acc * M >= B`. So if
    /// `acc` is the first accumulator with such an output, `M` is bounded by that and by
    /// `(acc - 1) * M < B`.
    pub fn nearest_fixed(&self, reach: &Accumulators) -> Option<i32> {
        let (first, last) = (
            i32::try_from(*reach.start()).ok()?,
            i32::try_from(*reach.end()).ok()?,
        );
        let wanted = (f64::from(self.multiplier) * 4_294_967_296.0).round();
        if !(1.0..=f64::from(i32::MAX)).contains(&wanted) || first > last {
            return None;
        }
        let (mut least, mut most) = (1, i64::from(i32::MAX));
        for output in i64::from(self.low) + 1..=i64::from(self.high) {
            let bound = ((output - i64::from(self.zero_point)) << 32) - (1 << 31);
            let reached = self.first_with(output, first, last);
            if let Some(acc) = reached {
                // acc * M >= bound, which is -acc * M <= -bound.
                at_most(-i64::from(acc), -bound, &mut least, &mut most);
            }
            let before = match reached {
                Some(acc) if acc == first => continue,
                Some(acc) => acc - 1,
                None => last,
            };
            at_most(before.into(), bound - 1, &mut least, &mut most);
        }
        if least > most {
            return None;
        }
        let fixed = (wanted as i64).clamp(least, most) as i32;
        self.agrees(fixed, reach).then_some(fixed)
    }

    /// The first accumulator from `first` to `last` whose output is `output` or more.
    fn first_with(&self, output: i64, first: i32, last: i32) -> Option<i32> {
        let reaches = |acc: i64| i64::from(self.exact(acc as i32)) >= output;
        let (mut low, mut high) = (i64::from(first), i64::from(last) + 1);
        while low < high {
            let middle = (low + high).div_euclid(2);
            if reaches(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        (low <= last.into()).then_some(low as i32)
    }
}

/// Narrows the interval to the `M` with `acc * M <= bound`.
fn at_most(acc: i64, bound: i64, least: &mut i64, most: &mut i64) {
    match acc {
        0 if bound < 0 => *most = 0,
        0 => {}
        1.. => *most = (*most).min(bound.div_euclid(acc)),
        // Rounded up: -floor(bound / -acc) of the division by a positive number.
        _ => *least = (*least).max(-bound.div_euclid(-acc)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every integer near the multiplier is tried, on every accumulator.
    #[test]
    fn it_finds_one_where_there_is_one() {
        let mut outcomes = [0; 3];
        for case in 0..300_i64 {
            let multiplier =
                2f32.powf(-6.0 - (case % 61) as f32 / 10.0) * (1.0 + case as f32 / 997.0);
            let rounding = Rounding {
                multiplier,
                zero_point: (case * 31 % 256 - 128) as i8,
                low: if case % 3 == 0 { -100 } else { -128 },
                high: if case % 5 == 0 { 90 } else { 127 },
            };
            let reach = -(case * 5_003 % 90_001)..=case * 9_001 % 170_003;
            let nearest = (f64::from(multiplier) * 4_294_967_296.0).round() as i32;
            let agrees = |fixed: i32| {
                reach.clone().all(|acc| {
                    rounding.exact(acc as i32) == rounding.by_integers(acc as i32, fixed)
                })
            };
            let found = rounding.nearest_fixed(&reach);
            match found {
                Some(fixed) => assert!(agrees(fixed), "{rounding:?} {reach:?} {fixed}"),
                None => assert!(
                    !(-300..=300).any(|step| agrees(nearest + step)),
                    "{rounding:?} {reach:?}"
                ),
            }
            let is_nearest = found == Some(nearest);
            assert_eq!(is_nearest, agrees(nearest), "{rounding:?} {reach:?}");
            outcomes[usize::from(found.is_some()) + usize::from(is_nearest)] += 1;
        }
        // None, another, the nearest: all are met.
        assert!(outcomes.iter().all(|count| *count > 10), "{outcomes:?}");
    }
}
