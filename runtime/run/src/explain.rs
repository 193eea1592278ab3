//! Why: which places of a picture speak for a class.
//!
//! - [`activation`]: the class activation map that [`kiln_core::explain`] gives, where the network allows.
//! - [`occlusion`]: for any network: how much less probable the class gets with a place covered.
//! - [`explain`]: the first where there is one, else the second.
//! - [`paint()`]: a map over its picture.
//!
//! ```no_run
//! use std::path::Path;
//! use kiln_picture::{Limits, decode_file};
//! use kiln_run::{engine::{Engine, Input}, explain, pictures};
//!
//! let mut engine = Engine::open(Path::new("model.kiln"))?;
//! let recipe = engine.model().recipe().ok_or("the model takes no pictures")?;
//! let file = Path::new("cat.jpg");
//! let picture = decode_file(file, &Limits::default())?;
//! let pixels = pictures::preprocessed(&picture, file, &recipe, &mut Vec::new())?;
//! let [best] = engine.run(Input::Pixels(&pixels))?.top();
//! let map = explain::explain(&mut engine, &pixels, best.index)?;
//! let painted = explain::paint(&picture, &recipe, &map)?;
//! explain::save_png(&painted, Path::new("why.png"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod occlude;
mod paint;

use kiln_core::explain::{ExplainError as CoreError, Maps};

use crate::engine::{Engine, EngineError, Input};

pub use kiln_core::explain::Occlusion;
pub use occlude::occlusion;
pub use paint::{HEAT, paint, save_png};

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The engine gives no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no such class.
    #[error("there is no class {class}: the model has {classes}, counted from 0")]
    Class {
        /// What was asked for.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// The square has no pixels, or the steps leave places out.
    #[error(
        "squares of {side} pixels in steps of {stride}: neither may be 0, and steps may be no longer \
         than squares"
    )]
    Square {
        /// The square's side.
        side: u32,
        /// From a square to the next.
        stride: u32,
    },
    /// The picture does not suit the recipe.
    #[error(transparent)]
    Picture(#[from] kiln_core::preprocess::PreprocessError),
    /// The picture cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: image::ImageError,
    },
}

/// How a map was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What each place of the last activation adds to the logit.
    Activation,
    /// By how much the probability drops where a place is covered.
    Occlusion,
}

/// What each place of a model's input says for a class: above 0 for it, below against it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// How it was made.
    pub method: Method,
    /// Rows, evenly over the input's.
    pub rows: u32,
    /// Columns, evenly over the input's.
    pub columns: u32,
    /// `rows * columns` values, row by row.
    pub values: Vec<f32>,
}

impl HeatMap {
    /// The greatest value, at least 0.
    pub fn most(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }
}

/// The [`activation`] map of a class where the network allows of one, else its [`occlusion`] map. `pixels`
/// are as the model's recipe makes them.
///
/// # Errors
/// Pixels of a wrong length, no recipe, or no such class.
pub fn explain(engine: &mut Engine, pixels: &[u8], class: usize) -> Result<HeatMap, ExplainError> {
    match activation(engine, pixels, class)? {
        Some(map) => Ok(map),
        None => {
            let shape = engine.model().input().shape;
            let squares = Occlusion::of(shape.height, shape.width);
            occlusion(engine, pixels, class, squares)
        }
    }
}

/// The class activation map; none if the network does not end in a global average and a linear layer.
///
/// # Errors
/// Those of [`explain`].
pub fn activation(
    engine: &mut Engine,
    pixels: &[u8],
    class: usize,
) -> Result<Option<HeatMap>, ExplainError> {
    check_class(engine, class)?;
    let Some(shape) = Maps::of(engine.model()).map(|maps| maps.shape()) else {
        return Ok(None);
    };
    let mut values = vec![0; shape.pixels()];
    engine.activation_map(Input::Pixels(pixels), class, &mut values)?;
    Ok(Some(HeatMap {
        method: Method::Activation,
        rows: shape.height,
        columns: shape.width,
        values: values.iter().map(|&value| value as f32).collect(),
    }))
}

fn check_class(engine: &Engine, class: usize) -> Result<(), ExplainError> {
    let classes = engine.model().classes();
    if class < classes {
        return Ok(());
    }
    Err(ExplainError::Class { class, classes })
}

impl From<CoreError> for EngineError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Run(error) => Self::Run(error),
            error => Self::Explain(error),
        }
    }
}

#[cfg(test)]
mod tests;
