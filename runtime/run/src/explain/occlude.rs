//! Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014).

use kiln_core::preprocess::LETTERBOX_GREY;

use super::{ExplainError, HeatMap, Method, check_class};
use crate::engine::{Engine, EngineError, Input};

/// The grey square that is slid over the picture, in pixels of the model's input.
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

    /// Where squares begin along an axis: the last ends where the axis does.
    fn starts(self, len: u32) -> Vec<u32> {
        let last = len.saturating_sub(self.side);
        let mut starts: Vec<u32> = (0..last).step_by(self.stride as usize).collect();
        starts.push(last);
        starts
    }
}

/// For each pixel of the input by how much the class's probability drops where a square covers it: the
/// mean over the squares that do. `pixels` are as the model's recipe makes them.
///
/// # Errors
/// Pixels of a wrong length, no recipe, no such class, or squares that leave places out.
pub fn occlusion(
    engine: &mut Engine,
    pixels: &[u8],
    class: usize,
    squares: Occlusion,
) -> Result<HeatMap, ExplainError> {
    let Occlusion { side, stride } = squares;
    if side == 0 || stride == 0 || stride > side {
        return Err(ExplainError::Square { side, stride });
    }
    check_class(engine, class)?;
    let whole = probability(engine, pixels, class)?;
    let shape = engine.model().input().shape;
    let channels = shape.channels as usize;
    let area = |at: u32, len: u32| at as usize..at.saturating_add(side).min(len) as usize;
    let mut sums = vec![(0.0_f64, 0_u32); shape.pixels()];
    for y in squares.starts(shape.height) {
        for x in squares.starts(shape.width) {
            let (rows, columns) = (area(y, shape.height), area(x, shape.width));
            let places = rows.map(|row| {
                let row = row * shape.width as usize;
                row + columns.start..row + columns.end
            });
            let mut covered = pixels.to_vec();
            for row in places.clone() {
                covered[row.start * channels..row.end * channels].fill(LETTERBOX_GREY);
            }
            let drop = whole - probability(engine, &covered, class)?;
            for row in places {
                for (sum, count) in &mut sums[row] {
                    *sum += drop;
                    *count += 1;
                }
            }
        }
    }
    let mean = |&(sum, count): &(f64, u32)| (sum / f64::from(count.max(1))) as f32;
    Ok(HeatMap {
        method: Method::Occlusion,
        rows: shape.height,
        columns: shape.width,
        values: sums.iter().map(mean).collect(),
    })
}

/// By softmax.
fn probability(engine: &mut Engine, pixels: &[u8], class: usize) -> Result<f64, EngineError> {
    let logits = engine.logits(Input::Pixels(pixels))?;
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from(logit - most).exp();
    let sum: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    Ok(logits.get(class).map_or(0.0, |&logit| weight(logit) / sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_reach_the_end_and_leave_nothing_out() {
        for (len, side, stride) in [(64, 16, 8), (10, 4, 3), (10, 4, 4), (3, 5, 2), (1, 1, 1)] {
            let starts = Occlusion { side, stride }.starts(len);
            let mut covered = vec![false; len as usize];
            for start in starts {
                let end = (start + side).min(len) as usize;
                covered[start as usize..end].fill(true);
            }
            assert!(!covered.contains(&false), "{len} {side} {stride}");
        }
        let squares = Occlusion::of(64, 96);
        assert_eq!((squares.side, squares.stride), (16, 8));
        assert_eq!(Occlusion::of(3, 1).stride, 1);
    }
}
