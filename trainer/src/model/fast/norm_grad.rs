//! Gradients of the fused batch normalisation of [`super::norm`].
//!
//! With `g` the gradient after the clamp's mask, `N` values per channel and `x̂` the normalised
//! input: `dβ = Σ g`, `dγ = Σ g x̂`, `dx = scale × (g − dβ/N − x̂ dγ/N)`; the residual gets `g`.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::norm::{Bounds, Channels, add_lanes, sum_pictures};
use super::tile::{load, store};

/// Pixels whose sums are kept in `f32` before they go to `f64`.
const BLOCK: usize = 64;

/// Gradients of one fused batch normalisation.
pub(super) struct Gradients {
    pub x: Vec<f32>,
    /// Empty without a residual.
    pub residual: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

/// Which values the clamp let through.
#[derive(Clone, Copy)]
pub(super) enum Mask<'a> {
    /// Computed again from the input.
    Input,
    /// Read off the output, where a residual was added.
    Output(&'a [f32]),
}

/// The gradients, from `x`, `dy` and how each picture's values passed the clamp.
pub(super) fn gradients(
    x: &[f32],
    dy: &[f32],
    mask: Mask,
    picture: usize,
    channels: &Channels,
    bounds: Bounds,
) -> Gradients {
    let count = channels.mean.len();
    let mut residual = Vec::new();
    let reduce = |x, dy, output, masked| {
        let mut sums = vec![0.0; 2 * count];
        Arch::new().dispatch(Reduce {
            x,
            dy,
            output,
            masked,
            channels,
            bounds,
            sums: &mut sums,
        });
        sums
    };
    let pictures = x.par_chunks(picture).zip(dy.par_chunks(picture));
    let sums = match mask {
        Mask::Input => sum_pictures(pictures.map(|(x, dy)| reduce(x, dy, &[], &mut []))),
        Mask::Output(y) => {
            residual = vec![0.0; x.len()];
            let pictures = pictures.zip(y.par_chunks(picture));
            let pictures = pictures.zip(residual.par_chunks_mut(picture));
            sum_pictures(pictures.map(|(((x, dy), y), masked)| reduce(x, dy, y, masked)))
        }
    };
    let (terms, gamma, beta) = Terms::new(&sums, x.len() / count, channels);

    let mut dx = vec![0.0; x.len()];
    let (dy, bounds) = match mask {
        Mask::Input => (dy, bounds),
        Mask::Output(_) => (&residual[..], (f32::NEG_INFINITY, f32::INFINITY)),
    };
    dx.par_chunks_mut(picture)
        .zip(x.par_chunks(picture))
        .zip(dy.par_chunks(picture))
        .for_each(|((dx, x), dy)| {
            Arch::new().dispatch(Input {
                x,
                dy,
                channels,
                bounds,
                terms: &terms,
                dx,
            });
        });
    Gradients {
        x: dx,
        residual,
        gamma,
        beta,
    }
}

/// Per channel, `dx = scale × g + slope × (x − mean) + constant`.
pub(super) struct Terms {
    pub slope: Vec<f32>,
    pub constant: Vec<f32>,
}

impl Terms {
    /// From `Σ g` and `Σ g (x − mean)` over `values` values per channel; also `dγ` and `dβ`.
    pub(super) fn new(
        sums: &[f64],
        values: usize,
        channels: &Channels,
    ) -> (Self, Vec<f32>, Vec<f32>) {
        let count = channels.mean.len();
        let (plain, centred) = sums.split_at(count);
        let values = values as f64;
        let gamma = (0..count).map(|c| centred[c] * f64::from(channels.inverse[c]));
        let slope = (0..count).map(|c| {
            let inverse = f64::from(channels.inverse[c]);
            (-f64::from(channels.scale[c]) * inverse * inverse * centred[c] / values) as f32
        });
        let constant =
            (0..count).map(|c| (-f64::from(channels.scale[c]) * plain[c] / values) as f32);
        let terms = Self {
            slope: slope.collect(),
            constant: constant.collect(),
        };
        (
            terms,
            gamma.map(|v| v as f32).collect(),
            plain.iter().map(|v| *v as f32).collect(),
        )
    }
}

/// First pass over one picture: `sums[c] = Σ g`, `sums[channels + c] = Σ g (x − mean)`.
struct Reduce<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    /// The output to read the mask from, or empty.
    output: &'a [f32],
    /// Where `g` goes when the mask comes from the output, or empty.
    masked: &'a mut [f32],
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
        let size = BLOCK * channels;
        for (block, (x, dy)) in self.x.chunks(size).zip(self.dy.chunks(size)).enumerate() {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let mean = load(simd, &self.channels.mean[c..end]);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let (mut sum, mut product) = (zero, zero);
                let pixels = x.chunks_exact(channels).zip(dy.chunks_exact(channels));
                if self.output.is_empty() {
                    for (x, dy) in pixels {
                        let x = load(simd, &x[c..end]);
                        let y = simd.mul_add_f32s(x, scale, shift);
                        let g = masked(simd, load(simd, &dy[c..end]), y, low, high);
                        sum = simd.add_f32s(sum, g);
                        product = simd.mul_add_f32s(g, simd.sub_f32s(x, mean), product);
                    }
                } else {
                    let y = self.output[block * size..].chunks_exact(channels);
                    let out = self.masked[block * size..].chunks_exact_mut(channels);
                    for ((x, dy), (y, out)) in pixels.zip(y.zip(out)) {
                        let x = load(simd, &x[c..end]);
                        let y = load(simd, &y[c..end]);
                        let g = masked(simd, load(simd, &dy[c..end]), y, low, high);
                        store(simd, &mut out[c..end], g);
                        sum = simd.add_f32s(sum, g);
                        product = simd.mul_add_f32s(g, simd.sub_f32s(x, mean), product);
                    }
                }
                add_lanes::<S>(sum, &mut plain[c..end]);
                add_lanes::<S>(product, &mut centred[c..end]);
            }
        }
    }
}

