//! Which nodes the output needs, in an order in which each comes after those that it reads.

use std::collections::{HashMap, HashSet};

use super::MAX_NODES;
use crate::onnx::{GraphProto, NodeProto, OnnxFile, TensorProto};

/// The file's names.
pub struct Index<'f> {
    pub graph: &'f GraphProto,
    pub initializers: HashMap<&'f str, &'f TensorProto>,
    /// The node that writes each name.
    pub producers: HashMap<&'f str, usize>,
    /// For outputs of a DequantizeLinear that another one repeats, the first one's.
    pub same: HashMap<&'f str, &'f str>,
    /// The file's output.
    pub output: &'f str,
    /// ONNX's operator set.
    pub opset: i64,
}

impl<'f> Index<'f> {
    /// Checks that every name is written once.
    pub fn new(file: &'f OnnxFile, input: &str) -> Result<Self, String> {
        let graph = file.proto.graph.as_ref().ok_or("no graph")?;
        if graph.node.len() > MAX_NODES {
            return Err(format!("{} nodes", graph.node.len()));
        }
        let [output] = &graph.output[..] else {
            return Err(format!(
                "{} outputs; Kiln takes models with one output of logits",
                graph.output.len()
            ));
        };
        let mut imports = file.proto.opset_import.iter();
        let own = imports.find(|import| import.domain.is_empty() || import.domain == "ai.onnx");
        let opset = own.map_or(1, |import| import.version);
        if opset < 7 {
            return Err(format!(
                "operator set {opset}, and 7 is the first that is read"
            ));
        }
        let mut initializers = HashMap::new();
        for tensor in &graph.initializer {
            if initializers.insert(&tensor.name[..], tensor).is_some() {
                return Err(format!("two weights are called `{}`", tensor.name));
            }
        }
        let mut producers = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                let taken = name == input || initializers.contains_key(&name[..]);
                if taken || producers.insert(&name[..], index).is_some() {
                    return Err(format!("`{name}` is written twice"));
                }
            }
        }
        Ok(Self {
            graph,
            initializers,
            same: repeated(graph),
            producers,
            output: &output.name,
            opset,
        })
    }

    /// The name of the first value that is the same by definition.
    pub fn first(&self, name: &'f str) -> &'f str {
        self.same.get(name).copied().unwrap_or(name)
    }

    pub fn node(&self, index: usize) -> &'f NodeProto {
        &self.graph.node[index]
    }

    /// The nodes that the output needs, in order. `inputs` says what a node reads, so that patterns
    /// may stand for several.
    pub fn order(&self, inputs: impl Fn(usize) -> Vec<&'f str>) -> Result<Vec<usize>, String> {
        let mut order = vec![];
        let (mut open, mut done) = (HashSet::new(), HashSet::new());
        let mut stack: Vec<usize> = self
            .producers
            .get(self.output)
            .copied()
            .into_iter()
            .collect();
        while let Some(&node) = stack.last() {
            if done.contains(&node) {
                stack.pop();
                continue;
            }
            if !open.insert(node) {
                done.insert(node);
                order.push(node);
                stack.pop();
                continue;
            }
            for name in inputs(node).into_iter().rev() {
                if let Some(before) = self.producers.get(name)
                    && !done.contains(before)
                {
                    if open.contains(before) {
                        let name = &self.node(*before).name;
                        return Err(format!(
                            "the nodes around `{name}` read each other in a ring"
                        ));
                    }
                    stack.push(*before);
                }
            }
        }
        Ok(order)
    }
}

/// Quantizers write a DequantizeLinear for each reader.
fn repeated(graph: &GraphProto) -> HashMap<&str, &str> {
    let (mut first, mut same) = (HashMap::new(), HashMap::new());
    let nodes = graph.node.iter();
    for node in nodes.filter(|node| node.op_type == "DequantizeLinear" && node.attribute.is_empty())
    {
        if let [output] = &node.output[..] {
            let before = *first.entry(&node.input).or_insert(output);
            if before != output {
                same.insert(&output[..], &before[..]);
            }
        }
    }
    same
}

/// What to call a node.
pub fn name_of(node: &NodeProto) -> &str {
    match (&node.name[..], node.output.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    }
}
