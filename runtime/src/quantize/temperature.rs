//! Temperature scaling: logits divided by one number, so that probabilities are as sure as they are right
//! (Guo et al., On Calibration of Modern Neural Networks, 2017).
//!
//! The integers stay as they are: only the scale with which they are brought back to logits changes, so
//! softmax gives the probabilities wherever the model runs.

use serde::{Deserialize, Serialize};

use super::measure::engine_error;
use super::{Progress, QuantizeError, Stage};
use crate::calibrate::{CalibrateError, Calibration};
use crate::engine::{Engine, Input, OfGraph};
use crate::graph::Layout;
use crate::qgraph::QGraph;

/// What temperature scaling found. Losses are mean cross-entropies in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// What the logits are divided by.
    pub temperature: f64,
    /// Labelled pictures on which it is best.
    pub pictures: usize,
    /// The loss on them before.
    pub loss_before: f64,
    /// And with it.
    pub loss_after: f64,
}

/// The temperature between these is sought.
const LEAST: f64 = 0.05;
const MOST: f64 = 20.0;

/// Finds the temperature that makes the loss on labelled pictures least, and gives it to the graph.
///
/// # Errors
/// No labelled pictures; see [`QuantizeError`].
pub fn scale_logits(
    graph: &mut QGraph,
    pictures: &mut dyn Calibration,
    progress: &dyn Fn(Progress),
) -> Result<Temperature, QuantizeError> {
    let mut engine = Engine::of(graph).map_err(engine_error)?;
    let mut input = vec![0.0; graph.tensors[graph.input].shape.len()];
    let mut answers = Vec::new();
    let total = pictures.len();
    for index in 0..total {
        if let Some(label) = pictures.label(index) {
            let read = pictures.read(index, &mut input);
            read.map_err(CalibrateError::Read)?;
            let logits = engine.logits(Input::Tensor(&input, Layout::Nhwc));
            answers.push((logits.map_err(engine_error)?, label));
        }
        let done = index + 1;
        let stage = Stage::Temperature;
        progress(Progress { stage, done, total });
    }
    if answers.is_empty() {
        return Err(QuantizeError::NoLabels);
    }
    let found = Temperature::of(&answers);
    let scale = graph.output_scale();
    graph.logit_scale = Some((f64::from(scale) / found.temperature) as f32);
    Ok(found)
}

impl Temperature {
    /// The temperature that makes the loss least on `answers`, each the logits and the class of a picture.
    pub fn of<L: AsRef<[f32]>>(answers: &[(L, usize)]) -> Self {
        let factor = best_factor(answers);
        Self {
            temperature: 1.0 / factor,
            pictures: answers.len(),
            loss_before: loss(answers, 1.0),
            loss_after: loss(answers, factor),
        }
    }
}

/// The factor of the logits with the least loss. The loss is convex in it, so its slope has one zero at most.
fn best_factor<L: AsRef<[f32]>>(answers: &[(L, usize)]) -> f64 {
    let (mut low, mut high) = (1.0 / MOST, 1.0 / LEAST);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        match slope(answers, middle) > 0.0 {
            true => high = middle,
            false => low = middle,
        }
    }
    (low * high).sqrt()
}

/// The derivative of the loss by the factor.
fn slope<L: AsRef<[f32]>>(answers: &[(L, usize)], factor: f64) -> f64 {
    let one = |(logits, label): &(L, usize)| {
        let logits = logits.as_ref();
        let weights = weights(logits, factor);
        let sum: f64 = weights.iter().sum();
        let mean = weights
            .iter()
            .zip(logits)
            .map(|(weight, logit)| weight * f64::from(*logit));
        mean.sum::<f64>() / sum - logits.get(*label).copied().map_or(0.0, f64::from)
    };
    answers.iter().map(one).sum()
}

/// Mean cross-entropy in nats.
fn loss<L: AsRef<[f32]>>(answers: &[(L, usize)], factor: f64) -> f64 {
    let one = |(logits, label): &(L, usize)| {
        let logits = logits.as_ref();
        let weights = weights(logits, factor);
        let own = weights.get(*label).copied().unwrap_or(0.0);
        (weights.iter().sum::<f64>() / own.max(f64::MIN_POSITIVE)).ln()
    };
    answers.iter().map(one).sum::<f64>() / answers.len().max(1) as f64
}

/// `exp(factor * (logit - greatest))`
fn weights(logits: &[f32], factor: f64) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponents = logits.iter().map(|logit| factor * f64::from(logit - most));
    exponents.map(f64::exp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_factor_is_that_of_the_odds() {
        // Three of four are right at logits 0 and 1: the odds are 3, so the factor is ln 3.
        let answers: Vec<_> = (0..4)
            .map(|index| (vec![0.0, 1.0], usize::from(index > 0)))
            .collect();
        let factor = best_factor(&answers);
        assert!((factor - 3.0_f64.ln()).abs() < 1e-9, "{factor}");
        let least = loss(&answers, factor);
        assert!(least < loss(&answers, factor * 1.01) && least < loss(&answers, factor * 0.99));
        let expected = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        assert!((least - expected).abs() < 1e-9, "{least}");
    }

    #[test]
    fn without_mistakes_it_ends_at_a_bound() {
        let right = [(vec![0.0, 2.0], 1), (vec![5.0, 1.0, 0.0], 0)];
        assert!((best_factor(&right) * LEAST - 1.0).abs() < 1e-6);
        let wrong = [(vec![0.0, 2.0], 0)];
        assert!((best_factor(&wrong) * MOST - 1.0).abs() < 1e-6);
    }
}
