//! A network as a list of blocks with known shapes: what is built, counted and printed.

mod error;

use serde::{Deserialize, Serialize};

pub use self::error::SpecError;

/// The non-linearity of a network's hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

/// What stands between the last block and the fully connected layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean of each channel.
    GlobalAverage,
    /// All values, channel by channel.
    Flatten,
}

/// The first of squeeze-and-excite's layers, in a block's list.
pub(super) const SQUEEZE: &str = "gate.squeeze";
/// The second, whose sigmoid is the gate.
pub(super) const EXCITE: &str = "gate.excite";

/// A convolution, padded so that stride 1 keeps odd-kernel sizes, then batch norm and activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvSpec {
    /// Output channels.
    pub out: usize,
    /// Kernel rows, columns.
    pub kernel: [usize; 2],
    /// Stride over rows, columns.
    pub stride: [usize; 2],
    /// One filter for each input channel.
    pub depthwise: bool,
    /// Batch normalisation follows; without it the convolution has a bias.
    pub norm: bool,
    /// The network's activation follows.
    pub act: bool,
}

/// One block of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSpec {
    /// One convolution.
    Conv(ConvSpec),
    /// Max-pooling of this size and stride, no padding.
    MaxPool(usize),
    /// Two 3×3 convolutions around a shortcut; 1×1 on the shortcut where the shape changes.
    Residual {
        /// Output channels.
        out: usize,
        /// Stride of the first convolution.
        stride: usize,
    },
    /// Depthwise 3×3, then 1×1.
    Separable {
        /// Output channels.
        out: usize,
        /// Stride of the depthwise convolution.
        stride: usize,
    },
    /// 1×1 expansion, depthwise, linear 1×1; a shortcut where the shape stays. Between the last two,
    /// squeeze-and-excite where `squeeze` is not 0.
    Inverted {
        /// Hidden channels as a multiple of the input's.
        expansion: usize,
        /// Side of the depthwise kernel.
        kernel: usize,
        /// Squeeze-and-excite: channels that all hidden channels' means are squeezed to, 0 for none.
        squeeze: usize,
        /// Output channels.
        out: usize,
        /// Stride of the depthwise convolution.
        stride: usize,
    },
}

/// A whole network: blocks, pooling, fully connected layers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Channels, rows, columns.
    pub input: [usize; 3],
    /// Follows every convolution that asks for one, and hidden fully connected layers.
    pub activation: Activation,
    /// In order.
    pub blocks: Vec<BlockSpec>,
    /// After the blocks.
    pub pooling: Pooling,
    /// Sizes of the fully connected layers before the last.
    pub hidden: Vec<usize>,
    /// Share of features dropped before the last layer while training.
    pub dropout: f64,
    /// Logits.
    pub classes: usize,
}

/// What one layer costs in one inference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerCost {
    /// The module's path, as in the exported file.
    pub name: String,
    /// Channels, rows, columns.
    pub output: [usize; 3],
    /// Weights, biases and batch norm's scale and shift.
    pub params: usize,
    /// Multiply-accumulates.
    pub macs: usize,
}

impl ConvSpec {
    /// A square convolution with batch norm and activation.
    pub const fn new(out: usize, kernel: usize, stride: usize) -> Self {
        Self {
            out,
            kernel: [kernel, kernel],
            stride: [stride, stride],
            depthwise: false,
            norm: true,
            act: true,
        }
    }

    /// Depthwise over `channels`.
    pub const fn depthwise(channels: usize, kernel: usize, stride: usize) -> Self {
        let mut spec = Self::new(channels, kernel, stride);
        spec.depthwise = true;
        spec
    }

    /// The same with no activation.
    pub const fn linear(mut self) -> Self {
        self.act = false;
        self
    }

    /// The same with a bias in place of batch norm.
    pub const fn biased(mut self) -> Self {
        self.norm = false;
        self
    }

    /// Rows and columns of zeros on each side.
    pub const fn padding(&self) -> [usize; 2] {
        [self.kernel[0] / 2, self.kernel[1] / 2]
    }

