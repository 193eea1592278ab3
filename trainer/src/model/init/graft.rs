//! From a donor's layers to those of a network that may have fewer channels, blocks and stages, or more
//! blocks in a stage.
//!
//! Which channels stay is decided by what they send on: the norm of the weights that read a channel
//! times the scale that batch normalisation gives it (the criterion of
//! <https://arxiv.org/abs/1708.06519>, with the reader's weights). The channels that go are missed by
//! the layers behind; some epochs of training make up for it. A block that a stage has more is its shortcut
//! alone at first, so that a deeper network begins with the donor's answers (as in
//! <https://arxiv.org/abs/1511.05641>).

mod channels;
mod stages;

use std::fmt;

use burn::tensor::Device;

use super::InitError;
use super::donor::{Donor, DonorBlock, DonorGate, Layer};
use crate::model::network::{Block, Chain, ConvNorm, Gate, Network};
use crate::model::spec::ModelSpec;
use channels::{norm_of_reads, pick, reads, strength};
use stages::{donor_stages, stages};

/// What a network took over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grafted {
    /// Convolutions that have a donor's weights.
    pub taken: usize,
    /// Those of them that have fewer channels than the donor's.
    pub narrowed: usize,
    /// Convolutions that stay as they were drawn.
    pub fresh: usize,
    /// Gates of the donor that the network has no place for.
    pub lost: usize,
}

impl fmt::Display for Grafted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            taken,
            narrowed,
            fresh,
            lost,
        } = self;
        write!(f, "{taken} of {} convolutions taken over", taken + fresh)?;
        if *narrowed > 0 {
            write!(f, ", {narrowed} of them narrowed")?;
        }
        match lost {
            0 => Ok(()),
            _ => write!(f, ", {lost} squeeze-and-excite left out"),
        }
    }
}

/// Gives `network` the weights of `donor`: stage by stage and in them block by block. A stage begins
/// where the number of channels changes.
pub fn graft(
    mut network: Network,
    spec: &ModelSpec,
    donor: &Donor,
    device: &Device,
) -> Result<(Network, Grafted), InitError> {
    let mut graft = Graft {
        device,
        grafted: Grafted::default(),
    };
    let stages = stages(spec)?;
    let donors = donor_stages(donor);
    let mut blocks = network.blocks.iter_mut();
    let Some(Block::Conv(stem)) = blocks.next() else {
        return Err(InitError::Family);
    };
    let width = stem.conv.weight.dims()[0];
    let scores = |c: usize| strength(&donor.stem.norm, c) * reads(donor.blocks.first(), c);
    let mut channels = pick("blocks.0", "channels", width, donor.stem.shape[0], scores)?;
    let colours: Vec<usize> = (0..donor.stem.shape[1]).collect();
    let [_, inputs, ..] = stem.conv.weight.dims();
    if inputs != colours.len() {
        return Err(InitError::Unlike {
            layer: "the input".into(),
            wanted: format!("{inputs} channels"),
            found: colours.len().to_string(),
        });
    }
    graft.write(&donor.stem, stem, &channels, &colours);
    // Whether all so far is the donor's, so that what follows can be.
    let mut whole = true;
    for (index, stage) in stages.iter().enumerate() {
        let from = donors.get(index).filter(|_| whole);
        whole = from.is_some();
        let outs = match from {
            Some(from) => {
                let score = |c: usize| from.iter().map(|b| strength(&b.project.norm, c)).sum();
                let found = from[0].project.shape[0];
                pick(&stage.name, "output channels", stage.out, found, score)?
            }
            None => Vec::new(),
        };
        for nth in 0..stage.blocks {
            let Some(Block::Chain(chain)) = blocks.next() else {
                return Err(InitError::Family);
            };
            match from.and_then(|from| from.get(nth)) {
                Some(block) => {
                    let ins = if nth == 0 { &channels } else { &outs };
                    graft.block(block, chain, ins, &outs, &stage.name)?;
                }
                None => {
                    graft.grafted.fresh += chain.convs().len();
                    if from.is_some() {
                        chain.silence(device);
                    }
                }
            }
        }
        channels = outs;
    }
    if let Some(Block::Conv(head)) = blocks.next() {
        let donor = donor
            .head
            .as_ref()
            .filter(|_| whole && stages.len() == donors.len());
        match donor {
            Some(layer) => {
                let width = head.conv.weight.dims()[0];
                let score = |c: usize| strength(&layer.norm, c);
                let outs = pick("the last 1×1", "channels", width, layer.shape[0], score)?;
                graft.write(layer, head, &outs, &channels);
                channels = outs;
            }
            None => {
                whole = false;
                graft.grafted.fresh += 1;
            }
        }
    }
    if let Some(last) = donor.classifier.as_ref().filter(|_| whole) {
        last.write(&mut network.classifier, &channels, device);
    }
    Ok((network, graft.grafted))
}

