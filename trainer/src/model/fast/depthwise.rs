//! Depthwise 2-D convolution (one filter a channel) and its gradients on NHWC pictures, channels in
//! the vector lanes. `shape.filters` equals `shape.channels`.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::frame::Shape;
use super::nhwc::zeros;
use super::tile::{load, store};

/// The weight gradient is summed in this many fixed parts of the batch, which are added in order.
const PARTS: usize = 16;

/// `weight[channels][taps]` as `[taps][channels]`.
fn transpose(weight: &[f32], channels: usize) -> Vec<f32> {
    let taps = weight.len() / channels;
    let at = |i: usize| weight[i % channels * taps + i / channels];
    (0..weight.len()).map(at).collect()
}

/// `y[n][oh][ow][channels]` from `x[n][h][w][channels]` and `weight[channels][1][kh][kw]`.
pub(super) fn forward(x: &[f32], weight: &[f32], shape: &Shape) -> Vec<f32> {
    let channels = shape.channels;
    let weight = transpose(weight, channels);
    let frame = shape.frame();
    let output: usize = shape.output().iter().product();
    let mut y = zeros(shape.n * output * channels);
    y.par_chunks_mut(output * channels)
        .zip(x.par_chunks(shape.picture()))
        .for_each_init(
            || frame.scratch(shape.size, channels),
            |scratch, (y, x)| {
                Arch::new().dispatch(Forward {
                    a: frame.view(scratch, x, shape.size, channels),
                    weight: &weight,
                    windows: Windows::new(shape),
                    y,
                });
            },
        );
    y
}

/// `dx` from `dy`, written over `dx`, whose contents do not matter.
pub(super) fn grad_input(mut dx: Vec<f32>, dy: &[f32], weight: &[f32], shape: &Shape) -> Vec<f32> {
    let channels = shape.channels;
    let weight = transpose(weight, channels);
    let frame = shape.frame();
    let output: usize = shape.output().iter().product();
    dx.par_chunks_mut(shape.picture())
        .zip(dy.par_chunks(output * channels))
        .for_each_init(
            || frame.zeros(channels),
            |scratch, (dx, dy)| {
                scratch.fill(0.0);
                Arch::new().dispatch(GradInput {
                    dy,
                    weight: &weight,
                    windows: Windows::new(shape),
                    da: scratch,
                });
                frame.take(scratch, dx, shape.size, channels);
            },
        );
    dx
}

/// `dw[channels][1][kh][kw]` from `x` and `dy`.
pub(super) fn grad_weight(x: &[f32], dy: &[f32], shape: &Shape) -> Vec<f32> {
    let channels = shape.channels;
    let taps: usize = shape.window.kernel.iter().product();
    let frame = shape.frame();
    let output: usize = shape.output().iter().product();
    let part = shape.n.div_ceil(PARTS);
    let parts: Vec<Vec<f32>> = x
        .par_chunks(part * shape.picture())
        .zip(dy.par_chunks(part * output * channels))
        .map(|(x, dy)| {
            let mut sum = vec![0.0; taps * channels];
            let mut scratch = frame.scratch(shape.size, channels);
            let pictures = x.chunks(shape.picture());
            for (x, dy) in pictures.zip(dy.chunks(output * channels)) {
                Arch::new().dispatch(GradWeight {
                    a: frame.view(&mut scratch, x, shape.size, channels),
                    dy,
                    windows: Windows::new(shape),
                    dw: &mut sum,
                });
            }
            sum
        })
        .collect();
    let mut dw = vec![0.0; channels * taps];
    for part in parts {
        for (i, value) in part.into_iter().enumerate() {
            dw[i % channels * taps + i / channels] += value;
        }
    }
    dw
}

/// Where the windows of a padded picture lie.
#[derive(Clone, Copy)]
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    output: [usize; 2],
    /// Numbers in one row of the padded picture.
    row: usize,
    channels: usize,
}

impl Windows {
    fn new(shape: &Shape) -> Self {
        Self {
            kernel: shape.window.kernel,
            stride: shape.window.stride,
            output: shape.output(),
            row: shape.frame().size[1] * shape.channels,
            channels: shape.channels,
        }
    }

