//! Kiln's trainer: from a folder of pictures to a trained CNN in ONNX.

pub mod allocator;
pub mod cmd;
pub mod config;
pub mod data;
pub mod device;
pub mod disk;
pub mod evaluate;
pub mod export;
pub mod inference;
pub mod model;
pub mod picture;
pub mod run;
pub mod training;
