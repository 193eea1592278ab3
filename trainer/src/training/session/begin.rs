//! What a session writes before its first epoch, and which weights the run keeps.

use std::fs::{self, File};

use super::{Session, TrainError};
use crate::disk::{self, if_there};
use crate::model::init::InitError;
use crate::run::Run;
use crate::training::lessons;

/// Keeps other processes out of a run's folder, or is kept out.
pub(super) fn hold(run: &Run) -> Result<File, TrainError> {
    let held = disk::hold(&run.folder).map_err(TrainError::at(&run.folder))?;
    held.ok_or_else(|| TrainError::Held {
        folder: run.folder.clone(),
    })
}

impl Session<'_> {
    /// Makes the run's folder this run's. What another one has left there goes now, when this one is sure to
    /// start, and not before.
    pub fn begin(&mut self) -> Result<(), TrainError> {
        let run = self.run;
        if !self.setup.resume {
            fs::create_dir_all(&run.folder).map_err(TrainError::at(&run.folder))?;
            self.held = Some(hold(run)?);
            run.clear().map_err(TrainError::at(&run.folder))?;
        }
        // First, as it tells that what lies here is a run's.
        run.save().map_err(InitError::from)?;
        if !self.setup.resume {
            if let Some(scales) = self.network.scales() {
                run.write_scales(scales).map_err(InitError::from)?;
            }
            self.setup.data.write_split(&run.split())?;
        }
        if let Some((teacher, kept)) = &self.teacher {
            kept.begin(teacher)?;
        }
        self.keep_best()?;
        // Of an epoch whose checkpoint never came.
        let unfinished = run.weights_of(self.progress.epochs + 1);
        if_there(fs::remove_file(&unfinished)).map_err(TrainError::at(&unfinished))
    }

    /// Nothing that a teacher said is needed any more.
    pub fn forget_lessons(&self) -> Result<(), TrainError> {
        match self.teacher {
            Some(_) => lessons::forget(&self.run.lessons()),
            None => Ok(()),
        }
    }

    /// Puts the weights of the best epoch where they belong, once its checkpoint is written: killed before, the run
    /// goes on with the best weights that its last checkpoint knows of.
    pub fn keep_best(&self) -> Result<(), TrainError> {
        let Some((epoch, _)) = self.progress.best else {
            return Ok(());
        };
        let weights = self.run.weights_of(epoch);
        if_there(fs::rename(&weights, self.run.weights())).map_err(TrainError::at(&weights))
    }
}
