//! From each Quantize back to the Dequantizes before it.

mod integers;

use std::collections::{HashMap, HashSet};

use super::layer::{self, Core};
use crate::fold::{clamp, compose};
use crate::graph::{Graph, Node, Op, Quant, ValueId};
use crate::load::Unsupported;
use crate::names::Names;
use crate::qgraph::{Meta, QGraph, QLayer, QOp, QTensor, TensorId};

/// Builds a [`QGraph`].
pub struct Builder<'g> {
    graph: &'g Graph,
    result: QGraph,
    /// The tensor of each quantized value.
    tensors: HashMap<ValueId, TensorId>,
    /// The tensor whose real values a value has.
    real: HashMap<ValueId, TensorId>,
    /// The tensor that the model's input is quantized to, where it is floats: these are not its real values.
    input: Option<TensorId>,
    /// Nodes that a layer stands for, and values behind a failed region.
    done: HashSet<usize>,
    broken: HashSet<ValueId>,
    problems: Vec<Unsupported>,
    /// The layers'.
    names: Names,
}

/// What a Quantize's input comes from.
struct Behind {
    source: Source,
    /// Of the clamps between.
    bounds: Option<(f32, f32)>,
    /// The nodes between, the source's among them; the last first.
    passed: Vec<usize>,
}

enum Source {
    /// A quantized value.
    Tensor(TensorId),
    /// A node that computes in floats.
    Node(usize),
}

