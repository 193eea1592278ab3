//! Kiln's engine where there is an operating system: `.kiln` files, pictures and answers, with neither
//! tract nor burn.
//!
//! - [`engine`]: models loaded, checked and run.
//! - [`pictures`]: picture files to a model's pixels.
//! - [`answer`]: what a model says, for people and as JSON.
//! - [`explain`]: which places of a picture speak for a class.
//! - [`layout`]: the order of axes of an ONNX file's input.

pub mod answer;
pub mod engine;
pub mod explain;
pub mod layout;
pub mod pictures;
