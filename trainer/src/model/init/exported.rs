//! Weights by the names of a network's parameters: of an ONNX file that `kiln export` wrote, or of a network.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use kiln_runtime::load::{self, Floats};
use kiln_runtime::onnx::OnnxFile;

use super::donor::{Classifier, Dense, Donor, DonorBlock, DonorGate, Layer, Norm};
use super::graft::Grafted;
use super::{InitError, all_of};
use crate::evaluate::values;
use crate::model::Network;
use crate::model::network::{Block, parameter_name};

/// What burn's batch normalisations add to the variance, and so the files that Kiln writes.
const EPSILON: f32 = 1e-5;

/// In the names of a gate's weights, behind the block's.
const GATE: &str = ".gate.";

/// The weights of an exported network.
pub struct Exported {
    tensors: BTreeMap<String, Floats>,
    /// Whether the last layer tells the same classes apart as the network that takes them.
    same_classes: bool,
}

impl Exported {
    /// The weights of a network of this program.
    pub fn of_network(network: &Network, same_classes: bool) -> Self {
        Self {
            tensors: parameters(network),
            same_classes,
        }
    }

    /// Reads a file, for a network of the classes `labels`.
    pub fn read(path: &Path, labels: &[String]) -> Result<Self, InitError> {
        let unusable = |cause: String| InitError::File {
            path: path.to_owned(),
            cause,
        };
        let file = OnnxFile::load(path).map_err(|error| unusable(error.to_string()))?;
        let mut tensors = load::floats(&file).map_err(|error| unusable(error.to_string()))?;
        normalise_squeezes(&mut tensors);
        Ok(Self {
            tensors,
            same_classes: file.labels().unwrap_or_default() == labels,
        })
    }

    /// Whether the network has the very same layers, but for the last where the classes are others, and for gates
    /// that it has more.
    pub fn fits(&self, network: &Network) -> bool {
        let wanted = parameters(network);
        let given = wanted.iter().all(|(name, own)| {
            let found = self.tensors.get(name);
            !self.gives(name) || found.is_some_and(|found| found.shape == own.shape)
        });
        let mut gates = self.tensors.keys().filter(|name| name.contains(GATE));
        given && gates.all(|name| wanted.contains_key(name))
    }

    /// Gives a network that [fits](Self::fits) all weights; the last layer stays as it was drawn where the
    /// classes are others.
    pub fn give(&self, network: Network, device: &Device) -> (Network, Grafted) {
        let mut grafted = all_of(&network);
        let mut take = Take {
            from: self,
            device,
            path: Vec::new(),
        };
        let mut network = network.map(&mut take);
        for (index, block) in network.blocks.iter_mut().enumerate() {
            if let Block::Chain(chain) = block
                && chain.gate.is_some()
                && !self.has_gate(&format!("blocks.{index}{GATE}"))
            {
                // A gate that is just drawn halves all.
                chain.scale_project(2.0, device);
                grafted.taken -= 2;
                grafted.fresh += 2;
            }
        }
        (network, grafted)
    }

    fn gives(&self, name: &str) -> bool {
        match name.find(GATE) {
            Some(at) => self.has_gate(&name[..at + GATE.len()]),
            None => self.same_classes || !name.starts_with("classifier."),
        }
    }

    fn has_gate(&self, path: &str) -> bool {
        self.tensors.keys().any(|name| name.starts_with(path))
    }

    /// Its stem, blocks and last 1×1, for a network that has other numbers of them or fewer channels; and
    /// its last layer where the classes are the same.
    pub fn donor(&self) -> Result<Donor, String> {
        let (mut stem, mut head, mut blocks) = (None, None, Vec::new());
        for index in 0.. {
            let part = |name: &str| self.layer(&format!("blocks.{index}{name}"));
            match (part(""), part(".depthwise")) {
                (Some(conv), _) if stem.is_none() => stem = Some(conv),
                (Some(conv), _) if head.is_none() => head = Some(conv),
                (None, Some(depthwise)) if head.is_none() => {
                    let last = part(".project").or_else(|| part(".pointwise"));
                    blocks.push(DonorBlock {
                        expand: part(".expand"),
                        depthwise,
                        gate: self.gate(&format!("blocks.{index}{GATE}")),
                        project: last.ok_or_else(|| format!("blocks.{index} has no last 1×1"))?,
                    });
                }
                _ => break,
            }
        }
        let stem = stem.filter(|_| !blocks.is_empty()).ok_or(
            "its weights are not named as those of `kiln export`, or it is not of depthwise separable \
             blocks with batch normalisations; of another program's network, take PyTorch's file or the \
             .safetensors",
        )?;
        let donor = Donor {
            stem,
            blocks,
            head,
            classifier: self.classifier().filter(|_| self.same_classes),
        };
        donor.check()?;
        Ok(donor)
    }

