//! What a run needs to go on after a stop, in one folder that appears whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;
use kiln_runtime::files::write_atomic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Network;

/// Where a run stands after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs done.
    pub epochs: usize,
    /// Steps done.
    pub steps: usize,
    /// The epoch (from 1) with the lowest validation loss, and that loss.
    pub best: Option<(usize, f64)>,
}

impl Progress {
    /// Whether the validation loss has not fallen for `patience` epochs; never where that is 0.
    pub fn stalled(&self, patience: usize) -> bool {
        let best = self.best.map_or(0, |(epoch, _)| epoch);
        patience > 0 && self.epochs - best >= patience
    }
}

/// `progress.json`: where the run stands, and what the files beside it hold.
#[derive(Serialize, Deserialize)]
struct Manifest {
    progress: Progress,
    /// blake3 of each file, by its name.
    files: BTreeMap<String, String>,
}

impl Manifest {
    /// Writes a file into `folder`, and notes its hash.
    fn write(&mut self, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
        let path = folder.join(name);
        write_atomic(&path, bytes).map_err(io_error(&path))?;
        self.files.insert(name.to_owned(), hash(bytes));
        Ok(())
    }

    /// Compares every file with what was written.
    fn check(&self, folder: &Path) -> Result<(), CheckpointError> {
        for (name, expected) in &self.files {
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(io_error(&path))?;
            if hash(&bytes) != *expected {
                let cause = "its contents are not those that were written".to_owned();
                return Err(CheckpointError::Record { path, cause });
            }
        }
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The state of a run after an epoch.
pub struct Checkpoint {
    /// The weights that are trained.
    pub network: Network,
    /// Their moving average, if the run keeps one.
    pub average: Option<Network>,
    /// The optimiser's moments.
    pub optimizer: ModuleOptimizer,
    /// Where the run stands.
    pub progress: Progress,
}

/// Why a checkpoint was not written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There are no weights.
    #[error("{path} is not there; a run has weights once its first epoch is done")]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// A file in it is not what it should be.
    #[error(
        "{path}: {cause}; this checkpoint does not belong to the run's configuration, or is damaged"
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What burn said.
        cause: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError + '_ {
    move |source| CheckpointError::Io {
        path: path.to_owned(),
        source,
    }
}

fn record_error(path: &Path) -> impl FnOnce(RecordError) -> CheckpointError + '_ {
    move |error| CheckpointError::Record {
        path: path.to_owned(),
        cause: error.to_string(),
    }
}

/// Writes a network's weights as one burnpack file.
pub fn save_network(network: &Network, path: &Path) -> Result<(), CheckpointError> {
    write_atomic(path, &network_bytes(network, path)?).map_err(io_error(path))
}

/// A network's weights as a burnpack file's bytes; errors name `path`.
fn network_bytes(network: &Network, path: &Path) -> Result<Bytes, CheckpointError> {
    // `valid` brings the running statistics up to date.
    let bytes = network.valid().into_record().into_bytes();
    bytes.map_err(record_error(path))
}

/// Reads weights into a network of the same shape.
pub fn load_network(network: Network, path: &Path) -> Result<Network, CheckpointError> {
    let absent = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CheckpointError::Absent {
            path: path.to_owned(),
        },
        _ => io_error(path)(source),
    };
    fs::metadata(path).map_err(absent)?;
    let record = ModuleRecord::load(path).map_err(record_error(path))?;
    network.try_load_record(record).map_err(record_error(path))
}

