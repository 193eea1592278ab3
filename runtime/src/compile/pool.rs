//! An average's factor in integers.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::graph::Quant;
use crate::multiplier::Rounding;

/// Sums that are tried at most.
const SUMS: i64 = 1 << 22;

/// An average over windows that count all their taps.
pub(super) struct Average<'a> {
    pub(super) window: &'a Window,
    pub(super) shape: Shape,
    pub(super) input: Quant,
    pub(super) output: Quant,
    /// The least and greatest value of the input.
    pub(super) range: [i8; 2],
}

impl Average<'_> {
    /// The `M` of which `(Σ (x - zero) * M + 2^31) >> 32` is what floats give, for all inputs within
    /// the range; 0 where there is none.
    pub(super) fn fixed(&self) -> i32 {
        let taps = self.window.taps();
        let zero = i64::from(self.input.zero_point);
        // Padding counts as 0.
        let [low, high] = self.range.map(|end| (i64::from(end) - zero) * taps as i64);
        let reach = low.min(0)..=high.max(0);
        let kernel = self.window.kernel.map(u32::from);
        let whole = kernel == [self.shape.height, self.shape.width];
        let (scale_in, scale) = (self.input.scale, self.output.scale);
        if whole && self.window.padding == [0; 4] {
            let rounding = Rounding {
                multiplier: scale_in / (scale * taps as f32),
                zero_point: self.output.zero_point,
                low: -128,
                high: 127,
            };
            return rounding.fixed(&reach).unwrap_or(0);
        }
        let factor = f64::from(scale_in) / (f64::from(scale) * taps as f64);
        let fixed = (factor * 4_294_967_296.0).round();
        let many = reach.end() - reach.start() > SUMS;
        if many || !(1.0..=f64::from(i32::MAX)).contains(&fixed) {
            return 0;
        }
        let fixed = fixed as i64;
        let mut sums = reach;
        let same = sums.all(|sum| {
            let exact = sum as f64 * factor;
            let integer = ((sum * fixed + (1 << 31)) >> 32) as f64;
            exact.abs() > 257.0 || (exact - integer).abs() < 0.5 - self.error(taps)
        });
        if same { fixed as i32 } else { 0 }
    }

    /// By how much f32 can be off, in quanta: each value is rounded, each sum of up to all of them,
    /// both divisions, and the sum with the zero point.
    fn error(&self, taps: usize) -> f64 {
        let value = 255.0 * f64::from(self.input.scale) / f64::from(self.output.scale);
        f64::from(f32::EPSILON) * (value * (taps as f64 / 2.0 + 4.0) + 512.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(kernel: u16, side: u32, scales: [f32; 2]) -> i32 {
        let quant = |scale, zero_point| Quant {
            scale,
            zero_point,
            unsigned: true,
        };
        let window = Window {
            kernel: [kernel; 2],
            ..Window::default()
        };
        let average = Average {
            window: &window,
            shape: Shape::new(side, side, 1),
            input: quant(scales[0], -5),
            output: quant(scales[1], 9),
            range: [-128, 127],
        };
        average.fixed()
    }

    #[test]
    fn ties_and_large_factors_have_none() {
        // A mean of nine is never half-way; one of four is.
        assert_eq!(fixed(3, 8, [0.1, 0.1]), 477_218_588);
        assert_eq!(fixed(2, 8, [0.1, 0.1]), 0);
        assert_eq!(fixed(1, 8, [0.5, 0.1]), 0);
        assert_eq!(fixed(2, 2, [0.1, 0.1]), 0);
        // Of the whole the factor is an f32.
        assert_eq!(fixed(3, 3, [0.1, 0.1]), 477_218_592);
    }
}
