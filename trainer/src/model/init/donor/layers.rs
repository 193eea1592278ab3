//! Layers that know their weights.

use burn::module::{Param, RunningState};
use burn::nn::{BatchNorm, Linear};
use burn::tensor::{Device, Tensor, TensorData};

use crate::model::network::ConvNorm;

/// A fully connected layer from features to classes.
pub struct Classifier {
    /// Features, classes.
    pub shape: [usize; 2],
    /// In that order.
    pub weight: Vec<f32>,
    /// One a class.
    pub bias: Vec<f32>,
}

/// A 1×1 convolution with a bias.
pub struct Dense {
    /// Output channels, input channels.
    pub shape: [usize; 2],
    /// In that order.
    pub weight: Vec<f32>,
    /// One an output channel.
    pub bias: Vec<f32>,
}

/// A convolution without bias, and the batch normalisation after it.
#[derive(Clone)]
pub struct Layer {
    /// Output channels, input channels (1 if depthwise), rows, columns.
    pub shape: [usize; 4],
    /// In that order.
    pub weight: Vec<f32>,
    /// What follows.
    pub norm: Norm,
}

/// Batch normalisation; each list has a value for each channel.
#[derive(Clone)]
pub struct Norm {
    /// Scale.
    pub gamma: Vec<f32>,
    /// Shift.
    pub beta: Vec<f32>,
    /// Running mean.
    pub mean: Vec<f32>,
    /// Running variance.
    pub variance: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Classifier {
    /// Writes the rows of the features `ins` into `linear`.
    pub fn write(&self, linear: &mut Linear, ins: &[usize], device: &Device) {
        let [_, classes] = self.shape;
        let rows = ins
            .iter()
            .flat_map(|&c| &self.weight[c * classes..][..classes]);
        let weight = TensorData::new(rows.copied().collect(), [ins.len(), classes]);
        linear.weight = Param::from_data(weight, device);
        linear.bias = Some(Param::from_data(
            TensorData::new(self.bias.clone(), [classes]),
            device,
        ));
    }
}

impl Layer {
    /// Writes the weights of output channels `outs` and input channels `ins` into `conv`, whose
    /// kernel may be smaller (the middle is taken) or larger (zeros around).
    pub fn write(&self, conv: &mut ConvNorm, outs: &[usize], ins: &[usize], device: &Device) {
        let [_, _, rows, columns] = conv.conv.weight.dims();
        let mut weight = Vec::with_capacity(outs.len() * ins.len() * rows * columns);
        for &out in outs {
            for &input in ins {
                for row in 0..rows {
                    for column in 0..columns {
                        weight.push(self.tap(out, input, [row, column], [rows, columns]));
                    }
                }
            }
        }
        let shape = [outs.len(), ins.len(), rows, columns];
        conv.conv.weight = Param::from_data(TensorData::new(weight, shape), device);
        if let Some(norm) = &mut conv.norm {
            self.norm.write(norm, outs, device);
        }
    }

    /// The weight at a place of a kernel of `size` that has the same middle.
    fn tap(&self, out: usize, input: usize, at: [usize; 2], size: [usize; 2]) -> f32 {
        let [_, inputs, rows, columns] = self.shape;
        let place = |i: usize, side: usize| (at[i] + side / 2).checked_sub(size[i] / 2);
        match (place(0, rows), place(1, columns)) {
            (Some(row), Some(column)) if row < rows && column < columns => {
                self.weight[((out * inputs + input) * rows + row) * columns + column]
            }
            _ => 0.0,
        }
    }
}

impl Dense {
    /// Writes the weights of output channels `outs` and input channels `ins` into `conv`.
    pub fn write(&self, conv: &mut ConvNorm, outs: &[usize], ins: &[usize], device: &Device) {
        let [_, inputs] = self.shape;
        let row = |&out: &usize| {
            ins.iter()
                .map(move |&input| self.weight[out * inputs + input])
        };
        let weight: Vec<f32> = outs.iter().flat_map(row).collect();
        let bias: Vec<f32> = outs.iter().map(|&out| self.bias[out]).collect();
        let shape = [outs.len(), ins.len(), 1, 1];
        conv.conv.weight = Param::from_data(TensorData::new(weight, shape), device);
        conv.conv.bias = Some(Param::from_data(
            TensorData::new(bias, [outs.len()]),
            device,
        ));
    }
}

impl Norm {
    /// Writes the channels `outs`. The scale is changed so that the function stays the same with the
    /// other epsilon.
    fn write(&self, norm: &mut BatchNorm, outs: &[usize], device: &Device) {
        let other = norm.epsilon as f32;
        let gamma = |c: usize| {
            let variance = self.variance[c].max(0.0);
            self.gamma[c] * ((variance + other) / (variance + self.epsilon)).sqrt()
        };
        let vector = |of: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = outs.iter().map(|&c| of(c)).collect();
            TensorData::new(values, [outs.len()])
        };
        let running = |of: &dyn Fn(usize) -> f32| {
            RunningState::new(Tensor::<1>::from_data(vector(of), device))
        };
        norm.gamma = Param::from_data(vector(&gamma), device);
        norm.beta = Param::from_data(vector(&|c| self.beta[c]), device);
        norm.running_mean = running(&|c| self.mean[c]);
        norm.running_var = running(&|c| self.variance[c]);
    }
}