/// `dy` where `low < y < high`, else zero.
#[inline(always)]
pub(super) fn masked<S: Simd>(
    simd: S,
    dy: S::f32s,
    y: S::f32s,
    low: S::f32s,
    high: S::f32s,
) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    let dy = simd.select_f32s(simd.less_than_f32s(low, y), dy, zero);
    simd.select_f32s(simd.less_than_f32s(y, high), dy, zero)
}

/// Second pass over one picture: the gradient of the input.
struct Input<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    channels: &'a Channels,
    bounds: Bounds,
    terms: &'a Terms,
    dx: &'a mut [f32],
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.channels.mean.len();
        let low = simd.splat_f32s(self.bounds.0);
        let high = simd.splat_f32s(self.bounds.1);
        let size = BLOCK * channels;
        let blocks = self.x.chunks(size).zip(self.dy.chunks(size));
        for (dx, (x, dy)) in self.dx.chunks_mut(size).zip(blocks) {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let mean = load(simd, &self.channels.mean[c..end]);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let slope = load(simd, &self.terms.slope[c..end]);
                let constant = load(simd, &self.terms.constant[c..end]);
                let pixels = x.chunks_exact(channels).zip(dy.chunks_exact(channels));
                for (dx, (x, dy)) in dx.chunks_exact_mut(channels).zip(pixels) {
                    let x = load(simd, &x[c..end]);
                    let y = simd.mul_add_f32s(x, scale, shift);
                    let g = masked(simd, load(simd, &dy[c..end]), y, low, high);
                    let rest = simd.mul_add_f32s(simd.sub_f32s(x, mean), slope, constant);
                    store(simd, &mut dx[c..end], simd.mul_add_f32s(g, scale, rest));
                }
            }
        }
    }
}
