//! A run in progress: its state, and what an epoch does with it.

mod begin;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use kiln_core::preprocess::Recipe;

use super::checkpoint::{Checkpoint, Progress, save_network};
use super::engine::Engine;
use super::lessons::{Kept, Lessons};
use super::metrics::{self, EpochMetrics};
use super::step::Loss;
use super::teacher::Teacher;
use super::totals::Totals;
use super::{Ending, Event, Observer, Outcome, Setup, TrainError, open_cache};
use super::{optimizer, start};
use crate::data::Split;
use crate::data::augment::AugmentConfig;
use crate::data::cache::{Cache, Form};
use crate::data::loader::{Loader, LoaderOptions};
use crate::evaluate::{Answers, Evaluation};
use crate::model::Network;
use crate::model::init::InitError;
use crate::run::Run;

/// A run in progress.
pub struct Session<'a> {
    run: &'a Run,
    setup: &'a Setup<'a>,
    observe: Observer<'a>,
    recipe: Recipe,
    train: Arc<Cache>,
    val: Arc<Cache>,
    teacher: Option<(Teacher, Kept)>,
    engine: Engine,
    network: Network,
    average: Option<Network>,
    optimizer: ModuleOptimizer,
    pub progress: Progress,
    /// Keeps other processes out of the run's folder.
    held: Option<File>,
    history: Vec<EpochMetrics>,
}

impl<'a> Session<'a> {
    /// Reads and computes all that the first epoch needs, and writes nothing into the run's folder.
    pub fn new(
        run: &'a Run,
        setup: &'a Setup<'a>,
        observe: Observer<'a>,
    ) -> Result<Self, TrainError> {
        let config = &run.config;
        let recipe = config.recipe();
        let held = match setup.resume {
            true => Some(begin::hold(run)?),
            false => None,
        };
        let teacher = match &config.teacher {
            Some(teacher) => {
                let device = &setup.devices.list[0];
                Some(Teacher::load(teacher, &run.labels, &recipe, device)?)
            }
            None => None,
        };
        let seen = teacher.as_ref().and_then(Teacher::recipe);
        let form = Form::for_training(&recipe, &config.augment, seen.as_ref());
        let pictures = setup.data.train.len() + setup.data.val.len();
        let broken = (pictures as f64 * config.data.broken).floor() as usize;
        let train = open_cache(run, setup, Split::Train, form, broken, observe)?;
        let broken = broken - train.broken().len();
        let val = open_cache(run, setup, Split::Val, Form::Exact(recipe), broken, observe)?;
        let device = setup.devices.list[0].clone().autodiff();
        device.seed(config.seed);
        let network = run.fresh_network(&device).map_err(InitError::from)?;
        let network = match setup.resume {
            true => run.scaled(network).map_err(InitError::from)?,
            false => network,
        };
        let network = network.with_bf16(setup.bf16);
        let optimizer = |network: &Network| optimizer::build(&config.optimizer, network);
        let averages = config.training.ema > 0.0;
        let batch = config.training.batch;
        let whole = train.len() / batch * batch;
        if whole == 0 {
            return Err(TrainError::TooFew {
                pictures: train.len(),
                batch,
            });
        }
        let epochs = config.training.epochs;
        let teacher = teacher.map(|teacher| {
            let kept = Kept::new(run.lessons(), &teacher, [epochs, whole]);
            (teacher, kept)
        });
        let features = (teacher.as_ref()).and_then(|(teacher, _)| teacher.features());
        let projected = |network: Network| match features {
            Some(features) => network.with_projector(features, &device),
            None => network,
        };
        // A run that was stopped before its first checkpoint draws what it drew then.
        let shape = || projected(network.clone());
        let loaded = match setup.resume {
            true => Checkpoint::load(&run.checkpoints(), shape, averages, optimizer)?,
            false => None,
        };
        let state = match loaded {
            Some(state) => state,
            None => {
                let network = start::from(run, network, &val, &device, observe)?;
                let network = projected(network);
                Checkpoint {
                    average: averages.then(|| network.valid()),
                    optimizer: optimizer(&network),
                    network,
                    progress: Progress {
                        epochs: 0,
                        steps: 0,
                        best: None,
                    },
                }
            }
        };
        let epochs = state.progress.epochs;
        if epochs > 0 {
            observe(Event::Resumed { epochs });
        }
        Ok(Self {
            run,
            setup,
            observe,
            recipe,
            train,
            val,
            teacher,
            engine: Engine::new(&setup.devices.list),
            network: state.network,
            average: state.average,
            optimizer: state.optimizer,
            progress: state.progress,
            held,
            history: metrics::read(&run.metrics(), epochs)
                .map_err(TrainError::at(&run.metrics()))?,
        })
    }

    pub fn outcome(&self, ending: Ending) -> Outcome {
        Outcome {
            ending,
            epochs: self.history.clone(),
            best_epoch: self.progress.best.map(|(epoch, _)| epoch),
        }
    }

