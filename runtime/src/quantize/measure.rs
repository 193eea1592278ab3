//! The float model and the integers side by side.

use std::collections::HashMap;

use super::build::{Built, Variant};
use super::choose::Chosen;
use super::{Progress, QuantizeError, Stage, WeightRange};
use crate::calibrate::{CalibrateError, Calibration};
use crate::engine::{Engine, Input, OfGraph};
use crate::float_graph::FloatGraph;
use crate::graph::{Graph, Layout, Quant};
use crate::qgraph::{QGraph, QOp};
use crate::report::{HeldOut, LayerReport, Report};

/// Signal to quantization noise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sqnr {
    /// Sum of the squares of what should be.
    pub signal: f64,
    /// Sum of the squares of the differences.
    pub noise: f64,
}

impl Sqnr {
    fn add(&mut self, wanted: f32, found: f32) {
        let (wanted, found) = (f64::from(wanted), f64::from(found));
        self.signal += wanted * wanted;
        self.noise += (wanted - found) * (wanted - found);
    }

    /// In decibels, between -100 and 200.
    pub fn db(self) -> f64 {
        let ratio = self.signal.max(f64::MIN_POSITIVE) / self.noise.max(f64::MIN_POSITIVE);
        match self.noise {
            0.0 => 200.0,
            _ => (10.0 * ratio.log10()).clamp(-100.0, 200.0),
        }
    }
}

/// How near integers come to the float model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    pub pictures: usize,
    /// Pictures with a known class.
    pub labelled: usize,
    /// Of those, how many the integers get right.
    pub right: usize,
    /// Of those, how many the float model gets right.
    pub float_right: usize,
    /// Pictures on which both name one class.
    pub agreeing: usize,
    pub logits: Sqnr,
}

impl Score {
    fn add(&mut self, wanted: &[f32], found: &[f32], label: Option<usize>) {
        let classes = [wanted, found].map(top1);
        self.pictures += 1;
        self.agreeing += usize::from(classes[0] == classes[1]);
        if let Some(label) = label {
            self.labelled += 1;
            self.float_right += usize::from(classes[0] == Some(label));
            self.right += usize::from(classes[1] == Some(label));
        }
        for (wanted, found) in wanted.iter().zip(found) {
            self.logits.add(*wanted, *found);
        }
    }

    /// The integers' top-1 accuracy where classes are known, from 0 to 1.
    pub fn accuracy(&self) -> Option<f64> {
        self.share(self.right)
    }

    fn share(&self, right: usize) -> Option<f64> {
        (self.labelled > 0).then(|| right as f64 / self.labelled as f64)
    }

    /// From 0 to 1.
    pub fn agreement(&self) -> f64 {
        self.agreeing as f64 / self.pictures.max(1) as f64
    }
}

/// The first of the greatest logits.
fn top1(logits: &[f32]) -> Option<usize> {
    let numbered = logits.iter().enumerate();
    let best = numbered.fold(None::<(usize, f32)>, |best, (index, logit)| match best {
        Some((_, most)) if most >= *logit => best,
        _ => Some((index, *logit)),
    });
    best.map(|(index, _)| index)
}

pub(super) fn engine_error(error: impl std::fmt::Display) -> QuantizeError {
    QuantizeError::Engine(format!("{error:#}"))
}

/// Scores of some quantized graphs, on all pictures; each picture goes through the float model once.
pub(super) fn measure(
    graph: &Graph,
    quantized: &[&QGraph],
    calibration: &mut dyn Calibration,
    stage: Stage,
    progress: &dyn Fn(Progress),
) -> Result<Vec<Score>, QuantizeError> {
    let engines = quantized.iter().map(|graph| Engine::of(graph));
    let mut engines = engines
        .collect::<Result<Vec<Engine>, _>>()
        .map_err(engine_error)?;
    let mut scores = vec![Score::default(); quantized.len()];
    let mut float = FloatGraph::new(graph);
    let mut input = vec![0.0; graph.shape(graph.input).len()];
    let total = calibration.len();
    for index in 0..total {
        let read = calibration.read(index, &mut input);
        read.map_err(CalibrateError::Read)?;
        let wanted = float.run(&input, &mut |_, _| ());
        let wanted = wanted.map_err(|error| CalibrateError::Run(error.to_string()))?;
        let label = calibration.label(index);
        for (engine, score) in engines.iter_mut().zip(&mut scores) {
            let found = engine.logits(Input::Tensor(&input, Layout::Nhwc));
            let found = found.map_err(engine_error)?;
            score.add(&wanted[..graph.classes()], &found, label);
        }
        let done = index + 1;
        progress(Progress { stage, done, total });
    }
    Ok(scores)
}

/// The float model and its integers on pictures that had no part in quantizing it.
///
/// # Errors
/// See [`QuantizeError`].
pub fn held_out(
    graph: &Graph,
    quantized: &QGraph,
    pictures: &mut dyn Calibration,
    progress: &dyn Fn(Progress),
) -> Result<HeldOut, QuantizeError> {
    let scores = measure(graph, &[quantized], pictures, Stage::Evaluate, progress)?;
    let score = scores.first().copied().unwrap_or_default();
    Ok(HeldOut {
        pictures: score.pictures,
        labelled: score.labelled,
        float_top1: score.share(score.float_right),
        int8_top1: score.accuracy(),
        agreement: score.agreement(),
        logits_sqnr_db: score.logits.db(),
    })
}

