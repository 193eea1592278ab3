//! A run's folder: what lies where.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use kiln_runtime::files::write_atomic;
use kiln_runtime::quantize::Scale;
use thiserror::Error;

use crate::config::{ConfigError, RunConfig};
use crate::disk::{if_there, real_path};
use crate::model::network::Scales;
use crate::model::{ModelSpec, Network, SpecError};
use crate::training::checkpoint::{CheckpointError, load_network};

/// A folder that `kiln train` made.
#[derive(Clone, Debug)]
pub struct Run {
    /// The folder.
    pub folder: PathBuf,
    /// `run.toml`
    pub config: RunConfig,
    /// `labels.json`: class names in the order of the logits.
    pub labels: Vec<String>,
}

/// Why a folder is not a run.
#[derive(Debug, Error)]
pub enum RunError {
    /// A file is missing or unreadable.
    #[error("{path}: {source}; is this a folder that `kiln train --out` made?")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `labels.json` is not a list of names.
    #[error("{path}: not a list of class names: {cause}")]
    Labels {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        cause: String,
    },
    /// `scales.json` is not one for this network.
    #[error("{path}: not the network's scales: {cause}")]
    Scales {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// `run.toml` is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model is not one.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The weights are not usable.
    #[error(transparent)]
    Weights(#[from] CheckpointError),
}

const WEIGHTS: &str = "model.bpk";
const METRICS: &str = "metrics.jsonl";
const CURVES: &str = "curves.png";
const ONNX: &str = "model.onnx";
const SPLIT: &str = "split.json";
const SCALES: &str = "scales.json";
const CHECKPOINTS: &str = "checkpoints";
const EVALUATION: &str = "evaluation";
const LESSONS: &str = "lessons";
const REPORT: &str = "report.html";

/// What a run writes beside `run.toml` and `labels.json`, and what other commands make of it there.
const FILES: [&str; 11] = [
    WEIGHTS,
    METRICS,
    CURVES,
    ONNX,
    SPLIT,
    SCALES,
    "model.int8.onnx",
    "model.kiln",
    "quantize.json",
    "profile.json",
    REPORT,
];
const FOLDERS: [&str; 3] = [CHECKPOINTS, EVALUATION, LESSONS];
/// What is there before any epoch is done.
const EARLY: [&str; 4] = [METRICS, SPLIT, SCALES, LESSONS];

/// Whether a folder says that it is a run's.
pub fn is_run(folder: &Path) -> bool {
    folder.join("run.toml").exists()
}

impl Run {
    /// Opens a run's folder.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join("labels.json");
        let text = fs::read_to_string(&path).map_err(|source| RunError::Io {
            path: path.clone(),
            source,
        })?;
        let labels = serde_json::from_str(&text).map_err(|error| RunError::Labels {
            path,
            cause: error.to_string(),
        })?;
        let config = RunConfig::load(&folder.join("run.toml"))?;
        config.check()?;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            labels,
        })
    }

    /// Writes `run.toml` and `labels.json` into the folder, which need not be there.
    pub fn save(&self) -> Result<(), RunError> {
        let io = |path: PathBuf| move |source| RunError::Io { path, source };
        fs::create_dir_all(&self.folder).map_err(io(self.folder.clone()))?;
        let path = self.folder.join("labels.json");
        let text = serde_json::to_string_pretty(&self.labels).unwrap_or_default();
        write_atomic(&path, text.as_bytes()).map_err(io(path))?;
        let path = self.folder.join("run.toml");
        let text = self.config.to_toml().map_err(|error| ConfigError::Parse {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        write_atomic(&path, text.as_bytes()).map_err(io(path))
    }

    /// Removes what a run has written into the folder and what was made of it by its usual names, nothing else.
    pub fn clear(&self) -> io::Result<()> {
        // Checkpoints first: if this is cut short, nothing goes on from them without what lay beside them.
        for name in FOLDERS {
            if_there(fs::remove_dir_all(self.folder.join(name)))?;
        }
        for name in FILES {
            if_there(fs::remove_file(self.folder.join(name)))?;
        }
        Ok(())
    }

    /// What lies in a folder where [`clear`](Self::clear) would remove it: with a run's `run.toml` beside it, what
    /// an epoch has made or another command; else anything at all.
    pub fn left(folder: &Path) -> Option<PathBuf> {
        let of_a_run = is_run(folder);
        let names = FILES.iter().chain(&FOLDERS);
        let mut names = names.filter(|name| !of_a_run || !EARLY.contains(name));
        names.find_map(|name| Some(folder.join(name)).filter(|path| path.exists()))
    }

    /// Whether `path` is of what a new run in a folder removes, or the run there itself.
    ///
    /// # Errors
    /// Where the paths lead cannot be told.
    pub fn replaces(folder: &Path, path: &Path) -> io::Result<bool> {
        let (folder, path) = (real_path(folder)?, real_path(path)?);
        let mut names = FILES.iter().chain(&FOLDERS);
        Ok(path == folder || names.any(|name| path.starts_with(folder.join(name))))
    }

    /// The network's layout.
    pub fn spec(&self) -> Result<ModelSpec, SpecError> {
        let classes = self.labels.len();
        self.config.model.spec(self.config.input(), classes)
    }

    /// The network with the run's best weights, for inference: as integers will compute it where it was
    /// trained so.
    pub fn network(&self, device: &Device) -> Result<Network, RunError> {
        let network = self.scaled(self.fresh_network(device)?)?;
        Ok(load_network(network, &self.weights())?)
    }

    /// The network with no weights or scales of its own yet.
    pub fn fresh_network(&self, device: &Device) -> Result<Network, RunError> {
        let network = Network::new(&self.spec()?, device);
        Ok(match self.config.training.qat {
            true => network.folded(device),
            false => network,
        })
    }

    /// A network with the scales that the run keeps, if it is trained as integers will compute it.
    pub fn scaled(&self, network: Network) -> Result<Network, RunError> {
        if !self.config.training.qat {
            return Ok(network);
        }
        let scales = self.read_scales(network.activations())?;
        Ok(network.with_scales(Some(scales)))
    }

    fn read_scales(&self, count: usize) -> Result<Scales, RunError> {
        let path = self.scales();
        let text = fs::read_to_string(&path).map_err(|source| RunError::Io {
            path: path.clone(),
            source,
        })?;
        let refuse = |cause| RunError::Scales { path, cause };
        let scales: Vec<Scale> = match serde_json::from_str(&text) {
            Ok(scales) => scales,
            Err(error) => return Err(refuse(error.to_string())),
        };
        if scales.len() != count {
            return Err(refuse(format!("{} where it has {count}", scales.len())));
        }
        match scales
            .iter()
            .find(|scale| !scale.scale.is_normal() || scale.scale < 0.0)
        {
            Some(scale) => Err(refuse(format!("{} is {}", scale.name, scale.scale))),
            None => Ok(scales.into()),
        }
    }

    /// Keeps the scales that a network is trained with.
    pub fn write_scales(&self, scales: &[Scale]) -> Result<(), RunError> {
        let path = self.scales();
        let text = serde_json::to_string_pretty(scales).unwrap_or_default();
        write_atomic(&path, text.as_bytes()).map_err(|source| RunError::Io { path, source })
    }

    /// The weights of the epoch with the lowest validation loss.
    pub fn weights(&self) -> PathBuf {
        self.folder.join(WEIGHTS)
    }

    /// The same of an epoch whose checkpoint is not written yet.
    pub fn weights_of(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("model.epoch-{epoch}.bpk"))
    }

    /// The activations' scales, where the network is trained as integers will compute it.
    pub fn scales(&self) -> PathBuf {
        self.folder.join(SCALES)
    }

    /// Checkpoints, to go on from.
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join(CHECKPOINTS)
    }

    /// One line an epoch.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join(METRICS)
    }

    /// Loss and accuracy by epoch.
    pub fn curves(&self) -> PathBuf {
        self.folder.join(CURVES)
    }

    /// What the teacher said, while training.
    pub fn lessons(&self) -> PathBuf {
        self.folder.join(LESSONS)
    }

    /// Which picture is in which split.
    pub fn split(&self) -> PathBuf {
        self.folder.join(SPLIT)
    }

    /// What `kiln eval` writes: figures, confusion matrix, mistakes.
    pub fn evaluation(&self) -> PathBuf {
        self.folder.join(EVALUATION)
    }

    /// The page that `kiln report` makes.
    pub fn report(&self) -> PathBuf {
        self.folder.join(REPORT)
    }

    /// The exported model.
    pub fn onnx(&self) -> PathBuf {
        self.folder.join(ONNX)
    }
}

