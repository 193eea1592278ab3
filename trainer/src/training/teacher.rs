//! The network whose answers another learns from.

use burn::tensor::Device;
use kiln_core::preprocess::Recipe;
use kiln_runtime::features::Head;
use thiserror::Error;

use crate::config::TeacherConfig;
use crate::data::loader::Batch;
use crate::evaluate::values;
use crate::inference::{self, Answerer, Foreign};
use crate::model::Network;

/// A trained model that answers batches while another is trained.
pub struct Teacher {
    model: Model,
    /// Whether its features are asked for.
    features: bool,
    /// What it takes, where the size is not its student's.
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

/// What a teacher says of a batch, or a student that learns from it.
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

/// Why a model cannot teach.
#[derive(Debug, Error)]
pub enum TeacherError {
    /// The run or file is not usable, or it failed at a batch.
    #[error("--teacher: {0:#}")]
    Unusable(#[from] anyhow::Error),
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
         student sees, in its own size, so train it with the same [recipe] but for width and height, \
         which may be larger"
    )]
    Recipe {
        /// The teacher's.
        found: Box<Recipe>,
        /// The run's.
        expected: Box<Recipe>,
    },
}

impl Teacher {
    /// Loads a run folder, an ONNX file of floats or integers, or a `.kiln` file, and checks that it
    /// fits.
    pub fn load(
        config: &TeacherConfig,
        classes: &[String],
        recipe: &Recipe,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let opened = inference::Model::open(&config.model, &Foreign::default())?;
        let (found, sees) = (opened.labels()?, opened.recipe()?);
        if found != classes {
            let expected = classes.to_vec();
            return Err(TeacherError::Classes { found, expected });
        }
        let same_size = Recipe {
            width: recipe.width,
            height: recipe.height,
            ..sees
        };
        let smaller = sees.width < recipe.width || sees.height < recipe.height;
        if same_size != *recipe || smaller {
            let (found, expected) = (Box::new(sees), Box::new(*recipe));
            return Err(TeacherError::Recipe { found, expected });
        }
        let features = config.features > 0.0;
        let model = match opened {
            inference::Model::Run(run) => {
                let network = run.network(device).map_err(anyhow::Error::from)?;
                Model::Run(Box::new(network))
            }
            exported if features => {
                let (answerer, head) = exported.features()?;
                Model::Parts(answerer, head)
            }
            exported => Model::Exported(exported.classifier()?),
        };
        Ok(Self {
            model,
            features,
            recipe: (sees != *recipe).then_some(sees),
            device: device.clone(),
        })
    }

    /// How many features a student learns from; `None` where it learns from answers alone.
    pub fn features(&self) -> Option<usize> {
        let features = match &self.model {
            Model::Run(network) => network.classifier.weight.dims()[0],
            Model::Exported(_) => return None,
            Model::Parts(_, head) => head.features(),
        };
        self.features.then_some(features)
    }

    /// What it takes, where the size is not its student's: a batch has its pictures in both then.
    pub fn recipe(&self) -> Option<Recipe> {
        self.recipe
    }

    /// What it says of a batch.
    pub fn lesson(&self, batch: &Batch) -> Result<Lesson<Vec<f32>>, TeacherError> {
        let inputs = batch.teacher.as_ref().unwrap_or(&batch.inputs);
        match &self.model {
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
