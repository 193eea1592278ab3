//! A network whose weights another takes over.

use burn::module::{Param, RunningState};
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor, TensorData};

use crate::model::network::{Block, ConvNorm, Network};

/// A stem, blocks of depthwise convolutions, and a last 1×1 if there is one.
pub struct Donor {
    /// The first convolution.
    pub stem: Layer,
    /// In order.
    pub blocks: Vec<DonorBlock>,
    /// The last 1×1, before the pooling.
    pub head: Option<Layer>,
}

/// A separable block or an inverted residual.
pub struct DonorBlock {
    /// 1×1 to the hidden channels.
    pub expand: Option<Layer>,
    /// One filter a channel.
    pub depthwise: Layer,
    /// Squeeze-and-excite between the last two.
    pub gate: Option<DonorGate>,
    /// 1×1 to the output channels.
    pub project: Layer,
}

/// Squeeze-and-excite.
pub struct DonorGate {
    /// From all hidden channels to a few.
    pub squeeze: Layer,
    /// Back.
    pub excite: Dense,
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
pub struct Layer {
    /// Output channels, input channels (1 if depthwise), rows, columns.
    pub shape: [usize; 4],
    /// In that order.
    pub weight: Vec<f32>,
    /// What follows.
    pub norm: Norm,
}

/// Batch normalisation; each list has a value for each channel.
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

impl DonorBlock {
    /// Channels of its input.
    pub fn input(&self) -> usize {
        match &self.expand {
            Some(expand) => expand.shape[1],
            None => self.depthwise.shape[0],
        }
    }
}

impl Donor {
    /// Refuses layers that do not follow from one another.
    pub fn check(&self) -> Result<(), String> {
        let mut channels = self.stem.shape[0];
        for (index, block) in self.blocks.iter().enumerate() {
            let [hidden, _, ..] = block.depthwise.shape;
            let expanded = block.expand.as_ref().map_or(hidden, |e| e.shape[0]);
            if block.input() != channels || expanded != hidden || block.project.shape[1] != hidden {
                return Err(format!(
                    "block {index} does not read what the one before writes"
                ));
            }
            if let Some(DonorGate { squeeze, excite }) = &block.gate
                && (squeeze.shape[1] != hidden || excite.shape != [hidden, squeeze.shape[0]])
            {
                return Err(format!("block {index}: its gate is not of its channels"));
            }
            channels = block.project.shape[0];
        }
        match &self.head {
            Some(head) if head.shape[1] != channels => {
                Err("the last convolution does not read what the last block writes".into())
            }
            _ => Ok(()),
        }
    }

    /// The weights of a network of this program; `None` where it is not made of such blocks.
    pub fn of_network(network: &Network) -> Option<Self> {
        let (mut stem, mut head, mut blocks) = (None, None, Vec::new());
        for block in &network.blocks {
            match block {
                Block::Conv(conv) if stem.is_none() => stem = Some(Layer::of(conv)?),
                Block::Conv(conv) if head.is_none() => head = Some(Layer::of(conv)?),
                Block::Chain(chain) if head.is_none() => blocks.push(DonorBlock {
                    expand: match &chain.expand {
                        Some(expand) => Some(Layer::of(expand)?),
                        None => None,
                    },
                    depthwise: Layer::of(chain.depthwise.as_ref()?)?,
                    gate: match &chain.gate {
                        Some(gate) => Some(DonorGate {
                            squeeze: Layer::of(&gate.squeeze)?,
                            excite: Dense::of(&gate.excite)?,
                        }),
                        None => None,
                    },
                    project: Layer::of(chain.project.as_ref().or(chain.pointwise.as_ref())?)?,
                }),
                _ => return None,
            }
        }
        let stem = stem?;
        Some(Self { stem, blocks, head })
    }
}

impl Layer {
    fn of(conv: &ConvNorm) -> Option<Self> {
        let norm = conv.norm.as_ref()?;
        let weight = conv.conv.weight.val();
        Some(Self {
            shape: weight.dims(),
            weight: values(weight)?,
            norm: Norm {
                gamma: values(norm.gamma.val())?,
                beta: values(norm.beta.val())?,
                mean: values(norm.running_mean.value_sync())?,
                variance: values(norm.running_var.value_sync())?,
                epsilon: norm.epsilon as f32,
            },
        })
    }

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
    fn of(conv: &ConvNorm) -> Option<Self> {
        let weight = conv.conv.weight.val();
        let [outs, ins, ..] = weight.dims();
        Some(Self {
            shape: [outs, ins],
            weight: values(weight)?,
            bias: values(conv.conv.bias.as_ref()?.val())?,
        })
    }

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

fn values<const D: usize>(tensor: Tensor<D>) -> Option<Vec<f32>> {
    tensor.into_data().try_to_vec().ok()
}
