//! Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014), for any
//! network: by how much a class gets less probable where a grey square covers the picture.
//!
//! ```
//! # use kiln_core::explain::{Occlusion, probability};
//! # use kiln_core::{Model, RunError};
//! # fn explain(model: &Model<'_>, arena: &mut [u8], pixels: &[u8], class: usize) -> Result<(), RunError> {
//! # let mut run = |covered: &[u8]| -> Result<f64, RunError> {
//! #     model.input_mut(arena)?.copy_from_slice(covered);
//! #     model.quantize_pixels(arena)?;
//! #     Ok(probability(&model.run_in_place(arena)?, class))
//! # };
//! let shape = model.input().shape;
//! let squares = Occlusion::of(shape.height, shape.width).squares(shape).expect("they leave nothing out");
//! let whole = run(pixels)?;
//! let mut drops = [0.0; 400];
//! for (index, drop) in drops.iter_mut().enumerate().take(squares.len()) {
//!     let mut covered = [0; 3 * 96 * 96];
//!     let covered = &mut covered[..pixels.len()];
//!     covered.copy_from_slice(pixels);
//!     squares.cover(index, covered);
//!     *drop = (whole - run(covered)?) as f32;
//! }
//! let middle = squares.mean(|index| drops[index], shape.height / 2, shape.width / 2);
//! # Ok(())
//! # }
//! ```

use core::ops::Range;

use crate::classify::Output;
use crate::preprocess::LETTERBOX_GREY;
use crate::tensor::Shape;

/// The grey square that is slid over a picture, in pixels of the model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occlusion {
    /// Its side.
    pub side: u32,
    /// From a square to the next.
    pub stride: u32,
}

impl Occlusion {
    /// A quarter of the shorter side, in steps of half a square: some 50 inferences for a square input.
    pub const fn of(rows: u32, columns: u32) -> Self {
        let shorter = if rows < columns { rows } else { columns };
        let side = if shorter < 4 { 1 } else { shorter / 4 };
        Self {
            side,
            stride: side.div_ceil(2),
        }
    }

    /// The squares over an input of this shape; none where the side or the stride is 0, or the stride is so
    /// long that places are left out.
    pub const fn squares(self, shape: Shape) -> Option<Squares> {
        let Self { side, stride } = self;
        if side == 0 || stride == 0 || stride > side {
            return None;
        }
        Some(Squares {
            down: Axis::of(shape.height, side, stride),
            across: Axis::of(shape.width, side, stride),
            shape,
        })
    }
}

/// Where squares lie along an axis: the last ends where the axis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    len: u32,
    side: u32,
    stride: u32,
    count: u32,
}

impl Axis {
    const fn of(len: u32, side: u32, stride: u32) -> Self {
        let last = len.saturating_sub(side);
        Self {
            len,
            side,
            stride,
            count: last.div_ceil(stride) + 1,
        }
    }

    /// The pixels of the square of this number.
    fn pixels(&self, number: u32) -> Range<u32> {
        let last = self.len.saturating_sub(self.side);
        let start = number.saturating_mul(self.stride).min(last);
        start..start.saturating_add(self.side).min(self.len)
    }
}

/// Squares over an input, numbered row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Squares {
    down: Axis,
    across: Axis,
    shape: Shape,
}

impl Squares {
    /// How many there are: an inference each.
    pub const fn len(&self) -> usize {
        (self.down.count as usize).saturating_mul(self.across.count as usize)
    }

    /// Whether there are none, which never is.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows and the columns that a square covers.
    fn square(&self, index: usize) -> [Range<u32>; 2] {
        let across = (self.across.count as usize).max(1);
        let [row, column] = [index / across, index % across];
        [
            self.down.pixels(row as u32),
            self.across.pixels(column as u32),
        ]
    }

    /// Makes a square grey. `pixels` are the model's input as its recipe makes it: u8, rows, columns,
    /// channels. What they lack is left out.
    pub fn cover(&self, index: usize, pixels: &mut [u8]) {
        let [rows, columns] = self.square(index);
        let Shape {
            width, channels, ..
        } = self.shape;
        let [start, end] = [columns.start, columns.end].map(|at| at as usize * channels as usize);
        let lines = pixels.chunks_exact_mut((width as usize * channels as usize).max(1));
        for line in lines.take(rows.end as usize).skip(rows.start as usize) {
            if let Some(covered) = line.get_mut(start..end) {
                covered.fill(LETTERBOX_GREY);
            }
        }
    }

    /// What a pixel of the input says for a class: the mean over the squares that cover it. `drop` says of
    /// a square by how much the class's probability drops under it.
    pub fn mean(&self, drop: impl Fn(usize) -> f32, row: u32, column: u32) -> f32 {
        let (mut sum, mut count) = (0.0, 0_u32);
        for index in 0..self.len() {
            let [rows, columns] = self.square(index);
            if rows.contains(&row) && columns.contains(&column) {
                sum += f64::from(drop(index));
                count += 1;
            }
        }
        (sum / f64::from(count.max(1))) as f32
    }
}