    /// One epoch: steps, validation, checkpoint, metrics. `None` if it was asked to stop.
    pub fn epoch(&mut self) -> Result<Option<(EpochMetrics, bool)>, TrainError> {
        let start = Instant::now();
        let Some((totals, lr)) = self.steps()? else {
            return Ok(None);
        };
        let trained = start.elapsed().as_secs_f64();
        self.progress.epochs += 1;
        let epoch = self.progress.epochs;
        let weights = match &self.average {
            Some(average) => average.clone(),
            None => self.network.valid(),
        };
        let answers = self.validate(&weights)?;
        let val = Evaluation::new(&answers);
        if !val.loss.is_finite() {
            return Err(self.diverged(epoch, epoch - 1, "the validation loss"));
        }
        let tempered = answers.tempered().loss_after;
        let best = self.progress.best.is_none_or(|(_, loss)| tempered < loss);
        if best {
            self.progress.best = Some((epoch, tempered));
            save_network(&weights.without_projector(), &self.run.weights_of(epoch))?;
        }
        let checkpoint = Checkpoint {
            network: self.network.clone(),
            average: self.average.clone(),
            optimizer: self.optimizer.clone(),
            progress: self.progress.clone(),
        };
        let metrics = EpochMetrics {
            epoch,
            steps: self.progress.steps,
            lr,
            train_loss: totals.loss(),
            train_accuracy: totals.accuracy(),
            val_loss: val.loss,
            val_tempered_loss: Some(tempered),
            val_accuracy: val.accuracy,
            images_per_second: totals.pictures as f64 / trained,
            seconds: start.elapsed().as_secs_f64(),
        };
        self.history.push(metrics.clone());
        let path = self.run.metrics();
        metrics::write(&path, &self.history).map_err(TrainError::at(&path))?;
        // After the metrics: lines beyond the checkpoint are cut on resume, missing ones never come.
        checkpoint.save(&self.run.checkpoints())?;
        self.keep_best()?;
        metrics::draw_curves(&self.run.curves(), &self.history).map_err(TrainError::Curves)?;
        Ok(Some((metrics, best)))
    }

    /// The steps of one epoch; the last learning rate with it.
    fn steps(&mut self) -> Result<Option<(Totals, f64)>, TrainError> {
        let config = &self.run.config;
        let epoch = self.progress.epochs;
        // Dropout draws from the device: seeded by the epoch, a resumed run draws the same.
        let seed = config.seed.wrapping_mul(0x9e37_79b9);
        self.engine.seed(seed.wrapping_add(epoch as u64));
        let batch = config.training.batch;
        let lessons = self.teacher.as_ref();
        let lessons = lessons.map(|(teacher, kept)| Lessons::new(teacher, kept, epoch));
        let mut lessons = lessons.transpose()?;
        let options = LoaderOptions {
            bytes: self.setup.devices.take_bytes(),
            teacher: lessons.as_ref().and_then(Lessons::recipe),
            ..LoaderOptions::training(
                self.run.labels.len(),
                batch,
                config.seed,
                lessons.as_ref().map_or(epoch, Lessons::view) as u64,
            )
        };
        let mut loader = Loader::new(self.train.clone(), &self.recipe, &config.augment, &options)?;
        let steps = loader.batches().div_ceil(self.engine.devices());
        let loss = Loss::new(config.training.label_smoothing, config.teacher.as_ref());
        let start = Instant::now();
        let mut totals = Totals::default();
        let mut lr = 0.0;
        for step in 0..steps {
            if self.setup.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (grads, outputs) =
                self.engine
                    .step(&self.network, &mut loader, lessons.as_mut(), loss)?;
            let max = config.optimizer.clip_norm;
            let grads = match max > 0.0 {
                true => optimizer::clip_global_norm(&self.network, grads, max),
                false => grads,
            };
            let share = config
                .schedule
                .at(epoch * steps + step, steps, config.training.epochs);
            lr = config.optimizer.lr * share;
            self.network = self.optimizer.step(lr, self.network.clone(), grads);
            if let Some(average) = self.average.take() {
                // A young average follows the weights closely, so that it forgets the first ones.
                let young =
                    (1.0 + self.progress.steps as f64) / (10.0 + self.progress.steps as f64);
                let decay = config.training.ema.min(young);
                self.average = Some(optimizer::average(average, &self.network, decay));
            }
            self.progress.steps += 1;
            totals.pending.extend(outputs);
            // The losses are read every few steps: reading waits for the device.
            if (step + 1) % READ_EVERY == 0 || step + 1 == steps {
                totals.read();
                if !totals.loss().is_finite() {
                    return Err(self.diverged(epoch + 1, epoch, "the training loss"));
                }
                (self.observe)(Event::Steps {
                    epoch: epoch + 1,
                    done: step + 1,
                    total: steps,
                    loss: totals.loss(),
                    accuracy: totals.accuracy(),
                    images_per_second: totals.pictures as f64 / start.elapsed().as_secs_f64(),
                });
            }
        }
        lessons.map_or(Ok(()), Lessons::done)?;
        Ok(Some((totals, lr)))
    }

    fn diverged(&self, epoch: usize, kept: usize, what: &'static str) -> TrainError {
        TrainError::Diverged {
            what,
            epoch,
            kept,
            folder: self.run.folder.clone(),
        }
    }

    fn validate(&self, network: &Network) -> Result<Answers, TrainError> {
        let batch = self.run.config.training.batch.max(64);
        let options = LoaderOptions {
            bytes: self.setup.devices.take_bytes(),
            ..LoaderOptions::evaluation(self.run.labels.len(), batch)
        };
        let off = AugmentConfig::off();
        let loader = Loader::new(self.val.clone(), &self.recipe, &off, &options)?;
        let device = &self.setup.devices.list[0];
        Ok(Answers::of_network(network, loader, device, &|_| {})?)
    }
}

/// Steps between two looks at the loss.
const READ_EVERY: usize = 8;
