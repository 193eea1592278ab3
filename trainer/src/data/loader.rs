//! Batches, prepared on worker threads ahead of the step.
//!
//! What is in a batch depends on the seed, the epoch and the batch's number, never on the number of threads:
//! each sample and each batch has a random stream of its own, and batches are handed out in order. Worker `w`
//! of `n` prepares batches `w`, `w + n`, `w + 2n`, … into a short queue of its own, and the queues are read
//! in turn.

mod pixels;
mod worker;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use kiln_core::preprocess::{PreprocessError, Recipe};
use rand::seq::SliceRandom;

pub use self::pixels::{Inputs, Pixels};
use self::worker::{Plan, Seen};
use super::augment::{AugmentConfig, AugmentError};
use super::cache::{Cache, CacheError, Form};
use super::random::stream;

/// Which batches, in which order, and how they are prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Pictures in a batch.
    pub batch: usize,
    /// Width of the targets.
    pub classes: usize,
    /// Another seed, another order and other augmentations.
    pub seed: u64,
    /// Which pass over the pictures.
    pub epoch: u64,
    /// Whether the pictures are shuffled; else they come in the cache's order.
    pub shuffle: bool,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// Whether pictures that are not mixed stay bytes, for the device to normalise.
    pub bytes: bool,
    /// The recipe of a teacher that takes another size: it sees the same part of each picture in that.
    pub teacher: Option<Recipe>,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Batches that wait in each worker's queue at most.
    pub ahead: usize,
}

impl LoaderOptions {
    /// For one epoch of training: shuffled, full batches.
    pub fn training(classes: usize, batch: usize, seed: u64, epoch: u64) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            batch,
            classes,
            seed,
            epoch,
            shuffle: true,
            drop_last: true,
            bytes: false,
            teacher: None,
            threads: (cores / 2).clamp(1, 8),
            ahead: 2,
        }
    }

    /// For evaluation: every picture once, in order.
    pub fn evaluation(classes: usize, batch: usize) -> Self {
        Self {
            shuffle: false,
            drop_last: false,
            ..Self::training(classes, batch, 0, 0)
        }
    }
}

/// Why there is no loader, or no next batch.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// An option is out of its range.
    #[error("{0}")]
    Options(String),
    /// The augmentation cannot be used.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The recipe cannot be used.
    #[error("the preprocessing recipe cannot be used: {0}")]
    Recipe(#[from] PreprocessError),
    /// A picture could not be had.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A worker thread could not be started.
    #[error("no thread for the data loader: {0}")]
    Thread(#[from] std::io::Error),
    /// A worker thread has died, which is a fault in Kiln.
    #[error(
        "a worker thread of the data loader ended early: please report this as a fault of Kiln"
    )]
    Worker,
}

/// Pictures and targets for one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Which of the epoch's, from 0.
    pub number: usize,
    /// The pictures.
    pub inputs: Inputs,
    /// The same, augmented alike, as [`LoaderOptions::teacher`] says.
    pub teacher: Option<Inputs>,
    /// `[n, classes]`: each row sums to 1; one-hot but for mixup and cutmix.
    pub targets: Vec<f32>,
    /// `[n]`: the pictures' own classes.
    pub labels: Vec<usize>,
    /// `[n]`: indices into [`Cache::samples`].
    pub indices: Vec<usize>,
}

/// One epoch's batches, in order.
#[derive(Debug)]
pub struct Loader {
    queues: Vec<Receiver<Result<Batch, LoaderError>>>,
    workers: Vec<JoinHandle<()>>,
    next: usize,
    batches: usize,
}

impl Loader {
    /// Starts to prepare the batches.
    ///
    /// # Errors
    ///
    /// Options, recipe or augmentation that cannot be used, or that ask for another [`Form`] than the
    /// cache's: random crops and a teacher need working copies, an exact cache its own recipe.
    pub fn new(
        cache: Arc<Cache>,
        recipe: &Recipe,
        config: &AugmentConfig,
        options: &LoaderOptions,
    ) -> Result<Self, LoaderError> {
        recipe.check()?;
        options.teacher.as_ref().map_or(Ok(()), Recipe::check)?;
        config.check()?;
        check(&cache, recipe, config, options)?;
        let mut order: Vec<usize> = (0..cache.len()).collect();
        if options.shuffle {
            order.shuffle(&mut stream("shuffle", &[options.seed, options.epoch]));
        }
        let batches = if options.drop_last {
            cache.len() / options.batch
        } else {
            cache.len().div_ceil(options.batch)
        };
        let plan = Arc::new(Plan {
            cache,
            seen: Seen::by(recipe),
            teacher: options.teacher.as_ref().map(Seen::by),
            config: *config,
            options: options.clone(),
            order,
        });
        let threads = options.threads.clamp(1, batches.max(1));
        let mut loader = Self {
            queues: Vec::with_capacity(threads),
            workers: Vec::with_capacity(threads),
            next: 0,
            batches,
        };
        for worker in 0..threads {
            let (sender, queue) = sync_channel(options.ahead);
            let (plan, numbers) = (Arc::clone(&plan), (worker..batches).step_by(threads));
            loader.queues.push(queue);
            loader.workers.push(
                thread::Builder::new()
                    .name(format!("kiln-data-{worker}"))
                    .spawn(move || plan.prepare(numbers, &sender))?,
            );
        }
        Ok(loader)
    }

    /// Batches in the whole epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, LoaderError>;

    /// The next batch; waits for it. After an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.batches {
            return None;
        }
        let queue = &self.queues[self.next % self.queues.len()];
        let item = queue.recv().unwrap_or(Err(LoaderError::Worker));
        self.next = match item {
            Ok(_) => self.next + 1,
            Err(_) => self.batches,
        };
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batches - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Loader {}

impl Drop for Loader {
    fn drop(&mut self) {
        // Without its queue, a worker's next send fails and it ends.
        self.queues.clear();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn check(
    cache: &Cache,
    recipe: &Recipe,
    config: &AugmentConfig,
    options: &LoaderOptions,
) -> Result<(), LoaderError> {
    let refuse = |what: String| Err(LoaderError::Options(what));
    if options.batch == 0 || options.classes == 0 {
        return refuse(format!(
            "batches of {} pictures of {} classes: choose at least 1 of each",
            options.batch, options.classes
        ));
    }
    if let Some(sample) = cache.samples().iter().find(|s| s.class >= options.classes) {
        return refuse(format!(
            "{} is of class {}, and there are {} classes",
            sample.path, sample.class, options.classes
        ));
    }
    if matches!(cache.form(), Form::Exact(_)) {
        if config.crop {
            return refuse("random crops need a cache of working copies, not an exact one".into());
        }
        if options.teacher.is_some() {
            return refuse(
                "a teacher that takes another size needs a cache of working copies".into(),
            );
        }
        if !cache.form().same_bytes(&Form::Exact(*recipe)) {
            return refuse("the cache was made for another recipe".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
