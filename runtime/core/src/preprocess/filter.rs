//! The triangle filter along one axis, in integers: equations (1) to (5) of the parent module.

use core::num::{NonZeroU32, NonZeroU64};

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
/// No half of what a window's ends are divided from is larger.
const LARGEST_HALF: u64 = (2 * MAX_SIDE as u64 * MAX_SIDE as u64 + 2 * MAX_SIDE as u64) / 2;
const _: () = assert!(LARGEST_HALF <= u32::MAX as u64);

/// `input` pixels become `output` pixels. Both are in `1..=MAX_SIDE`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    input: NonZeroU32,
    output: NonZeroU32,
}

/// The input pixels with a weight above zero for one output pixel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
    /// The sum of their weights.
    pub total: NonZeroU64,
}

impl Axis {
    /// None if a side is not in `1..=MAX_SIDE`.
    pub fn new(input: u32, output: u32) -> Option<Self> {
        let side = |n| NonZeroU32::new(n).filter(|n| n.get() <= MAX_SIDE);
        Some(Self {
            input: side(input)?,
            output: side(output)?,
        })
    }

    pub const fn input(self) -> u32 {
        self.input.get()
    }

    pub const fn output(self) -> u32 {
        self.output.get()
    }

    /// Whether there are fewer output than input pixels.
    pub const fn shrinks(self) -> bool {
        self.output() < self.input()
    }

    /// An upper bound of the input pixels in any window.
    pub fn taps(self) -> NonZeroU32 {
        let width = self.support().saturating_add(self.support().get());
        width.div_ceil(self.output).min(self.input)
    }

    /// `s`, half the filter's reach in units of `1 / (2 * output)` input pixels.
    fn support(self) -> NonZeroU32 {
        self.input.max(self.output)
    }

    /// Where the output pixel's centre lies, in the same units.
    fn centre(self, x: u32) -> u64 {
        u64::from(2 * x + 1) * u64::from(self.input())
    }

    /// Equation (2).
    #[cfg_attr(target_os = "none", inline(never))]
    fn weight(self, x: u32, j: u32) -> u64 {
        let input_centre = u64::from(2 * j + 1) * u64::from(self.output());
        let distance = input_centre.abs_diff(self.centre(x));
        u64::from(2 * self.support().get()).saturating_sub(distance)
    }

    /// Equation (3) for output pixel `x`; of one that is not there, nothing that comes.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn window(self, x: u32) -> Window {
        if x >= self.output() {
            return Window {
                first: u32::MAX,
                last: u32::MAX,
                total: NonZeroU64::MIN,
            };
        }
        let output = u64::from(self.output());
        let reach = 2 * u64::from(self.support().get());
        // The first centre above `from` and the last one below `to`, (2j + 1) * output each. Halves of
        // them have 32 bits, which Cortex-M divides.
        let first = match self.centre(x).checked_sub(reach + output) {
            Some(from) => (from / 2) as u32 / self.output + 1,
            None => 0,
        };
        let to = self.centre(x) + (reach - output);
        let last = ((to - 1) / 2) as u32 / self.output;
        let last = last.min(self.input() - 1);
        let total = (first..=last).map(|j| self.weight(x, j)).sum();
        Window {
            first,
            last,
            // The nearest input pixel always weighs something.
            total: NonZeroU64::new(total).unwrap_or(NonZeroU64::MIN),
        }
    }

    /// Equation (4), with the window of `x`. Zero outside of it.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn coefficient(self, x: u32, j: u32, window: &Window) -> i32 {
        match cfg!(target_os = "none") {
            true => share_by_bits(self.weight(x, j), window.total),
            false => share(self.weight(x, j), window.total),
        }
    }
}

/// Equation (4) of a weight and its total, which is no less.
fn share(weight: u64, total: NonZeroU64) -> i32 {
    let dividend = (weight << (BITS + 1)) + total.get();
    (dividend / 2 / total) as i32
}

