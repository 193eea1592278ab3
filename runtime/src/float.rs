//! The float model, run by tract: the reference for everything that follows, and the fall-back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_core::preprocess::Recipe;
use thiserror::Error;
use tract_onnx::prelude::*;

use kiln_core::tensor::Shape;
use kiln_run::layout::Layout;

use crate::onnx::{self, OnnxError, OnnxFile, without_softmax};
use crate::panics;

/// An ONNX classifier, optimised by tract and ready to run one input at a time. A Softmax or Sigmoid at its end is left out, and
/// of one logit for two labels it makes two.
#[derive(Clone)]
pub struct FloatModel {
    plan: Arc<TypedRunnableModel>,
    /// The input's axes with a batch of 1.
    shape: Vec<usize>,
    /// Whether one value is the logit of the second of two classes.
    of_two: bool,
    layout: Layout,
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
                .model_for_proto_model(&without_softmax(&file.proto))?
                .with_input_fact(0, f32::fact(&shape).into())?
                .into_optimized()?
                .into_runnable()
        };
        let plan = guarded(build).map_err(|cause| FloatError::Graph {
            path: file.path.clone(),
            cause,
        })?;
        // Without metadata, the order that PyTorch and burn write.
        let layout = match file.get(onnx::LAYOUT) {
            Ok("NHWC") => Layout::Nhwc,
            _ => Layout::Nchw,
        };
        Ok(Self {
            plan,
            shape,
            of_two: file.labels().is_ok_and(|labels| labels.len() == 2),
            layout,
            path: file.path.clone(),
        })
    }

    /// Loads a classifier of pictures whose metadata says what it takes: one logit a label out.
    ///
    /// # Errors
    /// Another input or number of logits than its metadata says; see [`FloatError`].
    pub fn classifier(file: &OnnxFile) -> Result<Self, FloatError> {
        let refuse = |what: String| FloatError::Classifier {
            path: file.path.clone(),
            what,
        };
        let recipe = Recipe::from(file.recipe()?);
        recipe
            .check()
            .map_err(|error| refuse(format!("its recipe: {error}")))?;
        let model = Self::new(file)?;
        let [c, h, w] = [recipe.channels(), recipe.height.into(), recipe.width.into()];
        let expected = match model.layout {
            Layout::Nchw => [1, c, h, w],
            Layout::Nhwc => [1, h, w, c],
        };
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

    /// The order of the input's axes.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The input's rows, columns and channels; missing axes count as 1.
    pub fn image_shape(&self) -> Shape {
        let size = |axis: usize| self.shape.get(axis).map_or(1, |&size| size as u32);
        match (self.layout, self.shape.len()) {
            (Layout::Nchw, 4) => Shape::new(size(2), size(3), size(1)),
            (Layout::Nchw, 3) => Shape::new(1, size(2), size(1)),
            (Layout::Nhwc, 4) => Shape::new(size(1), size(2), size(3)),
            (Layout::Nhwc, 3) => Shape::new(1, size(1), size(2)),
            _ => Shape::vector(self.shape.iter().product::<usize>() as u32),
        }
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
            let logits = output.to_plain_array_view::<f32>()?;
            let zero = (self.of_two && logits.len() == 1).then_some(0.0);
            Ok(zero.into_iter().chain(logits.iter().copied()).collect())
        };
        guarded(run).map_err(|cause| FloatError::Graph {
            path: self.path.clone(),
            cause,
        })
    }
}

/// What tract gives; its errors, and its panics at files that it is not made for, as text.
pub(crate) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match panics::quietly(work) {
        Ok(done) => done.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(format!("it cannot be computed: {panic}")),
    }
}
