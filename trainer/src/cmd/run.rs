//! `kiln run`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use kiln_core::tensor::Shape;
use kiln_run::layout::Layout;
use kiln_run::pictures::pixels;

use super::npy;
use super::ui::{self, LazyBar};
use crate::disk;
use crate::inference::{Foreign, Model, normalised};

/// `kiln run`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln run model.kiln photo.jpg
  kiln run model.int8.onnx photo.jpg --input-tensor in.npy --logits out.npy
  kiln run keywords.kiln spectrograms.npy --logits out.npy")]
pub struct RunArgs {
    /// An ONNX file, float or quantized, or a .kiln file.
    pub model: PathBuf,
    /// A picture; or floats as the ONNX file takes them, .npy: one input, or many along axis 0 (for a .kiln file the
    /// channels may be first or last).
    pub input: PathBuf,
    /// Write the input as the ONNX file takes it, f32, as NumPy's .npy.
    #[arg(long, value_name = "OUT.npy")]
    pub input_tensor: Option<PathBuf>,
    /// Write the logits, f32 [n, classes], as NumPy's .npy instead of printing them.
    #[arg(long, value_name = "OUT.npy")]
    pub logits: Option<PathBuf>,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

/// Runs.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    for result in args.input_tensor.iter().chain(&args.logits) {
        disk::for_result(result, &[&args.model, &args.input])?;
    }
    let model = Model::open(&args.model, &args.foreign)?;
    let shape = model.input_shape()?;
    let (layout, values) = match args.input.extension() {
        Some(ending) if ending == "npy" => tensor(&args.input, &model, shape)?,
        _ => (
            model.layout(),
            picture(&args.input, &model, model.layout())?,
        ),
    };
    if let Some(path) = &args.input_tensor {
        let count = (values.len() / shape.len()) as u64;
        let [a, b, c] = layout.axes(shape).map(u64::from);
        npy::write(path, &[count, a, b, c], values.iter().copied())?;
    }
    let answerer = model.answerer()?;
    let mut session = answerer.session();
    let bar = LazyBar::default();
    let count = values.len() / shape.len();
    let mut logits = Vec::new();
    let mut classes = 0;
    for (index, input) in values.chunks_exact(shape.len()).enumerate() {
        let answer = session.tensor(input, layout)?;
        classes = answer.len();
        logits.extend(answer);
        bar.show("running", index + 1, count);
    }
    bar.clear();
    match &args.logits {
        Some(path) => npy::write(path, &[count as u64, classes as u64], logits.into_iter())?,
        None => {
            for row in logits.chunks(classes.max(1)) {
                let row: Vec<String> = row.iter().map(f32::to_string).collect();
                ui::print(row.join(" "))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Inputs, one after the other, and the order of their axes: the model's, and for a compiled one, which keeps no
/// order of its own, either.
fn tensor(path: &Path, model: &Model, shape: Shape) -> anyhow::Result<(Layout, Vec<f32>)> {
    let (found, values) = npy::read(path)?;
    let orders = match model {
        Model::Kiln(..) => vec![Layout::Nhwc, Layout::Nchw],
        _ => vec![model.layout()],
    };
    let fits = |layout: &Layout| npy::is_of(&found, shape, *layout);
    let Some(layout) = orders.into_iter().find(fits).filter(|_| !values.is_empty()) else {
        let [h, w, c] = [shape.height, shape.width, shape.channels];
        bail!(
            "{}: its shape is {found:?}, the model takes inputs of {h} rows, {w} columns and {c} channels, {}",
            path.display(),
            match (model, model.layout()) {
                (Model::Kiln(..), _) => "the channels first or last",
                (_, Layout::Nchw) => "the channels first",
                (_, Layout::Nhwc) => "the channels last",
            }
        );
    };
    if values.iter().any(|value| value.is_nan()) {
        bail!("{}: it has values that are not a number", path.display());
    }
    Ok((layout, values))
}

/// A picture as the ONNX file takes it.
fn picture(path: &Path, model: &Model, layout: Layout) -> anyhow::Result<Vec<f32>> {
    let recipe = model
        .recipe()
        .with_context(|| format!("{}: a picture needs a recipe", path.display()))?;
    let pixels = pixels(path, &recipe, &mut Vec::new())?;
    let values = normalised(&pixels, &recipe);
    Ok(match layout {
        Layout::Nhwc => values,
        Layout::Nchw => kiln_run::layout::reorder(&values, model.input_shape()?, Layout::Nhwc),
    })
}
