//! The burn module that a [`ModelSpec`] describes.

mod blocks;
mod gate;
mod rounded;

use burn::module::Module;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNorm, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

pub use self::blocks::{Block, Chain, ConvNorm};
pub use self::gate::Gate;
pub use self::rounded::Scales;
use super::fast;
use super::spec::{Activation, BlockSpec, ModelSpec, Pooling};

/// A CNN classifier: `[n, c, h, w]` in, logits `[n, classes]` out.
#[derive(Module, Debug)]
pub struct Network {
    /// Convolutions, pools and residual blocks, in order.
    pub blocks: Vec<Block>,
    /// Fully connected layers before the last.
    pub hidden: Vec<Linear>,
    /// Before the last layer, while training.
    pub dropout: Dropout,
    /// Features to logits.
    pub classifier: Linear,
    /// Features to a teacher's, while training alone.
    pub projector: Option<Linear>,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    activation: Activation,
    /// What integers stand for, where the network is computed as they will be.
    #[module(skip)]
    scales: Option<Scales>,
}

/// What a [`Network`] makes of pictures.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the last layer reads, `[n, features]`.
    pub features: Tensor<2>,
    /// What it says, `[n, classes]`.
    pub logits: Tensor<2>,
}

impl Network {
    /// Builds the network with freshly drawn weights on `device` (seed it first).
    pub fn new(spec: &ModelSpec, device: &Device) -> Self {
        let mut channels = spec.input[0];
        let mut blocks = Vec::new();
        for block in &spec.blocks {
            blocks.push(match block {
                BlockSpec::Conv(conv) => {
                    Block::Conv(ConvNorm::new(conv, channels, spec.activation, device))
                }
                BlockSpec::MaxPool(size) => {
                    let pool = MaxPool2dConfig::new([*size, *size]).with_strides([*size, *size]);
                    Block::Pool(pool.init())
                }
                block => Block::Chain(Chain::new(block, channels, spec.activation, device)),
            });
            let convs = block.convs(channels);
            channels = convs.last().map_or(channels, |(_, conv)| conv.out);
        }
        let mut features = match spec.pooling {
            Pooling::GlobalAverage => channels,
            Pooling::Flatten => spec.features().iter().product(),
        };
        let mut hidden = Vec::new();
        for &size in &spec.hidden {
            hidden.push(LinearConfig::new(features, size).init(device));
            features = size;
        }
        Self {
            blocks,
            hidden,
            dropout: DropoutConfig::new(spec.dropout).init(),
            classifier: LinearConfig::new(features, spec.classes).init(device),
            projector: None,
            pooling: spec.pooling,
            activation: spec.activation,
            scales: None,
        }
    }

    /// Convolutions, in order.
    pub fn convs(&self) -> Vec<&ConvNorm> {
        let convs = self.blocks.iter().flat_map(|block| match block {
            Block::Conv(conv) => vec![conv],
            Block::Pool(_) => Vec::new(),
            Block::Chain(chain) => chain.convs(),
        });
        convs.collect()
    }

    /// Batch normalisations, in order.
    pub fn norms(&self) -> Vec<&BatchNorm> {
        let norms = self.convs().into_iter().map(|conv| conv.norm.as_ref());
        norms.flatten().collect()
    }

