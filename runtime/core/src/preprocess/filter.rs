//! The triangle filter along one axis, in integers: equations (1) to (5) of the parent module.

use super::MAX_SIDE;

/// Fractional bits of a coefficient.
const BITS: u32 = 22;
/// A half, for rounding: every sum starts here.
pub(super) const HALF: i32 = 1 << (BITS - 1);

/// No sum of (5) is larger: white everywhere, each coefficient rounded up by a half.
const LARGEST_SUM: u64 = 255 * ((1 << BITS) + MAX_SIDE as u64 / 2 + 1) + HALF as u64;
const _: () = assert!(LARGEST_SUM <= i32::MAX as u64);

/// No weight of (2) is larger.
const LARGEST_WEIGHT: u64 = 2 * MAX_SIDE as u64;
/// No dividend of (4) is larger.
const LARGEST_DIVIDEND: Option<u64> =
    (MAX_SIDE as u64 * LARGEST_WEIGHT).checked_add(LARGEST_WEIGHT << (BITS + 1));
const _: () = assert!(LARGEST_WEIGHT << (BITS + 1) >> (BITS + 1) == LARGEST_WEIGHT);
const _: () = assert!(LARGEST_DIVIDEND.is_some());

/// `input` pixels become `output` pixels. Both are in `1..=MAX_SIDE`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub input: u32,
    pub output: u32,
}

/// The input pixels with a weight above zero for one output pixel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
    /// The sum of their weights.
    pub total: u64,
}

impl Axis {
    /// Whether there are fewer output than input pixels.
    pub const fn shrinks(self) -> bool {
        self.output < self.input
    }

    /// `s`, the filter's half width in units of `1 / output` input pixels.
    const fn support(self) -> u32 {
        if self.shrinks() {
            self.input
        } else {
            self.output
        }
    }

    /// An upper bound of the input pixels in any window.
    pub const fn taps(self) -> u32 {
        let taps = (2 * self.support()).div_ceil(self.output);
        if taps < self.input { taps } else { self.input }
    }

    /// Equation (2).
    fn weight(self, x: u32, j: u32) -> u64 {
        let input_centre = u64::from(2 * j + 1) * u64::from(self.output);
        let output_centre = u64::from(2 * x + 1) * u64::from(self.input);
        let distance = input_centre.abs_diff(output_centre);
        u64::from(2 * self.support()).saturating_sub(distance)
    }

    /// Equation (3) for output pixel `x < output`.
    pub fn window(self, x: u32) -> Window {
        let step = 2 * u64::from(self.output);
        let centre = u64::from(2 * x + 1) * u64::from(self.input);
        let reach = 2 * u64::from(self.support());
        let half = u64::from(self.output);
        let first = match centre.checked_sub(reach + half) {
            Some(from) => (from / step) as u32 + 1,
            None => 0,
        };
        // `reach >= 2 * half`, so nothing underflows.
        let last = ((centre + reach - half - 1) / step) as u32;
        let last = last.min(self.input - 1);
        let total = (first..=last).map(|j| self.weight(x, j)).sum();
        Window { first, last, total }
    }

    /// Equation (4), with the window of `x`. Zero outside of it.
    pub fn coefficient(self, x: u32, j: u32, window: &Window) -> i32 {
        let doubled = (self.weight(x, j) << (BITS + 1)) + window.total;
        (doubled / (2 * window.total).max(1)) as i32
    }
}

/// Adds one term of equation (5). `LARGEST_SUM` says that nothing wraps; this spells it out
/// because overflow checks would keep the compiler from using vectors.
pub(super) const fn add(sum: i32, coefficient: i32, value: i32) -> i32 {
    sum.wrapping_add(coefficient.wrapping_mul(value))
}

/// The end of equation (5).
pub(super) fn clip(sum: i32) -> u8 {
    (sum >> BITS).min(255) as u8
}
