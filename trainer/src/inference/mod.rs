//! A model that answers, whatever it is: a run, a float or quantized ONNX file, or a compiled `.kiln` file.

mod answerer;
mod foreign;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kiln_core::preprocess::Recipe;
use kiln_core::tensor::Shape;
use kiln_run::engine::LoadedModel;
use kiln_run::layout::Layout;
use kiln_runtime::engine::OfGraph;
use kiln_runtime::features::{Features, Head};
use kiln_runtime::float::FloatModel;
use kiln_runtime::onnx::{self, OnnxFile};
use kiln_runtime::qgraph::QGraph;
use kiln_runtime::quantized;
use kiln_runtime::recipe::RecipeText;

pub use self::answerer::{Answerer, Session, normalise_into, normalised};
pub use self::foreign::Foreign;
use crate::data::dataset::SplitOptions;
use crate::disk;
use crate::run::Run;

/// A model that can be asked.
pub enum Model {
    /// A run's folder.
    Run(Box<Run>),
    /// An ONNX file of floats.
    Float(Box<OnnxFile>),
    /// An ONNX file of integers, compiled in memory for any machine.
    Int8(Box<OnnxFile>, Box<QGraph>, LoadedModel),
    /// A compiled file.
    Kiln(PathBuf, LoadedModel),
}

impl Model {
    /// Opens a run's folder, an ONNX file or a `.kiln` file, told apart by content.
    pub fn open(path: &Path, foreign: &Foreign) -> anyhow::Result<Self> {
        if path.is_dir() {
            foreign.refuse(path, "a run")?;
            return Ok(Self::Run(Box::new(Run::open(path)?)));
        }
        if is_kiln(path)? {
            foreign.refuse(path, "a compiled file")?;
            return Ok(Self::Kiln(path.to_owned(), LoadedModel::open(path)?));
        }
        let mut file = OnnxFile::load(path)?;
        foreign.complete(&mut file)?;
        if !quantized::is_quantized_file(&file) {
            return Ok(Self::Float(Box::new(file)));
        }
        let graph = quantized::load_quantized(&file)?;
        let named = || format!("{}: it does not compile", path.display());
        let model = LoadedModel::of(&graph).with_context(named)?;
        Ok(Self::Int8(Box::new(file), Box::new(graph), model))
    }

