//! How well a model tells pictures of something else from those that it is for.

use std::path::{Path, PathBuf};

use anyhow::bail;
use kiln_run::pictures;
use rayon::prelude::*;

use crate::cmd::classify::said;
use crate::cmd::model::Pictures;
use crate::cmd::ui::{self, LazyBar};
use crate::data::Dataset;
use crate::evaluate::{Strangers, auroc};
use crate::inference::Model;

/// Asks about the pictures of the data and about those of a folder that are of something else.
///
/// # Errors
/// A model that does not say what it knows; a folder without pictures that can be read.
pub fn ask(
    model: &Model,
    data: &Dataset,
    known: &Pictures,
    folder: &Path,
) -> anyhow::Result<Strangers> {
    let strangers = pictures::files(&[folder.to_owned()])?;
    if strangers.is_empty() {
        bail!("{}: no pictures found", folder.display());
    }
    let known: Vec<_> = known
        .samples()
        .iter()
        .map(|sample| data.file(sample))
        .collect();
    let recipe = model.recipe()?;
    let answerer = model.answerer()?;
    let bar = LazyBar::default();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let total = known.len() + strangers.len();
    let scores = |files: &[PathBuf], folder: &Path| -> anyhow::Result<Vec<f32>> {
        let each = files.par_iter().map_init(
            || (answerer.session(), Vec::new()),
            |(session, scratch), file| {
                let said = said(session, file, &recipe, scratch);
                let count = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                bar.show("telling apart", count, total);
                match said.map(|said| said.known) {
                    Ok(Some(known)) => Ok(Some(known)),
                    Ok(None) => {
                        bail!("the model does not say what it knows: quantize it with --unknown")
                    }
                    Err(error) => {
                        bar.line(&format!("left out: {}", ui::reason(&error)));
                        Ok(None)
                    }
                }
            },
        );
        let scores: Vec<_> = each.collect::<anyhow::Result<_>>()?;
        let scores: Vec<f32> = scores.into_iter().flatten().collect();
        if scores.is_empty() {
            bail!("{}: no picture in it can be read", folder.display());
        }
        Ok(scores)
    };
    let [known, strangers] = [scores(&known, &data.root)?, scores(&strangers, folder)?];
    bar.clear();
    let share = |scores: &[f32], what: fn(&f32) -> bool| {
        scores.iter().filter(|score| what(score)).count() as f64 / scores.len() as f64
    };
    Ok(Strangers {
        n: strangers.len(),
        auroc: auroc(&known, &strangers),
        accepted: share(&known, |known| *known >= 0.0),
        refused: share(&strangers, |known| *known < 0.0),
    })
}
