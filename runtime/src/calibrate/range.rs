//! From statistics to the range that an activation's 256 integers stand for.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::statistics::Statistics;

/// Steps between the integers of a range.
const STEPS: f64 = 255.0;
/// Ranges that are tried for each end by the methods that search, in fractions of the whole.
const FRACTIONS: u32 = 64;

/// How a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// All that was seen.
    MinMax,
    /// All but this many of a million at either end.
    Percentile {
        /// Values outside, of a million.
        outside: u32,
    },
    /// The range whose quantized distribution is nearest to the true one by Kullback and Leibler's
    /// measure (Migacz, 8-bit inference with TensorRT, 2017; here for two ends).
    Entropy,
    /// The range with the least expected squared error of rounding and clipping.
    Mse,
    /// What the network was trained with; all that was seen where that is not known.
    Trained,
}

impl Method {
    /// Those that `auto` tries.
    pub const ALL: [Self; 5] = [
        Self::MinMax,
        Self::Percentile { outside: 100 },
        Self::Percentile { outside: 1000 },
        Self::Entropy,
        Self::Mse,
    ];

    /// The name, for people.
    pub fn name(self) -> String {
        match self {
            Self::MinMax => "min-max".into(),
            Self::Percentile { outside } => {
                format!("percentile {}", 100.0 - f64::from(outside) / 1e4)
            }
            Self::Entropy => "entropy".into(),
            Self::Mse => "mse".into(),
            Self::Trained => "trained".into(),
        }
    }

    /// The range's ends; 0 is always inside.
    pub fn range(self, statistics: &Statistics) -> (f32, f32) {
        let histogram = &statistics.histogram;
        let whole = (
            f64::from(statistics.min.min(0.0)),
            f64::from(statistics.max.max(0.0)),
        );
        let (low, high) = match self {
            Self::MinMax | Self::Trained => whole,
            Self::Percentile { outside } => {
                let outside = (histogram.count() as f64 * f64::from(outside) / 1e6) as u64;
                (
                    histogram.low(outside).min(0.0),
                    histogram.high(outside).max(0.0),
                )
            }
            Self::Entropy => search(whole, |range| divergence(histogram, range)),
            Self::Mse => search(whole, |range| squared_error(histogram, range)),
        };
        // Bins end outside what was seen.
        (low.max(whole.0) as f32, high.min(whole.1) as f32)
    }
}

/// The range within `whole` of the least cost: each end in turn, twice.
fn search(whole: (f64, f64), cost: impl Fn((f64, f64)) -> f64) -> (f64, f64) {
    let (mut low, mut high) = whole;
    let best = |ends: &dyn Fn(f64) -> (f64, f64)| {
        let fractions = (FRACTIONS / 8..=FRACTIONS).map(|n| f64::from(n) / f64::from(FRACTIONS));
        let costs = fractions.map(|fraction| (cost(ends(fraction)), fraction));
        // Of equal costs the widest range.
        let least = costs.fold((f64::INFINITY, 1.0), |least, next| {
            if next.0 <= least.0 { next } else { least }
        });
        least.1
    };
    for _ in 0..2 {
        high = whole.1 * best(&|fraction| (low, whole.1 * fraction));
        if whole.0 < 0.0 {
            low = whole.0 * best(&|fraction| (whole.0 * fraction, high));
        }
    }
    (low, high)
}

/// Expected squared error, times the number of values.
fn squared_error(histogram: &Histogram, (low, high): (f64, f64)) -> f64 {
    let step = (high - low) / STEPS;
    let rounding = step * step / 12.0;
    let errors = histogram.iter().map(|(x, count)| {
        let clipped = x.clamp(low, high) - x;
        let error = if clipped == 0.0 {
            rounding
        } else {
            clipped * clipped
        };
        error * count as f64
    });
    errors.sum()
}

