//! The network whose answers another learns from.

use burn::tensor::Device;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use kiln_core::preprocess::Recipe;
use kiln_runtime::float::{FloatError, FloatModel};
use kiln_runtime::onnx::{OnnxError, OnnxFile};
use thiserror::Error;

use crate::data::loader::{Batch, Pixels};
use crate::evaluate::{network_logits, onnx_logits};
use crate::model::Network;
use crate::run::{Run, RunError};

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
    /// An ONNX file, by tract on the CPU.
    Onnx(FloatModel),
}

/// Why a model cannot teach.
#[derive(Debug, Error)]
pub enum TeacherError {
    /// The run is not usable.
    #[error("--teacher: {0}")]
    Run(#[from] RunError),
    /// The file is not usable.
    #[error("--teacher: {0}")]
    Onnx(#[from] OnnxError),
    /// The file does not run.
    #[error("--teacher: {0}")]
    Float(#[from] FloatError),
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
    /// Loads a run folder or an ONNX file, and checks that it fits.
    pub fn load(
        path: &std::path::Path,
        classes: &[String],
        recipe: &Recipe,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let (model, found, sees) = if path.is_dir() {
            let run = Run::open(path)?;
            let network = run.network(device)?;
            let sees = run.config.recipe();
            (Model::Run(Box::new(network)), run.labels, sees)
        } else {
            let file = OnnxFile::load(path)?;
            let sees = file.recipe()?.into();
            let model = Model::Onnx(FloatModel::classifier(&file)?);
            (model, file.labels()?, sees)
        };
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
        Ok(Self {
            model,
            size: [sees.height.into(), sees.width.into()],
            device: device.clone(),
        })
    }

    /// Logits for a batch, `[n, classes]`.
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>, FloatError> {
        let enlarged = (batch.shape[2..] != self.size).then(|| self.enlarge(batch));
        let batch = enlarged.as_ref().unwrap_or(batch);
        match &self.model {
            Model::Run(network) => Ok(network_logits(network, batch, &self.device)),
            Model::Onnx(model) => onnx_logits(model, batch),
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
