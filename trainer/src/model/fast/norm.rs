//! Batch normalisation over NHWC pictures, fused with what follows it: an optional residual
//! addition and a clamp (ReLU, ReLU6). Two passes forward, two passes backward.
//!
//! Statistics are summed per picture, then over the pictures in order, in `f64`: results do not
//! depend on the number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::nhwc::zeros;
use super::tile::{load, store};

/// Pixels whose sums are kept in `f32` before they go to `f64`.
pub(super) const BLOCK: usize = 64;

/// The clamp after a normalisation: `(-∞, ∞)`, `(0, ∞)` or `(0, 6)`.
pub(super) type Bounds = (f32, f32);

/// What the batch says about each channel, and the affine map that follows from it.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    pub mean: Vec<f32>,
    /// Biased variance.
    pub variance: Vec<f32>,
    /// `gamma / sqrt(variance + epsilon)`
    pub scale: Vec<f32>,
    /// `beta - mean × scale`
    pub shift: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`
    pub inverse: Vec<f32>,
}

impl Channels {
    /// From given statistics.
    pub(super) fn new(
        mean: Vec<f32>,
        variance: Vec<f32>,
        gamma: &[f32],
        beta: &[f32],
        epsilon: f64,
    ) -> Self {
        let inverse: Vec<f32> = variance
            .iter()
            .map(|v| (1.0 / (f64::from(*v) + epsilon).sqrt()) as f32)
            .collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse).map(|(g, i)| g * i).collect();
        let shift = (0..mean.len())
            .map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * f64::from(scale[c])) as f32)
            .collect();
        Self {
            mean,
            variance,
            scale,
            shift,
            inverse,
        }
    }

    /// From the batch `x[n][pixels][channels]` itself, `picture = pixels × channels`.
    pub(super) fn of_batch(
        x: &[f32],
        picture: usize,
        gamma: &[f32],
        beta: &[f32],
        epsilon: f64,
    ) -> Self {
        let channels = gamma.len();
        let pivot = &x[..channels];
        let sums = sum_pictures(x.par_chunks(picture).map(|x| {
            let mut sums = vec![0.0; 2 * channels];
            Arch::new().dispatch(Moments {
                x,
                pivot,
                sums: &mut sums,
            });
            sums
        }));
        let count = (x.len() / channels) as f64;
        let (first, second) = sums.split_at(channels);
        let distance: Vec<f64> = first.iter().map(|sum| sum / count).collect();
        let mean = (0..channels).map(|c| (f64::from(pivot[c]) + distance[c]) as f32);
        let variance =
            (0..channels).map(|c| (second[c] / count - distance[c] * distance[c]).max(0.0) as f32);
        Self::new(mean.collect(), variance.collect(), gamma, beta, epsilon)
    }
}

/// Adds per-picture sums in the order of the pictures.
pub(super) fn sum_pictures(pictures: impl IndexedParallelIterator<Item = Vec<f64>>) -> Vec<f64> {
    let pictures: Vec<Vec<f64>> = pictures.collect();
    let mut total = vec![0.0; pictures.first().map_or(0, Vec::len)];
    for picture in &pictures {
        for (total, value) in total.iter_mut().zip(picture) {
            *total += value;
        }
    }
    total
}

/// Adds the lanes of `value` to `sums`, one per lane, as far as `sums` reaches.
#[inline(always)]
pub(super) fn add_lanes<S: Simd>(value: S::f32s, sums: &mut [f64]) {
    let value = [value];
    let lanes: &[f32] = bytemuck::cast_slice(&value);
    for (sum, lane) in sums.iter_mut().zip(lanes) {
        *sum += f64::from(*lane);
    }
}

/// Per channel, `sums[c] = Σ (x - pivot)` and `sums[channels + c] = Σ (x - pivot)²` of one picture.
struct Moments<'a> {
    x: &'a [f32],
    pivot: &'a [f32],
    sums: &'a mut [f64],
}

impl WithSimd for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.pivot.len();
        let (first, second) = self.sums.split_at_mut(channels);
        for block in self.x.chunks(BLOCK * channels) {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let pivot = load(simd, &self.pivot[c..end]);
                let mut sum = [simd.splat_f32s(0.0); 2];
                let mut square = [simd.splat_f32s(0.0); 2];
                for pair in block.chunks(2 * channels) {
                    for (k, pixel) in pair.chunks_exact(channels).enumerate() {
                        let x = simd.sub_f32s(load(simd, &pixel[c..end]), pivot);
                        sum[k] = simd.add_f32s(sum[k], x);
                        square[k] = simd.mul_add_f32s(x, x, square[k]);
                    }
                }
                add_lanes::<S>(simd.add_f32s(sum[0], sum[1]), &mut first[c..end]);
                add_lanes::<S>(simd.add_f32s(square[0], square[1]), &mut second[c..end]);
            }
        }
    }
}

/// `clamp(x × scale + shift + residual)`
pub(super) fn apply(
    x: &[f32],
    residual: Option<&[f32]>,
    picture: usize,
    channels: &Channels,
    bounds: Bounds,
) -> Vec<f32> {
    let mut y = zeros(x.len());
    let pictures = y.par_chunks_mut(picture).zip(x.par_chunks(picture));
    match residual {
        None => pictures.for_each(|(y, x)| {
            Arch::new().dispatch(Apply {
                x,
                residual: &[],
                channels,
                bounds,
                y,
            });
        }),
        Some(residual) => {
            let pictures = pictures.zip(residual.par_chunks(picture));
            pictures.for_each(|((y, x), residual)| {
                Arch::new().dispatch(Apply {
                    x,
                    residual,
                    channels,
                    bounds,
                    y,
                });
            });
        }
    }
    y
}

struct Apply<'a> {
    x: &'a [f32],
    /// Empty when there is none.
    residual: &'a [f32],
    channels: &'a Channels,
    bounds: Bounds,
    y: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.channels.scale.len();
        let low = simd.splat_f32s(self.bounds.0);
        let high = simd.splat_f32s(self.bounds.1);
        for (block, (y, x)) in self
            .y
            .chunks_mut(BLOCK * channels)
            .zip(self.x.chunks(BLOCK * channels))
            .enumerate()
        {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let pixels = y.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
                if self.residual.is_empty() {
                    for (y, x) in pixels {
                        let value = simd.mul_add_f32s(load(simd, &x[c..end]), scale, shift);
                        let value = simd.min_f32s(simd.max_f32s(value, low), high);
                        store(simd, &mut y[c..end], value);
                    }
                } else {
                    let residual = &self.residual[block * BLOCK * channels..];
                    for ((y, x), r) in pixels.zip(residual.chunks_exact(channels)) {
                        let value = simd.mul_add_f32s(load(simd, &x[c..end]), scale, shift);
                        let value = simd.add_f32s(value, load(simd, &r[c..end]));
                        let value = simd.min_f32s(simd.max_f32s(value, low), high);
                        store(simd, &mut y[c..end], value);
                    }
                }
            }
        }
    }
}