impl Checkpoint {
    /// Writes `folder/epoch-N`, then removes the older ones there.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
        let name = format!("epoch-{:05}", self.progress.epochs);
        let part = folder.join(format!("{name}.part"));
        let whole = folder.join(&name);
        for leftover in [&part, &whole] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).map_err(io_error(leftover))?;
            }
        }
        fs::create_dir(&part).map_err(io_error(&part))?;
        let mut manifest = Manifest {
            progress: self.progress.clone(),
            files: BTreeMap::new(),
        };
        let network = network_bytes(&self.network, &part)?;
        manifest.write(&part, "network.bpk", &network)?;
        if let Some(average) = &self.average {
            let average = network_bytes(average, &part)?;
            manifest.write(&part, "average.bpk", &average)?;
        }
        let optimizer = self.optimizer.into_bytes().map_err(record_error(&part))?;
        manifest.write(&part, "optimizer.bpk", &optimizer)?;
        let path = part.join("progress.json");
        let text = serde_json::to_string(&manifest).unwrap_or_default();
        write_atomic(&path, text.as_bytes()).map_err(io_error(&path))?;
        fs::rename(&part, &whole).map_err(io_error(&whole))?;
        for older in list(folder).map_err(io_error(folder))? {
            if older != whole {
                fs::remove_dir_all(&older).map_err(io_error(&older))?;
            }
        }
        Ok(())
    }

    /// Reads the newest checkpoint of `folder`; `None` where there is none.
    ///
    /// `network`, asked where there is one, gives the shapes and the device. The optimiser is built for the loaded network:
    /// its groups go by the parameters' ids, which come from the file.
    pub fn load(
        folder: &Path,
        network: impl FnOnce() -> Network,
        with_average: bool,
        optimizer: impl FnOnce(&Network) -> ModuleOptimizer,
    ) -> Result<Option<Self>, CheckpointError> {
        if !folder.exists() {
            return Ok(None);
        }
        let Some(newest) = list(folder).map_err(io_error(folder))?.pop() else {
            return Ok(None);
        };
        let path = newest.join("progress.json");
        let text = fs::read_to_string(&path).map_err(io_error(&path))?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| CheckpointError::Record {
                path: path.clone(),
                cause: error.to_string(),
            })?;
        manifest.check(&newest)?;
        let network = network();
        let average = match with_average {
            true => Some(load_network(network.valid(), &newest.join("average.bpk"))?),
            false => None,
        };
        let path = newest.join("optimizer.bpk");
        let record = OptimizerRecord::load(&path).map_err(record_error(&path))?;
        let network = load_network(network, &newest.join("network.bpk"))?;
        Ok(Some(Self {
            optimizer: optimizer(&network).load_record(record),
            network,
            average,
            progress: manifest.progress,
        }))
    }
}

/// Whole checkpoints, oldest first.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if name.starts_with("epoch-") && !name.ends_with(".part") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::config::OptimizerConfig;
    use crate::model::ModelConfig;
    use crate::training::optimizer;

    fn checkpoint(epochs: usize) -> Checkpoint {
        let spec = ModelConfig::default().spec([3, 16, 16], 2).unwrap();
        let network = Network::new(&spec, &Device::flex().autodiff());
        Checkpoint {
            optimizer: optimizer::build(&OptimizerConfig::default(), &network),
            average: Some(network.valid()),
            network,
            progress: Progress {
                epochs,
                steps: 10 * epochs,
                best: Some((1, 0.5)),
            },
        }
    }

    fn load(folder: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
        let empty = || checkpoint(0).network;
        let build = |network: &Network| optimizer::build(&OptimizerConfig::default(), network);
        Checkpoint::load(folder, empty, true, build)
    }

    #[test]
    fn the_newest_whole_checkpoint_is_kept_and_loaded() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(&folder.path().join("none")).unwrap().is_none());
        checkpoint(3).save(folder.path()).unwrap();
        let newest = checkpoint(4);
        newest.save(folder.path()).unwrap();
        // A process that was killed while it wrote leaves this.
        fs::create_dir(folder.path().join("epoch-00005.part")).unwrap();
        assert_eq!(list(folder.path()).unwrap().len(), 1);
        let loaded = load(folder.path()).unwrap().unwrap();
        assert_eq!(loaded.progress, newest.progress);
        let weight = |network: &Network| network.classifier.weight.val().into_data();
        assert_eq!(weight(&loaded.network), weight(&newest.network));
        assert_eq!(weight(&loaded.average.unwrap()), weight(&newest.network));
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint(1).save(folder.path()).unwrap();
        for file in [
            "network.bpk",
            "average.bpk",
            "optimizer.bpk",
            "progress.json",
        ] {
            let path = folder.path().join("epoch-00001").join(file);
            let whole = fs::read(&path).unwrap();
            for cut in [0, 1, whole.len() / 2] {
                fs::write(&path, &whole[..cut]).unwrap();
                let error = load(folder.path()).err().map(|error| error.to_string());
                let error = error.unwrap_or_else(|| panic!("{file} cut at {cut} was accepted"));
                assert!(error.contains(file), "{error}");
            }
            fs::write(&path, whole).unwrap();
        }
        load(folder.path()).unwrap().unwrap();
    }

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let mut progress = checkpoint(4).progress;
        assert!(!progress.stalled(0) && !progress.stalled(4) && progress.stalled(3));
        progress.best = None;
        assert!(progress.stalled(4));
    }
}
