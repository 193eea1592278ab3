//! The training loop: epochs of steps, validation, checkpoints, resume.

pub mod checkpoint;
pub mod metrics;
pub mod optimizer;
pub mod step;
pub mod teacher;

mod engine;
mod error;
mod event;
mod lessons;
mod qat;
mod replica;
mod session;
mod start;
mod totals;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use self::error::TrainError;
pub use self::event::{Event, Observer};
use self::metrics::EpochMetrics;
use self::session::Session;
use crate::data::cache::{Cache, CacheOptions, Form, Source};
use crate::data::{Dataset, Split};
use crate::device::Devices;
use crate::run::Run;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// All epochs are done.
    Complete,
    /// The validation loss did not fall for `patience` epochs.
    Early,
    /// It was asked to stop; the last checkpoint is kept.
    Stopped,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// All epochs.
    pub epochs: Vec<EpochMetrics>,
    /// The epoch (from 1) whose weights `model.bpk` holds.
    pub best_epoch: Option<usize>,
}

impl Outcome {
    /// The figures of the epoch whose weights are kept.
    pub fn best(&self) -> Option<&EpochMetrics> {
        let best = self.best_epoch?;
        self.epochs.iter().find(|epoch| epoch.epoch == best)
    }
}

/// What a run needs beside its configuration.
pub struct Setup<'a> {
    /// The pictures.
    pub data: &'a Dataset,
    /// Where decoded pictures are kept between epochs and runs; `None` for memory only.
    pub cache: Option<PathBuf>,
    /// Where to compute.
    pub devices: &'a Devices,
    /// Whether convolutions are computed in bf16.
    pub bf16: bool,
    /// Go on from the last checkpoint.
    pub resume: bool,
    /// Set it to stop after the current step.
    pub stop: &'a AtomicBool,
}

/// Opens a split's cache, with its events.
pub fn open_cache(
    run: &Run,
    setup: &Setup<'_>,
    split: Split,
    form: Form,
    most_broken: usize,
    observe: Observer<'_>,
) -> Result<Arc<Cache>, TrainError> {
    let name = split.name();
    let source = Source {
        name,
        root: &setup.data.root,
        samples: setup.data.split(split),
    };
    let options = CacheOptions {
        dir: setup.cache.clone(),
        most_broken,
        ..run.config.data.cache_options()
    };
    let cache = Cache::open(&source, form, &options, &|done, total| {
        observe(Event::Caching {
            split: name,
            done,
            total,
        });
    })?;
    if !cache.broken().is_empty() {
        observe(Event::Broken(cache.broken()));
    }
    Ok(Arc::new(cache))
}

/// Trains `run` to its end, writing configuration, checkpoints, metrics and curves into its folder. What another run
/// has left there stays until everything that this one needs has been read.
pub fn train(run: &Run, setup: &Setup<'_>, observe: Observer<'_>) -> Result<Outcome, TrainError> {
    let mut session = Session::new(run, setup, observe)?;
    session.begin()?;
    let epochs = run.config.training.epochs;
    let patience = run.config.training.patience;
    while session.progress.epochs < epochs {
        if session.progress.stalled(patience) {
            session.forget_lessons()?;
            return Ok(session.outcome(Ending::Early));
        }
        let Some((metrics, best)) = session.epoch()? else {
            return Ok(session.outcome(Ending::Stopped));
        };
        observe(Event::Epoch {
            metrics: &metrics,
            best,
        });
    }
    session.forget_lessons()?;
    Ok(session.outcome(Ending::Complete))
}
