//! Batch normalisation, clamp and 2 × 2 max-pooling (stride 2) over NHWC pictures in one, forward
//! and backward: the full-size normalised picture is never written.
//!
//! The clamp is monotone, so it follows the maximum. Of equal values the first in row order is the
//! maximum, as in burn. An odd last row or column is left out of the pooling.

#![allow(
    clippy::needless_range_loop,
    reason = "loops of constant length keep a tile in registers"
)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::norm::{Bounds, Channels, add_lanes, sum_pictures};
use super::norm_grad::{Gradients, Terms, masked};
use super::tile::{load, store};

/// `max_pool(clamp(x × scale + shift))`: `[n][h / 2][w / 2][channels]` from `x[n][h][w][channels]`.
pub(super) fn apply(x: &[f32], size: [usize; 2], channels: &Channels, bounds: Bounds) -> Vec<f32> {
    let count = channels.mean.len();
    let picture = size[0] * size[1] * count;
    let pooled = (size[0] / 2) * (size[1] / 2) * count;
    let mut y = vec![0.0; x.len() / picture * pooled];
    y.par_chunks_mut(pooled)
        .zip(x.par_chunks(picture))
        .for_each(|(y, x)| {
            Arch::new().dispatch(Apply {
                x,
                width: size[1],
                channels,
                bounds,
                y,
            });
        });
    y
}

/// The gradients from that of the pooled output.
///
/// That of the input is written over the input.
pub(super) fn gradients(
    mut x: Vec<f32>,
    dy: &[f32],
    size: [usize; 2],
    channels: &Channels,
    bounds: Bounds,
) -> Gradients {
    let count = channels.mean.len();
    let picture = size[0] * size[1] * count;
    let pooled = (size[0] / 2) * (size[1] / 2) * count;
    let pictures = x.par_chunks(picture).zip(dy.par_chunks(pooled));
    let sums = sum_pictures(pictures.map(|(x, dy)| {
        let mut sums = vec![0.0; 2 * count];
        Arch::new().dispatch(Reduce {
            x,
            dy,
            width: size[1],
            channels,
            bounds,
            sums: &mut sums,
        });
        sums
    }));
    let (terms, gamma, beta) = Terms::new(&sums, x.len() / count, channels);
    x.par_chunks_mut(picture)
        .zip(dy.par_chunks(pooled))
        .for_each(|(x, dy)| {
            Arch::new().dispatch(Input {
                x,
                dy,
                width: size[1],
                channels,
                bounds,
                terms: &terms,
            });
        });
    Gradients {
        x,
        residual: Vec::new(),
        gamma,
        beta,
    }
}

/// The four values of a window: two of the upper row, two of the lower.
#[inline(always)]
fn window<S: Simd>(simd: S, upper: &[f32], lower: &[f32], c: usize, end: usize) -> [S::f32s; 4] {
    let channels = upper.len() / 2;
    [
        load(simd, &upper[c..end]),
        load(simd, &upper[channels + c..channels + end]),
        load(simd, &lower[c..end]),
        load(simd, &lower[channels + c..channels + end]),
    ]
}

#[inline(always)]
fn maximum<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> S::f32s {
    simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d))
}

struct Apply<'a> {
    x: &'a [f32],
    width: usize,
    channels: &'a Channels,
    bounds: Bounds,
    y: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.channels.mean.len();
        let low = simd.splat_f32s(self.bounds.0);
        let high = simd.splat_f32s(self.bounds.1);
        let row = self.width * channels;
        let rows = self.x.chunks_exact(2 * row);
        for (y, x) in self.y.chunks_mut(self.width / 2 * channels).zip(rows) {
            let (upper, lower) = x.split_at(row);
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let pairs = upper
                    .chunks_exact(2 * channels)
                    .zip(lower.chunks_exact(2 * channels));
                for (y, (upper, lower)) in y.chunks_exact_mut(channels).zip(pairs) {
                    let values = window(simd, upper, lower, c, end)
                        .map(|x| simd.mul_add_f32s(x, scale, shift));
                    let value = simd.max_f32s(maximum(simd, values), low);
                    store(simd, &mut y[c..end], simd.min_f32s(value, high));
                }
            }
        }
    }
}

/// First pass: `sums[c] = Σ g`, `sums[channels + c] = Σ g (x − mean)`, `x` where the maximum was.
struct Reduce<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    width: usize,
    channels: &'a Channels,
    bounds: Bounds,
    sums: &'a mut [f64],
}

