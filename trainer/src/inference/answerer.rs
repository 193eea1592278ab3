//! What answers for an exported model: tract for floats, the engine for integers.

use anyhow::bail;
use kiln_core::preprocess::Recipe;
use kiln_run::answer::Said;
use kiln_run::engine::{Engine, Input, LoadedModel};
use kiln_run::layout::{Layout, reorder};
use kiln_runtime::float::FloatModel;

use crate::data::loader::Inputs;
use rayon::prelude::*;

/// What answers; shared by threads.
#[derive(Clone)]
pub enum Answerer {
    /// Floats, by tract.
    Float(FloatModel),
    /// Integers, by the engine.
    Engine(LoadedModel),
}

/// An answerer with memory of its own.
pub enum Session<'a> {
    /// Floats, by tract.
    Float(&'a FloatModel),
    /// Integers, by the engine.
    Engine(Engine),
}

impl Answerer {
    /// Something that answers one input after the other.
    pub fn session(&self) -> Session<'_> {
        match self {
            Self::Float(model) => Session::Float(model),
            Self::Engine(model) => Session::Engine(model.engine()),
        }
    }

    /// Logits of a batch's inputs, on all cores.
    pub fn batch(&self, inputs: &Inputs) -> anyhow::Result<Vec<f32>> {
        let pixels = inputs.values();
        let pictures = pixels.par_chunks_exact(inputs.values_of_one().max(1));
        let logits: anyhow::Result<Vec<_>> = pictures
            .map_init(
                || self.session(),
                |session, picture| session.tensor(picture, Layout::Nchw),
            )
            .collect();
        Ok(logits?.concat())
    }
}

impl Session<'_> {
    /// What is said of a preprocessed picture: rows, columns, channels.
    pub fn pixels(&mut self, pixels: &[u8], recipe: &Recipe) -> anyhow::Result<Said> {
        match self {
            Self::Engine(engine) => Ok(engine.run(Input::Pixels(pixels))?.into()),
            Self::Float(_) => Ok(Said {
                logits: self.tensor(&normalised(pixels, recipe), Layout::Nhwc)?,
                known: None,
            }),
        }
    }

    /// Logits of an input in floats, as the float model takes it, its axes in the given order.
    pub fn tensor(&mut self, values: &[f32], layout: Layout) -> anyhow::Result<Vec<f32>> {
        match self {
            Self::Engine(engine) => Ok(engine.logits(Input::Tensor(values, layout))?),
            Self::Float(model) if model.layout() == layout => Ok(model.run(values)?),
            Self::Float(model) => {
                let shape = model.image_shape();
                if shape.len() != values.len() {
                    bail!(
                        "the input has {} values, the model takes {shape:?}",
                        values.len()
                    );
                }
                Ok(model.run(&reorder(values, shape, layout))?)
            }
        }
    }
}

/// What the float model sees of a preprocessed picture, NHWC.
pub fn normalised(pixels: &[u8], recipe: &Recipe) -> Vec<f32> {
    values(pixels, recipe).collect()
}

/// The same as [`normalised`], into an input of a model.
///
/// # Errors
/// The input has another size than the recipe gives.
pub fn normalise_into(pixels: &[u8], recipe: &Recipe, input: &mut [f32]) -> Result<(), String> {
    if pixels.len() != input.len() {
        return Err(format!(
            "the recipe gives {} values, the model takes {}",
            pixels.len(),
            input.len()
        ));
    }
    for (input, value) in input.iter_mut().zip(values(pixels, recipe)) {
        *input = value;
    }
    Ok(())
}

fn values(pixels: &[u8], recipe: &Recipe) -> impl Iterator<Item = f32> {
    let channels = recipe.channels();
    let pixels = pixels.iter().enumerate();
    pixels.map(move |(index, &value)| recipe.normalise(index % channels, value))
}
