//! What blocks belong together.

use crate::model::init::InitError;
use crate::model::init::donor::{Donor, DonorBlock};
use crate::model::spec::{BlockSpec, ModelSpec};

/// Blocks with one number of output channels.
pub(super) struct Stage {
    /// Its first block.
    pub name: String,
    /// How many.
    pub blocks: usize,
    /// Of each.
    pub out: usize,
}

/// Those of a network after its stem.
pub(super) fn stages(spec: &ModelSpec) -> Result<Vec<Stage>, InitError> {
    let mut stages: Vec<Stage> = Vec::new();
    let Some((BlockSpec::Conv(stem), rest)) = spec.blocks.split_first() else {
        return Err(InitError::Family);
    };
    let mut channels = stem.out;
    for (index, block) in rest.iter().enumerate() {
        let (out, stride) = match *block {
            BlockSpec::Separable { out, stride } | BlockSpec::Inverted { out, stride, .. } => {
                (out, stride)
            }
            BlockSpec::Conv(_) if index + 1 == rest.len() => break,
            _ => return Err(InitError::Family),
        };
        match stages.last_mut() {
            Some(stage) if out == channels && stride == 1 => stage.blocks += 1,
            _ => stages.push(Stage {
                name: format!("blocks.{}", index + 1),
                blocks: 1,
                out,
            }),
        }
        channels = out;
    }
    Ok(stages)
}

/// Those of a donor.
pub(super) fn donor_stages(donor: &Donor) -> Vec<Vec<&DonorBlock>> {
    let mut stages: Vec<Vec<&DonorBlock>> = Vec::new();
    for block in &donor.blocks {
        match stages.last_mut() {
            Some(stage) if block.input() == block.project.shape[0] => stage.push(block),
            _ => stages.push(vec![block]),
        }
    }
    stages
}
