//! `kiln run`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use kiln_run::layout::Layout;
use kiln_run::pictures::pixels;

use super::npy;
use super::ui::{self, LazyBar};
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
    /// A picture; or floats as the ONNX file takes them, .npy: one input, or many along axis 0.
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
    let model = Model::open(&args.model, &args.foreign)?;
    let shape = model.input_shape()?;
    let layout = model.layout();
    let values = match args.input.extension() {
        Some(ending) if ending == "npy" => tensor(&args.input, shape.len())?,
        _ => picture(&args.input, &model, layout)?,
    };
    if let Some(path) = &args.input_tensor {
        let count = (values.len() / shape.len()) as u64;
        let [h, w, c] = [shape.height, shape.width, shape.channels].map(u64::from);
        let axes = match layout {
            Layout::Nchw => [count, c, h, w],
            Layout::Nhwc => [count, h, w, c],
        };
        npy::write(path, &axes, values.iter().copied())?;
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

/// Inputs of `len` values each, one after the other.
fn tensor(path: &Path, len: usize) -> anyhow::Result<Vec<f32>> {
    let (shape, values) = npy::read(path)?;
    if values.is_empty() || values.len() % len != 0 {
        bail!(
            "{}: its shape is {shape:?}, the model takes {len} values an input",
            path.display()
        );
    }
    if values.iter().any(|value| value.is_nan()) {
        bail!("{}: it has values that are not a number", path.display());
    }
    Ok(values)
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
