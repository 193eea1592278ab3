//! A network whose weights another takes over.

mod layers;

pub use self::layers::{Classifier, Dense, Layer, Norm};

/// A stem, blocks of depthwise convolutions, and a last 1×1 if there is one.
pub struct Donor {
    /// The first convolution.
    pub stem: Layer,
    /// In order.
    pub blocks: Vec<DonorBlock>,
    /// The last 1×1, before the pooling.
    pub head: Option<Layer>,
    /// The last layer, where it tells the same classes apart.
    pub classifier: Option<Classifier>,
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

impl DonorBlock {
    /// Channels of its input.
    pub fn input(&self) -> usize {
        match &self.expand {
            Some(expand) => expand.shape[1],
            None => self.depthwise.shape[0],
        }
    }
}

impl DonorGate {
    /// `project`, which reads what the gate multiplies, for a network without the gate: with each channel's
    /// weights times what the gate is where all that it squeezes to is zero. So nothing is lost with a gate
    /// that is the same for all pictures.
    pub fn folded(&self, project: &Layer) -> Layer {
        let factors: Vec<f32> = (self.excite.bias.iter())
            .map(|bias| 1.0 / (1.0 + (-bias).exp()))
            .collect();
        let [_, ins, rows, columns] = project.shape;
        let scaled = (project.weight.iter().enumerate())
            .map(|(at, weight)| weight * factors[at / (rows * columns) % ins]);
        Layer {
            weight: scaled.collect(),
            ..project.clone()
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
        if let Some(head) = &self.head {
            if head.shape[1] != channels {
                return Err("the last convolution does not read what the last block writes".into());
            }
            channels = head.shape[0];
        }
        match &self.classifier {
            Some(last) if last.shape[0] != channels => {
                Err("the last layer does not read what is before it".into())
            }
            _ => Ok(()),
        }
    }
}