    /// Channels, rows, columns after the convolution; `None` where the kernel does not fit.
    pub fn output(&self, input: [usize; 3]) -> Option<[usize; 3]> {
        let side = |i: usize| {
            let padded = input[i + 1] + 2 * self.padding()[i];
            Some(padded.checked_sub(self.kernel[i])? / self.stride[i] + 1)
        };
        Some([self.out, side(0)?, side(1)?])
    }

    fn cost(&self, name: String, input: [usize; 3], output: [usize; 3]) -> LayerCost {
        let per_output =
            self.kernel[0] * self.kernel[1] * if self.depthwise { 1 } else { input[0] };
        let weights = per_output * self.out;
        LayerCost {
            name,
            output,
            params: weights + if self.norm { 2 * self.out } else { self.out },
            macs: weights.saturating_mul(output[1] * output[2]),
        }
    }
}

impl BlockSpec {
    /// The block's convolutions by name, in order, for `input` channels; the shortcut's is last.
    pub fn convs(&self, channels: usize) -> Vec<(&'static str, ConvSpec)> {
        match *self {
            Self::Conv(conv) => vec![("", conv)],
            Self::MaxPool(_) => Vec::new(),
            Self::Residual { out, stride } => {
                let mut convs = vec![
                    ("conv1", ConvSpec::new(out, 3, stride)),
                    ("conv2", ConvSpec::new(out, 3, 1).linear()),
                ];
                if stride != 1 || out != channels {
                    let shortcut = ConvSpec::new(out, 1, stride).linear().biased();
                    convs.push(("shortcut", shortcut));
                }
                convs
            }
            Self::Separable { out, stride } => vec![
                ("depthwise", ConvSpec::depthwise(channels, 3, stride)),
                ("pointwise", ConvSpec::new(out, 1, 1)),
            ],
            Self::Inverted {
                expansion,
                kernel,
                squeeze,
                out,
                stride,
            } => {
                let hidden = channels.saturating_mul(expansion);
                let mut convs = Vec::new();
                if expansion != 1 {
                    convs.push(("expand", ConvSpec::new(hidden, 1, 1)));
                }
                convs.push(("depthwise", ConvSpec::depthwise(hidden, kernel, stride)));
                if squeeze != 0 {
                    convs.push((SQUEEZE, ConvSpec::new(squeeze, 1, 1)));
                    convs.push((EXCITE, ConvSpec::new(hidden, 1, 1).linear().biased()));
                }
                convs.push(("project", ConvSpec::new(out, 1, 1).linear()));
                convs
            }
        }
    }
}

impl ModelSpec {
    /// Every layer with weights or pooling: output shape, parameters, multiply-accumulates.
    pub fn costs(&self) -> Result<Vec<LayerCost>, SpecError> {
        let mut costs = Vec::new();
        let mut shape = self.input;
        for (index, block) in self.blocks.iter().enumerate() {
            let too_small = SpecError::TooSmall {
                block: index,
                rows: shape[1],
                columns: shape[2],
            };
            let block_name = format!("blocks.{index}");
            if let &BlockSpec::MaxPool(size) = block {
                shape = [shape[0], shape[1] / size, shape[2] / size];
                costs.push(LayerCost {
                    name: block_name.clone(),
                    output: shape,
                    params: 0,
                    macs: 0,
                });
            }
            let input = shape;
            let mut channels = input[0];
            for (part, conv) in block.convs(channels) {
                let from = match part {
                    "shortcut" => input,
                    // The mean of each channel, and what is made of it.
                    SQUEEZE | EXCITE => [channels, 1, 1],
                    _ => shape,
                };
                let output = conv.output(from).ok_or_else(|| too_small.clone())?;
                let name = match part {
                    "" => block_name.clone(),
                    part => format!("{block_name}.{part}"),
                };
                costs.push(conv.cost(name, from, output));
                channels = conv.out;
                if !matches!(part, SQUEEZE | EXCITE) {
                    shape = output;
                }
            }
            if shape.contains(&0) {
                return Err(too_small);
            }
        }
        let mut features = match self.pooling {
            Pooling::GlobalAverage => shape[0],
            Pooling::Flatten => shape.iter().product(),
        };
        let hidden = self.hidden.iter().enumerate();
        let layers = hidden.map(|(i, &size)| (format!("hidden.{i}"), size));
        for (name, size) in layers.chain([("classifier".into(), self.classes)]) {
            costs.push(LayerCost {
                name,
                output: [size, 1, 1],
                params: (features + 1) * size,
                macs: features * size,
            });
            features = size;
        }
        Ok(costs)
    }

