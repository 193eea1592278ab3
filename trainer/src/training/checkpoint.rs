//! What a run needs to go on after a stop, in one folder that appears whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::{ModuleRecord, RecordError};
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

/// Writes `bytes` beside `path`, flushes them to the disk, then renames: never half a file.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    fs::write(&part, bytes)?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, path)
}

/// Writes a network's weights as one burnpack file.
pub fn save_network(network: &Network, path: &Path) -> Result<(), CheckpointError> {
    // `valid` brings the running statistics up to date.
    let bytes = network.valid().into_record().into_bytes();
    let bytes = bytes.map_err(record_error(path))?;
    write_atomic(path, &bytes).map_err(io_error(path))
}

/// Reads weights into a network of the same shape.
pub fn load_network(network: Network, path: &Path) -> Result<Network, CheckpointError> {
    fs::metadata(path).map_err(io_error(path))?;
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
        save_network(&self.network, &part.join("network.bpk"))?;
        if let Some(average) = &self.average {
            save_network(average, &part.join("average.bpk"))?;
        }
        let path = part.join("optimizer.bpk");
        let bytes = self.optimizer.into_bytes().map_err(record_error(&path))?;
        write_atomic(&path, &bytes).map_err(io_error(&path))?;
        let path = part.join("progress.json");
        let text = serde_json::to_string(&self.progress).unwrap_or_default();
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
    /// `network` gives the shapes and the device. The optimiser is built for the loaded network:
    /// its groups go by the parameters' ids, which come from the file.
    pub fn load(
        folder: &Path,
        network: Network,
        with_average: bool,
        optimizer: impl FnOnce(&Network) -> ModuleOptimizer,
    ) -> Result<Option<Self>, CheckpointError> {
        if !folder.exists() {
            return Ok(None);
        }
        let Some(newest) = list(folder).map_err(io_error(folder))?.pop() else {
            return Ok(None);
        };
        let average = match with_average {
            true => Some(load_network(network.valid(), &newest.join("average.bpk"))?),
            false => None,
        };
        let path = newest.join("optimizer.bpk");
        let record = OptimizerRecord::load(&path).map_err(record_error(&path))?;
        let path = newest.join("progress.json");
        let text = fs::read_to_string(&path).map_err(io_error(&path))?;
        let progress = serde_json::from_str(&text).map_err(|error| CheckpointError::Record {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        let network = load_network(network, &newest.join("network.bpk"))?;
        Ok(Some(Self {
            optimizer: optimizer(&network).load_record(record),
            network,
            average,
            progress,
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
