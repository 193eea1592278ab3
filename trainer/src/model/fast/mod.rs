//! Layers that are fast on the CPU, and plain burn everywhere else.
//!
//! Every function takes burn's own module as the holder of parameters and equals the plain burn
//! composition that its documentation names, up to rounding. On the Flex device with 32-bit floats
//! it runs fused kernels that are written for NHWC: their outputs are ordinary `[n, c, h, w]`
//! tensors whose memory lies channels-last, so a chain of them copies no layouts. On any other
//! device, and for shapes that the kernels do not know, it calls burn.
//!
//! On one machine the same inputs give the same bits, whatever the number of threads.
//!
//! | file | what |
//! |---|---|
//! | `ops`, `ops_grad` | the operations as burn's backend extension, their gradients |
//! | `nhwc` | tensors seen channels-last |
//! | `tile` | the SIMD loops of the convolutions |
//! | `frame`, `conv` | dense convolution and its gradients |
//! | `depthwise` | depthwise convolution and its gradients |
//! | `norm`, `norm_grad` | batch normalisation with residual and clamp, and its gradients |
//! | `norm_pool` | the same with max-pooling |
//! | `average` | the mean over all pixels |
//! | `gate` | each channel times a number |
//! | `round` | bias and rounding to an activation's steps |

mod average;
mod conv;
mod depthwise;
mod frame;
mod gate;
mod nhwc;
mod norm;
mod norm_grad;
mod norm_pool;
mod ops;
mod ops_grad;
mod round;
#[cfg(test)]
mod tests;
mod tile;

use burn::backend::{Dispatch, DispatchTensor};
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, FloatDType, Tensor, activation, module};

use self::frame::Window;
use self::ops::{FastOps, Form};
pub use self::round::Grid;

/// What follows a normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

impl Activation {
    fn bounds(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }

    /// The same in plain burn operations.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => x,
            Self::Relu => activation::relu(x),
            Self::Relu6 => x.clamp(0.0, 6.0),
        }
    }
}

/// Whether the fused kernels run where this tensor lies.
fn fused<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32
        && x.device().without_autodiff() == Device::flex()
        && tile::lanes().0 > 1
}

/// `conv.forward(x)` for `x[n, channels, h, w]`.
pub fn conv2d(x: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    match has_kernel(&x, conv) {
        true => with_bias(conv2d_with(x, conv.weight.val(), conv), conv),
        false => conv.forward(x),
    }
}

/// `conv.forward(x)` with another weight of the same shape and no bias.
pub fn conv2d_with(x: Tensor<4>, weight: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let window = window(conv, [h, w]);
    if !has_kernel(&x, conv) {
        return module::conv2d(x, weight, None, options(conv, window));
    }
    let y = <Dispatch as FastOps>::fast_conv2d(x.into_dispatch(), weight.into_dispatch(), window);
    Tensor::from_dispatch(y)
}

/// Whether a fused kernel computes this convolution.
fn has_kernel(x: &Tensor<4>, conv: &Conv2d) -> bool {
    let [_, channels, h, w] = x.dims();
    let window = window(conv, [h, w]);
    let fits = (0..2).all(|d| [h, w][d] + window.before[d] + window.after[d] >= window.kernel[d]);
    let [filters, group, _, _] = conv.weight.dims();
    let dense = conv.groups == 1 && group == channels;
    let depthwise = conv.groups == channels && group == 1 && filters == channels;
    conv.dilation == [1, 1] && (dense || depthwise) && fits && fused(x)
}

/// `conv.forward(x)` with input and weight rounded to bf16, for devices whose matrix units take
/// these: bf16 has the range of 32-bit floats, so that no loss has to be scaled. Input, weight,
/// their gradients and the output stay 32-bit floats.
pub fn conv2d_bf16(x: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let options = options(conv, window(conv, [h, w]));
    let [x, weight] = [x, conv.weight.val()].map(|tensor| tensor.cast(FloatDType::BF16));
    let y = module::conv2d(x, weight, None, options).cast(FloatDType::F32);
    with_bias(y, conv)
}

fn options(conv: &Conv2d, Window { before, after, .. }: Window) -> ConvOptions<2> {
    let padding = [0, 1].map(|d| (before[d], after[d]));
    ConvOptions::new_with_padding(conv.stride, padding, conv.dilation, conv.groups)
}

fn with_bias(y: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    match &conv.bias {
        Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
        None => y,
    }
}

/// `adaptive_avg_pool2d(x, [1, 1])`
pub fn global_average(x: Tensor<4>) -> Tensor<4> {
    if !fused(&x) || x.shape().num_elements() == 0 {
        return module::adaptive_avg_pool2d(x, [1, 1]);
    }
    Tensor::from_dispatch(<Dispatch as FastOps>::fast_average(x.into_dispatch()))
}

