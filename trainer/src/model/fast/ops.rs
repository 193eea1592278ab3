//! The fused operations as an extension of burn's backends, and how Flex computes them.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use super::frame::{Shape, Window};
use super::nhwc::{Nhwc, flat};
use super::norm::{self, Bounds, Channels};
use super::round::{self, Grid};
use super::{average, conv, depthwise, gate, norm_pool};

/// What a normalisation computes besides its affine map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Added to the variance.
    pub epsilon: f64,
    /// The clamp that follows.
    pub bounds: Bounds,
    /// Whether max-pooling of 2 × 2 windows follows the clamp.
    pub pooled: bool,
}

/// Fused layers. Pictures are `[n, c, h, w]` tensors of 32-bit floats.
#[backend_extension(Flex, Autodiff)]
pub(super) trait FastOps: Backend {
    /// Convolution with `weight[filters, channels, kh, kw]`, or depthwise with
    /// `weight[channels, 1, kh, kw]`.
    fn fast_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;

    /// `x`, twice. Backward, the two gradients are added by all threads.
    fn fast_fork(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The mean over all pixels, `[n, c, 1, 1]`.
    fn fast_average(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `x` times `gate[n, c, 1, 1]`.
    fn fast_gate(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `x + bias` for each channel, rounded to the grid.
    fn fast_round(x: FloatTensor<Self>, bias: FloatTensor<Self>, grid: Grid) -> FloatTensor<Self>;

    /// `(clamp(normalised x), mean, biased variance)` with the batch's statistics; the first is
    /// pooled where the form says so.
    fn fast_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `(clamp(normalised x + residual), mean, biased variance)`, never pooled.
    fn fast_batch_norm_add(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

pub(super) fn convolve(x: &Nhwc, weight: &FlexTensor, window: Window) -> FlexTensor {
    let shape = conv_shape(x, weight, window);
    let [oh, ow] = shape.output();
    let weight = weight.to_contiguous();
    let y = if is_depthwise(&weight, &shape) {
        depthwise::forward(x.values(), weight.storage(), &shape)
    } else {
        conv::forward(x.values(), weight.storage(), &shape)
    };
    Nhwc::from_vec(y, [shape.n, oh, ow, shape.filters]).into_tensor()
}

/// One filter a channel. (One channel and one filter: either way is right.)
pub(super) fn is_depthwise(weight: &FlexTensor, shape: &Shape) -> bool {
    weight.layout().shape()[1] == 1 && shape.filters == shape.channels
}

pub(super) fn conv_shape(x: &Nhwc, weight: &FlexTensor, window: Window) -> Shape {
    let [n, h, w, channels] = x.shape();
    Shape {
        n,
        size: [h, w],
        channels,
        filters: weight.layout().shape()[0],
        window,
    }
}

/// The output of a normalisation, and what the batch says about each channel.
pub(super) fn normalise(
    x: &Nhwc,
    residual: Option<&Nhwc>,
    [gamma, beta]: [&FlexTensor; 2],
    form: Form,
) -> (Nhwc, Channels) {
    let [n, h, w, c] = x.shape();
    let picture = h * w * c;
    let [gamma, beta] = [gamma, beta].map(FlexTensor::to_contiguous);
    let (gamma, beta) = (gamma.storage(), beta.storage());
    let channels = Channels::of_batch(x.values(), picture, gamma, beta, form.epsilon);
    let y = if form.pooled {
        let y = norm_pool::apply(x.values(), [h, w], &channels, form.bounds);
        Nhwc::from_vec(y, [n, h / 2, w / 2, c])
    } else {
        let residual = residual.map(Nhwc::values);
        let y = norm::apply(x.values(), residual, picture, &channels, form.bounds);
        Nhwc::from_vec(y, x.shape())
    };
    (y, channels)
}

pub(super) fn averaged(x: &Nhwc) -> FlexTensor {
    let [n, h, w, c] = x.shape();
    let y = average::forward(x.values(), [h * w, c]);
    Nhwc::from_vec(y, [n, 1, 1, c]).into_tensor()
}

pub(super) fn gated(x: &Nhwc, gate: &Nhwc) -> FlexTensor {
    let [_, h, w, c] = x.shape();
    let y = gate::forward(x.values(), gate.values(), [h * w, c]);
    Nhwc::from_vec(y, x.shape()).into_tensor()
}

pub(super) fn rounded(x: &Nhwc, bias: &FlexTensor, grid: Grid) -> FlexTensor {
    let [_, h, w, c] = x.shape();
    let bias = bias.to_contiguous();
    let y = round::forward(x.values(), bias.storage(), h * w * c, grid);
    Nhwc::from_vec(y, x.shape()).into_tensor()
}

/// Mean and biased variance as tensors.
pub(super) fn statistics(channels: &Channels) -> (FlexTensor, FlexTensor) {
    let flat = |values: &Vec<f32>| flat(values.clone(), &[values.len()]);
    (flat(&channels.mean), flat(&channels.variance))
}

impl FastOps for Flex {
    fn fast_conv2d(x: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        convolve(&Nhwc::new(x), &weight, window)
    }

    fn fast_fork(x: FlexTensor) -> (FlexTensor, FlexTensor) {
        (x.clone(), x)
    }

    fn fast_average(x: FlexTensor) -> FlexTensor {
        averaged(&Nhwc::new(x))
    }

    fn fast_gate(x: FlexTensor, gate: FlexTensor) -> FlexTensor {
        gated(&Nhwc::new(x), &Nhwc::new(gate))
    }

    fn fast_round(x: FlexTensor, bias: FlexTensor, grid: Grid) -> FlexTensor {
        rounded(&Nhwc::new(x), &bias, grid)
    }

    fn fast_batch_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        form: Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (y, channels) = normalise(&Nhwc::new(x), None, [&gamma, &beta], form);
        let (mean, variance) = statistics(&channels);
        (y.into_tensor(), mean, variance)
    }

    fn fast_batch_norm_add(
        x: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        form: Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, residual) = (Nhwc::new(x), Nhwc::new(residual));
        let (y, channels) = normalise(&x, Some(&residual), [&gamma, &beta], form);
        let (mean, variance) = statistics(&channels);
        (y.into_tensor(), mean, variance)
    }
}