    /// Start of tap `tap` of the window of output pixel 0 in output row `y`.
    #[inline(always)]
    fn start(&self, y: usize, tap: usize) -> usize {
        let (ky, kx) = (tap / self.kernel[1], tap % self.kernel[1]);
        (y * self.stride[0] + ky) * self.row + kx * self.channels
    }

    #[inline(always)]
    fn step(&self) -> usize {
        self.stride[1] * self.channels
    }

    #[inline(always)]
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

struct Forward<'a> {
    a: &'a [f32],
    weight: &'a [f32],
    windows: Windows,
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let windows = self.windows;
        let channels = windows.channels;
        let rows = self.y.chunks_exact_mut(windows.output[1] * channels);
        for (y, out) in rows.enumerate() {
            for (x, out) in out.chunks_exact_mut(channels).enumerate() {
                for c in (0..channels).step_by(S::F32_LANES) {
                    let end = channels.min(c + S::F32_LANES);
                    let mut sum = simd.splat_f32s(0.0);
                    for ky in 0..windows.kernel[0] {
                        let start = windows.start(y, ky * windows.kernel[1]) + x * windows.step();
                        let count = windows.kernel[1] * channels;
                        let values = self.a[start..][..count].chunks_exact(channels);
                        let weights = self.weight[ky * count..][..count].chunks_exact(channels);
                        for (value, weight) in values.zip(weights) {
                            let value = load(simd, &value[c..end]);
                            sum = simd.mul_add_f32s(value, load(simd, &weight[c..end]), sum);
                        }
                    }
                    store(simd, &mut out[c..end], sum);
                }
            }
        }
    }
}

/// Adds `dy × weight` to the padded picture `da`.
struct GradInput<'a> {
    dy: &'a [f32],
    weight: &'a [f32],
    windows: Windows,
    da: &'a mut [f32],
}

impl WithSimd for GradInput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let windows = self.windows;
        let channels = windows.channels;
        let rows = self.dy.chunks_exact(windows.output[1] * channels);
        for (y, dy) in rows.enumerate() {
            for (tap, weight) in self.weight.chunks_exact(channels).enumerate() {
                let da = &mut self.da[windows.start(y, tap)..];
                let pixels = da.chunks_mut(windows.step());
                for (da, dy) in pixels.zip(dy.chunks_exact(channels)) {
                    for c in (0..channels).step_by(S::F32_LANES) {
                        let end = channels.min(c + S::F32_LANES);
                        let (dy, weight) = (load(simd, &dy[c..end]), load(simd, &weight[c..end]));
                        let sum = simd.mul_add_f32s(dy, weight, load(simd, &da[c..end]));
                        store(simd, &mut da[c..end], sum);
                    }
                }
            }
        }
    }
}

/// Adds `Σ a × dy` over the picture to `dw[taps][channels]`.
struct GradWeight<'a> {
    a: &'a [f32],
    dy: &'a [f32],
    windows: Windows,
    dw: &'a mut [f32],
}

impl WithSimd for GradWeight<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let windows = self.windows;
        let channels = windows.channels;
        let rows = self.dy.chunks_exact(windows.output[1] * channels);
        for (y, dy) in rows.enumerate() {
            for tap in 0..windows.taps() {
                let a = &self.a[windows.start(y, tap)..];
                let dw = &mut self.dw[tap * channels..][..channels];
                for c in (0..channels).step_by(S::F32_LANES) {
                    let end = channels.min(c + S::F32_LANES);
                    let mut sum = load(simd, &dw[c..end]);
                    let pixels = a.chunks(windows.step());
                    for (a, dy) in pixels.zip(dy.chunks_exact(channels)) {
                        let dy = load(simd, &dy[c..end]);
                        sum = simd.mul_add_f32s(load(simd, &a[c..end]), dy, sum);
                    }
                    store(simd, &mut dw[c..end], sum);
                }
            }
        }
    }
}