/// Why a part of the graph is no layer: what is in the way, and what to do.
pub type Refusal = (String, &'static str);

/// What helps where a part of a file computes in floats.
pub const PARTLY: &str = "quantize all of the model, or give Kiln the float model";

impl<'g> Builder<'g> {
    pub fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            result: QGraph::default(),
            tensors: HashMap::new(),
            real: HashMap::new(),
            input: None,
            done: HashSet::new(),
            broken: HashSet::new(),
            names: Names::default(),
            problems: vec![],
        }
    }

    pub fn build(mut self) -> Result<QGraph, Vec<Unsupported>> {
        for index in 0..self.graph.nodes.len() {
            let node = &self.graph.nodes[index];
            let outcome = match &node.op {
                Op::Quantize(quant) => self.quantize(index, *quant),
                Op::Dequantize(quant) => self.dequantize(index, *quant),
                _ => self.on_integers(index),
            };
            if let Err(refusal) = outcome {
                self.broken.insert(node.output);
                self.refuse(node, refusal);
            }
        }
        self.leftovers();
        let output = self.graph.output;
        let output = self
            .real
            .get(&output)
            .or_else(|| self.tensors.get(&output))
            .copied();
        let input = self.tensors.get(&self.graph.input).copied();
        let input = input.or(self.input);
        match (input, output, self.problems.is_empty()) {
            (Some(input), Some(output), true) => {
                self.result.input = input;
                self.result.output = output;
                self.result.tensors[output].name =
                    self.graph.values[self.graph.output].name.clone();
                self.result.tensors[input].name = self.graph.values[self.graph.input].name.clone();
                self.result.meta = Meta {
                    layout: self.graph.layout,
                    ..Meta::default()
                };
                Ok(self.result)
            }
            (_, _, false) => Err(self.problems),
            _ => {
                let name = &self.graph.values[self.graph.output].name;
                Err(vec![Unsupported {
                    op: "the output".into(),
                    node: name.clone(),
                    why: "it is not quantized, or the input is not".into(),
                    instead: PARTLY.into(),
                }])
            }
        }
    }

    fn refuse(&mut self, node: &Node, (why, instead): Refusal) {
        self.problems.push(Unsupported {
            op: layer::name(&node.op).into(),
            node: node.name.clone(),
            why,
            instead: instead.into(),
        });
    }

    fn tensor(&mut self, value: ValueId, quant: Quant) -> TensorId {
        let tensor = self.scratch(value, quant, "");
        self.tensors.insert(value, tensor);
        tensor
    }

    fn scratch(&mut self, value: ValueId, quant: Quant, suffix: &str) -> TensorId {
        let value = &self.graph.values[value];
        self.result.tensors.push(QTensor {
            name: format!("{}{suffix}", value.name),
            shape: value.shape,
            quant,
        });
        self.result.tensors.len() - 1
    }

    /// The integers of a value; the model's input gets its scale from the first to read it.
    fn integers(&mut self, value: ValueId, quant: Quant) -> Option<TensorId> {
        if value == self.graph.input && !self.tensors.contains_key(&value) {
            self.tensor(value, quant);
        }
        self.tensors.get(&value).copied()
    }

    fn dequantize(&mut self, index: usize, quant: Quant) -> Result<(), Refusal> {
        let node = &self.graph.nodes[index];
        self.done.insert(index);
        let Some(tensor) = self.integers(node.inputs[0], quant) else {
            self.broken.insert(node.output);
            return Ok(());
        };
        let expected = self.result.tensors[tensor].quant;
        let last = node.output == self.graph.output
            && self.graph.readers(node.output).next().is_none()
            && self
                .result
                .layers
                .iter()
                .any(|layer| layer.output == tensor);
        if last {
            // Temperature scaling: the logits' scale may be any.
            let scale = expected.scale;
            self.result.logit_scale = (quant.scale != scale).then_some(quant.scale);
            let same = Quant { scale, ..quant };
            return self.read_as(node.output, tensor, same);
        }
        self.read_as(node.output, tensor, quant)
    }

    /// A value is the real values of a tensor, if that is quantized so.
    fn read_as(&mut self, value: ValueId, tensor: TensorId, quant: Quant) -> Result<(), Refusal> {
        let expected = self.result.tensors[tensor].quant;
        if expected != quant {
            return Err((
                format!("it reads {expected:?} as {quant:?}"),
                "give both the same scale and zero point",
            ));
        }
        self.real.insert(value, tensor);
        Ok(())
    }

    fn quantize(&mut self, index: usize, quant: Quant) -> Result<(), Refusal> {
        let graph = self.graph;
        let node = &graph.nodes[index];
        self.done.insert(index);
        if node.inputs[0] == graph.input {
            return self.float_input(node, quant);
        }
        let Some(behind) = self.behind(node.inputs[0])? else {
            self.broken.insert(node.output);
            return Ok(());
        };
        let bounds = behind.bounds;
        let bounds = bounds.filter(|bounds| !saturated(*bounds, quant));
        let core = match behind.source {
            Source::Tensor(tensor) => {
                self.done.extend(behind.passed);
                return self.reencode(index, tensor, bounds, quant, node.output);
            }
            Source::Node(core) => core,
        };
        if self.after_broken(core) {
            self.broken.insert(node.output);
            self.done.extend(behind.passed);
            return Ok(());
        }
        let Some(inputs) = self.real_inputs(core) else {
            // Named among what is left.
            self.broken.insert(node.output);
            return Ok(());
        };
        self.done.extend(behind.passed);
        let quants: Vec<Quant> = inputs
            .iter()
            .map(|input| self.result.tensors[*input].quant)
            .collect();
        let outcome = layer::layer(&graph.nodes[core].op, &quants, quant, bounds);
        let core_node = &graph.nodes[core];
        match outcome {
            Ok(Core::Whole(op)) => {
                let output = self.tensor(node.output, quant);
                self.push(core, op, inputs, output);
                Ok(())
            }
            Ok(Core::InputScale(op)) => {
                // Computed on the input's scale, and brought to the output's.
                let output = self.scratch(core_node.output, quants[0], " (same scale)");
                self.push(core, op, inputs, output);
                self.reencode(index, output, bounds, quant, node.output)
            }
            Err(refusal) => {
                self.broken.insert(node.output);
                self.refuse(core_node, refusal);
                Ok(())
            }
        }
    }

    /// Goes back from a value, through activations that only clamp; `None` where a failed region is met.
    fn behind(&self, mut value: ValueId) -> Result<Option<Behind>, Refusal> {
        let (mut bounds, mut passed) = (None, vec![]);
        let source = loop {
            if let Some(tensor) = self.real.get(&value) {
                break Source::Tensor(*tensor);
            }
            let Some(producer) = self.graph.producer(value) else {
                return Err(("its input is not quantized".into(), PARTLY));
            };
            if self.broken.contains(&value) {
                return Ok(None);
            }
            passed.push(producer);
            match &self.graph.nodes[producer].op {
                Op::Pointwise(function) if function.clamp().is_some() => {
                    let own = function.clamp().unwrap_or_default();
                    bounds = Some(bounds.map_or(own, |after| compose(own, after)));
                    value = self.graph.nodes[producer].inputs[0];
                }
                _ => break Source::Node(producer),
            }
        };
        Ok(Some(Behind {
            source,
            bounds,
            passed,
        }))
    }

    fn after_broken(&self, core: usize) -> bool {
        let mut inputs = self.graph.nodes[core].inputs.iter();
        inputs.any(|value| self.broken.contains(value))
    }

    fn real_inputs(&self, core: usize) -> Option<Vec<TensorId>> {
        let inputs = self.graph.nodes[core].inputs.iter();
        inputs.map(|value| self.real.get(value).copied()).collect()
    }

    fn float_input(&mut self, node: &Node, quant: Quant) -> Result<(), Refusal> {
        let tensor = match self.input {
            None => self.scratch(node.inputs[0], quant, ""),
            Some(tensor) if self.result.tensors[tensor].quant == quant => tensor,
            Some(_) => {
                return Err((
                    "the input is quantized in two ways".into(),
                    "quantize it once: calibrate again",
                ));
            }
        };
        self.input = Some(tensor);
        self.tensors.insert(node.output, tensor);
        Ok(())
    }

    /// From one quantization to another, through a clamp.
    fn reencode(
        &mut self,
        index: usize,
        tensor: TensorId,
        bounds: Option<(f32, f32)>,
        quant: Quant,
        value: ValueId,
    ) -> Result<(), Refusal> {
        let op = match bounds {
            Some((min, max)) => QOp::Pointwise(clamp(min, max)),
            None if self.result.tensors[tensor].quant == quant => {
                self.tensors.insert(value, tensor);
                return Ok(());
            }
            None => QOp::Requantize,
        };
        let output = self.tensor(value, quant);
        self.push(index, op, vec![tensor], output);
        Ok(())
    }

    fn push(&mut self, node: usize, op: QOp, inputs: Vec<TensorId>, output: TensorId) {
        self.done.insert(node);
        self.result.layers.push(QLayer {
            // Several layers may come of one node, and a file may name its nodes alike.
            name: self.names.take(&self.graph.nodes[node].name),
            op,
            inputs,
            output,
        });
    }

    /// Names the float nodes that no layer stands for.
    fn leftovers(&mut self) {
        let graph = self.graph;
        for (index, node) in graph.nodes.iter().enumerate() {
            let behind = node.inputs.iter().any(|value| self.broken.contains(value));
            if behind {
                self.broken.insert(node.output);
            }
            if !self.done.contains(&index) && !behind && !self.broken.contains(&node.output) {
                let last = node.output == graph.output;
                let why = if last {
                    "its output, the model's, is not quantized"
                } else {
                    "it computes in floats: its inputs or its output are not quantized"
                };
                self.refuse(node, (why.into(), PARTLY));
            }
        }
    }
}

/// Whether quantization saturates no later than a clamp.
fn saturated((min, max): (f32, f32), quant: Quant) -> bool {
    let low = (-128.0 - f32::from(quant.zero_point)) * quant.scale;
    let high = (127.0 - f32::from(quant.zero_point)) * quant.scale;
    min <= low && max >= high
}
