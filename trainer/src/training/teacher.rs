//! The network whose answers another learns from.

use burn::tensor::Device;
use kiln_core::preprocess::Recipe;
use kiln_runtime::float::{FloatError, FloatModel};
use kiln_runtime::onnx::{OnnxError, OnnxFile};
use thiserror::Error;

use crate::data::loader::Batch;
use crate::evaluate::{network_logits, onnx_logits};
use crate::model::Network;
use crate::run::{Run, RunError};

/// A trained model that answers batches while another is trained.
pub enum Teacher {
    /// A run's network.
    Run(Box<Network>, Device),
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
         pixels that its student sees, so train it with the same [recipe]"
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
        let (teacher, found, sees) = if path.is_dir() {
            let run = Run::open(path)?;
            let network = run.network(device)?;
            let sees = run.config.recipe();
            let teacher = Self::Run(Box::new(network), device.clone());
            (teacher, run.labels, sees)
        } else {
            let file = OnnxFile::load(path)?;
            let sees = file.recipe()?.into();
            (
                Self::Onnx(FloatModel::classifier(&file)?),
                file.labels()?,
                sees,
            )
        };
        if found != classes {
            let expected = classes.to_vec();
            return Err(TeacherError::Classes { found, expected });
        }
        if sees != *recipe {
            let (found, expected) = (Box::new(sees), Box::new(*recipe));
            return Err(TeacherError::Recipe { found, expected });
        }
        Ok(teacher)
    }

    /// Logits for a batch, `[n, classes]`.
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>, FloatError> {
        match self {
            Self::Run(network, device) => Ok(network_logits(network, batch, device)),
            Self::Onnx(model) => onnx_logits(model, batch),
        }
    }
}
