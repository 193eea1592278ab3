//! Kiln's engine: what runs on the device. No standard library, no heap, no dependencies.
//!
//! - [`preprocess`]: a picture becomes the model's input, in integers.
//! - [`layer`]: what a layer of a model is.
//! - [`tensor`], [`window`]: shapes and geometry.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod layer;
pub mod preprocess;
pub mod tensor;
pub mod window;
