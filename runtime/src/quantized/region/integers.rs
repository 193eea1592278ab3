//! Operators that read integers as they are, between no Dequantize and Quantize.

use super::{Builder, PARTLY, Refusal};
use crate::graph::{Op, Quant};
use crate::qgraph::{QOp, TensorId};

impl Builder<'_> {
    /// Such a node.
    pub(super) fn on_integers(&mut self, index: usize) -> Result<(), Refusal> {
        let node = &self.graph.nodes[index];
        let input = self.graph.input;
        if node.inputs[0] == input && !self.tensors.contains_key(&input) {
            let Some(quant) = self.quant_ahead(index) else {
                return Ok(());
            };
            self.tensor(input, quant);
        }
        let inputs: Option<Vec<TensorId>> = node
            .inputs
            .iter()
            .map(|value| self.tensors.get(value).copied())
            .collect();
        let Some(inputs) = inputs else {
            return Ok(());
        };
        let quant = self.result.tensors[inputs[0]].quant;
        if inputs
            .iter()
            .any(|input| self.result.tensors[*input].quant != quant)
        {
            return Err((
                "it joins integers of different scales".into(),
                "put it between DequantizeLinear and QuantizeLinear",
            ));
        }
        let op = match &node.op {
            Op::MaxPool(window) => QOp::MaxPool(*window),
            Op::Resize(factors) => QOp::Resize(*factors),
            Op::Concat(axis) => QOp::Concat(*axis),
            Op::Pad { padding, value } => QOp::Pad {
                padding: *padding,
                value: value.round_ties_even() as i8,
            },
            _ => return Err(("it computes on integers".into(), PARTLY)),
        };
        let output = self.tensor(node.output, quant);
        self.push(index, op, inputs, output);
        Ok(())
    }

    /// The scale that integers have at the next Dequantize after a node.
    fn quant_ahead(&self, index: usize) -> Option<Quant> {
        let mut value = self.graph.nodes[index].output;
        for node in &self.graph.nodes[index + 1..] {
            if !node.inputs.contains(&value) {
                continue;
            }
            match &node.op {
                Op::Dequantize(quant) => return Some(*quant),
                Op::MaxPool(_) | Op::Resize(_) | Op::Concat(_) | Op::Pad { .. } => {
                    value = node.output
                }
                _ => return None,
            }
        }
        None
    }
}
