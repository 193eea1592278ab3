//! The networks whose answers another learns from.

use std::path::PathBuf;

use anyhow::Context;
use burn::tensor::Device;
use kiln_core::preprocess::{Fit, Recipe};
use kiln_runtime::features::Head;
use thiserror::Error;

use crate::config::{PinError, TeacherConfig};
use crate::data::loader::Batch;
use crate::disk;
use crate::evaluate::values;
use crate::inference::{self, Answerer, Foreign};
use crate::model::Network;

/// Trained models that answer batches while another is trained.
pub struct Teacher {
    models: Vec<Model>,
    files: Vec<PathBuf>,
    classes: usize,
    /// Whether their features are asked for.
    features: bool,
    /// See [`TeacherConfig::views`].
    views: usize,
    /// What they take, where the size is not their student's.
    recipe: Option<Recipe>,
    device: Device,
}

enum Model {
    /// A run's network.
    Run(Box<Network>),
    /// An exported one, on the CPU.
    Exported(Answerer),
    /// What gives an exported one's features, and what makes logits of them.
    Parts(Answerer, Head),
}

impl Model {
    fn new(
        opened: inference::Model,
        features: bool,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        Ok(match opened {
            inference::Model::Run(run) => {
                let network = run.network(device).map_err(anyhow::Error::from)?;
                Self::Run(Box::new(network))
            }
            exported if features => {
                let (answerer, head) = exported.features()?;
                Self::Parts(answerer, head)
            }
            exported => Self::Exported(exported.classifier()?),
        })
    }

    /// How many features it has; none where it gives answers alone.
    fn features(&self) -> usize {
        match self {
            Self::Run(network) => network.classifier.weight.dims()[0],
            Self::Exported(_) => 0,
            Self::Parts(_, head) => head.features(),
        }
    }
}

/// What a teacher says of a batch, or a student that learns from it. Of several models it is the mean of
/// their logits, and their features one after the other.
#[derive(Clone, Debug)]
pub struct Lesson<T> {
    /// `[n, classes]`.
    pub logits: T,
    /// What the teacher's last layer reads, `[n, features]`, where the student learns from that too.
    pub features: Option<T>,
}

impl<T> Lesson<T> {
    /// The same in another form.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Lesson<U> {
        Lesson {
            logits: change(self.logits),
            features: self.features.map(&change),
        }
    }
}

impl Lesson<Vec<f32>> {
    /// That of several models, of so many pictures.
    fn together(lessons: Vec<Self>, pictures: usize) -> Self {
        let share = 1.0 / lessons.len().max(1) as f32;
        let len = lessons.first().map_or(0, |lesson| lesson.logits.len());
        let mut logits = vec![0.0; len];
        for lesson in &lessons {
            for (mean, logit) in logits.iter_mut().zip(&lesson.logits) {
                *mean += logit * share;
            }
        }
        let features = lessons.into_iter().map(|lesson| lesson.features);
        let features = features.collect::<Option<Vec<_>>>().map(|models| {
            let models: Vec<&[f32]> = models.iter().map(Vec::as_slice).collect();
            side_by_side(&models, pictures)
        });
        Self { logits, features }
    }
}

/// The rows of several tables, each of so many, joined into one of each.
pub(super) fn side_by_side(tables: &[&[f32]], rows: usize) -> Vec<f32> {
    let mut joined = Vec::new();
    for row in 0..rows {
        for table in tables {
            let width = table.len() / rows;
            joined.extend_from_slice(&table[row * width..][..width]);
        }
    }
    joined
}

/// Why a model cannot teach.
#[derive(Debug, Error)]
pub enum TeacherError {
    /// The run or file is not usable, or it failed at a batch.
    #[error("--teacher: {0:#}")]
    Unusable(anyhow::Error),
    /// It is not there, or another than the run began with.
    #[error("--teacher: {0}")]
    Pinned(#[from] PinError),
    /// It answers something else.
    #[error("--teacher: it knows the classes {found:?}, this run has {expected:?}")]
    Classes {
        /// The teacher's.
        found: Vec<String>,
        /// The run's.
        expected: Vec<String>,
    },
    /// It sees something else.
    #[error(
        "--teacher: its recipe differs ({found:?} against {expected:?}); a teacher sees what its \
         student sees, in its own size, so train it with the same [recipe] but for crop_pct, and width and \
         height, which may be larger (in the same proportion where fit is crop)"
    )]
    Recipe {
        /// The teacher's.
        found: Box<Recipe>,
        /// The run's.
        expected: Box<Recipe>,
    },
    /// Two of them see something else.
    #[error(
        "--teacher: {} takes {}×{}, but the first of them {}×{}; several teachers take the same size",
        .model.display(), .found[0], .found[1], .expected[0], .expected[1]
    )]
    Sizes {
        /// The other one.
        model: PathBuf,
        /// Its width and height.
        found: [u16; 2],
        /// The first one's.
        expected: [u16; 2],
    },
}

