//! Squeeze-and-excite (Hu et al., <https://arxiv.org/abs/1709.01507>).

use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, activation};

use super::blocks::ConvNorm;
use crate::model::fast;

/// Every channel times a number between 0 and 1, which depends on all channels' means.
#[derive(Module, Debug)]
pub struct Gate {
    /// From the means to fewer channels, by a 1×1.
    pub squeeze: ConvNorm,
    /// Back to all of them, by a 1×1 and a sigmoid.
    pub excite: ConvNorm,
}

impl Gate {
    /// One that halves all until it is trained. Its few squeezed channels begin above zero, where
    /// gradients pass them.
    pub(super) fn new(mut squeeze: ConvNorm, mut excite: ConvNorm, device: &Device) -> Self {
        let weight = &mut squeeze.conv.weight;
        let shape = weight.dims();
        let deviation = 1.0 / (shape[1] as f64).sqrt();
        let (mean, std) = (0.0, deviation);
        *weight = Initializer::Normal { mean, std }.init(shape, device);
        for (conv, value) in [(&mut squeeze.conv, 1.0), (&mut excite.conv, 0.0)] {
            let bias = conv.bias.as_ref();
            conv.bias = bias.map(|bias| Initializer::Constant { value }.init(bias.dims(), device));
        }
        let weight = &mut excite.conv.weight;
        *weight = Initializer::Zeros.init(weight.dims(), device);
        Self { squeeze, excite }
    }

    /// `[n, c, h, w]` → the same.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [x, other] = fast::fork(x);
        let squeezed = self.squeeze.forward(fast::global_average(other));
        fast::gate(x, activation::sigmoid(self.excite.forward(squeezed)))
    }
}
