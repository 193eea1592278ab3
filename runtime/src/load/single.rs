//! The single logit of a network that tells two classes apart.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::graph::{Conv, Graph, Node, Op, Value};

/// Makes two logits of a graph's one, `z`: 0 and `z`, of which a softmax gives what a sigmoid gives of `z`. Graphs of
/// integers and those with other outputs stay as they are.
pub fn two_logits(graph: &mut Graph) {
    let one = Shape::vector(1);
    if graph.values[graph.output].shape != one || graph.has_integers() {
        return;
    }
    let output = graph.output;
    let reads = |node: &Node| node.inputs.contains(&output);
    let read = graph.nodes.iter().any(reads);
    let mut writers = graph.nodes.iter_mut();
    if let Some(Node {
        op: Op::Conv(conv), ..
    }) = writers.find(|node| node.output == output)
        && conv.groups == 1
        && !read
    {
        let weights = vec![0.0; conv.weights.len()];
        conv.weights.splice(0..0, weights);
        conv.bias.insert(0, 0.0);
        graph.values[output].shape = Shape::vector(2);
        return;
    }
    graph.values.push(Value {
        name: "logits".into(),
        shape: Shape::vector(2),
    });
    graph.output = graph.values.len() - 1;
    graph.nodes.push(Node {
        name: "logits".into(),
        op: Op::Conv(Conv {
            window: Window::default(),
            groups: 1,
            weights: vec![0.0, 1.0],
            bias: vec![0.0; 2],
            stored: None,
        }),
        inputs: vec![output],
        output: graph.output,
    });
}
