//! `.kiln` models on the host: loaded, checked, run.
//!
//! A [`LoadedModel`] is shared by threads; each has an [`Engine`] with an arena of its own.

mod error;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use kiln_core::explain::Maps;
use kiln_core::format::{Drawn, output_sum};
use kiln_core::layer::Layer;
use kiln_core::rounding::quantize;
use kiln_core::{Model, Output};
use self_cell::self_cell;

pub use error::EngineError;

use crate::layout::Layout;

/// Bytes that start at a multiple of 64 in memory, as fast kernels want them.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    const ALIGN: usize = kiln_core::format::CONSTANTS_ALIGN;

    fn zeros(len: usize) -> Self {
        let bytes = vec![0; len + Self::ALIGN];
        let start = bytes.as_ptr().align_offset(Self::ALIGN).min(Self::ALIGN);
        Self { bytes, start, len }
    }

    fn copy(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeros(bytes.len());
        aligned.slice_mut().copy_from_slice(bytes);
        aligned
    }

    fn slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    fn slice_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

self_cell!(
    struct Checked {
        owner: Aligned,
        #[covariant]
        dependent: Model,
    }
);

/// A model in memory, checked. A clone is the same model.
#[derive(Clone)]
pub struct LoadedModel(Arc<Checked>);

impl fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoadedModel")
            .field(&self.model().name())
            .finish()
    }
}

impl LoadedModel {
    /// Reads a `.kiln` file.
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let bytes = std::fs::read(path).map_err(|source| EngineError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|source| EngineError::File {
            path: path.into(),
            source: source.into(),
        })
    }

    /// Copies the bytes of a `.kiln` file, checks them and their checksum.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let checked = Checked::try_new(Aligned::copy(bytes), |bytes| Model::new(bytes.slice()))?;
        if !checked.borrow_dependent().checksum_ok() {
            return Err(EngineError::Checksum);
        }
        Ok(Self(Arc::new(checked)))
    }

    /// The model.
    pub fn model(&self) -> &Model<'_> {
        self.0.borrow_dependent()
    }

    /// What runs it, with an arena of its own.
    pub fn engine(&self) -> Engine {
        Engine {
            arena: Aligned::zeros(self.model().arena_bytes()),
            model: self.clone(),
        }
    }
}

/// What a model is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Quantized values in NHWC.
    Quantized(&'a [i8]),
    /// Pixels as the recipe makes them: rows, columns, channels.
    Pixels(&'a [u8]),
    /// What the float model takes, with its axes in this order.
    Tensor(&'a [f32], Layout),
}

/// A model with an arena.
pub struct Engine {
    model: LoadedModel,
    arena: Aligned,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.model).finish()
    }
}

/// A layer that has just run.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// Its number in the order in which layers run.
    pub index: usize,
    /// ONNX's name.
    pub name: &'a str,
    /// The layer.
    pub layer: &'a Layer<'a>,
    /// All of its output tensor: i8 in NHWC.
    pub output: &'a [u8],
}

