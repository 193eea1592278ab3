//! The host side of a Kiln model.
//!
//! - [`compile`]: the quantized model, laid out for a target as a `.kiln` file.
//! - [`engine`]: quantized models run; [`verify`]: against each other.
//! - [`features`]: a classifier without its last layer.
//! - [`files`]: files that are there whole or not at all.
//! - [`recipe`]: the preprocessing recipe as text, in run files and inside models.
//! - [`onnx`]: an ONNX file's nodes, weights and metadata.
//! - [`float`]: the float model, run by tract.
//! - [`graph`], [`pointwise`]: the model as the passes see it.
//! - [`load`]: ONNX to a graph.
//! - [`fold`]: rules that make a graph smaller.
//! - [`float_graph`]: a graph run in floats, every value to be seen.
//! - [`qgraph`]: the quantized model; [`onnx_out`]: as an ONNX file.
//! - [`quantized`]: the graph of a file that is already quantized to a quantized model.
//! - [`quantize`]: from the float graph to integers, with ranges from [`calibrate`] and a [`report`].
//! - [`multiplier`]: whether integers alone round as the float multiplier does.
//! - [`testing`]: random quantized models for tests.

pub mod calibrate;
pub mod compile;
pub mod engine;
pub mod features;
pub mod files;
pub mod float;
pub mod float_graph;
pub mod fold;
pub mod graph;
pub mod load;
pub mod multiplier;
mod names;
pub mod onnx;
pub mod onnx_out;
pub mod panics;
pub mod pointwise;
pub mod qgraph;
pub mod quantize;
pub mod quantized;
pub mod recipe;
pub mod report;
pub mod testing;
pub mod verify;