impl WithSimd for Reduce<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.channels.mean.len();
        let (plain, centred) = self.sums.split_at_mut(channels);
        let low = simd.splat_f32s(self.bounds.0);
        let high = simd.splat_f32s(self.bounds.1);
        let zero = simd.splat_f32s(0.0);
        let row = self.width * channels;
        let rows = self.x.chunks_exact(2 * row);
        for (dy, x) in self.dy.chunks(self.width / 2 * channels).zip(rows) {
            let (upper, lower) = x.split_at(row);
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let mean = load(simd, &self.channels.mean[c..end]);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let (mut sum, mut product) = (zero, zero);
                let pairs = upper
                    .chunks_exact(2 * channels)
                    .zip(lower.chunks_exact(2 * channels));
                for (dy, (upper, lower)) in dy.chunks_exact(channels).zip(pairs) {
                    let x = window(simd, upper, lower, c, end);
                    let y = x.map(|x| simd.mul_add_f32s(x, scale, shift));
                    let top = maximum(simd, y);
                    let g = masked(simd, load(simd, &dy[c..end]), top, low, high);
                    let mut at = x[3];
                    for i in [2, 1, 0] {
                        at = simd.select_f32s(simd.equal_f32s(y[i], top), x[i], at);
                    }
                    sum = simd.add_f32s(sum, g);
                    product = simd.mul_add_f32s(g, simd.sub_f32s(at, mean), product);
                }
                add_lanes::<S>(sum, &mut plain[c..end]);
                add_lanes::<S>(product, &mut centred[c..end]);
            }
        }
    }
}

/// Second pass: the gradient of the input, over the input.
struct Input<'a> {
    x: &'a mut [f32],
    dy: &'a [f32],
    width: usize,
    channels: &'a Channels,
    bounds: Bounds,
    terms: &'a Terms,
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let channels = self.channels.mean.len();
        let row = self.width * channels;
        let pooled = self.width / 2 * channels;
        let rows = self.x.len() / row;
        for y in 0..rows / 2 {
            self.pair::<S>(simd, y, row, pooled);
            if self.width % 2 == 1 {
                for y in [2 * y, 2 * y + 1] {
                    self.outside::<S>(simd, y * row + row - channels..(y + 1) * row);
                }
            }
        }
        if rows % 2 == 1 {
            self.outside::<S>(simd, (rows - 1) * row..rows * row);
        }
    }
}

impl Input<'_> {
    /// Two rows and the pooled row between them.
    #[inline(always)]
    fn pair<S: Simd>(&mut self, simd: S, y: usize, row: usize, pooled: usize) {
        let channels = self.channels.mean.len();
        let low = simd.splat_f32s(self.bounds.0);
        let high = simd.splat_f32s(self.bounds.1);
        let zero = simd.splat_f32s(0.0);
        let (upper, lower) = self.x[2 * y * row..][..2 * row].split_at_mut(row);
        let dy = &self.dy[y * pooled..][..pooled];
        for c in (0..channels).step_by(S::F32_LANES) {
            let end = channels.min(c + S::F32_LANES);
            let mean = load(simd, &self.channels.mean[c..end]);
            let scale = load(simd, &self.channels.scale[c..end]);
            let shift = load(simd, &self.channels.shift[c..end]);
            let slope = load(simd, &self.terms.slope[c..end]);
            let constant = load(simd, &self.terms.constant[c..end]);
            let pairs = upper
                .chunks_exact_mut(2 * channels)
                .zip(lower.chunks_exact_mut(2 * channels));
            for (dy, (upper, lower)) in dy.chunks_exact(channels).zip(pairs) {
                let x = window(simd, upper, lower, c, end);
                let y = x.map(|x| simd.mul_add_f32s(x, scale, shift));
                let top = maximum(simd, y);
                let mut g = masked(simd, load(simd, &dy[c..end]), top, low, high);
                let mut dx = [zero; 4];
                for i in 0..4 {
                    let hit = simd.equal_f32s(y[i], top);
                    let here = simd.select_f32s(hit, g, zero);
                    g = simd.select_f32s(hit, zero, g);
                    let rest = simd.mul_add_f32s(simd.sub_f32s(x[i], mean), slope, constant);
                    dx[i] = simd.mul_add_f32s(here, scale, rest);
                }
                store(simd, &mut upper[c..end], dx[0]);
                store(simd, &mut upper[channels + c..channels + end], dx[1]);
                store(simd, &mut lower[c..end], dx[2]);
                store(simd, &mut lower[channels + c..channels + end], dx[3]);
            }
        }
    }

    /// Pixels that no window covers.
    #[inline(always)]
    fn outside<S: Simd>(&mut self, simd: S, range: std::ops::Range<usize>) {
        let channels = self.channels.mean.len();
        for pixel in self.x[range].chunks_exact_mut(channels) {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let mean = load(simd, &self.channels.mean[c..end]);
                let slope = load(simd, &self.terms.slope[c..end]);
                let constant = load(simd, &self.terms.constant[c..end]);
                let x = simd.sub_f32s(load(simd, &pixel[c..end]), mean);
                store(
                    simd,
                    &mut pixel[c..end],
                    simd.mul_add_f32s(x, slope, constant),
                );
            }
        }
    }
}
