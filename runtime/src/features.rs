//! A classifier in two: what makes its features of an input, and the last layer, which makes logits of them.

use crate::qgraph::{QConv, QGraph, QOp};

/// A classifier's features, and what they say.
#[derive(Clone, Debug)]
pub struct Features {
    /// The classifier without its last layer: its output is that layer's input.
    pub graph: QGraph,
    /// The last layer, in floats.
    pub head: Head,
}

/// A fully connected layer in floats.
#[derive(Clone, Debug)]
pub struct Head {
    /// `[labels][features]`.
    weights: Vec<f32>,
    /// One a label.
    bias: Vec<f32>,
}

impl Features {
    /// Takes a classifier apart; `None` where it does not end in a fully connected layer. What its output
    /// says beside the labels is left out.
    pub fn of(graph: &QGraph) -> Option<Self> {
        let last = graph.producer(graph.output)?;
        let layer = &graph.layers[last];
        let QOp::Conv(conv) = &layer.op else {
            return None;
        };
        let features = layer.inputs[0];
        let vector = graph.tensors[features].shape.pixels() == 1;
        let used_again = graph.readers(features).nth(1).is_some();
        if !vector || conv.groups != 1 || conv.clamp.is_some() || used_again {
            return None;
        }
        let logits = conv.bias.len() - usize::from(graph.meta.known);
        let temperature = graph.quant(graph.output).scale / graph.output_scale();
        let head = Head::new(conv, logits, graph.quant(features).scale, temperature);
        let mut graph = graph.clone();
        graph.layers.remove(last);
        graph.output = features;
        graph.logit_scale = None;
        graph.meta.labels.clear();
        graph.meta.known = false;
        Some(Self { graph, head })
    }
}

impl Head {
    /// `input` is the scale of the features' integers; logits come divided by `temperature`.
    fn new(conv: &QConv, logits: usize, input: f32, temperature: f32) -> Self {
        let features = conv.weights.len() / conv.bias.len().max(1);
        let weight = |(index, &weight): (usize, &i8)| {
            let of = index / features;
            let steps = f32::from(weight) - f32::from(conv.zero_points[of]);
            steps * conv.scales[of] / temperature
        };
        let bias = |(of, &bias): (usize, &i32)| bias as f32 * conv.scales[of] * input / temperature;
        let weights = conv.weights.iter().enumerate().map(weight);
        Self {
            weights: weights.take(logits * features).collect(),
            bias: conv
                .bias
                .iter()
                .enumerate()
                .map(bias)
                .take(logits)
                .collect(),
        }
    }

    /// How many it takes.
    pub fn features(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }

    /// Features to logits.
    pub fn logits(&self, features: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.features().max(1));
        let sum = |row: &[f32]| row.iter().zip(features).map(|(w, x)| w * x).sum::<f32>();
        rows.zip(&self.bias)
            .map(|(row, bias)| sum(row) + bias)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use kiln_run::engine::{Engine, Input};

    use super::*;
    use crate::engine::OfGraph;
    use crate::testing::{Random, random_graph};

    #[test]
    fn both_parts_together_are_the_classifier() {
        let mut taken = 0;
        for seed in 0..60 {
            let mut graph = random_graph(seed);
            let quant = graph.quant(graph.output);
            graph.logit_scale = Some(quant.scale * 0.75);
            let Some(Features { graph: body, head }) = Features::of(&graph) else {
                continue;
            };
            taken += 1;
            let len = graph.tensors[graph.input].shape.len();
            let input = Random::new(seed).bytes(len);
            let run = |graph: &QGraph| {
                let mut engine = Engine::of(graph).unwrap();
                engine.logits(Input::Quantized(&input)).unwrap()
            };
            let [low, high] = [-128.0, 127.0]
                .map(|end| (end - f32::from(quant.zero_point)) * graph.output_scale());
            let floats = head.logits(&run(&body));
            for (float, integer) in floats.iter().zip(run(&graph)) {
                let apart = (float.clamp(low, high) - integer).abs() / graph.output_scale();
                assert!(
                    apart < 0.51,
                    "seed {seed}: {float} and {integer}, {apart} steps"
                );
            }
        }
        assert!(taken > 20, "{taken}");
    }

    #[test]
    fn what_else_the_output_says_is_left_out() {
        let graph = (0..).map(random_graph);
        let mut graph = graph
            .filter(|graph| graph.tensors[graph.output].shape.len() > 2)
            .find(|graph| Features::of(graph).is_some())
            .unwrap();
        let all = Features::of(&graph).unwrap().head;
        graph.meta.known = true;
        let head = Features::of(&graph).unwrap().head;
        assert_eq!(head.bias[..], all.bias[..all.bias.len() - 1]);
        let row = all.weights.len() / all.bias.len();
        assert_eq!(head.weights[..], all.weights[..all.weights.len() - row]);
    }
}
