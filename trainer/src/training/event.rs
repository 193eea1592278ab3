//! What a run says while it works.

use super::metrics::EpochMetrics;
use crate::data::cache::Broken;
use crate::model::init::Grafted;

/// What a run says while it works.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Pictures of a split are decoded into the cache.
    Caching {
        /// The split.
        split: &'static str,
        /// Pictures done.
        done: usize,
        /// Pictures in all.
        total: usize,
    },
    /// Files that could not be read; they are left out.
    Broken(&'a [Broken]),
    /// The network starts from weights that were trained before.
    Started(&'a Grafted),
    /// A run goes on from a checkpoint.
    Resumed {
        /// Epochs done before.
        epochs: usize,
    },
    /// Steps of an epoch are done; the figures are means over the epoch so far.
    Steps {
        /// The epoch, from 1.
        epoch: usize,
        /// Steps done in it.
        done: usize,
        /// Steps in it.
        total: usize,
        /// Mean loss.
        loss: f64,
        /// Share of right answers.
        accuracy: f64,
        /// Training pictures a second.
        images_per_second: f64,
    },
    /// An epoch is done, validated and saved.
    Epoch {
        /// Its figures.
        metrics: &'a EpochMetrics,
        /// It has the lowest validation loss so far.
        best: bool,
    },
}

/// Receives events, from any thread.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);
