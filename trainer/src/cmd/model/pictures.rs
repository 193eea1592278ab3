//! Pictures as a model sees them.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use kiln_core::preprocess::Recipe;

use crate::cmd::ui::LazyBar;
use crate::data::augment::AugmentConfig;
use crate::data::cache::{Cache, CacheOptions, Form, Source};
use crate::data::dataset::SplitOptions;
use crate::data::loader::{Loader, LoaderOptions};
use crate::data::{Dataset, Sample};
use crate::disk;
use crate::inference::Model;

/// A split's pictures as a model sees them.
pub struct Pictures {
    cache: Arc<Cache>,
    recipe: Recipe,
    classes: usize,
}

impl Pictures {
    /// Decodes pictures in memory as `model` sees them; broken files are named on stderr and left
    /// out. `name` is the part of the data that they are, for messages.
    pub fn open(
        data: &Dataset,
        name: &str,
        samples: &[Sample],
        model: &Model,
    ) -> anyhow::Result<Self> {
        let bar = LazyBar::default();
        let source = Source {
            name,
            root: &data.root,
            samples,
        };
        let recipe = model.recipe()?;
        let form = Form::Exact(recipe);
        let progress = |done, total| bar.show("decoding", done, total);
        let cache = Cache::open(&source, form, &cache_options(model), &progress)?;
        for file in cache.broken() {
            bar.line(&format!("left out: {}: {}", file.path, file.reason));
        }
        if cache.is_empty() {
            bail!(
                "{}: no pictures in the {name} split; --split names another one",
                data.root.display()
            );
        }
        Ok(Self {
            cache: Arc::new(cache),
            recipe,
            classes: data.classes.len(),
        })
    }

    /// Batches in file order.
    pub fn loader(&self) -> anyhow::Result<Loader> {
        let options = LoaderOptions::evaluation(self.classes, 64);
        let off = AugmentConfig::off();
        Ok(Loader::new(
            self.cache.clone(),
            &self.recipe,
            &off,
            &options,
        )?)
    }

    /// Those that could be read, in the order of the batches. There is at least one.
    pub fn samples(&self) -> &[Sample] {
        self.cache.samples()
    }
}

/// A run reads pictures under its own bounds. However many are broken, the rest are measured.
fn cache_options(model: &Model) -> CacheOptions {
    match model {
        Model::Run(run) => run.config.data.cache_options(),
        _ => CacheOptions::default(),
    }
}

/// Opens the pictures, split as the run split them, with the classes in the model's order. `all` says that
/// the whole folder is wanted, however it is split.
///
/// # Errors
/// The classes are others than the model's; the folder has no splits and the model does not tell how they
/// were drawn.
pub fn open_data(
    model: &Model,
    path: &Path,
    labels: &[String],
    all: bool,
) -> anyhow::Result<Dataset> {
    let mut data = match model {
        Model::Run(run) if disk::same(path, &run.config.data.path) && run.split().exists() => {
            Dataset::read_split(path, &run.split())?
        }
        _ if all => Dataset::open(path, &SplitOptions::NONE)?,
        // The draw goes by paths and seed: a copy of the pictures is split alike.
        _ => Dataset::open(path, &model.split_options().unwrap_or_default())?,
    };
    if !all && model.split_options().is_none() && !data.given {
        bail!(
            "{}: it has no train, val and test folders, and this model does not tell how they were drawn, as \
             ONNX files of kiln export and kiln quantize do; for all pictures: --split all",
            path.display()
        );
    }
    if !data.label_as(labels) {
        bail!(
            "{}: it has the classes {:?}, the model knows {labels:?}; name the class folders as the \
             model's classes",
            path.display(),
            data.classes
        );
    }
    Ok(data)
}