/// [`share`] for processors that do not divide 64 bits: `weight * 2^BITS / total` bit by bit, then
/// rounded.
fn share_by_bits(weight: u64, total: NonZeroU64) -> i32 {
    let (mut share, mut rest) = (0, weight);
    for bit in 0..=BITS {
        if bit > 0 {
            (share, rest) = (share << 1, rest << 1);
        }
        if rest >= total.get() {
            (share, rest) = (share + 1, rest - total.get());
        }
    }
    share + i32::from(rest << 1 >= total.get())
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

#[cfg(test)]
mod tests {
    use super::super::reference::Random;
    use super::*;

    fn axes() -> impl Iterator<Item = Axis> {
        let fixed = [
            (1, 1),
            (1, MAX_SIDE),
            (MAX_SIDE, 1),
            (MAX_SIDE, 2),
            (MAX_SIDE, 3),
            (MAX_SIDE, MAX_SIDE),
            (4096, 1),
            (6144, 3),
        ];
        let mut random = Random(1);
        let sides = (0..400).map(move |i| {
            let most = [9, 60, 700, 5000][i % 4];
            (random.side(most), random.side(most))
        });
        fixed
            .into_iter()
            .chain(sides)
            .map(|(input, output)| Axis::new(input, output).unwrap())
    }

    /// The first, the last and up to 200 pixels between them.
    fn pixels(axis: Axis) -> impl Iterator<Item = u32> {
        (0..axis.output())
            .step_by(axis.output().div_ceil(200) as usize)
            .chain([axis.output() - 1])
    }

    #[test]
    fn no_sum_leaves_i32() {
        for axis in axes() {
            for x in pixels(axis) {
                let window = axis.window(x);
                let white: u64 = (window.first..=window.last)
                    .map(|j| 255 * u64::from(axis.coefficient(x, j, &window).unsigned_abs()))
                    .sum();
                assert!(white + HALF as u64 <= LARGEST_SUM, "{axis:?} {x}");
            }
        }
    }

    #[test]
    fn a_window_holds_just_the_weights_above_zero() {
        for axis in axes() {
            for x in pixels(axis) {
                let Window { first, last, total } = axis.window(x);
                assert!(first <= last && last < axis.input(), "{axis:?} {x}");
                assert!(last - first < axis.taps().get(), "{axis:?} {x}");
                let ends = axis.weight(x, first).min(axis.weight(x, last));
                assert!(ends > 0 && total.get() >= ends, "{axis:?} {x}");
                assert!(first == 0 || axis.weight(x, first - 1) == 0);
                assert!(last == axis.input() - 1 || axis.weight(x, last + 1) == 0);
            }
        }
    }

    #[test]
    fn shares_by_bits_are_the_same() {
        for axis in axes() {
            for x in pixels(axis) {
                let window = axis.window(x);
                for j in (window.first..=window.last).step_by(1 + window.last as usize / 9) {
                    let weight = axis.weight(x, j);
                    let expected = share(weight, window.total);
                    assert_eq!(
                        share_by_bits(weight, window.total),
                        expected,
                        "{axis:?} {x} {j}"
                    );
                }
            }
        }
        for (weight, total) in [(0, 1), (1, 1), (1, 3), (2, 3), (1, 1 << 23), (3, 1 << 24)] {
            let total = NonZeroU64::new(total).unwrap();
            assert_eq!(share_by_bits(weight, total), share(weight, total));
        }
    }

    #[test]
    fn where_the_sides_are_equal_a_pixel_is_itself() {
        for input in [1, 2, 7, 640, MAX_SIDE] {
            let axis = Axis::new(input, input).unwrap();
            for x in pixels(axis) {
                let window = axis.window(x);
                assert_eq!((window.first, window.last), (x, x));
                assert_eq!(axis.coefficient(x, x, &window), 1 << BITS);
            }
        }
    }

    #[test]
    fn an_input_row_serves_two_output_rows_at_most_when_shrinking() {
        for axis in axes().filter(|axis| axis.shrinks() && axis.output() > 2) {
            for x in 0..axis.output().min(300) - 2 {
                let (one, next, third) = (axis.window(x), axis.window(x + 1), axis.window(x + 2));
                assert!(one.last < third.first, "{axis:?} {x}");
                assert!(one.last < next.last, "{axis:?} {x}");
            }
        }
    }
}
