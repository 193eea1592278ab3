//! Why: class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization",
//! CVPR 2016), from the integers that an inference computes anyway.
//!
//! Where a network ends in a global average pool and a linear layer, a class's logit is a mean over
//! the places of the last activation. [`Maps::map`] is what each place adds to it:
//!
//! `map[y][x] = Σ_c (w[class][c] - w_zero[class]) * (activation[y][x][c] - zero)`
//!
//! ```
//! # use kiln_core::{Model, explain::Maps};
//! # fn explain(model: &Model<'_>, arena: &mut [u8], features: &mut [u8], map: &mut [i32]) {
//! if let Some(maps) = Maps::of(model) {
//!     let output = maps.run(model, arena, features).expect("buffers of the lengths that are asked for");
//!     let [best] = output.top();
//!     maps.map(features, best.index, map).expect("the same");
//! }
//! # }
//! ```
//!
//! Where there is no memory for that, [`Maps::levels`] makes a map of what an inference leaves in the arena.
//! Where the network ends in another way, an [`Occlusion`] takes more inferences.

mod occlude;

use core::fmt;

use crate::classify::Output;
use crate::engine::{self, RunError};
use crate::layer::{Conv, Layer, Pool, PoolKind};
use crate::model::Model;
use crate::operators::Operators;
use crate::tensor::{Shape, Tensor};

pub use occlude::{Occlusion, Squares, probability};

/// Why there is no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainError {
    /// The engine gives no answer.
    Run(RunError),
    /// The buffer for the activation has another length.
    Features {
        /// The bytes that are needed.
        needed: usize,
    },
    /// The buffer for the map has another length.
    Map {
        /// The values that are needed.
        needed: usize,
    },
    /// There is no such class.
    Class {
        /// How many there are.
        classes: usize,
    },
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => error.fmt(f),
            Self::Features { needed } => write!(
                f,
                "the buffer for the activation has the wrong length: pass {needed} bytes"
            ),
            Self::Map { needed } => write!(
                f,
                "the buffer for the map has the wrong length: pass {needed} values"
            ),
            Self::Class { classes } => {
                write!(f, "there is no such class: pass a number below {classes}")
            }
        }
    }
}

impl core::error::Error for ExplainError {}

impl From<RunError> for ExplainError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// A model's class activation maps: where its end is as they need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maps<'m> {
    /// What the global average pool reads.
    features: Tensor,
    /// The linear layer.
    linear: Conv<'m>,
    /// The first of its values are the classes' logits.
    classes: usize,
    /// Whether neither the pool nor the linear layer writes over what the pool reads.
    stays: bool,
}

impl<'m> Maps<'m> {
    /// Those of a model; none if it does not end in an average over whole rows and columns and a linear
    /// layer, or if what is averaged is the model's input.
    pub fn of<O: Operators>(model: &Model<'m, O>) -> Option<Self> {
        let at = model.layer_count().checked_sub(2)?;
        let (Layer::Pool(pool), Layer::Conv(linear)) = (layer(model, at)?, layer(model, at + 1)?)
        else {
            return None;
        };
        let features = pool.input;
        let linked = linear.input == pool.output && linear.output == model.output();
        let written = features != model.input();
        if !is_global_average(&pool) || !is_linear(&linear) || !linked || !written {
            return None;
        }
        Some(Self {
            features,
            linear,
            classes: model.classes(),
            stays: stays(&features, &pool, &linear),
        })
    }

    /// Rows and columns of a map, and the channels of the activation that it is made of.
    pub const fn shape(&self) -> Shape {
        self.features.shape
    }