impl Engine {
    /// Reads a `.kiln` file: [`LoadedModel::open`].
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Ok(LoadedModel::open(path)?.engine())
    }

    /// The model.
    pub fn model(&self) -> &Model<'_> {
        self.model.model()
    }

    /// The model, to be shared.
    pub fn loaded(&self) -> &LoadedModel {
        &self.model
    }

    /// Runs the model.
    ///
    /// # Errors
    ///
    /// An input of a wrong length or with a NaN; pixels for a model that has no recipe.
    pub fn run(&mut self, input: Input<'_>) -> Result<Output<'_>, EngineError> {
        self.fill(input)?;
        Ok(self.model.model().run_in_place(self.arena.slice_mut())?)
    }

    /// Runs the model, and gives the logits: [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn logits(&mut self, input: Input<'_>) -> Result<Vec<f32>, EngineError> {
        Ok(self.run(input)?.logits().collect())
    }

    /// The quantized input that an input becomes: i8 in NHWC.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn quantized(&mut self, input: Input<'_>) -> Result<Vec<i8>, EngineError> {
        self.fill(input)?;
        let place = self.model.model().input_mut(self.arena.slice_mut())?;
        Ok(place.iter().map(|&byte| byte as i8).collect())
    }

    /// Runs the model, and shows each layer's output as soon as it is there.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_observed(
        &mut self,
        input: Input<'_>,
        mut observe: impl FnMut(Ran<'_>),
    ) -> Result<Output<'_>, EngineError> {
        self.fill(input)?;
        let model = self.model.model();
        let names: Vec<&str> = model.layers().map(|(name, _)| name).collect();
        let mut show = |index: usize, layer: &Layer<'_>, output: &[u8]| {
            observe(Ran {
                index,
                name: names[index],
                layer,
                output,
            });
        };
        Ok(model.run_with(self.arena.slice_mut(), &mut show)?)
    }

    /// Runs the model, and writes the class activation map of a class, row by row: see
    /// [`kiln_core::explain`]. False, and nothing written, if its end allows of none.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); `map` has another length; no such class.
    pub fn activation_map(
        &mut self,
        input: Input<'_>,
        class: usize,
        map: &mut [i32],
    ) -> Result<bool, EngineError> {
        let loaded = self.model.clone();
        let Some(maps) = Maps::of(loaded.model()) else {
            return Ok(false);
        };
        self.fill(input)?;
        let mut features = vec![0; maps.shape().len()];
        maps.run(loaded.model(), self.arena.slice_mut(), &mut features)?;
        maps.map(&features, class, map)?;
        Ok(true)
    }

    /// Runs the golden vectors of the file; how many there are.
    ///
    /// # Errors
    ///
    /// [`EngineError::Golden`] names the first layer that comes out in another way.
    pub fn verify_golden(&mut self) -> Result<usize, EngineError> {
        let loaded = self.model.clone();
        for (vector, golden) in loaded.model().golden().enumerate() {
            let mut wrong: Option<String> = None;
            let mut sums = golden.sums();
            let len = loaded.model().input().shape.len();
            let input: Vec<i8> = Drawn::new(golden.seed).take(len).collect();
            let output = self.run_observed(Input::Quantized(&input), |ran| {
                if sums.next() != Some(output_sum(ran.layer, ran.output)) {
                    wrong.get_or_insert(ran.name.into());
                }
            })?;
            if !output.is(golden.logits) {
                wrong.get_or_insert("the logits".into());
            }
            if let Some(layer) = wrong {
                return Err(EngineError::Golden { vector, layer });
            }
        }
        Ok(loaded.model().golden().count())
    }

    /// Brings an input to its place in the arena.
    fn fill(&mut self, input: Input<'_>) -> Result<(), EngineError> {
        let model = self.model.model();
        let tensor = model.input();
        let arena = self.arena.slice_mut();
        let expected = tensor.shape.len();
        let found = match input {
            Input::Quantized(values) => values.len(),
            Input::Pixels(values) => values.len(),
            Input::Tensor(values, _) => values.len(),
        };
        if found != expected {
            return Err(EngineError::Length { found, expected });
        }
        let place = model.input_mut(arena)?;
        match input {
            Input::Quantized(values) => {
                for (place, &value) in place.iter_mut().zip(values) {
                    *place = value as u8;
                }
            }
            Input::Pixels(values) => {
                place.copy_from_slice(values);
                model.quantize_pixels(arena)?;
            }
            Input::Tensor(values, layout) => {
                if let Some(index) = values.iter().position(|value| value.is_nan()) {
                    return Err(EngineError::Nan { index });
                }
                let (scale, zero_point) = (model.input_scale(), tensor.zero_point);
                for (place, index) in place.iter_mut().zip(layout.indices(tensor.shape)) {
                    let steps = values[index] / scale;
                    *place = quantize(steps, zero_point, i8::MIN, i8::MAX) as u8;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned() {
        for len in [0, 1, 1000] {
            let aligned = Aligned::copy(&vec![7; len]);
            assert_eq!(aligned.slice().as_ptr().align_offset(64), 0);
            assert_eq!(aligned.slice(), vec![7; len]);
        }
    }
}
