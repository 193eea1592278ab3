//! The weights that a run begins with.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use burn::module::Module;
use burn::tensor::Device;

use super::{Event, Observer, TrainError, optimizer, qat};
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
    config.clone().pin().map_err(InitError::from)?;
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
    if donor.config.training.qat {
        let path = path.to_owned();
        return Err(InitError::Rounded { path }.into());
    }
    let same_classes = donor.labels == run.labels;
    let donor = donor.network(&device.clone().inner());
    let donor = donor.map_err(InitError::from)?;
    let begun = init::from_network(network, &spec, &donor, same_classes, device);
    Ok(begun?)
}

/// The network of a run with the same layout, folded, with scales for its activations.
fn rounded(
    run: &Run,
    path: &Path,
    val: &Cache,
    device: &Device,
) -> Result<(Network, Grafted), TrainError> {
    let donor = Run::open(path).map_err(InitError::from)?;
    if donor.spec()? != run.spec()? || donor.labels != run.labels {
        let path = path.display();
        return Err(TrainError::Qat(anyhow!(
            "{path} has another [model], input or other classes than this run; leave --config out to take its \
             own, and give the pictures of its classes"
        )));
    }
    let network = donor.network(&device.clone().inner());
    let network = network.map_err(InitError::from)?.folded(device);
    let scales = qat::scales(run, &network.valid(), val).map_err(TrainError::Qat)?;
    let grafted = all_of(&network);
    Ok((network.with_scales(Some(scales.into())), grafted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InitConfig;
    use crate::model::ModelConfig;
    use crate::training::checkpoint::save_network;

    #[test]
    fn a_run_of_integers_is_no_start_for_floats() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let (at, model) = (folder.path(), ModelConfig::default());
        let run = Run::of_model(&at.join("run"), model.clone());
        let mut rounded = Run::of_model(&at.join("rounded"), model);
        rounded.config.training.qat = true;
        rounded.config.init = Some(InitConfig::new(run.folder.clone()));
        rounded.save().unwrap();
        let fresh = run.fresh_network(&device).unwrap();
        let error = floats(&run, fresh, &rounded.folder, 1e-5, &device).unwrap_err();
        assert!(error.to_string().contains("--qat"), "{error}");
    }

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
