//! The fused operations as an extension of burn's backends, and how Flex computes them.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use super::frame::{Shape, Window};
use super::nhwc::{Nhwc, flat};
use super::norm::{self, Bounds, Channels};
use super::{conv, depthwise, norm_pool};

/// `epsilon`, and the clamp after the normalisation.
pub(super) type Form = (f64, Bounds);

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

    /// `(clamp(normalised x), mean, biased variance)` with the batch's statistics.
    fn fast_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `(2 × 2 max-pooling of clamp(normalised x), mean, biased variance)`.
    fn fast_batch_norm_pool(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `(clamp(normalised x + residual), mean, biased variance)` with the batch's statistics.
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

pub(super) fn batch_channels(
    x: &Nhwc,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    epsilon: f64,
) -> Channels {
    let [_, h, w, c] = x.shape();
    let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
    let picture = h * w * c;
    Channels::of_batch(
        x.values(),
        picture,
        gamma.storage(),
        beta.storage(),
        epsilon,
    )
}

pub(super) fn clamped(
    x: &Nhwc,
    residual: Option<&Nhwc>,
    channels: &Channels,
    bounds: Bounds,
) -> Nhwc {
    let [_, h, w, c] = x.shape();
    let residual = residual.map(Nhwc::values);
    let y = norm::apply(x.values(), residual, h * w * c, channels, bounds);
    Nhwc::from_vec(y, x.shape())
}

pub(super) fn pooled(x: &Nhwc, channels: &Channels, bounds: Bounds) -> Nhwc {
    let [n, h, w, c] = x.shape();
    let y = norm_pool::apply(x.values(), [h, w], channels, bounds);
    Nhwc::from_vec(y, [n, h / 2, w / 2, c])
}

pub(super) fn statistics(channels: &Channels) -> (FlexTensor, FlexTensor) {
    let flat = |values: &Vec<f32>| flat(values.clone(), &[values.len()]);
    (flat(&channels.mean), flat(&channels.variance))
}

impl FastOps for Flex {
    fn fast_conv2d(x: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        convolve(&Nhwc::new(x), &weight, window)
    }

    fn fast_batch_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        (epsilon, bounds): Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let x = Nhwc::new(x);
        let channels = batch_channels(&x, &gamma, &beta, epsilon);
        let (mean, variance) = statistics(&channels);
        (
            clamped(&x, None, &channels, bounds).into_tensor(),
            mean,
            variance,
        )
    }

    fn fast_batch_norm_pool(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        (epsilon, bounds): Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let x = Nhwc::new(x);
        let channels = batch_channels(&x, &gamma, &beta, epsilon);
        let (mean, variance) = statistics(&channels);
        (pooled(&x, &channels, bounds).into_tensor(), mean, variance)
    }

    fn fast_batch_norm_add(
        x: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        (epsilon, bounds): Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, residual) = (Nhwc::new(x), Nhwc::new(residual));
        let channels = batch_channels(&x, &gamma, &beta, epsilon);
        let (mean, variance) = statistics(&channels);
        let y = clamped(&x, Some(&residual), &channels, bounds);
        (y.into_tensor(), mean, variance)
    }
}
