//! Kiln's engine: int8 convolutional classifiers on microcontrollers, on Linux, in a web page. No standard
//! library, no heap, no dependencies; the same bits everywhere.
//!
//! `kiln compile` makes a `.kiln` file from a quantized ONNX file. Here it is checked once and run:
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
//!
//! # Pictures
//!
//! A model that Kiln trained carries its recipe: how a picture becomes its input. [`preprocess::preprocess`]
//! takes whole pictures, [`preprocess::RowPreprocessor`] rows as a camera gives them:
//!
//! ```
//! use kiln_core::Model;
//! use kiln_core::preprocess::{PictureView, preprocess};
//!
//! # const BYTES: &[u8] =
//! #     include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/catsdogs-nano/model.kiln"));
//! let model = Model::new(BYTES)?;
//! let recipe = model.recipe().ok_or("the model takes no pictures")?;
//! let mut arena = vec![0; model.arena_bytes()];
//! let (width, height, rgb) = (40, 30, vec![90; 40 * 30 * 3]);
//! let mut scratch = vec![0; recipe.scratch_len(width, height)];
//!
//! let picture = PictureView::new(width, height, &rgb)?;
//! preprocess(picture, &recipe, &mut scratch, model.input_mut(&mut arena)?)?;
//! model.quantize_pixels(&mut arena)?;
//! let [best] = model.run_in_place(&mut arena)?.top();
//! println!("{} {:.1}%", model.label(best.index).unwrap_or("?"), 100.0 * best.probability);
//! # assert!(best.index < 2 && best.probability >= 0.5);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Memory
//!
//! The caller owns all of it. The model's bytes stay where they are, in flash say; an inference takes
//! [`Model::arena_bytes`] bytes of arena, which is constant and known at compile time
//! ([`Model::arena_len`]). Fast kernels want both at a multiple of 64 bytes ([`Aligned`]); anywhere else the
//! bits are the same, but that a Cortex-M refuses an arena that does not begin at a multiple of 4. The input
//! lies in the arena and layers write over it: bring it before each run.
//!
//! # What cannot happen
//!
//! After [`Model::new`] nothing panics, nothing is out of bounds and nothing runs for ever, whatever the bytes
//! of the file, of the input or of a picture: what does not fit is an error. `unsafe` is in `arch` alone.
//! [`Model::checksum_ok`] finds accidental damage; against a forger it is no help.
//!
//! # What is where
//!
//! For a program that classifies: [`Model`], [`Output`], [`Class`], [`Aligned`], [`preprocess`],
//! [`explain`] (which places of a picture speak for a class), [`operators`] (which of them a program has),
//! [`tensor`] (shapes), and the errors [`FormatError`], [`RunError`], [`preprocess::PreprocessError`] and
//! [`explain::ExplainError`]. With what these pages show, later versions stay compatible as semver has it;
//! API.txt lists all of it.
//!
//! For compilers, tools and tests, hidden from these pages, and with no promise between versions:
//!
//! - `format`: the file, byte by byte: parse, check, emit. FORMAT.md has it as text.
//! - `layer`, `packing`, `window`: what a layer is, and geometry.
//! - `ops`: one operator, one file; the plain loop is the meaning. `arch`: the same made fast.
//! - `rounding`: from accumulators to int8. QUANTIZATION.md has it as numbered equations.
//! - `crc`: checksums.

#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

/// The example of README.md is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// What is hidden is public for compilers, tools and tests; the lint that asks for documentation asks there too.
#[cfg_attr(doc, doc(hidden))]
pub mod arch;
mod classify;
#[cfg_attr(doc, doc(hidden))]
pub mod crc;
mod engine;
mod error;
pub mod explain;
#[cfg_attr(doc, doc(hidden))]
pub mod format;
#[cfg_attr(doc, doc(hidden))]
pub mod layer;
mod model;
pub mod operators;
#[cfg_attr(doc, doc(hidden))]
pub mod ops;
#[cfg_attr(doc, doc(hidden))]
pub mod packing;
pub mod preprocess;
#[cfg_attr(doc, doc(hidden))]
pub mod rounding;
mod target;
pub mod tensor;
#[cfg(test)]
mod testing;
#[cfg_attr(doc, doc(hidden))]
pub mod window;

pub use classify::{Class, Output};
pub use engine::RunError;
pub use error::{FormatError, Problem};
pub use model::{Aligned, Model};
pub use target::Target;
