//! The burn module that a [`ModelSpec`] describes.

mod rounded;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear, LinearConfig,
    PaddingConfig2d,
};
use burn::tensor::{Device, Tensor};

pub use self::rounded::Scales;
use super::fast;
use super::spec::{Activation, BlockSpec, ConvSpec, ModelSpec, Pooling};

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
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    activation: Activation,
    /// What integers stand for, where the network is computed as they will be.
    #[module(skip)]
    scales: Option<Scales>,
}

/// One block of a [`Network`].
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a network has tens of blocks, and burn's derive takes no boxes"
)]
pub enum Block {
    /// One convolution.
    Conv(ConvNorm),
    /// Max-pooling.
    Pool(MaxPool2d),
    /// Convolutions in a row, around a shortcut if there is one.
    Chain(Chain),
}

/// Convolutions in a row: separable, residual and inverted residual blocks.
#[derive(Module, Debug)]
pub struct Chain {
    /// The first 3×3 of a residual block.
    pub conv1: Option<ConvNorm>,
    /// The second 3×3 of a residual block.
    pub conv2: Option<ConvNorm>,
    /// The 1×1 that widens an inverted residual.
    pub expand: Option<ConvNorm>,
    /// The depthwise 3×3.
    pub depthwise: Option<ConvNorm>,
    /// The 1×1 of a separable block.
    pub pointwise: Option<ConvNorm>,
    /// The linear 1×1 of an inverted residual.
    pub project: Option<ConvNorm>,
    /// The 1×1 on a residual block's shortcut.
    pub shortcut: Option<ConvNorm>,
    #[module(skip)]
    joins: Join,
}

/// What becomes of a chain's input at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// Nothing.
    Dropped,
    /// It is added.
    Added,
    /// It is added, and the activation follows.
    AddedThenActivated,
}

/// A convolution with what follows it: batch norm and activation, each where there is one.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution; it has a bias where no batch norm follows.
    pub conv: Conv2d,
    /// Batch normalisation.
    pub norm: Option<BatchNorm>,
    #[module(skip)]
    act: Option<Activation>,
    /// Whether the convolution is computed in bf16.
    #[module(skip)]
    bf16: bool,
}

impl From<Option<Activation>> for fast::Activation {
    fn from(activation: Option<Activation>) -> Self {
        match activation {
            None => Self::None,
            Some(Activation::Relu) => Self::Relu,
            Some(Activation::Relu6) => Self::Relu6,
        }
    }
}

impl ConvNorm {
    fn new(spec: &ConvSpec, input: usize, activation: Activation, device: &Device) -> Self {
        let [rows, columns] = spec.padding();
        let conv = Conv2dConfig::new([input, spec.out], spec.kernel)
            .with_stride(spec.stride)
            .with_padding(PaddingConfig2d::Explicit(rows, columns, rows, columns))
            .with_groups(if spec.depthwise { input } else { 1 })
            .with_bias(!spec.norm)
            .with_initializer(Initializer::KaimingNormal {
                gain: std::f64::consts::SQRT_2,
                fan_out_only: true,
            })
            .init(device);
        Self {
            conv,
            norm: spec
                .norm
                .then(|| BatchNormConfig::new(spec.out).init(device)),
            act: spec.act.then_some(activation),
            bf16: false,
        }
    }

    fn convolve(&self, x: Tensor<4>) -> Tensor<4> {
        match self.bf16 {
            true => fast::conv2d_bf16(x, &self.conv),
            false => fast::conv2d(x, &self.conv),
        }
    }

    fn set_activation(&mut self, activation: Activation) {
        self.act = self.act.map(|_| activation);
    }

