//! The model families that a run can name, each with the parameters its paper names.

use serde::{Deserialize, Serialize};

use super::spec::{Activation, Pooling};

/// `[model]` of a run: a family and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// The CNN of textbooks: convolutions, pooling, fully connected layers.
    Cnn(CnnConfig),
    /// Residual network, <https://arxiv.org/abs/1512.03385>.
    Resnet(ResnetConfig),
    /// Depthwise separable network, <https://arxiv.org/abs/1704.04861>.
    MobilenetV1(MobilenetV1Config),
    /// Inverted residuals, <https://arxiv.org/abs/1801.04381>.
    MobilenetV2(MobilenetV2Config),
    /// Depthwise separable network with one width, <https://arxiv.org/abs/1711.07128>.
    DsCnn(DsCnnConfig),
}

/// [`ModelConfig::Cnn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnConfig {
    /// Output channels of each stage; a 2×2 max-pool follows each.
    pub channels: Vec<usize>,
    /// Convolutions in a stage.
    pub convs_per_stage: usize,
    /// Side of the square kernels.
    pub kernel: usize,
    /// Batch normalisation after each convolution.
    pub batch_norm: bool,
    /// What stands between the last stage and the fully connected layers.
    pub pooling: Pooling,
    /// Sizes of fully connected layers before the last one.
    pub hidden: Vec<usize>,
    /// Share of features dropped before the last layer while training.
    pub dropout: f64,
}

/// [`ModelConfig::Resnet`]. The default is MLPerf Tiny's ResNet-8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResnetConfig {
    /// Output channels of the first convolution.
    pub stem: usize,
    /// Stride of the first convolution.
    pub stem_stride: usize,
    /// Output channels of each stage; every stage but the first halves height and width.
    pub channels: Vec<usize>,
    /// Residual blocks in each stage.
    pub blocks: Vec<usize>,
    /// Share of features dropped before the last layer while training.
    pub dropout: f64,
}

/// [`ModelConfig::MobilenetV1`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MobilenetV1Config {
    /// Width multiplier: scales every layer's channels.
    pub width: f64,
    /// Output channels at width 1 and stride of the first convolution.
    pub stem: (usize, usize),
    /// Output channels at width 1 and stride of each separable block.
    pub blocks: Vec<(usize, usize)>,
    /// What follows each convolution.
    pub activation: Activation,
    /// Share of features dropped before the last layer while training.
    pub dropout: f64,
}

/// [`ModelConfig::MobilenetV2`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MobilenetV2Config {
    /// Width multiplier: scales every layer's channels.
    pub width: f64,
    /// Output channels at width 1 and stride of the first convolution.
    pub stem: (usize, usize),
    /// Expansion, output channels at width 1, repeats, stride of the first repeat: t, c, n, s.
    pub stages: Vec<(usize, usize, usize, usize)>,
    /// Side of each stage's depthwise kernels; 3 where the list ends before the stages do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<usize>,
    /// Squeeze-and-excite in each stage's blocks (<https://arxiv.org/abs/1709.01507>): the channels that the
    /// means of all hidden channels are squeezed to; 0, or a list that ends before the stages do, for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub squeeze: Vec<usize>,
    /// Output channels of the last 1×1 convolution (scaled by widths above 1 only); 0 for none.
    pub last: usize,
    /// What follows each convolution but the projections.
    pub activation: Activation,
    /// Share of features dropped before the last layer while training.
    pub dropout: f64,
}

/// [`ModelConfig::DsCnn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DsCnnConfig {
    /// Output channels of every layer.
    pub channels: usize,
    /// The first convolution's kernel: rows, columns.
    pub stem_kernel: [usize; 2],
    /// The first convolution's stride: rows, columns.
    pub stem_stride: [usize; 2],
    /// Separable blocks, stride 1.
    pub blocks: usize,
    /// Share of features dropped before the last layer while training.
    pub dropout: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self::Cnn(CnnConfig::default())
    }
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self {
            channels: vec![24, 48, 96, 192],
            convs_per_stage: 1,
            kernel: 3,
            batch_norm: true,
            pooling: Pooling::GlobalAverage,
            hidden: Vec::new(),
            dropout: 0.0,
        }
    }
}

