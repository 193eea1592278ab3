//! How each family's network is laid out: from its parameters to blocks.

use std::iter;

use super::config::{
    CnnConfig, DsCnnConfig, MobilenetV1Config, MobilenetV2Config, ModelConfig, ResnetConfig,
};
use super::spec::{Activation, BlockSpec, ConvSpec, ModelSpec, Pooling, SpecError};

impl ModelConfig {
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

/// Scales `channels` by `width` to a multiple of 8 that is not more than 10% below the product:
/// the rule of MobileNetV2's reference code.
fn scaled(channels: usize, width: f64) -> usize {
    // More is refused in any case.
    let exact = (channels as f64 * width).min(f64::from(u32::MAX));
    let rounded = (((exact + 4.0) / 8.0) as usize * 8).max(8);
    if (rounded as f64) < 0.9 * exact {
        rounded + 8
    } else {
        rounded
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
    let lists = [
        ("kernels", config.kernels.len()),
        ("squeeze", config.squeeze.len()),
    ];
    let stages = config.stages.len();
    if let Some((list, entries)) = lists.into_iter().find(|(_, entries)| *entries > stages) {
        return Err(SpecError::Behind {
            list,
            entries,
            stages,
        });
    }
    let (stem, stride) = config.stem;
    let stem = ConvSpec::new(scaled(stem, config.width), 3, stride);
    spec.blocks.push(BlockSpec::Conv(stem));
    let kernels = config.kernels.iter().copied().chain(iter::repeat(3));
    let squeezes = config.squeeze.iter().copied().chain(iter::repeat(0));
    let stages = config.stages.iter().zip(kernels).zip(squeezes);
    for ((&(expansion, channels, repeats, stride), kernel), squeeze) in stages {
        let out = scaled(channels, config.width);
        for repeat in 0..repeats {
            let stride = if repeat == 0 { stride } else { 1 };
            spec.blocks.push(BlockSpec::Inverted {
                expansion,
                kernel,
                squeeze,
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
