//! Every channel of NHWC pictures times a number of its own, forward and backward.

use rayon::prelude::*;

use super::nhwc::zeros;

/// `y[n][pixels][channels]` from `x` of that shape and `gate[n][channels]`.
pub(super) fn forward(x: &[f32], gate: &[f32], [pixels, channels]: [usize; 2]) -> Vec<f32> {
    let mut y = zeros(x.len());
    y.par_chunks_mut(pixels * channels)
        .zip(x.par_chunks(pixels * channels))
        .zip(gate.par_chunks(channels))
        .for_each(|((y, x), gate)| {
            let pixels = y.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
            for (y, x) in pixels {
                for ((y, x), gate) in y.iter_mut().zip(x).zip(gate) {
                    *y = x * gate;
                }
            }
        });
    y
}

/// The gradients of `x`, which is written over it, and of `gate`.
pub(super) fn gradients(
    mut x: Vec<f32>,
    gate: &[f32],
    dy: &[f32],
    [pixels, channels]: [usize; 2],
) -> [Vec<f32>; 2] {
    let mut dgate = zeros(gate.len());
    x.par_chunks_mut(pixels * channels)
        .zip(dy.par_chunks(pixels * channels))
        .zip(gate.par_chunks(channels))
        .zip(dgate.par_chunks_mut(channels))
        .for_each(|(((x, dy), gate), dgate)| {
            let pixels = x.chunks_exact_mut(channels).zip(dy.chunks_exact(channels));
            for (x, dy) in pixels {
                for (((x, dy), gate), dgate) in x.iter_mut().zip(dy).zip(gate).zip(&mut *dgate) {
                    *dgate += *x * dy;
                    *x = dy * gate;
                }
            }
        });
    [x, dgate]
}