/// A class's probability by softmax, in f64 since a drop is a difference of two that may both be close to 1;
/// the same bits on every target. 0 for a class that is not there.
#[inline(never)]
pub fn probability(output: &Output<'_>, class: usize) -> f64 {
    if class >= output.len() {
        return 0.0;
    }
    let most = output.logits().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| exp(f64::from(logit - most));
    let sum: f64 = output.logits().map(weight).sum();
    weight(output.logit(class)) / sum
}

/// e^x for x at most 0, within 1e-15 of it, relatively; 0 below -700.
fn exp(x: f64) -> f64 {
    use core::f64::consts::{LN_2, LOG2_E};
    if x.is_nan() || x < -700.0 {
        return 0.0;
    }
    // The nearest whole number: `as` rounds towards 0.
    let halvings = (0.5 - x * LOG2_E) as u64;
    let rest = x + halvings as f64 * LN_2;
    // Taylor's series by Horner's rule; |rest| is at most 0.35.
    let mut series = 1.0;
    for term in (1..=13_u32).rev() {
        series = 1.0 + series * rest / f64::from(term);
    }
    series * f64::from_bits((1023_u64.saturating_sub(halvings)) << 52)
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn squares_reach_the_end_and_leave_nothing_out() {
        for (len, side, stride) in [(64, 16, 8), (10, 4, 3), (10, 4, 4), (3, 5, 2), (1, 1, 1)] {
            let axis = Axis::of(len, side, stride);
            let mut covered = vec![0; len as usize];
            for number in 0..axis.count {
                let pixels = axis.pixels(number);
                assert!(
                    pixels.len() == side.min(len) as usize,
                    "{len} {side} {stride}"
                );
                pixels.for_each(|at| covered[at as usize] += 1);
            }
            assert!(!covered.contains(&0), "{len} {side} {stride}");
            assert_eq!(axis.pixels(axis.count - 1).end, len);
            // No square twice.
            let starts: Vec<u32> = (0..axis.count).map(|at| axis.pixels(at).start).collect();
            assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
        }
        let squares = Occlusion::of(64, 96);
        assert_eq!((squares.side, squares.stride), (16, 8));
        assert_eq!(Occlusion::of(3, 1).stride, 1);
        let shape = Shape::new(64, 96, 3);
        assert_eq!(
            squares.squares(shape).map(|squares| squares.len()),
            Some(7 * 11)
        );
        for (side, stride) in [(0, 1), (4, 0), (3, 4)] {
            assert_eq!(Occlusion { side, stride }.squares(shape), None);
        }
    }

    #[test]
    fn a_square_covers_its_pixels_and_no_others() {
        let shape = Shape::new(5, 7, 2);
        let squares = Occlusion { side: 3, stride: 2 }.squares(shape).unwrap();
        assert_eq!(squares.len(), 2 * 3);
        for (index, (y, x)) in [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]
            .into_iter()
            .enumerate()
        {
            let mut pixels = vec![7; shape.len()];
            squares.cover(index, &mut pixels);
            for (at, &pixel) in pixels.iter().enumerate() {
                let (row, column) = (at / 14, at / 2 % 7);
                let inside = (y..y + 3).contains(&row) && (x..x + 3).contains(&column);
                assert_eq!(pixel == LETTERBOX_GREY, inside, "{index}: {row} {column}");
            }
        }
        squares.cover(99, &mut [1; 3]);
    }

    #[test]
    fn a_pixel_has_the_mean_of_the_squares_over_it() {
        let squares = Occlusion { side: 3, stride: 2 }
            .squares(Shape::new(3, 7, 1))
            .unwrap();
        let drops = [1.0, 0.5, -0.25];
        let row: Vec<f32> = (0..7).map(|x| squares.mean(|at| drops[at], 1, x)).collect();
        assert_eq!(row, [1.0, 1.0, 0.75, 0.5, 0.125, -0.25, -0.25]);
        assert_eq!(squares.mean(|at| drops[at], 9, 9), 0.0, "beside the input");
    }

    #[test]
    fn e_to_the_x_is_that_of_the_standard_library() {
        let mut worst = 0.0_f64;
        for step in 0..70_000 {
            let x = -f64::from(step) / 100.0;
            worst = worst.max((exp(x) / x.exp() - 1.0).abs());
        }
        assert!(worst < 1e-13, "{worst:e}");
        for step in 0..4000 {
            let x = -f64::from(step) / 1000.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 2e-15, "{x}");
        }
        assert_eq!((exp(0.0), exp(-1e9), exp(f64::NAN)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn probabilities_add_up_and_small_ones_are_not_lost() {
        let values = [127_u8, 0, 100, 0x80];
        let output = Output::new(&values, 0, 0.2);
        let all: Vec<f64> = (0..5).map(|class| probability(&output, class)).collect();
        let sum: f64 = all.iter().sum();
        assert!((sum - 1.0).abs() < 1e-12 && all[4] == 0.0, "{all:?}");
        assert!(all[3] > 0.0 && all[1] > all[3] && all[0] > 0.99, "{all:?}");
        assert!((all[2] / all[0] - (-27.0 * 0.2_f64).exp()).abs() < 1e-8);
    }
}
