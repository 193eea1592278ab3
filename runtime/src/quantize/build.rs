//! One quantized graph from one set of choices.

use super::equalize::equalize;
use super::groups::{Groups, group};
use super::lower::{Plan, lower, plan};
use super::settle::settle;
use super::trained::trained;
use super::weights::{self, Inputs, WeightRange};
use super::{Options, Progress, QuantizeError, Stage};
use crate::calibrate::{Calibration, Method, Statistics, collect};
use crate::graph::{Graph, Op, Quant, ValueId};
use crate::qgraph::{Meta, QGraph, QLayer, QOp, QTensor, TensorId};

/// A float graph with its statistics: the one that was given, or that after equalization.
pub(super) struct Variant {
    pub graph: Graph,
    pub plan: Plan,
    pub statistics: Vec<Statistics>,
    /// For each value, the quantization that it was trained with.
    pub trained: Vec<Option<Quant>>,
    /// Pairs of layers that were equalized.
    pub pairs: usize,
}

/// All choices of one quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Recipe {
    /// Index of the [`Variant`].
    pub variant: usize,
    pub method: Method,
    pub correct_bias: bool,
    pub weights: WeightRange,
}

/// A quantized graph and what is to be said about it.
#[derive(Clone, Debug)]
pub(super) struct Built {
    pub graph: QGraph,
    /// For each tensor, the value of the float graph.
    pub values: Vec<ValueId>,
    /// Output channels of convolutions.
    pub channels: usize,
    /// Those of them that obey the multiplier rule.
    pub obeying: usize,
    /// Layers whose results may depend on the order of float operations.
    pub unsettled: Vec<String>,
}

/// The float graphs to quantize: as it is, equalized, or both where that is to be chosen.
pub(super) fn variants(
    graph: &Graph,
    calibration: &mut dyn Calibration,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Vec<Variant>, QuantizeError> {
    let variant = |graph: Graph, stage, pairs, calibration: &mut dyn Calibration| {
        let plan = plan(&graph);
        let total = calibration.len();
        let wanted = |value: ValueId| {
            value == graph.input || plan.steps.iter().any(|step| step.output == value)
        };
        let wanted: Vec<bool> = (0..graph.values.len()).map(wanted).collect();
        let tell = |done| progress(Progress { stage, done, total });
        let statistics = collect(&graph, calibration, &|value| wanted[value], &tell)?;
        Ok::<_, QuantizeError>(Variant {
            trained: trained(&graph, &plan, &options.scales),
            graph,
            plan,
            statistics,
            pairs,
        })
    };
    let plain = variant(lower(graph)?, Stage::Calibrate, 0, calibration)?;
    if options.equalize == Some(false) {
        return Ok(vec![plain]);
    }
    let mut equalized = plain.graph.clone();
    let pairs = equalize(&mut equalized, &plain.statistics);
    if pairs == 0 {
        return Ok(vec![plain]);
    }
    let equalized = variant(equalized, Stage::Equalize, pairs, calibration)?;
    Ok(match options.equalize {
        Some(_) => vec![equalized],
        None => vec![plain, equalized],
    })
}

/// The integers of a variant.
pub(super) fn build(variant: &Variant, recipe: Recipe, meta: &Meta) -> Built {
    let Variant {
        graph,
        plan,
        statistics,
        trained,
        ..
    } = variant;
    let mut groups = group(graph, plan, statistics, recipe.method);
    groups.replace(trained);
    let unsettled = settle(graph, plan, &mut groups);
    let values: Vec<ValueId> = std::iter::once(graph.input)
        .chain(plan.steps.iter().map(|step| step.output))
        .collect();
    let mut tensor_of: Vec<TensorId> = vec![0; graph.values.len()];
    for (tensor, value) in values.iter().enumerate() {
        tensor_of[*value] = tensor;
    }
    let tensor = |value: &ValueId| QTensor {
        name: graph.values[*value].name.clone(),
        shape: graph.values[*value].shape,
        quant: groups.quant(*value),
    };
    let mut built = Built {
        graph: QGraph {
            tensors: values.iter().map(tensor).collect(),
            layers: Vec::with_capacity(plan.steps.len()),
            input: tensor_of[graph.input],
            output: tensor_of[graph.output],
            logit_scale: None,
            meta: Meta {
                layout: graph.layout,
                known: graph.known,
                ..meta.clone()
            },
        },
        values,
        channels: 0,
        obeying: 0,
        unsettled,
    };
    for step in &plan.steps {
        let node = &graph.nodes[step.node];
        let quant = groups.quant(step.output);
        let op = match &node.op {
            Op::Conv(conv) => {
                let statistics = &statistics[node.inputs[0]];
                let means = statistics.means();
                let inputs = Inputs {
                    quant: groups.quant(node.inputs[0]),
                    means: if recipe.correct_bias { &means } else { &[] },
                    squares: &statistics.mean_squares(),
                };
                let (conv, obeying) = weights::quantize(conv, &inputs, quant, recipe.weights);
                built.channels += conv.scales.len();
                built.obeying += obeying;
                QOp::Conv(conv)
            }
            other => plain(other, &groups, step.output),
        };
        built.graph.layers.push(QLayer {
            name: node.name.clone(),
            op,
            inputs: node.inputs.iter().map(|value| tensor_of[*value]).collect(),
            output: tensor_of[step.output],
        });
    }
    built
}

/// A layer without weights.
fn plain(op: &Op, groups: &Groups, output: ValueId) -> QOp {
    match op {
        Op::Binary(op) => QOp::Binary {
            op: *op,
            clamp: None,
        },
        Op::Pointwise(function) => QOp::Pointwise(*function),
        Op::PRelu(slopes) => QOp::PRelu(slopes.clone()),
        Op::MaxPool(window) => QOp::MaxPool(*window),
        Op::AveragePool {
            window,
            count_include_pad,
        } => QOp::AveragePool {
            window: *window,
            count_include_pad: *count_include_pad,
        },
        Op::Concat(axis) => QOp::Concat(*axis),
        Op::Pad { padding, value } => QOp::Pad {
            padding: *padding,
            value: groups.quant(output).integer(*value) as i8,
        },
        Op::Resize(factors) => QOp::Resize(*factors),
        // `load` and `lower` leave none of these.
        Op::Conv(_) | Op::Affine { .. } | Op::Quantize(_) | Op::Dequantize(_) | Op::Gather(_) => {
            QOp::Requantize
        }
    }
}
