//! Inputs to calibrate with: pictures, decoded one at a time as often as they are read, or tensors.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kiln_core::preprocess::Recipe;
use kiln_core::tensor::Shape;
use kiln_run::layout::{Layout, reorder};
use kiln_run::pictures::{files, pixels};
use kiln_runtime::calibrate::Calibration;
use kiln_runtime::load;
use kiln_runtime::onnx::{self, OnnxFile};

use crate::cmd::eval::Part;
use crate::cmd::npy;
use crate::cmd::ui::LazyBar;
use crate::data::Dataset;
use crate::inference::normalise_into;

/// Picture files, some with their classes.
pub struct Pictures {
    files: Vec<(PathBuf, Option<usize>)>,
    recipe: Recipe,
    scratch: Vec<i32>,
}

impl Pictures {
    /// At most `count` pictures, evenly from all; broken ones are named and left out.
    pub fn open(
        folder: &Path,
        file: &OnnxFile,
        part: Part,
        count: usize,
        bar: &LazyBar,
    ) -> anyhow::Result<Self> {
        let recipe: Recipe = file
            .recipe()
            .context("calibrating with pictures needs a recipe; give --recipe, or inputs as .npy")?
            .into();
        let all = find(folder, file, part)?;
        let step = all.len().div_ceil(count).max(1);
        let chosen: Vec<_> = all.into_iter().step_by(step).collect();
        let total = chosen.len();
        let mut scratch = Vec::new();
        let mut files = Vec::new();
        for (index, (path, class)) in chosen.into_iter().enumerate() {
            match pixels(&path, &recipe, &mut scratch) {
                Ok(_) => files.push((path, class)),
                Err(error) => bar.line(&format!("left out: {error}")),
            }
            bar.show("reading", index + 1, total);
        }
        if files.is_empty() {
            bail!(
                "{}: no pictures to calibrate with; give a folder with some hundred that are like those \
                 to come",
                folder.display()
            );
        }
        Ok(Self {
            files,
            recipe,
            scratch,
        })
    }
}

/// All pictures with their classes, where the folders are named as the model's labels; else without. What is wrong
/// with such folders is an error: without their splits, calibration would see test pictures.
fn find(
    folder: &Path,
    file: &OnnxFile,
    part: Part,
) -> anyhow::Result<Vec<(PathBuf, Option<usize>)>> {
    let split = file.get_json(onnx::SPLIT).unwrap_or_default();
    if let Ok(labels) = file.labels() {
        match Dataset::open(folder, &split) {
            Ok(mut data) => {
                if data.label_as(&labels) {
                    let samples = part.samples(&data);
                    let found = samples
                        .iter()
                        .map(|sample| (data.file(sample), Some(sample.class)));
                    return Ok(found.collect());
                }
            }
            Err(error) if has_folder_of(&labels, folder) => return Err(error.into()),
            Err(_) => {}
        }
    }
    let found = files(&[folder.to_owned()])?;
    Ok(found.into_iter().map(|path| (path, None)).collect())
}

/// Whether a folder, or one in it, has a folder that is named as a label.
fn has_folder_of(labels: &[String], folder: &Path) -> bool {
    let inner = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders = inner.map(|entry| entry.path()).chain([folder.to_owned()]);
    folders.any(|folder| labels.iter().any(|label| folder.join(label).is_dir()))
}

impl Calibration for Pictures {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
        let (path, _) = &self.files[index];
        let pixels =
            pixels(path, &self.recipe, &mut self.scratch).map_err(|error| error.to_string())?;
        normalise_into(&pixels, &self.recipe, input)
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.files[index].1
    }
}

/// Inputs as the model takes them.
pub struct Tensors {
    values: Vec<f32>,
    shape: Shape,
    layout: Layout,
}

impl Tensors {
    /// Reads an array with one input after the other along axis 0.
    pub fn open(path: &Path, file: &OnnxFile) -> anyhow::Result<Self> {
        let graph = load::load(file)?;
        let shape = graph.shape(graph.input);
        let (found, values) = npy::read(path)?;
        if values.is_empty() || !npy::is_of(&found, shape, graph.layout) {
            let (_, input) = file.input()?;
            bail!(
                "{}: its shape is {found:?}, the model takes {input:?}, or many of them along the first axis",
                path.display()
            );
        }
        Ok(Self {
            values,
            shape,
            layout: graph.layout,
        })
    }
}

impl Calibration for Tensors {
    fn len(&self) -> usize {
        self.values.len() / self.shape.len()
    }

    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
        let start = index * self.shape.len();
        let values = &self.values[start..start + self.shape.len()];
        match self.layout {
            Layout::Nhwc => input.copy_from_slice(values),
            Layout::Nchw => input.copy_from_slice(&reorder(values, self.shape, Layout::Nchw)),
        }
        Ok(())
    }
}
