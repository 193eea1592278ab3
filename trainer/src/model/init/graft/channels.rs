//! Which channels of a donor stay where there are fewer.

use crate::model::init::InitError;
use crate::model::init::donor::{DonorBlock, Layer, Norm};

/// The `wanted` channels of `found` with the highest scores, in their order.
pub(super) fn pick(
    layer: &str,
    what: &'static str,
    wanted: usize,
    found: usize,
    score: impl Fn(usize) -> f32,
) -> Result<Vec<usize>, InitError> {
    if wanted > found {
        return Err(InitError::Wider {
            layer: layer.into(),
            what,
            wanted,
            found,
        });
    }
    let mut channels: Vec<usize> = (0..found).collect();
    channels.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    channels.truncate(wanted);
    channels.sort_unstable();
    Ok(channels)
}

/// How far a normalised channel moves: its scale.
pub(super) fn strength(norm: &Norm, channel: usize) -> f32 {
    norm.gamma[channel].abs()
}

/// The norm of the weights by which a layer reads a channel; of a depthwise one, of its filter.
pub(super) fn norm_of_reads(layer: &Layer, channel: usize) -> f32 {
    let [outs, ins, rows, columns] = layer.shape;
    let taps = rows * columns;
    let filter = |at: usize| layer.weight[at * taps..][..taps].iter().map(|w| w * w);
    let sum: f32 = match ins {
        1 => filter(channel).sum(),
        _ => (0..outs).flat_map(|out| filter(out * ins + channel)).sum(),
    };
    sum.sqrt()
}

/// What a block reads a channel of its input by.
pub(super) fn reads(block: Option<&DonorBlock>, channel: usize) -> f32 {
    let Some(block) = block else {
        return 1.0;
    };
    match &block.expand {
        Some(expand) => norm_of_reads(expand, channel),
        None => strength(&block.depthwise.norm, channel) * norm_of_reads(&block.project, channel),
    }
}
