//! Scales that a network was trained with: quantization-aware training rounds by them, so that the integers
//! take them over.

use serde::{Deserialize, Serialize};

use super::Options;
use super::lower::Plan;
use super::weights::WeightRange;
use crate::calibrate::Method;
use crate::graph::{Graph, Quant, ValueId};
use crate::qgraph::QGraph;

/// An activation's integers: `real = scale × (integer - zero_point)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The activation, as in the float file.
    pub name: String,
    /// Above 0.
    pub scale: f32,
    /// What stands for 0.
    pub zero_point: i8,
}

impl Scale {
    /// Those of a quantized graph: of its input, then of each layer's output.
    pub fn of(graph: &QGraph) -> Vec<Self> {
        let outputs = graph.layers.iter().map(|layer| layer.output);
        let tensors = std::iter::once(graph.input).chain(outputs);
        let scale = |tensor: usize| {
            let tensor = &graph.tensors[tensor];
            Self {
                name: tensor.name.clone(),
                scale: tensor.quant.scale,
                zero_point: tensor.quant.zero_point,
            }
        };
        tensors.map(scale).collect()
    }

    /// The least and the greatest value.
    pub fn ends(&self) -> (f32, f32) {
        let value = |integer: i8| (f32::from(integer) - f32::from(self.zero_point)) * self.scale;
        (value(i8::MIN), value(i8::MAX))
    }
}

impl Options {
    /// The same, with what training has chosen no longer open.
    pub(super) fn with_trained(&self) -> Self {
        if self.scales.is_empty() || self.method.is_some() {
            return Self {
                scales: Vec::new(),
                ..self.clone()
            };
        }
        Self {
            method: Some(Method::Trained),
            equalize: Some(false),
            correct_bias: self.correct_bias.or(Some(false)),
            weights: self.weights.or(Some(WeightRange::Max)),
            ..self.clone()
        }
    }
}

/// For each value, its trained quantization, where there is one by which saturation clamps as the layer has
/// to. Input and logits have none: they keep all that was seen.
pub(super) fn trained(graph: &Graph, plan: &Plan, scales: &[Scale]) -> Vec<Option<Quant>> {
    let find = |value: ValueId| {
        if value == graph.input || value == graph.output {
            return None;
        }
        let name = &graph.values[value].name;
        let scale = scales.iter().find(|scale| scale.name == *name)?;
        let (low, high) = scale.ends();
        let slack = scale.scale / 2.0;
        let (least, greatest) = plan.bounds[value].unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let sound = scale.scale.is_normal() && low >= least && high - slack <= greatest;
        (sound && low < high).then_some(Quant {
            scale: scale.scale,
            zero_point: scale.zero_point,
            unsigned: true,
        })
    };
    (0..graph.values.len()).map(find).collect()
}
