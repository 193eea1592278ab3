//! What a Softmax at a model's end reads: its logits. A Sigmoid there counts as one where the file has labels.

use std::borrow::Cow;

use super::{GraphProto, LABELS, ModelProto, NodeProto, ValueInfoProto};

/// Operators that may stand between a Softmax and the output: such as change no order of classes.
const MAY_FOLLOW: [&str; 10] = [
    "Identity",
    "Dropout",
    "Cast",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "QuantizeLinear",
    "DequantizeLinear",
];

/// Whether an operator may read what a Softmax gives.
pub fn may_follow_softmax(op: &str) -> bool {
    MAY_FOLLOW.contains(&op)
}

/// The model with its logits as output, where it ends in a Softmax or Sigmoid over its classes: Kiln's engine, losses and
/// temperatures all take logits. Any other model as it is.
pub fn without_softmax(model: &ModelProto) -> Cow<'_, ModelProto> {
    let last = last(model).and_then(|node| node.input.first());
    let Some(name) = last.cloned() else {
        return Cow::Borrowed(model);
    };
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        graph.output = vec![ValueInfoProto {
            name,
            ..Default::default()
        }];
    }
    Cow::Owned(model)
}

/// What the Sigmoid gives that ends the graph of a classifier.
pub fn last_sigmoid(model: &ModelProto) -> Option<&str> {
    let node = last(model).filter(|node| node.op_type == "Sigmoid")?;
    node.output.first().map(String::as_str)
}

/// The Softmax or Sigmoid that ends the graph. Without labels, a Sigmoid's values may be no classes.
fn last(model: &ModelProto) -> Option<&NodeProto> {
    let graph = model.graph.as_ref()?;
    let labelled = model.metadata_props.iter().any(|entry| entry.key == LABELS);
    end(graph, labelled)
}

fn end(graph: &GraphProto, labelled: bool) -> Option<&NodeProto> {
    let [output] = &graph.output[..] else {
        return None;
    };
    let mut name = &output.name;
    // One step for each node, however they refer to each other.
    for _ in &graph.node {
        let node = graph
            .node
            .iter()
            .find(|node| node.output.first() == Some(name))?;
        name = node.input.first()?;
        if is_softmax(node) || labelled && node.op_type == "Sigmoid" {
            return Some(node);
        }
        if !may_follow_softmax(&node.op_type) {
            return None;
        }
    }
    None
}

fn is_softmax(node: &NodeProto) -> bool {
    let axis = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == "axis");
    // Over a batch of 1 it says nothing of classes.
    axis.is_none_or(|axis| axis.i != 0)
        && matches!(
            &node.op_type[..],
            "Softmax" | "LogSoftmax" | "QLinearSoftmax"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(chain: &[&str]) -> ModelProto {
        let node = |(index, op): (usize, &&str)| NodeProto {
            op_type: (*op).to_owned(),
            input: vec![index.to_string()],
            output: vec![(index + 1).to_string()],
            ..Default::default()
        };
        let output = ValueInfoProto {
            name: chain.len().to_string(),
            ..Default::default()
        };
        let graph = GraphProto {
            node: chain.iter().enumerate().map(node).collect(),
            output: vec![output],
            ..Default::default()
        };
        ModelProto {
            graph: Some(graph),
            ..Default::default()
        }
    }

    #[test]
    fn a_sigmoid_of_classes_is_left_out() {
        let mut model = model(&["Gemm", "Sigmoid", "Squeeze"]);
        assert_eq!((output(&model), last_sigmoid(&model)), ("3".into(), None));
        model
            .metadata_props
            .push(super::super::StringStringEntryProto {
                key: LABELS.into(),
                value: "[]".into(),
            });
        assert_eq!(output(&model), "1");
        assert_eq!(last_sigmoid(&model), Some("2"));
    }

    fn output(model: &ModelProto) -> String {
        without_softmax(model).graph.as_ref().unwrap().output[0]
            .name
            .clone()
    }

    #[test]
    fn the_output_is_what_the_last_softmax_reads() {
        let cases: [(&[&str], &str); 6] = [
            (&["Gemm", "Softmax"], "1"),
            (&["Gemm", "LogSoftmax", "Squeeze"], "1"),
            (
                &["Gemm", "Softmax", "QuantizeLinear", "DequantizeLinear"],
                "1",
            ),
            (&["Softmax", "Gemm"], "2"),
            (&["Gemm", "Reshape"], "2"),
            (&[], "0"),
        ];
        for (chain, expected) in cases {
            assert_eq!(output(&model(chain)), expected, "{chain:?}");
        }
    }

    #[test]
    fn nodes_in_a_circle_come_to_an_end() {
        let mut model = model(&["Identity", "Identity"]);
        model.graph.as_mut().unwrap().node[0].input[0] = "2".to_owned();
        assert_eq!(output(&model), "2");
    }
}
