//! The mean over all pixels of NHWC pictures, forward and backward.

use rayon::prelude::*;

use super::nhwc::zeros;

/// `y[n][channels]` from `x[n][pixels][channels]`.
pub(super) fn forward(x: &[f32], [pixels, channels]: [usize; 2]) -> Vec<f32> {
    let mut y = zeros(x.len() / pixels);
    y.par_chunks_mut(channels)
        .zip(x.par_chunks(pixels * channels))
        .for_each(|(y, x)| {
            for pixel in x.chunks_exact(channels) {
                y.iter_mut().zip(pixel).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y /= pixels as f32);
        });
    y
}

/// `dx[n][pixels][channels]` from `dy[n][channels]`.
pub(super) fn gradient(dy: &[f32], [pixels, channels]: [usize; 2]) -> Vec<f32> {
    let mut dx = zeros(dy.len() * pixels);
    dx.par_chunks_mut(pixels * channels)
        .zip(dy.par_chunks(channels))
        .for_each(|(dx, dy)| {
            let (first, rest) = dx.split_at_mut(channels);
            let share = dy.iter().map(|dy| dy / pixels as f32);
            first.iter_mut().zip(share).for_each(|(dx, dy)| *dx = dy);
            for pixel in rest.chunks_exact_mut(channels) {
                pixel.copy_from_slice(first);
            }
        });
    dx
}
