use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checkpoint::CheckpointError;
use super::teacher::TeacherError;
use crate::data::cache::CacheError;
use crate::data::dataset::DatasetError;
use crate::data::loader::LoaderError;
use crate::model::SpecError;
use crate::model::init::InitError;

/// Why a run stopped.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The model is not one.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The weights to start from do not fit.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The splits could not be written down.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// Pictures could not be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A batch could not be prepared.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Quantization-aware training has nothing to start from.
    #[error("--qat: {0:#}")]
    Qat(anyhow::Error),
    /// The teacher does not fit.
    #[error(transparent)]
    Teacher(#[from] TeacherError),
    /// There is no room for what a teacher says.
    #[error("{0:#}")]
    Disk(anyhow::Error),
    /// What a teacher said is not all there.
    #[error("{path}: it is not what the teacher said; delete it and go on with --resume")]
    Lessons {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes into the run's folder.
    #[error(
        "{}: another kiln trains this run; wait until it ends, or stop it",
        .folder.display()
    )]
    Held {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the run could not be written or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The curves could not be drawn.
    #[error("{0:#}")]
    Curves(anyhow::Error),
    /// Not one batch.
    #[error(
        "train: {pictures} pictures do not fill one batch of {batch}: give --batch {pictures} or less"
    )]
    TooFew {
        /// Pictures in the training split.
        pictures: usize,
        /// The batch.
        batch: usize,
    },
    /// A worker or a GPU failed.
    #[error("device: {0}")]
    Device(String),
    /// The loss is no number any more.
    #[error(
        "{what} became NaN or infinite in epoch {epoch}; {} kept in {folder}: lower --lr, or turn \
         gradient clipping on (--set optimizer.clip_norm=1)",
        match kept {
            0 => "no epoch was finished, so nothing is".to_owned(),
            kept => format!("the checkpoint after epoch {kept} is"),
        }
    )]
    Diverged {
        /// Which loss.
        what: &'static str,
        /// From 1.
        epoch: usize,
        /// Epochs that are saved.
        kept: usize,
        /// The run's folder.
        folder: PathBuf,
    },
}

impl TrainError {
    /// What becomes of an error in reading or writing a file.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