#[cfg(test)]
impl Run {
    /// A new run of a network, of three classes and pictures of 40 columns and 32 rows.
    pub(crate) fn of_model(folder: &Path, model: crate::model::ModelConfig) -> Self {
        let mut config = RunConfig {
            model,
            ..Default::default()
        };
        (config.recipe.width, config.recipe.height) = (40, 32);
        let run = Self {
            folder: folder.to_owned(),
            config,
            labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
        };
        run.save().unwrap();
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn what_a_new_run_would_remove_is_found() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        assert_eq!(Run::left(folder), None);
        fs::write(folder.join(METRICS), "").unwrap();
        assert_eq!(Run::left(folder), Some(folder.join(METRICS)));
        // Killed in its first epoch: nothing is lost.
        let run = Run::of_model(folder, ModelConfig::default());
        assert_eq!(Run::left(folder), None);
        fs::write(run.report(), "").unwrap();
        assert_eq!(Run::left(folder), Some(run.report()));
        fs::create_dir(run.evaluation()).unwrap();
        run.clear().unwrap();
        assert_eq!(Run::left(folder), None);
        assert!(is_run(folder));
        for (path, removed) in [
            ("", true),
            ("model.onnx", true),
            ("checkpoints/epoch-1.bpk", true),
            ("efficientnet-lite0.pth", false),
            ("../other", false),
        ] {
            assert_eq!(
                Run::replaces(folder, &folder.join(path)).unwrap(),
                removed,
                "{path}"
            );
        }
    }
}