struct Graft<'a> {
    device: &'a Device,
    grafted: Grafted,
}

impl Graft<'_> {
    fn write(&mut self, layer: &Layer, conv: &mut ConvNorm, outs: &[usize], ins: &[usize]) {
        layer.write(conv, outs, ins, self.device);
        self.grafted.taken += 1;
        let fewer = outs.len() < layer.shape[0] || ins.len() < layer.shape[1];
        self.grafted.narrowed += usize::from(fewer);
    }

    fn block(
        &mut self,
        donor: &DonorBlock,
        chain: &mut Chain,
        ins: &[usize],
        outs: &[usize],
        name: &str,
    ) -> Result<(), InitError> {
        let depthwise = chain.depthwise.as_mut().ok_or(InitError::Family)?;
        let hidden = match (&donor.expand, chain.expand.as_mut()) {
            (Some(layer), Some(expand)) => {
                let width = expand.conv.weight.dims()[0];
                let score = |c: usize| {
                    strength(&donor.depthwise.norm, c) * norm_of_reads(&donor.project, c)
                };
                let hidden = pick(name, "hidden channels", width, layer.shape[0], score)?;
                self.write(layer, expand, &hidden, ins);
                hidden
            }
            (None, None) => ins.to_vec(),
            (found, _) => {
                let [wanted, found] = match found {
                    Some(_) => ["no expansion", "one"],
                    None => ["an expansion", "none"],
                };
                return Err(InitError::Unlike {
                    layer: name.into(),
                    wanted: wanted.into(),
                    found: found.into(),
                });
            }
        };
        self.write(&donor.depthwise, depthwise, &hidden, &[0]);
        let squeezed = |gate: &Gate| gate.squeeze.conv.weight.dims()[0];
        let gate = chain.gate.as_ref().map(squeezed);
        let folded = match &donor.gate {
            Some(of) if gate != Some(of.squeeze.shape[0]) => Some(of.folded(&donor.project)),
            _ => None,
        };
        let last = chain.project.as_mut().or(chain.pointwise.as_mut());
        self.write(
            folded.as_ref().unwrap_or(&donor.project),
            last.ok_or(InitError::Family)?,
            outs,
            &hidden,
        );
        let taken = donor.gate.as_ref().filter(|_| folded.is_none());
        self.grafted.lost += usize::from(folded.is_some() && gate.is_none());
        self.gate(taken, chain, &hidden);
        Ok(())
    }

    /// Gives a gate that the network has the donor's weights, or makes up for its halving all.
    fn gate(&mut self, donor: Option<&DonorGate>, chain: &mut Chain, hidden: &[usize]) {
        match (donor, &mut chain.gate) {
            (_, None) => {}
            (None, Some(_)) => {
                chain.scale_project(2.0, self.device);
                self.grafted.fresh += 2;
            }
            (Some(DonorGate { squeeze, excite }), Some(gate)) => {
                let [squeezed, all, ..] = squeeze.shape;
                let few: Vec<usize> = (0..squeezed).collect();
                squeeze.write(&mut gate.squeeze, &few, hidden, self.device);
                excite.write(&mut gate.excite, hidden, &few, self.device);
                self.grafted.taken += 2;
                self.grafted.narrowed += if hidden.len() < all { 2 } else { 0 };
            }
        }
    }
}
