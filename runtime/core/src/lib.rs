//! Kiln's engine: what runs on the device. No standard library, no heap, no dependencies.
//!
//! From the outside in:
//!
//! - [`Model`]: a `.kiln` file, checked once by [`Model::new`]; [`Model::run`] gives an [`Output`].
//! - [`preprocess`]: a picture becomes the model's input, in integers.
//! - [`classify`]: logits, and the most probable classes.
//! - [`engine`]: walks the layers over the caller's arena.
//! - [`ops`]: one operator, one file; the plain loop is the meaning. [`arch`]: the same made fast.
//! - [`rounding`]: from accumulators to int8.
//! - [`layer`], [`packing`], [`tensor`], [`window`]: what a layer is, shapes and geometry.
//! - [`format`](mod@format): the file, byte by byte: parse, check, emit.
//!
//! After [`Model::new`]'s check nothing panics and nothing is out of bounds, whatever the bytes of
//! the file or of the input. `unsafe` is in [`arch`] alone.

#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arch;
pub mod classify;
pub mod crc;
pub mod engine;
pub mod format;
pub mod layer;
mod model;
pub mod ops;
pub mod packing;
pub mod preprocess;
pub mod rounding;
pub mod tensor;
#[cfg(test)]
mod testing;
pub mod window;

pub use classify::{Class, Output};
pub use engine::RunError;
pub use format::{FormatError, Golden, Target};
pub use model::Model;
