//! From a [`QGraph`] to a `.kiln` file for one target.
//!
//! | stage | file | what |
//! |---|---|---|
//! | check | `check` | ids, order, shapes, lengths and scales of the graph |
//! | narrow | `dead` | channels that no result depends on, left out for Cortex-M |
//! | lower | `lower`, `conv`, `tables` | layers of the engine with their constants |
//! | plan | `steps`, `overlap`, [`plan`] | where each activation lies, in which order the layers run |
//! | emit | `emit` | packed weights and records: the file |
//! | verify | here | the engine's own check; golden vectors, made by running the file |
//!
//! [`target`] says what each target wants, [`mod@report`] what came out.

mod binary;
#[cfg(test)]
mod budgets;
mod check;
mod conv;
mod dead;
mod emit;
mod error;
mod lower;
mod overlap;
pub mod plan;
mod pool;
pub mod report;
mod steps;
pub mod tables;
pub mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use kiln_core::format::{Golden, MAX_ARENA, output_sum};
use kiln_core::layer::{BinaryOp, Layer, PoolKind};
use kiln_core::packing::KernelShape;
use kiln_core::preprocess::Recipe;
use kiln_core::tensor::Shape;
use kiln_core::{Model, Target};

pub use error::CompileError;
pub use report::{LayerReport, Report};
pub use target::{Sharing, TargetName, host, target_names, wants};

use emit::Parts;
use plan::Plan;

use crate::qgraph::QGraph;

/// What to compile for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Where it is to run.
    pub target: Target,
    /// The model's name; that of the graph where none is given.
    pub name: Option<&'a str>,
    /// How many golden vectors the file has.
    pub golden: u16,
    /// Which tensors may share bytes; what the target allows where it is not given.
    pub sharing: Option<Sharing>,
    /// Whether channels that no result depends on are left out: layers before the last then have
    /// fewer than in the graph, with the same values. Where it is not given, for Cortex-M alone.
    pub narrow: Option<bool>,
}

/// A file and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The `.kiln` file.
    pub bytes: Vec<u8>,
    /// Where its bytes go.
    pub report: Report,
}

/// Compiles a quantized graph.
///
/// # Errors
///
/// A graph that contradicts itself, sums that leave 32 bits, more than the format holds; each names
/// the layer.
pub fn compile(graph: &QGraph, options: &Options<'_>) -> Result<Compiled, CompileError> {
    check::check(graph)?;
    check_meta(graph)?;
    let narrow = options.narrow.unwrap_or(dead::wanted(options.target));
    let narrowed = narrow.then(|| dead::narrowed(graph)).flatten();
    let graph = narrowed.as_ref().unwrap_or(graph);
    let wants = wants(options.target);
    let sharing = options.sharing.unwrap_or(wants.sharing);
    let planned = |join: bool| -> Result<_, CompileError> {
        let lowered = lower::lower(graph, join, wants.alignment)?;
        let problem = steps::problem(graph, &lowered, options.target, sharing);
        let (problem, plan) = steps::planned(graph, &lowered, options.target, problem);
        Ok((lowered, problem, plan))
    };
    let mut best = planned(sharing != Sharing::Apart)?;
    if !best.0.inside.is_empty() {
        let copied = planned(false)?;
        if copied.2.peak < best.2.peak {
            best = copied;
        }
    }
    let (lowered, mut problem, mut plan) = best;
    if wants.features {
        let before = (problem, plan);
        (problem, plan) = steps::keeping(graph, &lowered, options.target, sharing, before);
    }
    if plan.peak > MAX_ARENA as usize {
        let ends = plan::live_ends(&problem, &plan);
        let steps = plan.order.iter().zip(ends);
        let fullest = steps.max_by_key(|&(_, end)| end).map(|(&step, _)| step);
        return Err(CompileError::Arena {
            bytes: plan.peak,
            layer: fullest.map_or("", |step| lowered.layers[step].name).into(),
        });
    }
    let parts = Parts::new(graph, options, &lowered, &problem, &plan)?;
    let mut bytes = parts.bytes(&[])?;
    if options.golden > 0 {
        bytes = with_golden(&parts, &bytes, options.golden)?;
    }
    let report = report(options, &problem, &plan, &parts, &bytes)?;
    Ok(Compiled { bytes, report })
}

/// Of each layer that [`Options::narrow`] leaves without channels, by its name, which channels of its output
/// are kept.
///
/// # Errors
///
/// A graph that contradicts itself.
pub fn kept_channels(graph: &QGraph) -> Result<HashMap<String, Vec<bool>>, CompileError> {
    check::check(graph)?;
    Ok(dead::kept_channels(graph))
}

