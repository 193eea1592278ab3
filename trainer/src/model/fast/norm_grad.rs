//! Gradients of the fused batch normalisation of [`super::norm`].
//!
//! With `g` the gradient after the clamp's mask, `N` values per channel and `x̂` the normalised
//! input: `dβ = Σ g`, `dγ = Σ g x̂`, `dx = scale × (g − dβ/N − x̂ dγ/N)`; the residual gets `g`.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::norm::{BLOCK, Bounds, Channels, add_lanes, sum_pictures};
use super::tile::{load, store};

/// Gradients of one fused batch normalisation.
pub(super) struct Gradients {
    pub x: Vec<f32>,
    /// Without a residual, of no meaning.
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
///
/// Those of the input and of the residual are written over `x` and `dy`.
pub(super) fn gradients(
    mut x: Vec<f32>,
    mut dy: Vec<f32>,
    mask: Mask,
    picture: usize,
    channels: &Channels,
    mut bounds: Bounds,
) -> Gradients {
    let count = channels.mean.len();
    let reduce = |x, dy, output| {
        let mut sums = vec![0.0; 2 * count];
        Arch::new().dispatch(Reduce {
            x,
            dy,
            output,
            channels,
            bounds,
            sums: &mut sums,
        });
        sums
    };
    let pictures = x.par_chunks(picture).zip(dy.par_chunks_mut(picture));
    let sums = match mask {
        Mask::Input => sum_pictures(pictures.map(|(x, dy)| reduce(x, dy, &[]))),
        Mask::Output(y) => {
            let pictures = pictures.zip(y.par_chunks(picture));
            sum_pictures(pictures.map(|((x, dy), y)| reduce(x, dy, y)))
        }
    };
    let (terms, gamma, beta) = Terms::new(&sums, x.len() / count, channels);
    if matches!(mask, Mask::Output(_)) {
        bounds = (f32::NEG_INFINITY, f32::INFINITY);
    }
    x.par_chunks_mut(picture)
        .zip(dy.par_chunks(picture))
        .for_each(|(x, dy)| {
            Arch::new().dispatch(Input {
                x,
                dy,
                channels,
                bounds,
                terms: &terms,
            });
        });
    Gradients {
        x,
        residual: dy,
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
    /// Becomes `g` when the mask comes from the output.
    dy: &'a mut [f32],
    /// The output to read the mask from, or empty.
    output: &'a [f32],
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
        let blocks = self.x.chunks(size).zip(self.dy.chunks_mut(size));
        for (block, (x, dy)) in blocks.enumerate() {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let mean = load(simd, &self.channels.mean[c..end]);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let (mut sum, mut product) = (zero, zero);
                let pixels = x.chunks_exact(channels).zip(dy.chunks_exact_mut(channels));
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
                    for ((x, dy), y) in pixels.zip(y) {
                        let x = load(simd, &x[c..end]);
                        let y = load(simd, &y[c..end]);
                        let g = masked(simd, load(simd, &dy[c..end]), y, low, high);
                        store(simd, &mut dy[c..end], g);
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

/// Second pass over one picture: the gradient of the input, over the input.
struct Input<'a> {
    x: &'a mut [f32],
    dy: &'a [f32],
    channels: &'a Channels,
    bounds: Bounds,
    terms: &'a Terms,
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.channels.mean.len();
        let low = simd.splat_f32s(self.bounds.0);
        let high = simd.splat_f32s(self.bounds.1);
        let size = BLOCK * channels;
        for (x, dy) in self.x.chunks_mut(size).zip(self.dy.chunks(size)) {
            for c in (0..channels).step_by(S::F32_LANES) {
                let end = channels.min(c + S::F32_LANES);
                let mean = load(simd, &self.channels.mean[c..end]);
                let scale = load(simd, &self.channels.scale[c..end]);
                let shift = load(simd, &self.channels.shift[c..end]);
                let slope = load(simd, &self.terms.slope[c..end]);
                let constant = load(simd, &self.terms.constant[c..end]);
                let pixels = x.chunks_exact_mut(channels);
                for (pixel, dy) in pixels.zip(dy.chunks_exact(channels)) {
                    let x = load(simd, &pixel[c..end]);
                    let y = simd.mul_add_f32s(x, scale, shift);
                    let g = masked(simd, load(simd, &dy[c..end]), y, low, high);
                    let rest = simd.mul_add_f32s(simd.sub_f32s(x, mean), slope, constant);
                    store(simd, &mut pixel[c..end], simd.mul_add_f32s(g, scale, rest));
                }
            }
        }
    }
}
