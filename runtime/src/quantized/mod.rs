//! Files that are already quantized, in QDQ or QLinear form, to [`QGraph`]s: integers, scales and zero
//! points are kept as they are.
//!
//! The loader has made both forms one: integers, Dequantize, a float operator, Quantize. What lies
//! between a Quantize and the Dequantizes before it becomes one layer, or one and a requantization.
//! Whatever stays in floats is named.

mod layer;
mod region;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::graph::Graph;
use crate::load::{LoadError, Unsupported, load};
use crate::onnx::{self, OnnxFile};
use crate::qgraph::{Meta, QGraph};
use region::Builder;

/// Whether activations of a file are quantized, by its operators alone. One that keeps its weights as integers and
/// computes in floats is a float model.
pub fn is_quantized_file(file: &OnnxFile) -> bool {
    let Some(graph) = &file.proto.graph else {
        return false;
    };
    let mut constants: HashSet<&str> = graph.initializer.iter().map(|c| &c.name[..]).collect();
    graph.node.iter().any(|node| {
        let known = |name: &String| name.is_empty() || constants.contains(&name[..]);
        if node.input.iter().all(known) {
            constants.extend(node.output.iter().map(String::as_str));
            return false;
        }
        let op = &node.op_type[..];
        op == "DequantizeLinear" || op == "QGemm" || op.starts_with("QLinear")
    })
}

/// Reads a quantized file.
///
/// # Errors
/// [`LoadError`]; nodes that compute in floats are listed.
pub fn load_quantized(file: &OnnxFile) -> Result<QGraph, LoadError> {
    let graph = load(file)?;
    let quantized = from_graph(&graph).map_err(|nodes| LoadError::Unsupported {
        path: file.path.clone(),
        nodes,
    })?;
    Ok(QGraph {
        meta: meta(file, &graph),
        ..quantized
    })
}

/// The quantized graph of a graph that [`load`] made of a quantized file, with no metadata.
///
/// # Errors
/// The nodes that compute in floats.
pub fn from_graph(graph: &Graph) -> Result<QGraph, Vec<Unsupported>> {
    Builder::new(graph).build()
}

/// What travels with a model, from its file.
pub fn meta(file: &OnnxFile, graph: &Graph) -> Meta {
    let name = file.proto.graph.as_ref().map(|graph| graph.name.clone());
    let properties = file.proto.metadata_props.iter();
    Meta {
        name: name.unwrap_or_default(),
        labels: file.labels().unwrap_or_default(),
        known: file.get_json(onnx::KNOWN).unwrap_or(false),
        recipe: file.recipe().ok(),
        layout: graph.layout,
        input: file.input().map(|(_, axes)| axes).unwrap_or_default(),
        properties: properties
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect(),
    }
}
