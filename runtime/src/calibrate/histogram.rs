//! A histogram of fixed size over values whose range is not known before.

/// Bins on each side of 0.
const HALF: usize = 2048;

/// Counts of values in bins of one width, as many below 0 as above. A value that lies outside doubles
/// the width as often as it takes, joining bins in pairs, so that nothing counted is lost.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// The width of a bin, a power of two; 0 until a value other than 0 came.
    width: f64,
    /// Bins from `-HALF * width` up; bin `HALF` starts at 0. Empty until a value other than 0 came.
    bins: Vec<u64>,
    /// Values that are exactly 0, which are in no bin: they are never rounded.
    zeros: u64,
}

impl Histogram {
    /// No values.
    pub fn new() -> Self {
        Self {
            width: 0.0,
            bins: Vec::new(),
            zeros: 0,
        }
    }

    /// Counts finite values.
    pub fn add(&mut self, values: &[f32]) {
        let largest = values.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        self.reach(largest.into());
        if self.bins.is_empty() {
            self.zeros += values.len() as u64;
            return;
        }
        // The width is a power of two: no rounding here.
        let per_width = (1.0 / self.width) as f32;
        for value in values {
            if *value == 0.0 {
                self.zeros += 1;
                continue;
            }
            let bin = HALF as f32 + (value * per_width).floor();
            self.bins[(bin as usize).min(2 * HALF - 1)] += 1;
        }
    }

    /// Widens the bins until `largest` and its negation lie inside.
    fn reach(&mut self, largest: f64) {
        if largest == 0.0 {
            return;
        }
        if self.bins.is_empty() {
            let exponent = (largest / HALF as f64).log2().ceil();
            self.width = exponent.max(f64::from(f32::MIN_EXP)).exp2();
            self.bins = vec![0; 2 * HALF];
        }
        while largest >= self.width * HALF as f64 {
            let joined = |bin: usize| self.bins[2 * bin] + self.bins[2 * bin + 1];
            let middle: Vec<u64> = (0..HALF).map(joined).collect();
            self.bins.fill(0);
            self.bins[HALF / 2..HALF / 2 + HALF].copy_from_slice(&middle);
            self.width *= 2.0;
        }
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.zeros + self.bins.iter().sum::<u64>()
    }

    /// The width of a bin; 0 where all values were 0.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// The middle of each bin with values, and their number, from the least up. Zeros are left out.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> + '_ {
        let bins = self.bins.iter().enumerate();
        let middle = |bin: usize| (bin as f64 + 0.5 - HALF as f64) * self.width;
        bins.filter_map(move |(bin, count)| (*count > 0).then_some((middle(bin), *count)))
    }

    /// The least value of which at most `outside` lie below, to the width of a bin.
    pub fn low(&self, outside: u64) -> f64 {
        self.edge(self.iter(), outside, -0.5)
    }

    /// The greatest value of which at most `outside` lie above, to the width of a bin.
    pub fn high(&self, outside: u64) -> f64 {
        self.edge(self.iter().rev(), outside, 0.5)
    }

    fn edge(&self, bins: impl Iterator<Item = (f64, u64)>, outside: u64, side: f64) -> f64 {
        let mut seen = 0;
        let mut zeros = self.zeros;
        for (middle, count) in bins {
            // Zeros lie between the bins of either sign.
            if (middle > 0.0) == (side < 0.0) {
                seen += std::mem::take(&mut zeros);
                if seen > outside {
                    return 0.0;
                }
            }
            seen += count;
            if seen > outside {
                return middle + side * self.width;
            }
        }
        0.0
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_it_widens() {
        let mut histogram = Histogram::new();
        let batches: [&[f32]; 5] = [
            &[0.0, 0.0],
            &[1e-3, -2e-3],
            &[0.5],
            &[-90.0, 3.0, 0.0],
            &[1e4],
        ];
        for batch in batches {
            histogram.add(batch);
        }
        assert_eq!(histogram.count(), 9);
        assert_eq!(histogram.zeros, 3);
        let width = histogram.width();
        assert!(width * HALF as f64 > 1e4 && width * (HALF / 2) as f64 <= 1e4);
        let sum: f64 = histogram.iter().map(|(x, count)| x * count as f64).sum();
        let expected = 1e4 + 3.0 - 90.0 + 0.5 + 1e-3 - 2e-3;
        assert!((sum - expected).abs() <= 6.0 * width / 2.0, "{sum}");
        // Signs stay apart.
        assert_eq!(
            histogram
                .iter()
                .filter(|(x, _)| *x < 0.0)
                .map(|(_, n)| n)
                .sum::<u64>(),
            2
        );
    }

    #[test]
    fn values_at_the_powers_of_two_are_inside() {
        for value in [1.0f32, -1.0, 2.0, 0.75, -1e-30, f32::MAX, f32::MIN_POSITIVE] {
            let mut histogram = Histogram::new();
            histogram.add(&[value]);
            let (middle, count) = histogram.iter().next().unwrap();
            assert_eq!(count, 1);
            let error = (middle - f64::from(value)).abs();
            assert!(
                error <= histogram.width() / 2.0 * 1.001,
                "{value}: {middle}"
            );
        }
    }

    #[test]
    fn edges_leave_so_many_outside() {
        let mut histogram = Histogram::new();
        let values: Vec<f32> = (1..=1000).map(|x| x as f32).collect();
        histogram.add(&values);
        histogram.add(&[0.0; 50]);
        histogram.add(&[-500.0]);
        let width = histogram.width();
        let cases = [
            (histogram.high(0), 1000.0),
            (histogram.high(100), 900.0),
            (histogram.low(0), -500.0),
            (histogram.low(1), 0.0),
            (histogram.low(51 + 20), 20.0),
            (histogram.high(5000), 0.0),
        ];
        for (found, expected) in cases {
            assert!(
                (found - expected).abs() <= 2.0 * width,
                "{found}: {expected}"
            );
        }
        assert_eq!(Histogram::new().high(0), 0.0);
    }
}