impl Default for ResnetConfig {
    fn default() -> Self {
        Self {
            stem: 16,
            stem_stride: 1,
            channels: vec![16, 32, 64],
            blocks: vec![1, 1, 1],
            dropout: 0.0,
        }
    }
}

impl Default for MobilenetV1Config {
    fn default() -> Self {
        let mut blocks = vec![(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
        blocks.extend([(512, 1); 5]);
        blocks.extend([(1024, 2), (1024, 1)]);
        Self {
            width: 0.25,
            stem: (32, 2),
            blocks,
            activation: Activation::Relu6,
            dropout: 0.0,
        }
    }
}

impl Default for MobilenetV2Config {
    fn default() -> Self {
        Self {
            width: 0.35,
            stem: (32, 2),
            stages: vec![
                (1, 16, 1, 1),
                (6, 24, 2, 2),
                (6, 32, 3, 2),
                (6, 64, 4, 2),
                (6, 96, 3, 1),
                (6, 160, 3, 2),
                (6, 320, 1, 1),
            ],
            kernels: Vec::new(),
            squeeze: Vec::new(),
            last: 1280,
            activation: Activation::Relu6,
            dropout: 0.2,
        }
    }
}

impl MobilenetV2Config {
    /// EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excite, as its authors published it
    /// for devices (<https://arxiv.org/abs/1905.11946>).
    fn efficientnet_lite() -> Self {
        Self {
            width: 1.0,
            stages: vec![
                (1, 16, 1, 1),
                (6, 24, 2, 2),
                (6, 40, 2, 2),
                (6, 80, 3, 2),
                (6, 112, 3, 1),
                (6, 192, 4, 2),
                (6, 320, 1, 1),
            ],
            kernels: vec![3, 3, 5, 3, 5, 5, 3],
            ..Default::default()
        }
    }
}

impl Default for DsCnnConfig {
    fn default() -> Self {
        Self {
            channels: 64,
            stem_kernel: [3, 3],
            stem_stride: [2, 2],
            blocks: 4,
            dropout: 0.2,
        }
    }
}

impl ModelConfig {
    /// The family's default configuration, by the name that `--model` takes.
    pub fn family(name: &str) -> Option<Self> {
        Some(match name {
            "cnn" => Self::Cnn(Default::default()),
            "resnet" => Self::Resnet(Default::default()),
            "mobilenet-v1" => Self::MobilenetV1(Default::default()),
            "mobilenet-v2" => Self::MobilenetV2(Default::default()),
            "efficientnet-lite" => Self::MobilenetV2(MobilenetV2Config::efficientnet_lite()),
            "ds-cnn" => Self::DsCnn(Default::default()),
            _ => return None,
        })
    }

    /// Every family's default and what else a network may be made of, by name.
    #[cfg(test)]
    pub fn examples() -> Vec<(&'static str, Self)> {
        let families = Self::FAMILIES.map(|name| (name, Self::family(name)));
        let mut all: Vec<_> = (families.into_iter())
            .filter_map(|(name, config)| Some((name, config?)))
            .collect();
        let gated = MobilenetV2Config {
            squeeze: vec![0, 6, 8, 0, 8],
            ..Default::default()
        };
        all.push(("mobilenet-v2 with gates", Self::MobilenetV2(gated)));
        all
    }

    /// The names that [`ModelConfig::family`] knows.
    pub const FAMILIES: [&str; 6] = [
        "cnn",
        "resnet",
        "mobilenet-v1",
        "mobilenet-v2",
        "efficientnet-lite",
        "ds-cnn",
    ];
}