    /// What follows the hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The same weights with another activation.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self.for_each_conv(|conv| conv.set_activation(activation));
        self
    }

    /// The same weights; with `on`, convolutions are computed in bf16.
    pub fn with_bf16(mut self, on: bool) -> Self {
        self.for_each_conv(|conv| conv.bf16 = on);
        self
    }

    pub(crate) fn for_each_conv(&mut self, mut change: impl FnMut(&mut ConvNorm)) {
        for block in &mut self.blocks {
            match block {
                Block::Conv(conv) => change(conv),
                Block::Pool(_) => {}
                Block::Chain(chain) => chain.convs_mut().for_each(&mut change),
            }
        }
    }

    /// The same weights and a freshly drawn layer that maps the features to `features` of a teacher.
    pub fn with_projector(mut self, features: usize, device: &Device) -> Self {
        let [own, _] = self.classifier.weight.dims();
        self.projector = Some(LinearConfig::new(own, features).init(device));
        self
    }

    /// The network as it is used once it is trained.
    pub fn without_projector(mut self) -> Self {
        self.projector = None;
        self
    }

    /// `[n, c, h, w]` → logits `[n, classes]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.answer(x).logits
    }

    /// `[n, c, h, w]` → features and logits.
    pub fn answer(&self, x: Tensor<4>) -> Answer {
        if let Some(scales) = &self.scales {
            return self.answer_rounded(x, scales);
        }
        let mut x = x;
        let mut blocks = self.blocks.iter().peekable();
        while let Some(block) = blocks.next() {
            x = match block {
                Block::Conv(conv) => match blocks.peek() {
                    Some(Block::Pool(pool)) => {
                        blocks.next();
                        conv.forward_pooled(x, pool)
                    }
                    _ => conv.forward(x),
                },
                Block::Pool(pool) => pool.forward(x),
                Block::Chain(chain) => chain.forward(x, self.activation),
            };
        }
        let x = match self.pooling {
            Pooling::GlobalAverage => fast::global_average(x),
            Pooling::Flatten => x,
        };
        let mut x: Tensor<2> = x.flatten(1, 3);
        for hidden in &self.hidden {
            x = fast::Activation::from(Some(self.activation)).forward(hidden.forward(x));
        }
        Answer {
            features: x.clone(),
            logits: self.classifier.forward(self.dropout.forward(x)),
        }
    }
}

/// What a parameter at a module's path is called outside, which is the path without the names of burn's
/// enum variants: `blocks.0.Conv.norm` is `blocks.0.norm`.
pub fn parameter_name(path: &str) -> String {
    let parts = path
        .split('.')
        .filter(|part| !matches!(*part, "Conv" | "Chain"));
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::model::ModelConfig;
    use crate::model::config::{CnnConfig, ResnetConfig};

    fn configs() -> Vec<ModelConfig> {
        let examples = ModelConfig::examples().into_iter();
        let mut configs: Vec<_> = examples.map(|(_, config)| config).collect();
        configs.push(ModelConfig::Cnn(CnnConfig {
            channels: vec![5, 7],
            convs_per_stage: 2,
            kernel: 5,
            batch_norm: false,
            pooling: Pooling::Flatten,
            hidden: vec![11],
            dropout: 0.5,
        }));
        configs.push(ModelConfig::Resnet(ResnetConfig {
            stem: 8,
            stem_stride: 2,
            channels: vec![8, 24],
            blocks: vec![2, 3],
            dropout: 0.0,
        }));
        configs
    }

    #[test]
    fn a_network_has_the_shapes_and_parameters_of_its_spec() {
        let device = Device::flex();
        for config in configs() {
            let spec = config.spec([3, 40, 56], 5).unwrap();
            let network = Network::new(&spec, &device);
            let x = Tensor::random([2, 3, 40, 56], Distribution::Default, &device);
            let answer = network.answer(x);
            assert_eq!(answer.logits.dims(), [2, 5], "{config:?}");
            let logits = network.classifier.forward(answer.features);
            assert_eq!(logits.into_data(), answer.logits.into_data(), "{config:?}");
            let expected: usize = spec.costs().unwrap().iter().map(|layer| layer.params).sum();
            let norms: usize = spec
                .blocks
                .iter()
                .fold((3, 0), |(channels, sum), block| {
                    let convs = block.convs(channels);
                    let of_block: usize = convs
                        .iter()
                        .filter(|(_, c)| c.norm)
                        .map(|(_, c)| c.out)
                        .sum();
                    (
                        convs.last().map_or(channels, |(_, c)| c.out),
                        sum + of_block,
                    )
                })
                .1;
            // burn counts the running mean and variance as well.
            assert_eq!(network.num_params(), expected + 2 * norms, "{config:?}");
        }
    }

    #[test]
    fn a_seed_gives_its_weights() {
        let device = Device::flex();
        let spec = ModelConfig::default().spec([3, 32, 32], 2).unwrap();
        let draw = |seed| {
            device.seed(seed);
            let network = Network::new(&spec, &device);
            network.classifier.weight.val().into_data()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
