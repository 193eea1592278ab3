//! The network whose answers another learns from.

use burn::tensor::Device;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use kiln_core::preprocess::Recipe;
use thiserror::Error;

use crate::data::loader::{Batch, Pixels};
use crate::evaluate::network_logits;
use crate::inference::{self, Answerer, Foreign};
use crate::model::Network;

/// A trained model that answers batches while another is trained.
pub struct Teacher {
    model: Model,
    /// Rows and columns that it takes.
    size: [usize; 2],
    device: Device,
}

enum Model {
    /// A run's network.
    Run(Box<Network>),
    /// An exported one, on the CPU.
    Exported(Answerer),
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
        "--teacher: its recipe differs ({found:?} against {expected:?}); a teacher sees the very \
         pixels that its student sees, enlarged if it takes larger pictures, so train it with the same \
         [recipe] or a larger width and height"
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
        path: &std::path::Path,
        classes: &[String],
        recipe: &Recipe,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let opened = inference::Model::open(path, &Foreign::default())?;
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
        let model = match opened {
            inference::Model::Run(run) => {
                let network = run.network(device).map_err(anyhow::Error::from)?;
                Model::Run(Box::new(network))
            }
            exported => Model::Exported(exported.classifier()?),
        };
        Ok(Self {
            model,
            size: [sees.height.into(), sees.width.into()],
            device: device.clone(),
        })
    }

    /// Logits for a batch, `[n, classes]`.
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>, TeacherError> {
        let enlarged = (batch.shape[2..] != self.size).then(|| self.enlarge(batch));
        let batch = enlarged.as_ref().unwrap_or(batch);
        match &self.model {
            Model::Run(network) => Ok(network_logits(network, batch, &self.device)),
            Model::Exported(model) => Ok(model.batch(batch)?),
        }
    }

    /// A batch in the size that the teacher takes, bilinear.
    fn enlarge(&self, batch: &Batch) -> Batch {
        let pixels = batch.pixels.to_tensor(batch.shape, &self.device);
        let options = InterpolateOptions::new(InterpolateMode::Bilinear)
            .with_align_corners(false)
            .with_output_size(self.size);
        let pixels = interpolate(pixels, options);
        let shape = pixels.dims();
        let values = pixels.into_data().convert::<f32>().iter::<f32>().collect();
        Batch {
            shape,
            pixels: Pixels::Values(values),
            ..batch.clone()
        }
    }
}
