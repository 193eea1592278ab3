//! Kiln's trainer: from a folder of pictures to a trained CNN in ONNX.

pub mod data;
pub mod model;