/// `x * gate` for `x[n, c, h, w]` and `gate[n, c, 1, 1]`.
pub fn gate(x: Tensor<4>, gate: Tensor<4>) -> Tensor<4> {
    let [n, c, _, _] = x.dims();
    if !fused(&x) || !fused(&gate) || x.shape().num_elements() == 0 || gate.dims() != [n, c, 1, 1] {
        return x * gate;
    }
    let (x, gate) = (x.into_dispatch(), gate.into_dispatch());
    Tensor::from_dispatch(<Dispatch as FastOps>::fast_gate(x, gate))
}

/// `x` for each of two layers, whose gradients will be added.
pub fn fork(x: Tensor<4>) -> [Tensor<4>; 2] {
    if !x.device().is_autodiff() || !fused(&x) {
        return [x.clone(), x];
    }
    let (left, right) = <Dispatch as FastOps>::fast_fork(x.into_dispatch());
    [left, right].map(Tensor::from_dispatch)
}

fn window(conv: &Conv2d, size: [usize; 2]) -> Window {
    let (before, after) = match conv.padding {
        PaddingConfig2d::Valid => ([0, 0], [0, 0]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => ([top, left], [bottom, right]),
        PaddingConfig2d::Same => {
            let total: [usize; 2] = std::array::from_fn(|d| {
                let steps = size[d].div_ceil(conv.stride[d]).saturating_sub(1);
                (steps * conv.stride[d] + conv.kernel_size[d]).saturating_sub(size[d])
            });
            (total.map(|t| t / 2), total.map(|t| t.div_ceil(2)))
        }
    };
    Window {
        kernel: conv.kernel_size,
        stride: conv.stride,
        before,
        after,
    }
}

/// `activation(norm.forward(x))` for `x[n, channels, h, w]`; updates the running statistics while
/// training, as burn does.
pub fn batch_norm(x: Tensor<4>, norm: &BatchNorm, activation: Activation) -> Tensor<4> {
    if !trains(&x, norm) {
        return activation.forward(norm.forward(x));
    }
    let [gamma, beta] = parameters(norm);
    let form = form(norm, activation, false);
    let found = <Dispatch as FastOps>::fast_batch_norm(x.into_dispatch(), gamma, beta, form);
    with_running_statistics(norm, found)
}

/// `activation(norm.forward(x) + residual)`, both `[n, channels, h, w]`.
pub fn batch_norm_add(
    x: Tensor<4>,
    residual: Tensor<4>,
    norm: &BatchNorm,
    activation: Activation,
) -> Tensor<4> {
    if !trains(&x, norm) || !fused(&residual) || x.dims() != residual.dims() {
        return activation.forward(norm.forward(x) + residual);
    }
    let [gamma, beta] = parameters(norm);
    let form = form(norm, activation, false);
    let (x, residual) = (x.into_dispatch(), residual.into_dispatch());
    let found = <Dispatch as FastOps>::fast_batch_norm_add(x, residual, gamma, beta, form);
    with_running_statistics(norm, found)
}

/// Max-pooling of 2 × 2 windows with stride 2 over `activation(norm.forward(x))`.
pub fn batch_norm_max_pool(x: Tensor<4>, norm: &BatchNorm, activation: Activation) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    if !trains(&x, norm) || h < 2 || w < 2 {
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        return pool.forward(batch_norm(x, norm, activation));
    }
    let [gamma, beta] = parameters(norm);
    let form = form(norm, activation, true);
    let found = <Dispatch as FastOps>::fast_batch_norm(x.into_dispatch(), gamma, beta, form);
    with_running_statistics(norm, found)
}

/// `grid.round(x + bias)` for `x[n, channels, h, w]` and a bias for each channel.
pub fn round(x: Tensor<4>, bias: Tensor<1>, grid: Grid) -> Tensor<4> {
    if !fused(&x) || x.shape().num_elements() == 0 {
        return grid.round(x + bias.reshape([1, -1, 1, 1]));
    }
    let (x, bias) = (x.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as FastOps>::fast_round(x, bias, grid))
}

/// Whether the fused kernels normalise this with the batch's own statistics.
fn trains(x: &Tensor<4>, norm: &BatchNorm) -> bool {
    x.device().is_autodiff()
        && norm.training.is_enabled()
        && fused(x)
        && x.shape().num_elements() > 0
        && x.dims()[1] == norm.gamma.dims()[0]
}

fn form(norm: &BatchNorm, activation: Activation, pooled: bool) -> Form {
    Form {
        epsilon: norm.epsilon,
        bounds: activation.bounds(),
        pooled,
    }
}

fn parameters(norm: &BatchNorm) -> [DispatchTensor; 2] {
    [&norm.gamma, &norm.beta].map(|parameter| parameter.val().into_dispatch())
}

/// Moves the running statistics towards the batch's, as burn does; returns the output.
fn with_running_statistics(
    norm: &BatchNorm,
    (y, mean, variance): (DispatchTensor, DispatchTensor, DispatchTensor),
) -> Tensor<4> {
    let y = Tensor::<4>::from_dispatch(y);
    let device = y.device();
    for (running, batch) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let batch = Tensor::<1>::from_dispatch(batch).detach();
        let old = running.value_sync().to_device(&device);
        let new = old * (1.0 - norm.momentum) + batch * norm.momentum;
        running.update(new.detach());
    }
    y
}
