//! A bias, then rounding to the values that an activation's integers stand for. Gradients pass the
//! rounding as if it were not there, and stop where a value was clamped (the straight-through estimator;
//! Bengio et al., 2013).

use burn::tensor::Tensor;
use pulp::Arch;
use rayon::prelude::*;

use super::nhwc::zeros;
use super::norm::{BLOCK, sum_pictures};

/// `x + MAGIC - MAGIC` is the integer nearest to `x`, the even one of two, where `|x|` is below 2²².
const MAGIC: f32 = 12_582_912.0;

/// Multiples of `scale` from `low` to `high`, at most 256 of them; 0 is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// From one to the next; above 0.
    pub scale: f32,
    /// The least.
    pub low: f32,
    /// The greatest.
    pub high: f32,
}

impl Grid {
    /// The nearest of them.
    #[inline(always)]
    fn nearest(self, x: f32) -> f32 {
        let steps = x.max(self.low).min(self.high) / self.scale;
        ((steps + MAGIC) - MAGIC) * self.scale
    }

    /// The same in plain burn operations.
    pub fn round<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let inside = x.clamp(self.low, self.high);
        let nearest = (inside.clone() / self.scale).round() * self.scale;
        inside.clone() + (nearest - inside).detach()
    }
}

/// `nearest(x + bias)` for NHWC pictures of `picture` numbers.
pub(super) fn forward(x: &[f32], bias: &[f32], picture: usize, grid: Grid) -> Vec<f32> {
    let mut y = zeros(x.len());
    let pictures = y.par_chunks_mut(picture).zip(x.par_chunks(picture));
    pictures.for_each(|(y, x)| {
        Arch::new().dispatch(|| {
            let pixels = y.chunks_exact_mut(bias.len());
            for (y, x) in pixels.zip(x.chunks_exact(bias.len())) {
                for ((y, x), bias) in y.iter_mut().zip(x).zip(bias) {
                    *y = grid.nearest(x + bias);
                }
            }
        });
    });
    y
}

/// The gradients of `x`, written over it, and of the bias.
pub(super) fn gradients(
    mut x: Vec<f32>,
    dy: &[f32],
    bias: &[f32],
    picture: usize,
    grid: Grid,
) -> (Vec<f32>, Vec<f32>) {
    let channels = bias.len();
    let pictures = x.par_chunks_mut(picture).zip(dy.par_chunks(picture));
    let sums = sum_pictures(pictures.map(|(x, dy)| {
        let mut sums = vec![0.0; channels];
        let mut block = vec![0.0; channels];
        for (x, dy) in x
            .chunks_mut(BLOCK * channels)
            .zip(dy.chunks(BLOCK * channels))
        {
            Arch::new().dispatch(|| masked(x, dy, bias, grid, &mut block));
            for (sum, block) in sums.iter_mut().zip(&mut block) {
                *sum += f64::from(std::mem::take(block));
            }
        }
        sums
    }));
    (x, sums.iter().map(|sum| *sum as f32).collect())
}

/// Writes `dy` over `x` where that was let through, else 0; adds it to each channel's sum.
#[inline(always)]
fn masked(x: &mut [f32], dy: &[f32], bias: &[f32], grid: Grid, sums: &mut [f32]) {
    let channels = bias.len();
    for (x, dy) in x.chunks_exact_mut(channels).zip(dy.chunks_exact(channels)) {
        for (((x, dy), bias), sum) in x.iter_mut().zip(dy).zip(bias).zip(&mut *sums) {
            let value = *x + bias;
            let inside = grid.low <= value && value <= grid.high;
            *x = if inside { *dy } else { 0.0 };
            *sum += *x;
        }
    }
}