/// `Σ p ln(p / q)` over the bins inside the range, where p are the true counts with those outside added
/// to the ends, and q the counts inside after each integer's share was spread over its bins.
fn divergence(histogram: &Histogram, (low, high): (f64, f64)) -> f64 {
    let step = (high - low) / STEPS;
    if step <= 0.0 {
        return f64::INFINITY;
    }
    let level = |x: f64| ((x - low) / step).round() as usize;
    let mut levels = vec![(0u64, 0u64); STEPS as usize + 2];
    let mut outside = [0u64; 2];
    let (mut inside, mut ends) = (0u64, None::<(f64, f64)>);
    for (x, count) in histogram.iter() {
        if x < low {
            outside[0] += count;
        } else if x > high {
            outside[1] += count;
        } else {
            let (total, bins) = &mut levels[level(x)];
            *total += count;
            *bins += 1;
            inside += count;
            ends = Some((ends.map_or(x, |ends| ends.0), x));
        }
    }
    let Some((first, last)) = ends else {
        return f64::INFINITY;
    };
    let all = (inside + outside[0] + outside[1]) as f64;
    let terms = histogram.iter().filter(|(x, _)| (first..=last).contains(x));
    let terms = terms.map(|(x, count)| {
        let (total, bins) = levels[level(x)];
        let mut p = count as f64;
        if x == first {
            p += outside[0] as f64;
        }
        if x == last {
            p += outside[1] as f64;
        }
        let (p, q) = (p / all, total as f64 / bins as f64 / inside as f64);
        p * (p / q).ln()
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum of uniform numbers, near a normal distribution, with a far outlier now and then.
    fn statistics(outliers: bool, relu: bool) -> Statistics {
        let mut state = 5u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        let mut values: Vec<f32> = (0..40_000)
            .map(|_| (0..12).map(|_| uniform()).sum::<f32>())
            .collect();
        if outliers {
            values.extend([40.0, -40.0]);
        }
        if relu {
            values.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        let mut statistics = Statistics::new(1);
        statistics.add(&values);
        statistics
    }

    #[test]
    fn ranges_hold_what_each_method_promises() {
        let with = statistics(true, false);
        assert_eq!(Method::MinMax.range(&with), (-40.0, 40.0));
        let methods = [
            // Of a normal distribution 0.1% lie beyond 3.1 and 0.01% beyond 3.7.
            (Method::Percentile { outside: 1000 }, 2.9..3.3),
            (Method::Percentile { outside: 100 }, 3.4..4.2),
            (Method::Entropy, 3.0..20.0),
            // The least of 2 (40 - c)^2 + 40,000 (2c / 255)^2 / 12 is at 36.3.
            (Method::Mse, 35.5..37.0),
        ];
        for (method, expected) in methods {
            let (low, high) = method.range(&with);
            assert!(expected.contains(&high), "{method:?}: {high}");
            assert!(expected.contains(&-low), "{method:?}: {low}");
        }
    }

    #[test]
    fn without_outliers_little_is_cut_and_the_error_is_no_greater() {
        for relu in [false, true] {
            let statistics = statistics(false, relu);
            let whole = Method::MinMax.range(&statistics);
            let error = |(low, high): (f32, f32)| {
                squared_error(&statistics.histogram, (low.into(), high.into()))
            };
            for method in Method::ALL {
                let (low, high) = method.range(&statistics);
                assert!(low >= whole.0 && high <= whole.1, "{method:?}");
                assert!(high > 0.5 * whole.1, "{method:?}: {high} of {}", whole.1);
                assert_eq!(low == 0.0, relu, "{method:?}");
            }
            assert!(error(Method::Mse.range(&statistics)) <= error(whole));
        }
    }

    #[test]
    fn zero_is_inside_and_nothing_is_an_empty_range() {
        for (values, expected) in [
            (vec![2.0, 3.0], (0.0, 3.0)),
            (vec![-2.0, -3.0], (-3.0, 0.0)),
            (vec![0.0; 4], (0.0, 0.0)),
        ] {
            let mut statistics = Statistics::new(1);
            statistics.add(&values);
            assert_eq!(Method::MinMax.range(&statistics), expected);
            for method in Method::ALL {
                let (low, high) = method.range(&statistics);
                assert!(low <= 0.0 && high >= 0.0 && low.is_finite() && high.is_finite());
                assert!(
                    low >= expected.0 && high <= expected.1,
                    "{method:?}: {low} {high}"
                );
            }
        }
    }
}
