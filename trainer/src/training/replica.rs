//! A network as one of several devices trains it.
//!
//! burn's multi-device engine clones the network for each worker, and clones share the running
//! statistics of batch normalisation: a worker that moves them to its device moves them for all.
//! A replica takes its own when it is forked, and sends them back with each step.

use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use super::step::{Logits, ReplicaOutput, StepInput};
use crate::model::Network;

/// A network whose forks share nothing.
#[derive(Clone, Debug)]
pub struct Replica(pub Network);

impl TrainStep for Replica {
    type Input = StepInput;
    type Output = ReplicaOutput;

    fn step(&self, input: StepInput) -> TrainOutput<Self::Output> {
        let index = input.index;
        let output = TrainStep::step(&self.0, input);
        TrainOutput {
            grads: output.grads,
            item: ReplicaOutput {
                index,
                output: output.item,
                statistics: self.statistics(),
            },
        }
    }
}

impl Replica {
    /// Of each batch normalisation: running mean and variance.
    fn statistics(&self) -> Vec<[Tensor<1>; 2]> {
        let norms = self.0.norms().into_iter();
        let both =
            norms.map(|norm| [&norm.running_mean, &norm.running_var].map(|s| s.value_sync()));
        both.collect()
    }
}

impl InferenceStep for Replica {
    type Input = Tensor<4>;
    type Output = Logits;

    fn step(&self, pixels: Tensor<4>) -> Logits {
        InferenceStep::step(&self.0, pixels)
    }
}

/// Gives `network` the mean of its replicas' statistics.
pub fn merge(network: &Network, replicas: &[Vec<[Tensor<1>; 2]>], device: &Device) {
    let share = 1.0 / replicas.len().max(1) as f64;
    for (index, norm) in network.norms().into_iter().enumerate() {
        for (part, running) in [&norm.running_mean, &norm.running_var]
            .into_iter()
            .enumerate()
        {
            let values = replicas.iter().filter_map(|replica| replica.get(index));
            let values = values.map(|statistics| statistics[part].clone().to_device(device));
            if let Some(sum) = values.reduce(|sum, value| sum + value) {
                running.update((sum * share).detach());
            }
        }
    }
}

impl Module for Replica {
    fn fork(self, device: &Device) -> Self {
        // A validation snapshot and its way back have statistics of their own.
        Self(self.0.valid().train().fork(device))
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.0.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }

    fn train(self) -> Self {
        Self(self.0.train())
    }

    fn valid(&self) -> Self {
        Self(self.0.valid())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialize())
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        self.0.visit(visitor);
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        Self(self.0.map(mapper))
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn forks_have_statistics_of_their_own_and_their_mean_comes_back() {
        let device = Device::flex().autodiff();
        let spec = ModelConfig::family("resnet")
            .unwrap()
            .spec([3, 16, 16], 2)
            .unwrap();
        let network = Network::new(&spec, &device);
        let mean = |network: &Network| -> f32 {
            network.norms()[0]
                .running_mean
                .value_sync()
                .mean()
                .into_scalar()
        };
        let forks = [2.0, 4.0].map(|value| {
            let fork = Replica(network.clone()).fork(&device);
            let running = &fork.0.norms()[0].running_mean;
            running.update(running.value_sync().zeros_like() + value);
            assert_eq!((mean(&fork.0), mean(&network)), (value as f32, 0.0));
            fork.statistics()
        });
        merge(&network, &forks, &device);
        assert_eq!(mean(&network), 3.0);
    }
}
