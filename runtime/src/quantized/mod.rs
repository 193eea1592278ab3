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

use crate::graph::{Graph, Op};
use crate::load::{LoadError, Unsupported, load};
use crate::onnx::{self, OnnxFile};
use crate::qgraph::{Meta, QGraph};
use region::Builder;

/// Whether any part of a graph was quantized in its file.
pub fn is_quantized(graph: &Graph) -> bool {
    let quantized = |op: &Op| match op {
        Op::Quantize(_) | Op::Dequantize(_) => true,
        Op::Conv(conv) => conv.stored.is_some(),
        _ => false,
    };
    graph.nodes.iter().any(|node| quantized(&node.op))
}

/// Whether any part of a file is quantized, by its operators alone.
pub fn is_quantized_file(file: &OnnxFile) -> bool {
    let nodes = file.proto.graph.iter().flat_map(|graph| &graph.node);
    let mut ops = nodes.map(|node| &node.op_type[..]);
    ops.any(|op| op == "DequantizeLinear" || op == "QGemm" || op.starts_with("QLinear"))
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
        properties: properties
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect(),
    }
}
