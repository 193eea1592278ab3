//! Rules that make a graph smaller and leave its outputs as they were, but for float rounding.
//!
//! | rule | before | after |
//! |---|---|---|
//! | `affine::join` | Affine, Affine | Affine |
//! | `affine::into_conv_before` | Conv, Affine | Conv |
//! | `affine::into_conv_after` | Affine, Conv with no padding or no shift | Conv |
//! | `affine::drop_identity` | Affine by 1 and 0 | nothing |
//! | `pad::into_window` | Pad, Conv or pool | Conv or pool with more padding |
//! | `clamp::join` | Relu or Clip, Relu or Clip | one of them |
//! | `clamp::drop_needless` | Relu of what is not negative | nothing |
//! | `affine::to_depthwise` | what Affines are left | depthwise 1×1 Conv |

mod affine;
mod clamp;
mod pad;
#[cfg(test)]
mod tests;

use crate::graph::{Graph, Op, ValueId};
pub use clamp::{clamp, compose};

/// Looks at a node and rewrites the graph around it; false where it does not apply.
type Rule = fn(&mut Graph, usize) -> bool;

const RULES: [Rule; 7] = [
    affine::join,
    affine::into_conv_before,
    affine::into_conv_after,
    affine::drop_identity,
    pad::into_window,
    clamp::join,
    clamp::drop_needless,
];

/// Applies all rules until none applies.
pub fn fold(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for rules in [&RULES[..], &[affine::to_depthwise]] {
        // Each application removes a node or an Affine or a Pad's reader, so that this ends.
        while apply(&mut graph, rules) {}
    }
    compact(&mut graph);
    graph
}

fn apply(graph: &mut Graph, rules: &[Rule]) -> bool {
    let mut changed = false;
    let mut node = 0;
    while node < graph.nodes.len() {
        match rules.iter().any(|rule| rule(graph, node)) {
            true => changed = true,
            false => node += 1,
        }
    }
    changed
}

/// The node that writes what a node reads first, if nobody else reads that.
fn sole_producer(graph: &Graph, node: usize) -> Option<usize> {
    let value = *graph.nodes[node].inputs.first()?;
    let alone = graph.readers(value).count() == 1 && value != graph.output;
    graph.producer(value).filter(|_| alone)
}

/// Removes a node of one input: its readers read the input.
fn bypass(graph: &mut Graph, node: usize) {
    let gone = graph.nodes.remove(node);
    replace(graph, gone.output, gone.inputs[0]);
}

/// Makes all readers of a value read another one.
fn replace(graph: &mut Graph, old: ValueId, new: ValueId) {
    let inputs = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs);
    inputs
        .filter(|input| **input == old)
        .for_each(|input| *input = new);
    if graph.output == old {
        graph.output = new;
    }
}

/// Removes a node whose only reader takes over its input and writes the same.
fn absorb(graph: &mut Graph, producer: usize, into: usize) {
    let (kept, gone) = (producer.min(into), producer.max(into));
    debug_assert_eq!(kept, producer);
    let output = graph.nodes[gone].output;
    graph.nodes[kept].output = output;
    graph.nodes.remove(gone);
}

/// Removes nodes that nothing needs, and values that nothing reads or writes.
pub fn compact(graph: &mut Graph) {
    let mut needed = vec![false; graph.values.len()];
    needed[graph.output] = true;
    needed[graph.input] = true;
    for node in graph.nodes.iter().rev() {
        if needed[node.output] {
            node.inputs.iter().for_each(|input| needed[*input] = true);
        }
    }
    graph.nodes.retain(|node| needed[node.output]);
    let mut names = vec![];
    let values = std::mem::take(&mut graph.values);
    for (value, needed) in values.into_iter().zip(needed) {
        names.push(graph.values.len());
        if needed {
            graph.values.push(value);
        }
    }
    for node in &mut graph.nodes {
        node.output = names[node.output];
        node.inputs
            .iter_mut()
            .for_each(|input| *input = names[*input]);
    }
    graph.input = names[graph.input];
    graph.output = names[graph.output];
}

/// Whether a convolution's weights are its own to change: not those of a quantized file.
fn free_conv(graph: &Graph, node: usize) -> bool {
    matches!(&graph.nodes[node].op, Op::Conv(conv) if conv.stored.is_none())
}
