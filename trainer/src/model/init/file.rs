//! The convolutions of a PyTorch or safetensors file, in the order in which a picture meets them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kiln_runtime::load::Floats;
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};

use super::InitError;
use super::donor::{Donor, DonorBlock, Layer, Norm};
use super::natural::natural;

/// Bytes of a file at most.
const LARGEST: u64 = 1 << 30;

/// Reads a file of weights: `.safetensors`, else what `torch.save` writes. `epsilon` is what the
/// file's batch normalisations add to the variance.
pub fn read(path: &Path, epsilon: f32) -> Result<Donor, InitError> {
    let unreadable = |cause: String| InitError::File {
        path: path.to_owned(),
        cause,
    };
    let size = fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > LARGEST {
        return Err(unreadable(format!(
            "{size} bytes, and at most {LARGEST} are read"
        )));
    }
    let safe = path.extension().is_some_and(|ext| ext == "safetensors");
    let tensors = match safe {
        true => safetensors(path),
        false => pytorch(path),
    };
    donor(&tensors.map_err(&unreadable)?, epsilon).map_err(unreadable)
}

/// 32-bit floats of one to four axes by name; what else a file holds is left out.
type Tensors = BTreeMap<String, Floats>;

fn pytorch(path: &Path) -> Result<Tensors, String> {
    let reader = PytorchReader::new(path).map_err(|error| error.to_string())?;
    let mut tensors = Tensors::new();
    for (name, tensor) in reader.tensors() {
        if tensor.dtype() == DType::F32 && (1..=4).contains(&tensor.shape().len()) {
            let bytes = tensor.read().map_err(|error| error.to_string())?;
            let values = bytes
                .chunks_exact(4)
                .map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            let shape = tensor.shape().to_vec();
            tensors.insert(name.clone(), Floats { shape, values });
        }
    }
    Ok(tensors)
}

fn safetensors(path: &Path) -> Result<Tensors, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        if view.dtype() == Dtype::F32 && (1..=4).contains(&view.shape().len()) {
            let values = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            let shape = view.shape().to_vec();
            tensors.insert(name.to_owned(), Floats { shape, values });
        }
    }
    Ok(tensors)
}

/// The tensors of one block: names begin with the same path.
#[derive(Default)]
struct Group<'a> {
    convs: Vec<(&'a str, &'a Floats)>,
    norms: Vec<(&'a str, Norm)>,
}

/// Puts the tensors in order. torchvision, timm and EfficientNet-Lite's authors name them
/// differently; common to all is that a block's path ends in a number, that the numbers follow the
/// picture's way, and that so do a block's normalisations.
fn donor(tensors: &Tensors, epsilon: f32) -> Result<Donor, String> {
    let mut groups: BTreeMap<Vec<_>, Group<'_>> = BTreeMap::new();
    for (name, tensor) in tensors {
        let Some((layer, "weight")) = name.rsplit_once('.') else {
            continue;
        };
        let group = groups.entry(natural(block_path(layer))).or_default();
        match tensor.shape.len() {
            4 => group.convs.push((layer, tensor)),
            1 => {
                if let Some(norm) = norm(tensors, layer, epsilon) {
                    group.norms.push((layer, norm));
                }
            }
            _ => {}
        }
    }
    let (mut stem, mut head, mut blocks) = (None, None, Vec::new());
    for group in groups.into_values() {
        match group.convs.len() {
            0 => {}
            1 if blocks.is_empty() && stem.is_none() => stem = singles(group)?.pop(),
            1 => head = singles(group)?.pop(),
            _ if group.convs.iter().all(|(_, conv)| conv.shape[1] > 1) => {
                // With no number in their names: the first and the last convolution.
                let mut layers = singles(group)?;
                layers.sort_by_key(|layer| layer.shape[1]);
                head = layers.pop();
                stem = layers.pop();
            }
            _ => blocks.push(block(group)?),
        }
    }
    let stem = stem.ok_or("it has no first convolution with a batch normalisation")?;
    let donor = Donor {
        stem,
        blocks,
        head,
        classifier: None,
    };
    donor.check()?;
    Ok(donor)
}