    /// Class names in the order of the logits.
    pub fn labels(&self) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::Run(run) => run.labels.clone(),
            Self::Float(file) | Self::Int8(file, ..) => file.labels()?,
            Self::Kiln(path, model) => {
                let labels: Vec<String> = model.model().labels().map(str::to_owned).collect();
                if labels.is_empty() {
                    bail!(
                        "{}: it carries no labels; compile it from a model that does, or give --labels to `kiln quantize`",
                        path.display()
                    );
                }
                labels
            }
        })
    }

    /// How a picture becomes an input.
    pub fn recipe(&self) -> anyhow::Result<Recipe> {
        Ok(match self {
            Self::Run(run) => run.config.recipe(),
            Self::Float(file) => {
                let recipe = file.recipe()?.into();
                let (_, axes) = file.input()?;
                if !takes(&axes, self.layout(), &recipe) {
                    let (columns, rows) = (recipe.width, recipe.height);
                    bail!(
                        "{}: its input is {axes:?}, its recipe gives {columns}×{rows} pixels of {} channels",
                        file.path.display(),
                        recipe.channels()
                    );
                }
                recipe
            }
            Self::Int8(file, ..) => file.recipe()?.into(),
            Self::Kiln(path, model) => match model.model().recipe() {
                Some(recipe) => recipe,
                None => bail!(
                    "{}: it carries no recipe for pictures; it takes tensors (kiln run MODEL INPUT.npy)",
                    path.display()
                ),
            },
        })
    }

    /// Changes how much of each side of a picture the recipe uses, in per cent.
    ///
    /// # Errors
    /// A compiled file, or one that carries no recipe.
    pub fn set_crop_pct(&mut self, crop_pct: u8) -> anyhow::Result<()> {
        match self {
            Self::Run(run) => run.config.recipe.crop_pct = crop_pct,
            Self::Float(file) | Self::Int8(file, ..) => {
                let recipe = file.recipe()?;
                file.set_json(onnx::RECIPE, &RecipeText { crop_pct, ..recipe });
            }
            Self::Kiln(path, _) => bail!(
                "{}: a compiled file keeps its crop_pct; give the ONNX file that it was compiled from",
                path.display()
            ),
        }
        Ok(())
    }

    /// The order of the axes of the ONNX file's input; NHWC for a compiled file.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Run(_) => Layout::Nchw,
            Self::Float(file) | Self::Int8(file, ..) => match file.get(onnx::LAYOUT) {
                Ok("NHWC") => Layout::Nhwc,
                _ => Layout::Nchw,
            },
            Self::Kiln(..) => Layout::Nhwc,
        }
    }

    /// The input's rows, columns and channels.
    pub fn input_shape(&self) -> anyhow::Result<Shape> {
        Ok(match self {
            Self::Run(run) => {
                let [c, h, w] = run.config.input().map(|size| size as u32);
                Shape::new(h, w, c)
            }
            Self::Float(file) => FloatModel::new(file)?.image_shape(),
            Self::Int8(_, _, model) | Self::Kiln(_, model) => model.model().input().shape,
        })
    }

    /// How the run that the model comes from drew its splits, for folders that have none.
    pub fn split_options(&self) -> Option<SplitOptions> {
        match self {
            Self::Run(run) => Some(run.config.split_options()),
            Self::Float(file) | Self::Int8(file, ..) => file.get_json(onnx::SPLIT).ok(),
            Self::Kiln(..) => None,
        }
    }

    /// What answers for an exported model.
    ///
    /// # Errors
    /// A run, which is to be exported first; a float model that does not load.
    pub fn answerer(&self) -> anyhow::Result<Answerer> {
        Ok(match self {
            Self::Run(run) => {
                let (folder, typed) = (run.folder.display(), disk::typed(&run.folder));
                bail!("{folder}: this is a run; export it first: kiln export {typed}")
            }
            Self::Float(file) => Answerer::Float(FloatModel::new(file)?),
            Self::Int8(_, _, model) | Self::Kiln(_, model) => Answerer::Engine(model.clone()),
        })
    }

    /// What gives a quantized classifier's features, and the layer that makes logits of them.
    ///
    /// # Errors
    /// A model that is not an ONNX file of integers, or does not end in a fully connected layer.
    pub fn features(&self) -> anyhow::Result<(Answerer, Head)> {
        let Self::Int8(file, graph, _) = self else {
            bail!("its features are not to be had: give a run's folder, or its model.int8.onnx")
        };
        let path = file.path.display();
        let Some(Features { graph, head }) = Features::of(graph) else {
            bail!("{path}: it does not end in a fully connected layer, so it has no features")
        };
        let model = LoadedModel::of(&graph)
            .with_context(|| format!("{path}: without its last layer it does not compile"))?;
        Ok((Answerer::Engine(model), head))
    }

    /// Like [`Self::answerer`], of a model whose input is a picture and whose outputs are its labels'
    /// logits.
    ///
    /// # Errors
    /// A run; a float model that is something else.
    pub fn classifier(&self) -> anyhow::Result<Answerer> {
        match self {
            Self::Float(file) => Ok(Answerer::Float(FloatModel::classifier(file)?)),
            _ => self.answerer(),
        }
    }
}

/// Whether an input with these axes takes a recipe's pictures; one with no axes for rows, columns and channels
/// takes their values.
fn takes(axes: &[usize], layout: Layout, recipe: &Recipe) -> bool {
    let [rows, columns, channels] = [recipe.height.into(), recipe.width.into(), recipe.channels()];
    match (layout, axes) {
        (Layout::Nchw, &[batch, c, h, w]) | (Layout::Nhwc, &[batch, h, w, c]) => {
            [batch, h, w, c] == [1, rows, columns, channels]
        }
        _ => {
            let values = axes
                .iter()
                .try_fold(1usize, |values, axis| values.checked_mul(*axis));
            values == Some(recipe.len())
        }
    }
}

/// Whether a file begins as `.kiln` files do.
fn is_kiln(path: &Path) -> anyhow::Result<bool> {
    let named = || path.display().to_string();
    let mut start = [0; kiln_core::format::MAGIC.len()];
    let mut file = File::open(path).with_context(named)?;
    let mut found = 0;
    while found < start.len() {
        match file.read(&mut start[found..]).with_context(named)? {
            0 => break,
            more => found += more,
        }
    }
    Ok(start[..found] == kiln_core::format::MAGIC[..])
}