impl From<anyhow::Error> for TeacherError {
    fn from(cause: anyhow::Error) -> Self {
        Self::Unusable(cause)
    }
}

/// What a model takes, if it fits the run.
fn checked(
    model: &inference::Model,
    classes: &[String],
    recipe: &Recipe,
) -> Result<Recipe, TeacherError> {
    let (found, sees) = (model.labels()?, model.recipe()?);
    if found != classes {
        let expected = classes.to_vec();
        return Err(TeacherError::Classes { found, expected });
    }
    // It is shown its student's part of the picture.
    let sees = Recipe {
        crop_pct: recipe.crop_pct,
        ..sees
    };
    let same_size = Recipe {
        width: recipe.width,
        height: recipe.height,
        ..sees
    };
    let smaller = sees.width < recipe.width || sees.height < recipe.height;
    let product = |width: u16, height: u16| u32::from(width) * u32::from(height);
    let same_ratio = product(sees.width, recipe.height) == product(recipe.width, sees.height);
    // What is cropped to another shape is another part of the picture.
    let elsewhere = recipe.fit == Fit::Crop && !same_ratio;
    if same_size != *recipe || smaller || elsewhere {
        let (found, expected) = (Box::new(sees), Box::new(*recipe));
        return Err(TeacherError::Recipe { found, expected });
    }
    Ok(sees)
}

impl Teacher {
    /// Loads run folders, ONNX files of floats or integers, or `.kiln` files, and checks that they fit.
    pub fn load(
        config: &TeacherConfig,
        classes: &[String],
        recipe: &Recipe,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let features = config.features > 0.0;
        let (mut models, mut files, mut size) = (Vec::new(), Vec::new(), None);
        for path in &config.model {
            let opened = inference::Model::open(path, &Foreign::default())?;
            let sees = checked(&opened, classes, recipe)?;
            let first: Recipe = *size.get_or_insert(sees);
            if sees != first {
                return Err(TeacherError::Sizes {
                    model: path.clone(),
                    found: [sees.width, sees.height],
                    expected: [first.width, first.height],
                });
            }
            files.push(match &opened {
                inference::Model::Run(run) => run.weights(),
                _ => path.clone(),
            });
            models.push(Model::new(opened, features, device)?);
        }
        Ok(Self {
            models,
            files,
            classes: classes.len(),
            features,
            views: config.views,
            recipe: size.filter(|size| size != recipe),
            device: device.clone(),
        })
    }

    /// How many logits there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many numbers a lesson has for a picture.
    pub fn columns(&self) -> usize {
        self.classes + self.features().unwrap_or(0)
    }

    /// Epochs whose pictures it sees; 0 for all.
    pub fn views(&self) -> usize {
        self.views
    }

    /// How many features a student learns from; `None` where it learns from answers alone.
    pub fn features(&self) -> Option<usize> {
        let features = self.models.iter().map(Model::features);
        self.features.then(|| features.sum())
    }

    /// A hash of the models' files, and of what is asked for.
    pub fn fingerprint(&self) -> Result<String, TeacherError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[u8::from(self.features)]);
        for path in &self.files {
            let found = disk::hash(path).with_context(|| path.display().to_string())?;
            hasher.update(found.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// What they take, where the size is not their student's: a batch has its pictures in both then.
    pub fn recipe(&self) -> Option<Recipe> {
        self.recipe
    }

    /// What they say of a batch.
    pub fn lesson(&self, batch: &Batch) -> Result<Lesson<Vec<f32>>, TeacherError> {
        let lessons = self.models.iter().map(|model| self.of(model, batch));
        let lessons: Vec<_> = lessons.collect::<Result<_, _>>()?;
        Ok(Lesson::together(lessons, batch.labels.len()))
    }

    /// What one of them says.
    fn of(&self, model: &Model, batch: &Batch) -> Result<Lesson<Vec<f32>>, TeacherError> {
        let inputs = batch.teacher.as_ref().unwrap_or(&batch.inputs);
        match model {
            Model::Run(network) => {
                let answer = network.answer(inputs.to_tensor(&self.device));
                Ok(Lesson {
                    logits: values(answer.logits),
                    features: self.features.then(|| values(answer.features)),
                })
            }
            Model::Exported(model) => Ok(Lesson {
                logits: model.batch(inputs)?,
                features: None,
            }),
            Model::Parts(model, head) => {
                let features = model.batch(inputs)?;
                let pictures = features.chunks_exact(head.features());
                Ok(Lesson {
                    logits: pictures
                        .flat_map(|features| head.logits(features))
                        .collect(),
                    features: Some(features),
                })
            }
        }
    }
}
