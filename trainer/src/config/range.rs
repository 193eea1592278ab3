//! What a run's values may be.

use std::path::PathBuf;

use thiserror::Error;

use super::{RunConfig, TrainingConfig};
use crate::data::augment::AugmentError;

/// A run file that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The text is not a run.
    #[error("{path}: {cause}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the line.
        cause: String,
    },
    /// A value is out of its range.
    #[error("run: `{key}` is {value}; it must be {must}")]
    Range {
        /// The key, with its table.
        key: &'static str,
        /// Its value.
        value: f64,
        /// The range, in words.
        must: &'static str,
    },
    /// Nothing to go on from.
    #[error("run: training.qat goes on from a trained run, and there is none: give --init RUN")]
    NoInit,
    /// The recipe is not one.
    #[error("run: [recipe]: {0}")]
    Recipe(kiln_core::preprocess::PreprocessError),
    /// The augmentation is not one.
    #[error("run: [augment]: {0}")]
    Augment(#[from] AugmentError),
}

impl RunConfig {
    /// Refuses values out of their range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let range = |key, value: f64, fine: bool, must| match fine {
            true => Ok(()),
            false => Err(ConfigError::Range { key, value, must }),
        };
        let share = |key, value: f64| {
            let fine = (0.0..1.0).contains(&value);
            range(key, value, fine, "at least 0 and less than 1")
        };
        let up_to = |key, value: usize, most, must| {
            range(key, value as f64, (1..=most).contains(&value), must)
        };
        let positive = |key, value: f64| {
            let fine = value.is_finite() && value > 0.0;
            range(key, value, fine, "more than 0")
        };
        let zero_or_more = |key, value: f64| {
            let fine = value.is_finite() && value >= 0.0;
            range(key, value, fine, "at least 0")
        };
        share("data.val", self.data.val)?;
        share("data.test", self.data.test)?;
        share("data.broken", self.data.broken)?;
        positive("optimizer.lr", self.optimizer.lr)?;
        zero_or_more("optimizer.weight_decay", self.optimizer.weight_decay)?;
        share("optimizer.momentum", self.optimizer.momentum)?;
        zero_or_more("optimizer.clip_norm", self.optimizer.clip_norm)?;
        zero_or_more("schedule.warmup", self.schedule.warmup)?;
        let end = self.schedule.end;
        range(
            "schedule.end",
            end,
            (0.0..=1.0).contains(&end),
            "between 0 and 1",
        )?;
        let TrainingConfig { epochs, batch, .. } = self.training;
        up_to("training.epochs", epochs, 1_000_000, "1 to 1,000,000")?;
        up_to("training.batch", batch, 65_536, "1 to 65,536")?;
        share("training.label_smoothing", self.training.label_smoothing)?;
        share("training.ema", self.training.ema)?;
        if self.training.qat && self.init.is_none() {
            return Err(ConfigError::NoInit);
        }
        if let Some(init) = &self.init {
            positive("init.epsilon", init.epsilon)?;
        }
        if let Some(teacher) = &self.teacher {
            let weight = teacher.weight;
            let fine = (0.0..=1.0).contains(&weight);
            range("teacher.weight", weight, fine, "between 0 and 1")?;
            positive("teacher.temperature", teacher.temperature)?;
            let features = teacher.features;
            let fine = features >= 0.0 && features.is_finite();
            range("teacher.features", features, fine, "0 or above")?;
        }
        self.augment.check()?;
        self.recipe().check().map_err(ConfigError::Recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let mut run = RunConfig::default();
        run.check().unwrap();
        run.optimizer.lr = f64::NAN;
        assert!(
            run.check()
                .unwrap_err()
                .to_string()
                .contains("optimizer.lr")
        );
        for (epochs, batch, key) in [
            (0, 64, "training.epochs"),
            (usize::MAX, 64, "training.epochs"),
            (30, 0, "training.batch"),
            (30, usize::MAX, "training.batch"),
        ] {
            let mut run = RunConfig::default();
            (run.training.epochs, run.training.batch) = (epochs, batch);
            let error = run.check().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        let mut run = RunConfig::default();
        run.training.qat = true;
        assert!(run.check().unwrap_err().to_string().contains("--init RUN"));
    }
}
