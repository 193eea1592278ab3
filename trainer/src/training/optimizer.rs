//! From gradients to the next weights: optimiser, learning rate, clipping, moving average.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;

use crate::config::{OptimizerConfig, OptimizerKind, ScheduleConfig};
use crate::model::Network;

/// Builds the optimiser: weight decay on convolution and fully connected weights, none elsewhere.
pub fn build(config: &OptimizerConfig, network: &Network) -> ModuleOptimizer {
    let mut weights = Weights(Vec::new());
    network.visit(&mut weights);
    let decayed = ParamGroup::from_ids(weights.0);
    match config.kind {
        OptimizerKind::Adamw => {
            let adamw = AdamWConfig::new().with_epsilon(1e-8);
            let plain = adamw.clone().with_weight_decay(0.0).init();
            let decay = adamw.with_weight_decay(config.weight_decay as f32);
            plain.with_group(decayed, decay.build(), None)
        }
        OptimizerKind::Sgd => {
            let momentum = MomentumConfig::new()
                .with_momentum(config.momentum)
                .with_dampening(0.0);
            let sgd = SgdConfig::new().with_momentum(Some(momentum));
            let decay = WeightDecayConfig::new(config.weight_decay as f32);
            let decay = sgd.clone().with_weight_decay(Some(decay));
            sgd.init().with_group(decayed, decay.build(), None)
        }
    }
}

/// Ids of parameters with two axes or more: the weights, without biases and batch norm.
struct Weights(Vec<ParamId>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D >= 2 {
            self.0.push(param.id);
        }
    }
}

impl ScheduleConfig {
    /// The learning rate of step `step` (from 0) as a share of the highest.
    pub fn at(&self, step: usize, steps_per_epoch: usize, epochs: usize) -> f64 {
        let warmup = self.warmup * steps_per_epoch as f64;
        let step = step as f64;
        if step < warmup {
            return (step + 1.0) / (warmup + 1.0);
        }
        let rest = ((steps_per_epoch * epochs) as f64 - warmup).max(1.0);
        let done = ((step - warmup) / rest).min(1.0);
        let cosine = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
        self.end + (1.0 - self.end) * cosine
    }
}

/// Scales all gradients down together where their norm, over all parameters, is above `max`
/// (<https://arxiv.org/abs/1211.5063>). Nothing is read back from the device.
pub fn clip_global_norm(network: &Network, grads: GradientsParams, max: f64) -> GradientsParams {
    let mut squares = Squares {
        grads: &grads,
        sum: None,
    };
    network.visit(&mut squares);
    let Some(sum) = squares.sum else {
        return grads;
    };
    let factor = (sum.sqrt() + 1e-6).recip().mul_scalar(max).clamp_max(1.0);
    scaled_by(network, grads, factor)
}

/// Multiplies all gradients by `factor`.
pub fn scale(network: &Network, grads: GradientsParams, factor: f64) -> GradientsParams {
    let device = network.classifier.weight.device().inner();
    scaled_by(network, grads, Tensor::full([1], factor, &device))
}

fn scaled_by(network: &Network, grads: GradientsParams, factor: Tensor<1>) -> GradientsParams {
    let mut scaled = Scaled {
        from: grads,
        to: GradientsParams::new(),
        factor,
    };
    network.visit(&mut scaled);
    scaled.to
}

struct Squares<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            // Row by row: of a long tensor burn sums parts in parallel, in an order that is never the same.
            let square = (grad.clone() * grad).sum_dim(0).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scaled {
    from: GradientsParams,
    to: GradientsParams,
    /// One value.
    factor: Tensor<1>,
}

impl ModuleVisitor for Scaled {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.from.remove::<D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.to.register(param.id, grad * factor);
        }
    }
}

/// Moves each value of `average` towards that of `network`, a network of the same layout:
/// `a ← decay·a + (1 − decay)·w`.
pub fn average(average: Network, network: &Network, decay: f64) -> Network {
    let mut values = Values(VecDeque::new());
    // `valid` brings the running statistics up to date.
    network.valid().visit(&mut values);
    average.map(&mut Averaged { values, decay })
}

/// Values in the order in which a module's are visited and mapped.
struct Values(VecDeque<Tensor<1>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff();
        let len = value.shape().num_elements();
        self.0.push_back(value.reshape([len]));
    }
}

struct Averaged {
    values: Values,
    decay: f64,
}

impl ModuleMapper for Averaged {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.0.pop_front() else {
            return param;
        };
        let decay = self.decay;
        param.map(|old| {
            let value = value.reshape(old.shape()).to_device(&old.device());
            old * decay + value * (1.0 - decay)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::ModelConfig;

    fn network(device: &Device) -> Network {
        device.seed(3);
        let spec = ModelConfig::default().spec([3, 16, 16], 2).unwrap();
        Network::new(&spec, device)
    }

    #[test]
    fn the_schedule_rises_then_falls_to_its_end() {
        let schedule = ScheduleConfig {
            warmup: 1.0,
            end: 0.01,
        };
        let at = |step| schedule.at(step, 10, 5);
        assert!((0..9).all(|step| at(step) < at(step + 1)));
        assert!((10..49).all(|step| at(step) > at(step + 1)));
        assert!(at(0) > 0.0 && at(0) < 0.1);
        assert!((at(10) - 1.0).abs() < 1e-12);
        assert!((at(50) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn large_gradients_are_scaled_to_the_norm_and_small_ones_kept() {
        let device = Device::flex().autodiff();
        let network = network(&device);
        let weight = network.classifier.weight.clone();
        let size = (weight.val().shape().num_elements() as f64).sqrt();
        for (factor, max, norm) in [(100.0, 1.0, 1.0), (0.01, 50.0, 0.01 * size)] {
            let loss = (weight.val() * factor).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &network);
            let grads = clip_global_norm(&network, grads, max);
            let grad = grads.get::<2>(weight.id).unwrap();
            let found: f32 = (grad.clone() * grad).sum().sqrt().into_scalar();
            assert!(
                (f64::from(found) / norm - 1.0).abs() < 1e-3,
                "{found} {norm}"
            );
        }
    }

    #[test]
    fn the_average_moves_by_its_decay() {
        let device = Device::flex();
        let old = network(&device);
        let new = old.clone().map(&mut Ones);
        let before: Vec<f32> = old.classifier.weight.val().into_data().iter().collect();
        let mixed = average(old, &new, 0.75);
        let after: Vec<f32> = mixed.classifier.weight.val().into_data().iter().collect();
        for (before, after) in before.iter().zip(&after) {
            assert!((after - (0.75 * before + 0.25)).abs() < 1e-6);
        }
    }

    struct Ones;

    impl ModuleMapper for Ones {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|old| old.ones_like())
        }
    }
}
