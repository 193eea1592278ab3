//! A network computed as its integers will be: weights and activations are rounded to what 8 bits hold,
//! and gradients pass the rounding (quantization-aware training; Jacob et al., "Quantization and Training
//! of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018).

use std::slice;
use std::sync::Arc;

use burn::module::Param;
use burn::tensor::{Device, Tensor, activation};
use kiln_runtime::quantize::Scale;

use super::blocks::{Block, Chain, ConvNorm, Join, Part};
use super::gate::Gate;
use super::{Answer, Network};
use crate::model::fast::{self, Grid};
use crate::model::spec::Pooling;

/// The largest of a weight's integers.
const LARGEST: f32 = 127.0;

/// A network's scales: of its input, then of each layer's output, in order.
pub type Scales = Arc<[Scale]>;

impl Network {
    /// The same function with batch normalisation, by its running statistics, inside the convolutions.
    pub fn folded(mut self, device: &Device) -> Self {
        self.for_each_conv(|conv| conv.fold(device));
        self
    }

    /// The same weights, rounded with these scales; `None` computes in floats again.
    pub fn with_scales(mut self, scales: Option<Scales>) -> Self {
        self.scales = scales;
        self
    }

    /// The scales that it is rounded with.
    pub fn scales(&self) -> Option<&Scales> {
        self.scales.as_ref()
    }

    /// How many scales the network has.
    pub fn activations(&self) -> usize {
        let of_block = |block: &Block| match block {
            Block::Conv(_) | Block::Pool(_) => 1,
            Block::Chain(chain) => {
                // The means, the sigmoid's values, the product.
                let gate = if chain.gate.is_some() { 3 } else { 0 };
                chain.convs().len() + gate + usize::from(chain.joins != Join::Dropped)
            }
        };
        let blocks: usize = self.blocks.iter().map(of_block).sum();
        let pooling = usize::from(self.pooling == Pooling::GlobalAverage);
        1 + blocks + pooling + self.hidden.len() + 1
    }

    /// [`Network::answer`] with rounding.
    pub(super) fn answer_rounded(&self, x: Tensor<4>, scales: &[Scale]) -> Answer {
        let mut rounding = Rounding(scales.iter());
        let mut x = rounding.plain(x);
        for block in &self.blocks {
            x = match block {
                Block::Conv(conv) => rounding.conv(conv, x),
                Block::Pool(pool) => rounding.plain(pool.forward(x)),
                Block::Chain(chain) => rounding.chain(chain, x),
            };
        }
        let x = match self.pooling {
            Pooling::GlobalAverage => rounding.plain(fast::global_average(x)),
            Pooling::Flatten => x,
        };
        let mut x: Tensor<2> = x.flatten(1, 3);
        for layer in &self.hidden {
            x = rounding.linear(layer, x);
        }
        Answer {
            features: x.clone(),
            logits: rounding.linear(&self.classifier, self.dropout.forward(x)),
        }
    }
}

impl ConvNorm {
    fn fold(&mut self, device: &Device) {
        let conv = &mut self.conv;
        let out = conv.weight.dims()[0];
        let (factor, shift) = match self.norm.take() {
            Some(norm) => {
                let deviation = (norm.running_var.value_sync() + norm.epsilon).sqrt();
                let factor = norm.gamma.val() / deviation;
                let shift = norm.beta.val() - norm.running_mean.value_sync() * factor.clone();
                (factor, shift)
            }
            None => {
                let device = conv.weight.device();
                (Tensor::ones([out], &device), Tensor::zeros([out], &device))
            }
        };
        let bias = match &conv.bias {
            Some(bias) => bias.val() * factor.clone() + shift,
            None => shift,
        };
        let weight = conv.weight.val() * factor.reshape([out, 1, 1, 1]);
        conv.weight = Param::from_data(weight.into_data(), device);
        conv.bias = Some(Param::from_data(bias.into_data(), device));
    }
}

/// The scales that are still to come.
struct Rounding<'a>(slice::Iter<'a, Scale>);

impl Rounding<'_> {
    /// `x`, rounded; past the last scale as it is.
    fn plain<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        match self.0.next() {
            Some(scale) => grid(scale).round(x),
            None => x,
        }
    }

    /// The activation that follows is the clamp at the ends of the output's integers.
    fn conv(&mut self, layer: &ConvNorm, x: Tensor<4>) -> Tensor<4> {
        let weight = layer.conv.weight.val();
        let bias = match &layer.conv.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([weight.dims()[0]], &x.device()),
        };
        let largest = weight.clone().detach().abs();
        let largest = largest.max_dim(1).max_dim(2).max_dim(3);
        let y = fast::conv2d_with(x, round_weight(weight, largest), &layer.conv);
        match self.0.next() {
            Some(scale) => fast::round(y, bias, grid(scale)),
            None => y + bias.reshape([1, -1, 1, 1]),
        }
    }

    fn chain(&mut self, chain: &Chain, x: Tensor<4>) -> Tensor<4> {
        if chain.joins == Join::Dropped {
            return self.body(chain, x);
        }
        let [x, shortcut] = fast::fork(x);
        let shortcut = match &chain.shortcut {
            Some(conv) => self.conv(conv, shortcut),
            None => shortcut,
        };
        let x = self.body(chain, x);
        self.plain(x + shortcut)
    }

    fn body(&mut self, chain: &Chain, x: Tensor<4>) -> Tensor<4> {
        chain.body().fold(x, |x, part| match part {
            Part::Conv(conv) => self.conv(conv, x),
            Part::Gate(gate) => self.gate(gate, x),
        })
    }

    fn gate(&mut self, gate: &Gate, x: Tensor<4>) -> Tensor<4> {
        let [x, other] = fast::fork(x);
        let means = self.plain(fast::global_average(other));
        let squeezed = self.conv(&gate.squeeze, means);
        let excited = self.conv(&gate.excite, squeezed);
        let factors = self.plain(activation::sigmoid(excited));
        self.plain(fast::gate(x, factors))
    }

    fn linear(&mut self, layer: &burn::nn::Linear, x: Tensor<2>) -> Tensor<2> {
        let weight = layer.weight.val();
        let largest = weight.clone().detach().abs().max_dim(0);
        let y = x.matmul(round_weight(weight, largest));
        let y = match &layer.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        };
        self.plain(y)
    }
}

fn grid(scale: &Scale) -> Grid {
    let (low, high) = scale.ends();
    Grid {
        scale: scale.scale,
        low,
        high,
    }
}

/// A weight in steps of its filter's `largest / 127`.
fn round_weight<const D: usize>(weight: Tensor<D>, largest: Tensor<D>) -> Tensor<D> {
    let scale = largest.clamp_min(1e-20) / LARGEST;
    let nearest = (weight.clone().detach() / scale.clone()).round() * scale;
    weight.clone() + (nearest - weight.detach())
}