    /// Channels, rows and columns that reach the pooling.
    pub(super) fn features(&self) -> [usize; 3] {
        let costs = self.costs().unwrap_or_default();
        let last = costs.len().checked_sub(self.hidden.len() + 2);
        last.map_or(self.input, |last| costs[last].output)
    }

    /// Refuses sizes of zero, sizes that no memory holds, and inputs that the strides use up.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let bounded = |what, value, max| match value {
            _ if (1..=max).contains(&value) => Ok(()),
            _ => Err(SpecError::Size { what, value, max }),
        };
        for side in self.input {
            bounded("a side of the input", side, 4096)?;
        }
        bounded("the number of classes", self.classes, 65_535)?;
        bounded("the number of blocks", self.blocks.len(), 1000)?;
        for &size in &self.hidden {
            bounded("a fully connected layer", size, 65_536)?;
        }
        let mut channels = self.input[0];
        for block in &self.blocks {
            match *block {
                BlockSpec::MaxPool(size) => bounded("a pool's size", size, 64)?,
                BlockSpec::Inverted { kernel, .. } if kernel % 2 == 0 => {
                    return Err(SpecError::Even(kernel));
                }
                _ => {}
            }
            for (part, conv) in block.convs(channels) {
                bounded("a layer's channels", conv.out, 65_536)?;
                bounded("a kernel's rows", conv.kernel[0], 31)?;
                bounded("a kernel's columns", conv.kernel[1], 31)?;
                bounded("a stride", conv.stride[0], 16)?;
                bounded("a stride", conv.stride[1], 16)?;
                if part != "shortcut" {
                    channels = conv.out;
                }
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(SpecError::Dropout);
        }
        self.costs().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::model::config::{
        CnnConfig, DsCnnConfig, MobilenetV1Config, MobilenetV2Config, ResnetConfig,
    };

    fn macs(spec: &ModelSpec) -> usize {
        spec.costs().unwrap().iter().map(|layer| layer.macs).sum()
    }

    #[test]
    fn mlperf_tinys_nets_have_their_published_costs() {
        let resnet8 = ModelConfig::family("resnet").unwrap();
        let spec = resnet8.spec([3, 32, 32], 10).unwrap();
        // 12.50 M multiply-accumulates.
        assert_eq!(macs(&spec), 12_501_632);
        let vww = ModelConfig::MobilenetV1(MobilenetV1Config::default());
        // 7.49 M.
        assert_eq!(macs(&vww.spec([3, 96, 96], 2).unwrap()), 7_489_664);
        let kws = ModelConfig::DsCnn(DsCnnConfig {
            stem_kernel: [10, 4],
            ..Default::default()
        });
        let spec = kws.spec([1, 49, 10], 12).unwrap();
        // 2.66 M at 25 × 5; symmetric padding gives the even kernel's first layer one row more.
        assert_eq!(spec.costs().unwrap()[0].output, [64, 25, 6]);
    }

    #[test]
    fn inputs_that_pooling_uses_up_are_refused_with_the_block() {
        let cnn = ModelConfig::Cnn(CnnConfig::default());
        let error = cnn.spec([3, 8, 8], 2).unwrap_err();
        assert!(
            matches!(error, SpecError::TooSmall { block: 7, .. }),
            "{error}"
        );
        cnn.spec([3, 16, 16], 2).unwrap();
    }

    #[test]
    fn lists_that_do_not_fit_the_stages_are_refused() {
        let resnet = ModelConfig::Resnet(ResnetConfig {
            blocks: vec![1; 4],
            ..Default::default()
        });
        let refused = SpecError::Stages {
            channels: 3,
            blocks: 4,
        };
        assert_eq!(resnet.spec([3, 64, 64], 2), Err(refused));
        let stages = MobilenetV2Config::default().stages.len();
        let with = |kernels| {
            let config = MobilenetV2Config {
                kernels: vec![5; kernels],
                ..Default::default()
            };
            ModelConfig::MobilenetV2(config).spec([3, 64, 64], 2)
        };
        let entries = stages + 1;
        let list = "kernels";
        let refused = SpecError::Behind {
            list,
            entries,
            stages,
        };
        assert_eq!(with(entries), Err(refused));
        for kernels in [0, stages - 1, stages] {
            assert!(with(kernels).is_ok(), "{kernels}");
        }
    }

    #[test]
    fn gates_cost_two_layers_of_the_means() {
        let with = |squeeze| {
            let config = MobilenetV2Config {
                width: 1.0,
                stages: vec![(1, 16, 1, 1), (6, 24, 2, 2)],
                squeeze,
                last: 0,
                ..Default::default()
            };
            ModelConfig::MobilenetV2(config).spec([3, 64, 64], 2)
        };
        let [plain, gated] = [vec![], vec![0, 4]].map(|squeeze| with(squeeze).unwrap());
        // Hidden channels of the second stage's two blocks.
        let hidden = [96, 144];
        let weights: usize = hidden.iter().map(|hidden| 2 * 4 * hidden).sum();
        assert_eq!(macs(&gated) - macs(&plain), weights);
        let params = |spec: &ModelSpec| -> usize {
            spec.costs().unwrap().iter().map(|layer| layer.params).sum()
        };
        let biases = 2 * (4 + 4) + hidden.iter().sum::<usize>();
        assert_eq!(params(&gated) - params(&plain), weights + biases);
        let costs = gated.costs().unwrap();
        let named = |name| costs.iter().find(|layer| layer.name == name).unwrap();
        assert_eq!(named("blocks.3.gate.squeeze").output, [4, 1, 1]);
        assert_eq!(named("blocks.3.gate.excite").output, [144, 1, 1]);
        assert_eq!(named("blocks.3.project").output, [24, 16, 16]);
        assert_eq!(gated.features(), plain.features());
        let (list, entries, stages) = ("squeeze", 3, 2);
        let refused = SpecError::Behind {
            list,
            entries,
            stages,
        };
        assert_eq!(with(vec![0; 3]), Err(refused));
        assert!(matches!(with(vec![1 << 20]), Err(SpecError::Size { .. })));
    }

    #[test]
    fn absurd_sizes_are_errors_and_no_panics() {
        let with = |change: fn(&mut CnnConfig)| {
            let mut config = CnnConfig::default();
            change(&mut config);
            ModelConfig::Cnn(config).spec([3, 64, 64], 2)
        };
        assert!(with(|c| c.channels = vec![0]).is_err());
        assert!(with(|c| c.channels = vec![usize::MAX]).is_err());
        assert!(with(|c| c.kernel = 0).is_err());
        assert!(with(|c| c.convs_per_stage = usize::MAX).is_err());
        for width in [f64::NAN, -1.0, 0.0, f64::INFINITY] {
            let config = MobilenetV1Config {
                width,
                ..Default::default()
            };
            let spec = ModelConfig::MobilenetV1(config).spec([3, 64, 64], 2);
            assert_eq!(spec, Err(SpecError::Width));
        }
        assert!(with(|c| c.hidden = vec![0]).is_err());
        assert!(with(|c| c.dropout = 1.0).is_err());
        assert!(with(|c| c.channels = vec![]).is_err());
        assert!(ModelConfig::default().spec([3, 0, 64], 2).is_err());
        assert!(ModelConfig::default().spec([3, 64, 64], 0).is_err());
    }
}
