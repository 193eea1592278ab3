//! The weights that a run begins with.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::checkpoint::{CheckpointError, hash_of_file, load_network};
use super::{Event, Observer, TrainError, qat};
use crate::config::InitConfig;
use crate::data::cache::Cache;
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
    let spec = run.spec()?;
    let path = &config.weights;
    let (network, grafted) = if run.config.training.qat {
        rounded(run, path, val, device)?
    } else if path.is_dir() {
        let donor = Run::open(path).map_err(InitError::from)?;
        match donor.spec()? == spec {
            true => whole(network, &donor.weights())?,
            false => {
                let same_classes = donor.labels == run.labels;
                let donor = donor.network(&device.clone().inner());
                let donor = donor.map_err(InitError::from)?;
                init::from_network(network, &spec, &donor, same_classes, device)?
            }
        }
    } else {
        config.checked_hash()?;
        match path.extension().is_some_and(|ext| ext == "onnx") {
            true => init::from_exported(network, &spec, &run.labels, path, device)?,
            false => init::from_file(network, &spec, path, config.epsilon as f32, device)?,
        }
    };
    observe(Event::Started(&grafted));
    Ok(network)
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
    /// Notes the file's hash, so that the run can be repeated.
    pub fn pin(&mut self) -> Result<(), InitError> {
        if self.weights.is_file() {
            self.blake3 = Some(self.checked_hash()?);
        }
        Ok(())
    }

    /// The file's hash; another file than the noted one is refused.
    fn checked_hash(&self) -> Result<String, InitError> {
        let found = hash(&self.weights)?;
        match self.blake3.as_ref().is_none_or(|noted| *noted == found) {
            true => Ok(found),
            false => Err(InitError::Other {
                path: self.weights.clone(),
            }),
        }
    }
}

fn hash(path: &Path) -> Result<String, InitError> {
    let found = hash_of_file(path).map_err(|error| InitError::File {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    Ok(found.to_hex().to_string())
}