/// Of a layer's path, less its own name, what ends with the first run of numbers: `blocks.1.0` of
/// `blocks.1.0.conv_dw`, `features.0` of `features.0.1`.
fn block_path(layer: &str) -> &str {
    let path = layer.rsplit_once('.').map_or("", |(path, _)| path);
    let (mut end, mut at, mut within) = (0, 0, false);
    for part in path.split('.') {
        let number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if within && !number {
            break;
        }
        within = number;
        at += part.len();
        if number {
            end = at;
        }
        at += 1;
    }
    &path[..end]
}

fn norm(tensors: &Tensors, layer: &str, epsilon: f32) -> Option<Norm> {
    let part = |part: &str| Some(tensors.get(&format!("{layer}.{part}"))?.values.clone());
    let norm = Norm {
        gamma: part("weight")?,
        beta: part("bias")?,
        mean: part("running_mean")?,
        variance: part("running_var")?,
        epsilon,
    };
    let channels = norm.gamma.len();
    let whole = [&norm.beta, &norm.mean, &norm.variance];
    whole.iter().all(|v| v.len() == channels).then_some(norm)
}

/// Each convolution with the normalisation that has its channels.
fn singles(group: Group<'_>) -> Result<Vec<Layer>, String> {
    let mut norms = group.norms;
    let layers = group.convs.into_iter().map(|(name, conv)| {
        let fits = |(_, norm): &(&str, Norm)| norm.gamma.len() == conv.shape[0];
        let norm = norms.iter().position(fits).map(|at| norms.remove(at).1);
        layer(name, conv, norm)
    });
    layers.collect()
}

/// Expansion (if any), depthwise and projection, told apart by their shapes.
fn block(group: Group<'_>) -> Result<DonorBlock, String> {
    let names: Vec<&str> = group.convs.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let (mut convs, mut norms) = (group.convs, group.norms);
    norms.sort_by_key(|(name, _)| natural(name));
    let depthwise = |conv: &Floats| conv.shape[1] == 1 && conv.shape[2] > 1;
    let Some(at) = convs.iter().position(|(_, conv)| depthwise(conv)) else {
        return Err(format!("{names}: no depthwise convolution among them"));
    };
    let middle = convs.remove(at);
    let hidden = middle.1.shape[0];
    // Where both are as wide as what is hidden, the one from more channels comes first.
    convs.sort_by_key(|(name, conv)| (conv.shape[0] != hidden, natural(name)));
    if convs.len() > 1 && convs[0].1.shape[0] != hidden {
        return Err(format!("{names}: no expansion to {hidden} channels"));
    }
    let last = convs
        .pop()
        .ok_or_else(|| format!("{names}: no projection"))?;
    let first = convs.pop();
    if !convs.is_empty() || norms.len() != 2 + usize::from(first.is_some()) {
        return Err(format!(
            "{names}: {} batch normalisations; Kiln knows blocks of expansion, depthwise and \
             projection, each with one",
            norms.len()
        ));
    }
    let mut norms = norms.into_iter().map(|(_, norm)| norm);
    let mut next = |(name, conv)| layer(name, conv, norms.next());
    Ok(DonorBlock {
        expand: first.map(&mut next).transpose()?,
        depthwise: next(middle)?,
        gate: None,
        project: next(last)?,
    })
}

fn layer(name: &str, conv: &Floats, norm: Option<Norm>) -> Result<Layer, String> {
    let shape: [usize; 4] = conv.shape[..].try_into().map_err(|_| name.to_owned())?;
    let norm = norm.filter(|norm| norm.gamma.len() == shape[0]);
    Ok(Layer {
        shape,
        weight: conv.values.clone(),
        norm: norm.ok_or_else(|| format!("{name}: no batch normalisation that fits it"))?,
    })
}
