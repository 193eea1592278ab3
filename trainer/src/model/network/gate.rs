//! Squeeze-and-excite (Hu et al., <https://arxiv.org/abs/1709.01507>).

use burn::module::Module;
use burn::nn::Initializer;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, activation};

use super::blocks::ConvNorm;
use crate::model::fast;

/// Every channel times a number between 0 and 1, which depends on all channels' means.
#[derive(Module, Debug)]
pub struct Gate {
    /// From the means to fewer channels, by a 1×1. A batch normalisation keeps them around zero: means are all
    /// positive, so that a step of all weights alike would put a channel below zero for good.
    pub squeeze: ConvNorm,
    /// Back to all of them, by a 1×1 and a sigmoid.
    pub excite: ConvNorm,
}

impl Gate {
    /// One that halves all until it is trained.
    pub(super) fn new(squeeze: ConvNorm, mut excite: ConvNorm, device: &Device) -> Self {
        let Conv2d { weight, bias, .. } = &mut excite.conv;
        *weight = Initializer::Zeros.init(weight.dims(), device);
        *bias = bias
            .as_ref()
            .map(|bias| Initializer::Zeros.init(bias.dims(), device));
        Self { squeeze, excite }
    }

    /// `[n, c, h, w]` → the same.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [x, other] = fast::fork(x);
        let squeezed = self.squeeze.forward(fast::global_average(other));
        fast::gate(x, activation::sigmoid(self.excite.forward(squeezed)))
    }
}
