//! The float model, run by tract: the reference for everything that follows, and the fall-back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_core::preprocess::Recipe;
use thiserror::Error;
use tract_onnx::prelude::*;

use crate::onnx::{self, OnnxError, OnnxFile};

/// An ONNX classifier, optimised by tract and ready to run one input at a time.
#[derive(Clone)]
pub struct FloatModel {
    plan: Arc<TypedRunnableModel>,
    /// The input's axes with a batch of 1.
    shape: Vec<usize>,
    path: PathBuf,
}

/// Why a float model did not load or run.
#[derive(Debug, Error)]
pub enum FloatError {
    /// The file is not usable.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// tract refused the graph.
    #[error("{path}: {cause}")]
    Graph {
        /// The file.
        path: PathBuf,
        /// What tract said.
        cause: String,
    },
    /// The model is no classifier of the stated classes.
    #[error("{path}: {what}")]
    Classifier {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The input's length is not the model's.
    #[error("{path}: the input has {found} values, the model takes {shape:?}")]
    Input {
        /// The file.
        path: PathBuf,
        /// Values given.
        found: usize,
        /// The input's axes.
        shape: Vec<usize>,
    },
}

impl FloatModel {
    /// Loads and optimises a file.
    pub fn load(path: &Path) -> Result<Self, FloatError> {
        Self::new(&OnnxFile::load(path)?)
    }

    /// Optimises a model in memory.
    pub fn new(file: &OnnxFile) -> Result<Self, FloatError> {
        let (_, shape) = file.input()?;
        let build = || -> TractResult<Arc<TypedRunnableModel>> {
            tract_onnx::onnx()
                .model_for_proto_model(&file.proto)?
                .with_input_fact(0, f32::fact(&shape).into())?
                .into_optimized()?
                .into_runnable()
        };
        let plan = build().map_err(|error| FloatError::Graph {
            path: file.path.clone(),
            cause: format!("{error:#}"),
        })?;
        Ok(Self {
            plan,
            shape,
            path: file.path.clone(),
        })
    }

    /// Loads a classifier that Kiln exported: NCHW in, one logit a label out.
    ///
    /// # Errors
    /// Another layout, input or number of logits than its metadata says; see [`FloatError`].
    pub fn classifier(file: &OnnxFile) -> Result<Self, FloatError> {
        let refuse = |what: String| FloatError::Classifier {
            path: file.path.clone(),
            what,
        };
        let layout = file.get(onnx::LAYOUT)?;
        if layout != "NCHW" {
            return Err(refuse(format!(
                "its layout is {layout}; NCHW is what is read"
            )));
        }
        let recipe = Recipe::from(file.recipe()?);
        recipe
            .check()
            .map_err(|error| refuse(format!("its recipe: {error}")))?;
        let expected = [
            1,
            recipe.channels(),
            recipe.height.into(),
            recipe.width.into(),
        ];
        let model = Self::new(file)?;
        if model.shape != expected {
            let found = &model.shape;
            return Err(refuse(format!(
                "its input is {found:?}, its recipe gives {expected:?}"
            )));
        }
        let logits = model.run(&vec![0.0; recipe.len()])?.len();
        let labels = file.labels()?.len();
        if logits != labels {
            return Err(refuse(format!(
                "it gives {logits} logits for {labels} labels"
            )));
        }
        Ok(model)
    }

    /// The input's axes with a batch of 1.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// One input, in the order of [`FloatModel::shape`], to its logits.
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, FloatError> {
        let axes = self.shape.iter();
        let values = axes.fold(1usize, |product, axis| product.saturating_mul(*axis));
        if input.len() != values {
            return Err(FloatError::Input {
                path: self.path.clone(),
                found: input.len(),
                shape: self.shape.clone(),
            });
        }
        let run = || -> TractResult<Vec<f32>> {
            let tensor = Tensor::from_shape(&self.shape, input)?;
            let outputs = self.plan.run(tvec!(tensor.into()))?;
            let output = outputs
                .first()
                .ok_or_else(|| TractError::msg("the graph has no output"))?;
            Ok(output
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect())
        };
        run().map_err(|error| FloatError::Graph {
            path: self.path.clone(),
            cause: format!("{error:#}"),
        })
    }
}
