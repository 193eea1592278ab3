//! The model families that a run can name, each with the parameters its paper names.

use std::iter;

use serde::{Deserialize, Serialize};

use super::spec::{Activation, BlockSpec, ConvSpec, ModelSpec, Pooling, SpecError};

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

/// Scales `channels` by `width` to a multiple of 8 that is not more than 10% below the product:
/// the rule of MobileNetV2's reference code.
fn scaled(channels: usize, width: f64) -> usize {
    let exact = channels as f64 * width;
    let rounded = (((exact + 4.0) / 8.0) as usize * 8).max(8);
    if (rounded as f64) < 0.9 * exact {
        rounded + 8
    } else {
        rounded
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

    /// The names that [`ModelConfig::family`] knows.
    pub const FAMILIES: [&str; 6] = [
        "cnn",
        "resnet",
        "mobilenet-v1",
        "mobilenet-v2",
        "efficientnet-lite",
        "ds-cnn",
    ];

    /// Refuses counts and widths that would be laid out for ever.
    fn bounded(&self) -> Result<(), SpecError> {
        let (counts, width) = match self {
            Self::Cnn(config) => (vec![config.convs_per_stage], 1.0),
            Self::Resnet(config) => (config.blocks.clone(), 1.0),
            Self::MobilenetV1(config) => (vec![], config.width),
            Self::MobilenetV2(config) => {
                let stages = config.stages.iter();
                let counts = stages.flat_map(|&(expansion, _, repeats, _)| [expansion, repeats]);
                (counts.collect(), config.width)
            }
            Self::DsCnn(config) => (vec![config.blocks], 1.0),
        };
        let what = "a number of layers or an expansion";
        match counts.into_iter().find(|count| !(1..=1000).contains(count)) {
            Some(value) => Err(SpecError::Size {
                what,
                value,
                max: 1000,
            }),
            None if width > 0.0 && width <= 16.0 => Ok(()),
            None => Err(SpecError::Width),
        }
    }

    /// Lays the network out for `input` (channels, rows, columns) and `classes`.
    pub fn spec(&self, input: [usize; 3], classes: usize) -> Result<ModelSpec, SpecError> {
        let mut spec = ModelSpec {
            input,
            activation: Activation::Relu,
            blocks: Vec::new(),
            pooling: Pooling::GlobalAverage,
            hidden: Vec::new(),
            dropout: 0.0,
            classes,
        };
        self.bounded()?;
        match self {
            Self::Cnn(config) => cnn(config, &mut spec),
            Self::Resnet(config) => resnet(config, &mut spec)?,
            Self::MobilenetV1(config) => mobilenet_v1(config, &mut spec),
            Self::MobilenetV2(config) => mobilenet_v2(config, &mut spec)?,
            Self::DsCnn(config) => ds_cnn(config, &mut spec),
        }
        spec.check()?;
        Ok(spec)
    }
}

fn cnn(config: &CnnConfig, spec: &mut ModelSpec) {
    for &out in &config.channels {
        for _ in 0..config.convs_per_stage {
            let mut conv = ConvSpec::new(out, config.kernel, 1);
            conv.norm = config.batch_norm;
            spec.blocks.push(BlockSpec::Conv(conv));
        }
        spec.blocks.push(BlockSpec::MaxPool(2));
    }
    spec.pooling = config.pooling;
    spec.hidden = config.hidden.clone();
    spec.dropout = config.dropout;
}

fn resnet(config: &ResnetConfig, spec: &mut ModelSpec) -> Result<(), SpecError> {
    if config.blocks.len() != config.channels.len() {
        return Err(SpecError::Stages {
            channels: config.channels.len(),
            blocks: config.blocks.len(),
        });
    }
    let stem = ConvSpec::new(config.stem, 3, config.stem_stride);
    spec.blocks.push(BlockSpec::Conv(stem));
    for (stage, (&out, &count)) in config.channels.iter().zip(&config.blocks).enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            spec.blocks.push(BlockSpec::Residual { out, stride });
        }
    }
    spec.dropout = config.dropout;
    Ok(())
}

fn mobilenet_v1(config: &MobilenetV1Config, spec: &mut ModelSpec) {
    let (stem, stride) = config.stem;
    let stem = ConvSpec::new(scaled(stem, config.width), 3, stride);
    spec.blocks.push(BlockSpec::Conv(stem));
    for &(channels, stride) in &config.blocks {
        let out = scaled(channels, config.width);
        spec.blocks.push(BlockSpec::Separable { out, stride });
    }
    spec.activation = config.activation;
    spec.dropout = config.dropout;
}

fn mobilenet_v2(config: &MobilenetV2Config, spec: &mut ModelSpec) -> Result<(), SpecError> {
    if config.kernels.len() > config.stages.len() {
        return Err(SpecError::Kernels {
            kernels: config.kernels.len(),
            stages: config.stages.len(),
        });
    }
    let (stem, stride) = config.stem;
    let stem = ConvSpec::new(scaled(stem, config.width), 3, stride);
    spec.blocks.push(BlockSpec::Conv(stem));
    let kernels = config.kernels.iter().copied().chain(iter::repeat(3));
    for (&(expansion, channels, repeats, stride), kernel) in config.stages.iter().zip(kernels) {
        let out = scaled(channels, config.width);
        for repeat in 0..repeats {
            let stride = if repeat == 0 { stride } else { 1 };
            spec.blocks.push(BlockSpec::Inverted {
                expansion,
                kernel,
                out,
                stride,
            });
        }
    }
    if config.last > 0 {
        let last = scaled(config.last, config.width.max(1.0));
        spec.blocks.push(BlockSpec::Conv(ConvSpec::new(last, 1, 1)));
    }
    spec.activation = config.activation;
    spec.dropout = config.dropout;
    Ok(())
}

fn ds_cnn(config: &DsCnnConfig, spec: &mut ModelSpec) {
    let mut stem = ConvSpec::new(config.channels, 3, 1);
    stem.kernel = config.stem_kernel;
    stem.stride = config.stem_stride;
    spec.blocks.push(BlockSpec::Conv(stem));
    for _ in 0..config.blocks {
        spec.blocks.push(BlockSpec::Separable {
            out: config.channels,
            stride: 1,
        });
    }
    spec.dropout = config.dropout;
}