    fn classifier(&self) -> Option<Classifier> {
        let weight = self.tensors.get("classifier.weight")?;
        let shape: [usize; 2] = weight.shape[..].try_into().ok()?;
        let bias = &self.tensors.get("classifier.bias")?.values;
        (bias.len() == shape[1]).then(|| Classifier {
            shape,
            weight: weight.values.clone(),
            bias: bias.clone(),
        })
    }

    /// Squeeze-and-excite, where there is one.
    fn gate(&self, path: &str) -> Option<DonorGate> {
        Some(DonorGate {
            squeeze: self.layer(&format!("{path}squeeze"))?,
            excite: self.dense(&format!("{path}excite"))?,
        })
    }

    fn dense(&self, path: &str) -> Option<Dense> {
        let weight = self.tensors.get(&format!("{path}.conv.weight"))?;
        let &[outs, ins, 1, 1] = &weight.shape[..] else {
            return None;
        };
        let bias = self
            .tensors
            .get(&format!("{path}.conv.bias"))?
            .values
            .clone();
        (bias.len() == outs).then(|| Dense {
            shape: [outs, ins],
            weight: weight.values.clone(),
            bias,
        })
    }

    /// A convolution with the normalisation behind it.
    fn layer(&self, path: &str) -> Option<Layer> {
        let weight = self.tensors.get(&format!("{path}.conv.weight"))?;
        let shape: [usize; 4] = weight.shape[..].try_into().ok()?;
        let part = |name: &str| {
            let values = &self.tensors.get(&format!("{path}.norm.{name}"))?.values;
            (values.len() == shape[0]).then(|| values.clone())
        };
        Some(Layer {
            shape,
            weight: weight.values.clone(),
            norm: Norm {
                gamma: part("gamma")?,
                beta: part("beta")?,
                mean: part("running_mean")?,
                variance: part("running_var")?,
                epsilon: EPSILON,
            },
        })
    }
}

/// Gives squeezes that have a bias alone, as all had once, a normalisation that does the same.
fn normalise_squeezes(tensors: &mut BTreeMap<String, Floats>) {
    let biased = |name: &String| name.ends_with("gate.squeeze.conv.bias");
    let names: Vec<String> = tensors
        .keys()
        .filter(|name| biased(name))
        .cloned()
        .collect();
    for name in names {
        let Some(bias) = tensors.remove(&name) else {
            continue;
        };
        let path = name.trim_end_matches("conv.bias");
        let mut part = |part: &str, value: f32| {
            let (values, shape) = (vec![value; bias.values.len()], bias.shape.clone());
            tensors.insert(format!("{path}norm.{part}"), Floats { values, shape });
        };
        part("gamma", 1.0);
        part("running_mean", 0.0);
        part("running_var", 1.0 - EPSILON);
        tensors.insert(format!("{path}norm.beta"), bias);
    }
}

/// A network's parameters, running statistics among them.
fn parameters(network: &Network) -> BTreeMap<String, Floats> {
    let mut parameters = Parameters::default();
    network.visit(&mut parameters);
    parameters.found
}

#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    found: BTreeMap<String, Floats>,
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = parameter_name(&self.path.join("."));
        let value = param.val();
        let shape = value.dims().to_vec();
        let values = values(value);
        self.found.insert(name, Floats { shape, values });
    }
}

/// Gives each parameter the file's tensor of its name.
struct Take<'a> {
    from: &'a Exported,
    device: &'a Device,
    path: Vec<String>,
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = parameter_name(&self.path.join("."));
        match self.from.tensors.get(&name) {
            Some(found) if self.from.gives(&name) => {
                let data = TensorData::new(found.values.clone(), found.shape.clone());
                Param::from_data(data, self.device)
            }
            _ => param,
        }
    }
}