    /// `[n, c, h, w]` → `[n, out, h', w']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.convolve(x);
        match &self.norm {
            Some(norm) => fast::batch_norm(x, norm, self.act.into()),
            None => fast::Activation::from(self.act).forward(x),
        }
    }

    /// The same with `shortcut` added before `act`, which stands in for the layer's own activation.
    fn forward_added(
        &self,
        x: Tensor<4>,
        shortcut: Tensor<4>,
        act: Option<Activation>,
    ) -> Tensor<4> {
        let x = self.convolve(x);
        match &self.norm {
            Some(norm) => fast::batch_norm_add(x, shortcut, norm, act.into()),
            None => fast::Activation::from(act).forward(x + shortcut),
        }
    }

    /// The same as [`ConvNorm::forward`], then `pool`.
    fn forward_pooled(&self, x: Tensor<4>, pool: &MaxPool2d) -> Tensor<4> {
        match &self.norm {
            Some(norm) if pool.kernel_size == [2, 2] && pool.stride == [2, 2] => {
                let x = self.convolve(x);
                fast::batch_norm_max_pool(x, norm, self.act.into())
            }
            _ => pool.forward(self.forward(x)),
        }
    }
}

impl Chain {
    fn new(spec: &BlockSpec, input: usize, activation: Activation, device: &Device) -> Self {
        let mut channels = input;
        let mut chain = Self {
            conv1: None,
            conv2: None,
            expand: None,
            depthwise: None,
            pointwise: None,
            project: None,
            shortcut: None,
            joins: match *spec {
                BlockSpec::Residual { .. } => Join::AddedThenActivated,
                BlockSpec::Inverted { out, stride, .. } if stride == 1 && out == input => {
                    Join::Added
                }
                _ => Join::Dropped,
            },
        };
        for (part, conv) in spec.convs(input) {
            let from = if part == "shortcut" { input } else { channels };
            channels = conv.out;
            let conv = ConvNorm::new(&conv, from, activation, device);
            *match part {
                "conv1" => &mut chain.conv1,
                "conv2" => &mut chain.conv2,
                "expand" => &mut chain.expand,
                "depthwise" => &mut chain.depthwise,
                "pointwise" => &mut chain.pointwise,
                "project" => &mut chain.project,
                _ => &mut chain.shortcut,
            } = Some(conv);
        }
        chain
    }

    /// Its convolutions, in order; the shortcut's is last.
    pub fn convs(&self) -> Vec<&ConvNorm> {
        self.parts().into_iter().flatten().collect()
    }

    fn parts(&self) -> [&Option<ConvNorm>; 7] {
        [
            &self.conv1,
            &self.conv2,
            &self.expand,
            &self.depthwise,
            &self.pointwise,
            &self.project,
            &self.shortcut,
        ]
    }

    fn parts_mut(&mut self) -> [&mut Option<ConvNorm>; 7] {
        [
            &mut self.conv1,
            &mut self.conv2,
            &mut self.expand,
            &mut self.depthwise,
            &mut self.pointwise,
            &mut self.project,
            &mut self.shortcut,
        ]
    }

    fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        // All but the shortcut's, which is last.
        let convs: Vec<&ConvNorm> = self.parts()[..6].iter().copied().flatten().collect();
        let run = |convs: &[&ConvNorm], x| convs.iter().fold(x, |x, conv| conv.forward(x));
        let act = match self.joins {
            Join::Dropped => return run(&convs, x),
            Join::Added => None,
            Join::AddedThenActivated => Some(activation),
        };
        let [x, shortcut] = fast::fork(x);
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(shortcut),
            None => shortcut,
        };
        match convs.split_last() {
            Some((last, first)) => last.forward_added(run(first, x), shortcut, act),
            None => x,
        }
    }
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
                Block::Chain(chain) => {
                    let convs = chain.parts_mut().into_iter().flatten();
                    convs.for_each(&mut change);
                }
            }
        }
    }

    /// `[n, c, h, w]` → logits `[n, classes]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        if let Some(scales) = &self.scales {
            return self.forward_rounded(x, scales);
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
        self.classifier.forward(self.dropout.forward(x))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::model::ModelConfig;
    use crate::model::config::{CnnConfig, ResnetConfig};

    fn configs() -> Vec<ModelConfig> {
        let mut configs: Vec<_> = ModelConfig::FAMILIES
            .iter()
            .map(|family| ModelConfig::family(family).unwrap())
            .collect();
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
            assert_eq!(network.forward(x).dims(), [2, 5], "{config:?}");
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
