//! What is evaluated: a model, and pictures as it sees them.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use kiln_core::preprocess::Recipe;
use kiln_runtime::onnx::{self, OnnxFile};

use crate::cmd::ui::LazyBar;
use crate::data::augment::AugmentConfig;
use crate::data::cache::{Cache, CacheOptions, Form, Source};
use crate::data::loader::{Loader, LoaderOptions};
use crate::data::{Dataset, Sample};
use crate::run::Run;

/// A model that can be asked.
pub enum Model {
    /// A run's folder.
    Run(Box<Run>),
    /// An ONNX file.
    Onnx(Box<OnnxFile>),
}

impl Model {
    /// Opens a run's folder or an ONNX file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(match path.is_dir() {
            true => Self::Run(Box::new(Run::open(path)?)),
            false => Self::Onnx(Box::new(OnnxFile::load(path)?)),
        })
    }

    /// Class names in the order of the logits.
    pub fn labels(&self) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::Run(run) => run.labels.clone(),
            Self::Onnx(file) => file.labels()?,
        })
    }

    /// A run reads pictures under its own bounds. Where only a file is left, broken pictures are
    /// named and no share of them is too large.
    fn cache_options(&self) -> CacheOptions {
        match self {
            Self::Run(run) => run.config.data.cache_options(),
            Self::Onnx(_) => CacheOptions {
                broken_share: 1.0,
                ..Default::default()
            },
        }
    }

    /// How a picture becomes an input.
    pub fn recipe(&self) -> anyhow::Result<Recipe> {
        Ok(match self {
            Self::Run(run) => run.config.recipe(),
            Self::Onnx(file) => file.recipe()?.into(),
        })
    }
}

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
        let cache = Cache::open(&source, form, &model.cache_options(), &progress)?;
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

/// Opens the pictures, split as the run split them, and compares the classes.
pub fn open_data(model: &Model, path: &Path, labels: &[String]) -> anyhow::Result<Dataset> {
    let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    let data = match model {
        Model::Run(run) if same(path, &run.config.data.path) && run.split().exists() => {
            Dataset::read_split(path, &run.split())?
        }
        // The draw goes by paths and seed: a copy of the pictures is split alike.
        Model::Run(run) => Dataset::open(path, &run.config.split_options())?,
        Model::Onnx(file) => Dataset::open(path, &file.get_json(onnx::SPLIT)?)?,
    };
    if data.classes != labels {
        bail!(
            "{}: it has the classes {:?}, the model knows {labels:?}; name the class folders as the \
             model's classes",
            path.display(),
            data.classes
        );
    }
    Ok(data)
}
