//! Kiln's engine: what runs on the device. No standard library, no heap, no dependencies.
//!
//! - [`preprocess`]: a picture becomes the model's input, in integers.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod preprocess;
