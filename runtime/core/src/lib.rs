//! Kiln's engine: what runs on the device. No standard library, no heap, no dependencies.
//!
//! From the outside in:
//!
//! - [`Model`]: a `.kiln` file, checked once by [`Model::new`]; [`Model::run`] gives an [`Output`].
//! - [`preprocess`]: a picture becomes the model's input, in integers.
//! - [`classify`]: logits, and the most probable classes.
//! - [`explain`]: why: which places of the picture speak for a class.
//! - [`engine`]: walks the layers over the caller's arena.
//! - [`ops`]: one operator, one file; the plain loop is the meaning. [`arch`]: the same made fast.
//! - [`rounding`]: from accumulators to int8.
//! - [`layer`], [`packing`], [`tensor`], [`window`]: what a layer is, shapes and geometry.
//! - [`format`](mod@format): the file, byte by byte: parse, check, emit.
//!
//! After [`Model::new`]'s check nothing panics and nothing is out of bounds, whatever the bytes of
//! the file or of the input. `unsafe` is in [`arch`] alone.
//!
//! ```
//! use kiln_core::{Aligned, Model};
//!
//! const BYTES: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tiny.kiln"));
//! static MODEL: Aligned<[u8; BYTES.len()]> = Aligned::of(BYTES);
//!
//! let model = Model::new(&MODEL.0)?;
//! let mut arena = [0; Model::arena_len(BYTES)];
//! let output = model.run(&mut arena, &[9, -1, 0])?;
//! let [best, next] = output.top();
//! assert_eq!(model.label(best.index), Some("down"));
//! assert!(best.probability > 0.9 && next.probability < 0.1);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arch;
pub mod classify;
pub mod crc;
pub mod engine;
pub mod explain;
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
pub use model::{Aligned, Model};