/// The chosen quantization against the float model, layer by layer.
pub(super) fn report(
    variant: &Variant,
    chosen: &Chosen,
    calibration: &mut dyn Calibration,
    progress: &dyn Fn(Progress),
) -> Result<Report, QuantizeError> {
    let Built { graph, values, .. } = &chosen.built;
    let mut engine = Engine::of(graph).map_err(engine_error)?;
    let mut float = FloatGraph::new(&variant.graph);
    let mut input = vec![0.0; variant.graph.shape(variant.graph.input).len()];
    let by_name: HashMap<&str, usize> = graph
        .layers
        .iter()
        .enumerate()
        .map(|(index, layer)| (&layer.name[..], index))
        .collect();
    let mut layers = vec![Sqnr::default(); graph.layers.len()];
    let mut floats: Vec<Vec<f32>> = vec![Vec::new(); variant.graph.values.len()];
    let mut score = Score::default();
    let total = calibration.len();
    for index in 0..total {
        let read = calibration.read(index, &mut input);
        read.map_err(CalibrateError::Read)?;
        let mut keep = |value: usize, seen: &[f32]| {
            floats[value].clear();
            floats[value].extend_from_slice(seen);
        };
        let wanted = float.run(&input, &mut keep);
        let wanted = wanted.map_err(|error| CalibrateError::Run(error.to_string()))?;
        // What is written in parts has its whole output at the last.
        let mut outputs: HashMap<usize, Sqnr> = HashMap::new();
        let output = engine.run_observed(Input::Tensor(&input, Layout::Nhwc), |ran| {
            let Some(&layer) = by_name.get(ran.name) else {
                return;
            };
            let tensor = graph.layers[layer].output;
            let wanted = &floats[values[tensor]];
            if wanted.len() == ran.output.len() {
                let sqnr = compare(wanted, ran.output, graph.tensors[tensor].quant);
                outputs.insert(layer, sqnr);
            }
        });
        let found: Vec<f32> = output.map_err(engine_error)?.logits().collect();
        let wanted = &wanted[..variant.graph.classes()];
        score.add(wanted, &found, calibration.label(index));
        for (layer, sqnr) in outputs {
            layers[layer].signal += sqnr.signal;
            layers[layer].noise += sqnr.noise;
        }
        let done = index + 1;
        let stage = Stage::Compare;
        progress(Progress { stage, done, total });
    }
    Ok(make_report(variant, chosen, &score, &layers))
}

fn compare(wanted: &[f32], found: &[u8], quant: Quant) -> Sqnr {
    let mut sqnr = Sqnr::default();
    for (wanted, found) in wanted.iter().zip(found) {
        let steps = i32::from(found.cast_signed()) - i32::from(quant.zero_point);
        sqnr.add(*wanted, steps as f32 * quant.scale);
    }
    sqnr
}

fn make_report(variant: &Variant, chosen: &Chosen, score: &Score, layers: &[Sqnr]) -> Report {
    let Built { graph, values, .. } = &chosen.built;
    let layer = |(index, sqnr): (usize, &Sqnr)| {
        let layer = &graph.layers[index];
        let quant = graph.quant(layer.output);
        (sqnr.signal > 0.0).then(|| LayerReport {
            name: layer.name.clone(),
            op: layer.op.name().into(),
            sqnr_db: sqnr.db(),
            scale: quant.scale,
            zero_point: quant.zero_point,
        })
    };
    let mut layers: Vec<LayerReport> = layers.iter().enumerate().filter_map(layer).collect();
    layers.sort_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db));
    let constant = values
        .iter()
        .filter(|value| variant.statistics[**value].is_constant());
    let dead = |conv: &crate::qgraph::QConv| {
        let len = (conv.weights.len() / conv.scales.len().max(1)).max(1);
        let rows = conv.weights.chunks_exact(len);
        rows.filter(|row| row.iter().all(|w| *w == 0)).count()
    };
    let convs = graph.layers.iter().filter_map(|layer| match &layer.op {
        QOp::Conv(conv) => Some(conv),
        _ => None,
    });
    Report {
        pictures: score.pictures,
        labelled: score.labelled,
        float_top1: score.share(score.float_right),
        int8_top1: score.accuracy(),
        agreement: score.agreement(),
        logits_sqnr_db: score.logits.db(),
        method: chosen.recipe.method.name(),
        equalized_pairs: variant.pairs,
        bias_corrected: chosen.recipe.correct_bias,
        weights_by_mse: chosen.recipe.weights == WeightRange::Mse,
        candidates: chosen.candidates.clone(),
        folded: Vec::new(),
        clamps_in_ranges: variant.plan.clamps,
        channels: chosen.built.channels,
        channels_obeying: chosen.built.obeying,
        unsettled: chosen.built.unsettled.clone(),
        constant: constant
            .map(|value| variant.graph.values[*value].name.clone())
            .collect(),
        dead_channels: convs.map(dead).sum(),
        layers,
        held_out: None,
        temperature: None,
    }
}
