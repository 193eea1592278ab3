//! The weights that a run begins with.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use burn::module::Module;
use burn::tensor::Device;

use super::checkpoint::{CheckpointError, load_network};
use super::{Event, Observer, TrainError, optimizer, qat};
use crate::config::InitConfig;
use crate::data::cache::Cache;
use crate::disk;
use crate::model::Network;
use crate::model::init::{self, Grafted, InitError, all_of};
use crate::run::Run;

/// `network`, with the weights that `[init]` of the run names, if it names some; `val` are pictures by
/// which the scales of a network are chosen that is trained as integers will compute it.
pub fn from(
    run: &Run,
    network: Network,
    val: &Cache,
    device: &Device,
    observe: Observer<'_>,
) -> Result<Network, TrainError> {
    let Some(config) = &run.config.init else {
        return Ok(network);
    };
    config.hashes()?;
    let of = |path: &PathBuf| {
        let (network, grafted) = match (run.config.training.qat, &config.weights[..]) {
            (false, _) => floats(run, network.clone(), path, config.epsilon as f32, device)?,
            (true, [_]) => rounded(run, path, val, device)?,
            (true, _) => return Err(TrainError::Qat(anyhow!("it goes on from one run"))),
        };
        observe(Event::Started(&grafted));
        Ok(network)
    };
    let networks = config.weights.iter().map(of);
    Ok(mean(networks)?.unwrap_or(network))
}

/// The mean of the weights of networks of the same layout. What batch normalisation has seen is the last one's: the
/// mean of weights sees other activations than each of them, and training follows these.
fn mean(
    networks: impl Iterator<Item = Result<Network, TrainError>>,
) -> Result<Option<Network>, TrainError> {
    let mut mean: Option<Network> = None;
    for (others, network) in networks.enumerate() {
        let network = network?;
        let share = others as f64 / (others + 1) as f64;
        mean = Some(match mean {
            // Without gradients, then with them anew: the mean is learned, not what it was made of.
            Some(mean) => optimizer::average(mean.valid(), &network, share).train(),
            None => network,
        });
    }
    Ok(mean)
}

/// `network` with the weights of a run's folder or of a file.
fn floats(
    run: &Run,
    network: Network,
    path: &Path,
    epsilon: f32,
    device: &Device,
) -> Result<(Network, Grafted), TrainError> {
    let spec = run.spec()?;
    if !path.is_dir() {
        let exported = path.extension().is_some_and(|ext| ext == "onnx");
        return Ok(match exported {
            true => init::from_exported(network, &spec, &run.labels, path, device)?,
            false => init::from_file(network, &spec, path, epsilon, device)?,
        });
    }
    let donor = Run::open(path).map_err(InitError::from)?;
    let same_classes = donor.labels == run.labels;
    if donor.spec()? == spec {
        let drawn = network.classifier.clone();
        let (mut network, grafted) = whole(network, &donor.weights())?;
        if !same_classes {
            network.classifier = drawn;
        }
        return Ok((network, grafted));
    }
    let donor = donor.network(&device.clone().inner());
    let donor = donor.map_err(InitError::from)?;
    Ok(init::from_network(
        network,
        &spec,
        &donor,
        same_classes,
        device,
    )?)
}

/// The network of a run with the same layout, folded, with scales for its activations.
fn rounded(
    run: &Run,
    path: &Path,
    val: &Cache,
    device: &Device,
) -> Result<(Network, Grafted), TrainError> {
    let donor = Run::open(path).map_err(InitError::from)?;
    if donor.spec()? != run.spec()? {
        let path = path.display();
        return Err(TrainError::Qat(anyhow::anyhow!(
            "{path} has another [model], input or number of classes than this run; leave --config out to \
             take its own"
        )));
    }
    let network = donor.network(&device.clone().inner());
    let network = network.map_err(InitError::from)?.folded(device);
    let scales = qat::scales(run, &network.valid(), val).map_err(TrainError::Qat)?;
    let grafted = all_of(&network);
    Ok((network.with_scales(Some(scales.into())), grafted))
}

/// All weights of a network of the same layout, its last layer's too.
fn whole(network: Network, weights: &Path) -> Result<(Network, Grafted), CheckpointError> {
    let grafted = all_of(&network);
    Ok((load_network(network, weights)?, grafted))
}

impl InitConfig {
    /// Notes the files' hashes, so that the run can be repeated.
    pub fn pin(&mut self) -> Result<(), InitError> {
        self.blake3 = self.hashes()?;
        Ok(())
    }

    /// The hashes of the files among the weights; other files than the noted ones are refused.
    fn hashes(&self) -> Result<Vec<String>, InitError> {
        let files = self.weights.iter().filter(|path| !path.is_dir());
        let hashes = files.enumerate().map(|(index, path)| {
            let found = hash(path)?;
            match self.blake3.get(index).is_none_or(|noted| *noted == found) {
                true => Ok(found),
                false => Err(InitError::Other { path: path.clone() }),
            }
        });
        hashes.collect()
    }
}

fn hash(path: &Path) -> Result<String, InitError> {
    let found = disk::hash(path).map_err(|error| InitError::File {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    Ok(found.to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::training::checkpoint::save_network;

    #[test]
    fn several_weights_are_averaged() {
        let device = Device::flex();
        for (family, model) in ModelConfig::examples() {
            let folder = tempfile::tempdir().unwrap();
            let weights = |index: usize| folder.path().join(index.to_string());
            let values = |network: &Network| {
                let mut values: Vec<f32> = Vec::new();
                network.clone().for_each_conv(|conv| {
                    let weight = conv.conv.weight.val().into_data();
                    values.extend(weight.try_to_vec::<f32>().unwrap());
                });
                values
            };
            let mut each = Vec::new();
            for index in 0..3 {
                let run = Run::of_model(&weights(index), model.clone());
                let network = run.fresh_network(&device).unwrap();
                save_network(&network, &run.weights()).unwrap();
                each.push(values(&network));
            }
            let run = Run::of_model(&folder.path().join("mean"), model);
            let fresh = run.fresh_network(&device).unwrap();
            let networks = (0..3).map(|index| {
                let (network, _) = floats(&run, fresh.clone(), &weights(index), 1e-5, &device)?;
                Ok(network)
            });
            let found = values(&mean(networks).unwrap().unwrap());
            assert!(found.len() > 100, "{family}");
            for (at, found) in found.into_iter().enumerate() {
                let expected = each.iter().map(|values| values[at]).sum::<f32>() / 3.0;
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{family}, {at}: {found}, {expected}"
                );
            }
        }
    }
}