    /// How many classes there are: each has a map.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Runs the model over the input that is at its place in the arena, and copies the activation of
    /// which all maps are made to `features`, i8 in NHWC: as many bytes as [`shape`](Self::shape) has
    /// values. The model is the one that the maps are [`of`](Self::of).
    ///
    /// # Errors
    ///
    /// [`ExplainError::Features`] for a buffer of another length, and those of
    /// [`run_with`](Model::run_with).
    pub fn run<'a>(
        &self,
        model: &Model<'m>,
        arena: &'a mut [u8],
        features: &mut [u8],
    ) -> Result<Output<'a>, ExplainError> {
        let needed = self.features.shape.len();
        if features.len() != needed {
            return Err(ExplainError::Features { needed });
        }
        // What no layer writes says nothing.
        features.fill(self.features.zero_point as u8);
        let pool = model.layer_count().saturating_sub(2);
        let mut observe = |index: usize, layer: &Layer<'m>, output: &[u8]| {
            // What is joined from parts is written by several layers, each to its place. What lay there before is
            // overwritten until the pool reads it.
            let at = layer.output().offset.wrapping_sub(self.features.offset) as usize;
            let place = features
                .get_mut(at..)
                .and_then(|rest| rest.get_mut(..output.len()));
            if index < pool
                && let Some(place) = place
            {
                place.copy_from_slice(output);
            }
        };
        Ok(model.run_with(arena, &mut observe)?)
    }

    /// Writes the map of a class, row by row, from what [`run`](Self::run) has copied: above 0 where the
    /// picture speaks for the class, below where against it. What i32 does not hold is its end.
    ///
    /// # Errors
    ///
    /// [`ExplainError::Class`], and [`ExplainError::Features`] and [`ExplainError::Map`] for buffers of
    /// another length.
    pub fn map(&self, features: &[u8], class: usize, map: &mut [i32]) -> Result<(), ExplainError> {
        let shape = self.features.shape;
        let needed = shape.len();
        if features.len() != needed {
            return Err(ExplainError::Features { needed });
        }
        let needed = shape.pixels();
        if map.len() != needed {
            return Err(ExplainError::Map { needed });
        }
        let classes = self.classes();
        if class >= classes {
            return Err(ExplainError::Class { classes });
        }
        let channels = shape.channels as usize;
        for (value, pixel) in map.iter_mut().zip(features.chunks_exact(channels.max(1))) {
            *value = self.value(class, pixel).ok_or(RunError::Model)?;
        }
        Ok(())
    }

    /// Writes the map of a class over the activation that an inference has left in the arena, so that it takes
    /// no other memory: row by row from 255, where the picture speaks for the class most, to 0, where it does
    /// not. The logits stay; for another map it takes another inference.
    ///
    /// None if a layer behind has written over the activation, which no file of Kiln's compiler lets it, if
    /// there is no such class, or if the arena is too small.
    pub fn levels<'a>(&self, arena: &'a mut [u8], class: usize) -> Option<&'a [u8]> {
        if !self.stays || class >= self.classes() {
            return None;
        }
        let shape = self.features.shape;
        let channels = (shape.channels as usize).max(1);
        let features = engine::part_mut(arena, &self.features)?;
        let mut most = 0;
        for pixel in features.chunks_exact(channels) {
            most = most.max(self.value(class, pixel)?);
        }
        for at in 0..shape.pixels() {
            // Read before anything is written there: a level is no longer than a pixel.
            let pixel = features.get(at * channels..)?.get(..channels)?;
            let level = level(self.value(class, pixel)?, most);
            *features.get_mut(at)? = level;
        }
        features.get(..shape.pixels())
    }

    /// What a pixel of the activation adds to a class's logit.
    fn value(&self, class: usize, pixel: &[u8]) -> Option<i32> {
        let zero = i32::from(self.features.zero_point);
        let mut sum = 0_i32;
        for (channel, &feature) in pixel.iter().enumerate() {
            // Each factor is of 9 bits.
            let part = self.weight(class, channel)? * (i32::from(feature as i8) - zero);
            sum = sum.saturating_add(part);
        }
        Some(sum)
    }

    /// `w[class][channel] - w_zero[class]`, in whatever order the weights lie.
    fn weight(&self, class: usize, channel: usize) -> Option<i32> {
        let linear = &self.linear;
        let shape = linear.kernel_shape();
        let at = linear.packing.index(shape, class, 0, 0, channel);
        let zero = match linear.weight_zero_points {
            [] => 0,
            zeros => *zeros.get(class)? as i8,
        };
        let weight = linear.packing.weight(linear.weights, at)?;
        Some(i32::from(weight) - i32::from(zero))
    }
}

/// A layer by its number.
#[inline(never)]
fn layer<'m, O: Operators>(model: &Model<'m, O>, index: usize) -> Option<Layer<'m>> {
    model.unnamed_layers().nth(index)
}

/// Whether one window without padding is the whole input, and its values are averaged.
fn is_global_average(pool: &Pool) -> bool {
    let Shape { height, width, .. } = pool.input.shape;
    let whole = pool.window.kernel.map(u32::from) == [height, width];
    let average = matches!(pool.kind, PoolKind::Average { .. });
    average && whole && pool.window.padding == [0; 4]
}

/// Whether what the pool reads is left alone by it and by the linear layer.
fn stays(features: &Tensor, pool: &Pool, linear: &Conv<'_>) -> bool {
    let end = |offset: u32, len: usize| offset as usize + len;
    let apart = |offset: u32, len: usize| {
        end(offset, len) <= features.offset as usize
            || end(features.offset, features.shape.len()) <= offset as usize
    };
    let scratch = &linear.scratch;
    let written = [&pool.output, &linear.output];
    let mut written = written
        .iter()
        .map(|tensor| (tensor.offset, tensor.shape.len()));
    written.all(|(offset, len)| apart(offset, len)) && apart(scratch.offset, scratch.len as usize)
}

/// `255 * value / most`, 0 where that is negative.
fn level(value: i32, most: i32) -> u8 {
    let [value, most] = [value, most].map(|value| value.max(0).unsigned_abs());
    // So that 255 times as much is no more than 32 bits.
    let places = (u32::BITS - most.leading_zeros()).saturating_sub(24);
    let level = ((value >> places) * 255).checked_div(most >> places);
    level.unwrap_or(0) as u8
}

/// Whether it is a matrix times a vector.
fn is_linear(conv: &Conv<'_>) -> bool {
    conv.groups == 1
        && conv.window.kernel == [1; 2]
        && conv.input.shape.pixels() == 1
        && conv.output.shape.pixels() == 1
}

#[cfg(test)]
mod tests;
