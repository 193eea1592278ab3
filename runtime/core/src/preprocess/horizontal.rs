use super::filter::{Axis, HALF, add, clip};

/// The horizontal pass: equation (5) along x, with the coefficients of every output column.
#[derive(Debug)]
pub(super) struct Horizontal<'s> {
    axis: Axis,
    /// `[out_width]`: the first source column of each output column.
    starts: &'s [i32],
    /// `[out_width, taps]`: from the first column on, zero outside of the window. Empty where
    /// [the widths are equal](same).
    coefficients: &'s [i32],
}

impl<'s> Horizontal<'s> {
    /// Fills the tables at the beginning of `scratch` and gives back the rest of it; none if it
    /// is too small.
    pub fn new(axis: Axis, scratch: &'s mut [i32]) -> Option<(Self, &'s mut [i32])> {
        let ([starts, coefficients], _) = tables(axis, scratch)?;
        let taps = axis.taps().get().max(1);
        let columns = starts
            .iter_mut()
            .zip(coefficients.chunks_exact_mut(taps as usize));
        for (x, (start, coefficients)) in (0..).zip(columns) {
            let window = axis.window(x);
            let first = window.first.min(axis.input() - taps);
            *start = first as i32;
            for (j, coefficient) in (first..).zip(coefficients) {
                *coefficient = axis.coefficient(x, j, &window);
            }
        }
        Self::filled(axis, scratch)
    }

    /// The same where [`new`](Self::new) has filled the tables.
    pub fn filled(axis: Axis, scratch: &'s mut [i32]) -> Option<(Self, &'s mut [i32])> {
        let ([starts, coefficients], rest) = tables(axis, scratch)?;
        let horizontal = Self {
            axis,
            starts,
            coefficients,
        };
        Some((horizontal, rest))
    }

    /// The widths.
    pub const fn axis(&self) -> Axis {
        self.axis
    }

    /// From `in_width` pixels of `row` to `out_width * 3` values of 0..=255.
    pub fn apply(&self, row: &[u8], out: &mut [i32]) {
        if same(self.axis) {
            for (out, &value) in out.iter_mut().zip(row) {
                *out = i32::from(value);
            }
            return;
        }
        // Not 0, which the compiler does not see everywhere.
        let taps = self.axis.taps().get().max(1) as usize;
        if cfg!(target_os = "none") {
            // Where flash is dear.
            return self.weigh(taps, row, out);
        }
        // The same code each time; where the number is a constant, the inner loop is unrolled.
        match taps {
            2 => self.weigh(2, row, out),
            3 => self.weigh(3, row, out),
            4 => self.weigh(4, row, out),
            5 => self.weigh(5, row, out),
            6 => self.weigh(6, row, out),
            taps => self.weigh(taps, row, out),
        }
    }

    #[inline(always)]
    fn weigh(&self, taps: usize, row: &[u8], out: &mut [i32]) {
        let (pixels, _) = row.as_chunks::<3>();
        let (out, _) = out.as_chunks_mut::<3>();
        let columns = self.starts.iter().zip(self.coefficients.chunks_exact(taps));
        for (out, (&start, coefficients)) in out.iter_mut().zip(columns) {
            // A start is any number where a paused preprocessor was given another scratch.
            let start = start as usize;
            let pixels = pixels.get(start..start.wrapping_add(taps));
            let pixels = pixels.unwrap_or_default();
            let mut sums = [HALF; 3];
            for (&coefficient, pixel) in coefficients.iter().zip(pixels) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum = add(*sum, coefficient, i32::from(value));
                }
            }
            *out = sums.map(|sum| i32::from(clip(sum)));
        }
    }
}

/// The places of the starts and of the coefficients, and the rest.
fn tables(axis: Axis, scratch: &mut [i32]) -> Option<([&mut [i32]; 2], &mut [i32])> {
    let width = axis.output() as usize;
    let len = match same(axis) {
        true => 0,
        false => width * axis.taps().get().max(1) as usize,
    };
    let (starts, rest) = scratch.split_at_mut_checked(width)?;
    let (coefficients, rest) = rest.split_at_mut_checked(len)?;
    Some(([starts, coefficients], rest))
}

/// Whether nothing changes along an axis. Where flash is dear, that is not told apart.
fn same(axis: Axis) -> bool {
    !cfg!(target_os = "none") && axis.input() == axis.output()
}