fn check_meta(graph: &QGraph) -> Result<(), CompileError> {
    let (input, output) = (&graph.tensors[graph.input], &graph.tensors[graph.output]);
    let (labels, logits) = (graph.meta.labels.len(), output.shape.len());
    let expected = logits - usize::from(graph.meta.known);
    if labels != expected && (labels != 0 || graph.meta.known) {
        return Err(CompileError::Labels { labels, logits });
    }
    if let Some(recipe) = graph.meta.recipe.map(Recipe::from) {
        let sides = [recipe.height, recipe.width].map(u32::from);
        let shape = Shape::new(sides[0], sides[1], recipe.channels() as u32);
        if shape != input.shape || recipe.check().is_err() {
            return Err(CompileError::Recipe {
                recipe: check::text(shape),
                input: input.name.clone(),
                shape: check::text(input.shape),
                problem: "give the recipe that the model was trained with",
            });
        }
    }
    Ok(())
}

/// What the engine says of the file.
fn model(bytes: &[u8]) -> Result<Model<'_>, CompileError> {
    Model::new(bytes).map_err(|source| CompileError::Format {
        context: "checking the file",
        source,
    })
}

/// The file with golden vectors, which the file without them makes.
fn with_golden(parts: &Parts<'_>, bytes: &[u8], count: u16) -> Result<Vec<u8>, CompileError> {
    let model = model(bytes)?;
    let mut arena = vec![0; model.arena_bytes()];
    let mut made = Vec::new();
    for seed in 0..count.into() {
        let failed = |error: kiln_core::RunError| CompileError::Run(error.to_string());
        model.draw_input(&mut arena, seed).map_err(failed)?;
        let mut sums = Vec::new();
        let mut observe = |_: usize, layer: &Layer<'_>, output: &[u8]| {
            sums.extend_from_slice(&output_sum(layer, output).to_le_bytes());
        };
        let output = model.run_with(&mut arena, &mut observe).map_err(failed)?;
        let logits: Vec<u8> = output.tensor().collect();
        made.push((seed, sums, logits));
    }
    let golden = made.iter().map(|(seed, sums, logits)| Golden {
        seed: *seed,
        sums,
        logits,
    });
    parts.bytes(&golden.collect::<Vec<_>>())
}

fn report(
    options: &Options<'_>,
    problem: &plan::Problem,
    plan: &Plan,
    parts: &Parts<'_>,
    bytes: &[u8],
) -> Result<Report, CompileError> {
    let model = model(bytes)?;
    let mut report = Report {
        name: model.name().into(),
        target: options.target.name().into(),
        arena: model.arena_bytes(),
        arena_bound: plan.bound,
        file: bytes.len(),
        constants: parts.constant_bytes.iter().sum(),
        exact_channels: parts.exact.iter().sum(),
        golden: options.golden,
        ..Report::default()
    };
    let live = plan::live_ends(problem, plan);
    for (position, (name, layer)) in model.layers().enumerate() {
        let output = layer.output();
        let (op, scratch) = describe(&layer);
        report.macs += layer.macs();
        report.layers.push(LayerReport {
            name: name.into(),
            op,
            output: [
                output.shape.height,
                output.shape.width,
                output.shape.channels,
            ],
            macs: layer.macs(),
            constants: parts.constant_bytes[position],
            offset: output.offset as usize,
            bytes: output.shape.len(),
            scratch,
            arena: live[position],
        });
        if let Layer::Conv(conv) = layer {
            report.channels += conv.kernel_shape().out_channels;
        }
    }
    // The first of the fullest.
    let fullest = report.layers.iter().rev().max_by_key(|layer| layer.arena);
    report.peak_layer = fullest.map_or(String::new(), |layer| layer.name.clone());
    Ok(report)
}

/// A layer's kind, and the bytes of its scratch.
pub fn describe(layer: &Layer<'_>) -> (&'static str, usize) {
    match layer {
        Layer::Conv(conv) => {
            let KernelShape {
                in_channels,
                out_channels,
                groups,
                ..
            } = conv.kernel_shape();
            let point = conv.input.shape.pixels() == 1 && conv.window.taps() == 1;
            let op = match (groups, in_channels) {
                (1, _) if point => "fully connected",
                (1, _) => "Conv",
                (_, 1) if groups == out_channels => "depthwise Conv",
                _ => "grouped Conv",
            };
            (op, conv.scratch.len as usize)
        }
        Layer::Binary(binary) => {
            let op = match binary.op {
                BinaryOp::Add => "Add",
                BinaryOp::Sub => "Sub",
                BinaryOp::Mul => "Mul",
            };
            (op, 0)
        }
        Layer::Table(_) => ("table", 0),
        Layer::Pool(pool) => match pool.kind {
            PoolKind::Max => ("MaxPool", 0),
            PoolKind::Average { .. } => ("AveragePool", 0),
        },
        Layer::Copy(copy) if copy.fill.is_some() => ("Pad", 0),
        Layer::Copy(_) => ("copy", 0),
        Layer::Resize(_) => ("Resize", 0),
    }
}
