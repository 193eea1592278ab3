//! An output that says whether an input is like those that the model is for, so that a picture of something
//! else is not called a cat.
//!
//! It is one more row of the last, fully connected layer, so it costs next to nothing anywhere: a logistic
//! regression on what that layer reads, between the calibration pictures and
//! [`strangers`](super::strangers). Its zero is where [`ACCEPTED`] of the pictures are above; pictures
//! that the regression has not seen, by cross-validation. With features of a network that was trained on
//! many things, a linear function of them is a good measure (compare Sun and Li, DICE, 2022).

use super::strangers::Strangers;
use super::{Progress, QuantizeError, Stage};
use crate::calibrate::{CalibrateError, Calibration};
use crate::float_graph::FloatGraph;
use crate::graph::{Graph, Op};

/// The share of pictures of the classes that count as known.
pub const ACCEPTED: f64 = 0.98;
/// Parts of the pictures in cross-validation.
const FOLDS: usize = 4;
/// Weight decay of the regression.
const DECAY: f64 = 0.01;
/// Steps of gradient descent, and their size, over standardised features.
const STEPS: usize = 400;
const RATE: f64 = 0.5;
/// The fewest pictures that are worth a try.
const LEAST: usize = 20;

/// The graph with one more value in its output: at least 0 for inputs that are like those of `calibration`.
///
/// # Errors
/// A graph that does not end in a fully connected layer; too few inputs; see [`QuantizeError`].
pub fn with_known(
    graph: &Graph,
    calibration: &mut dyn Calibration,
    progress: &dyn Fn(Progress),
) -> Result<Graph, QuantizeError> {
    let last = graph.producer(graph.output);
    let linear = last.filter(|node| {
        let node = &graph.nodes[*node];
        let vector = graph.shape(node.inputs[0]).pixels() == 1;
        matches!(&node.op, Op::Conv(conv) if vector && conv.groups == 1 && conv.stored.is_none())
    });
    let Some(linear) = linear else {
        let name = last.map_or("the input", |node| &graph.nodes[node].name[..]);
        return Err(QuantizeError::NotLinear(name.into()));
    };
    if calibration.len() < LEAST {
        return Err(QuantizeError::TooFew(LEAST));
    }
    let seen = watch(graph, graph.nodes[linear].inputs[0], calibration, progress)?;
    let scores = out_of_fold(&seen);
    let threshold = quantile(scores, 1.0 - ACCEPTED);
    let mut score = Score::fit(&seen.known, &seen.strangers);
    score.bias -= threshold;
    // To the range of the logits, which it shares: what is sure may saturate.
    let sure = quantile(
        seen.known
            .iter()
            .map(|features| score.of(features))
            .collect(),
        0.99,
    );
    let factor = f64::from(seen.largest_logit) / sure.max(f64::MIN_POSITIVE);

    let mut graph = graph.clone();
    if let Op::Conv(conv) = &mut graph.nodes[linear].op {
        let row = score.weights.iter().map(|weight| (weight * factor) as f32);
        conv.weights.extend(row);
        conv.bias.push((score.bias * factor) as f32);
    }
    graph.values[graph.output].shape.channels += 1;
    graph.known = true;
    Ok(graph)
}

/// What the last layer reads.
struct Seen {
    known: Vec<Vec<f32>>,
    strangers: Vec<Vec<f32>>,
    /// The largest magnitude among the logits of what is known.
    largest_logit: f32,
}

fn watch(
    graph: &Graph,
    features: usize,
    calibration: &mut dyn Calibration,
    progress: &dyn Fn(Progress),
) -> Result<Seen, QuantizeError> {
    let shape = graph.shape(graph.input);
    let mut float = FloatGraph::new(graph);
    let mut run = |input: &[f32]| {
        let mut found = Vec::new();
        let logits = float.run(input, &mut |value, values| {
            if value == features {
                found = values.to_vec();
            }
        });
        let logits = logits.map_err(|error| CalibrateError::Run(error.to_string()))?;
        Ok::<_, CalibrateError>((found, logits))
    };
    let mut made_up = Strangers::new(shape);
    let mut seen = Seen {
        known: Vec::new(),
        strangers: Vec::new(),
        largest_logit: 0.0,
    };
    let mut input = vec![0.0; shape.len()];
    let total = calibration.len();
    for index in 0..total {
        let read = calibration.read(index, &mut input);
        read.map_err(CalibrateError::Read)?;
        let (features, logits) = run(&input)?;
        let largest = logits
            .iter()
            .fold(0.0_f32, |most, logit| most.max(logit.abs()));
        seen.largest_logit = seen.largest_logit.max(largest);
        seen.known.push(features);
        seen.strangers.push(run(&made_up.of(index, &input))?.0);
        let done = index + 1;
        let stage = Stage::Known;
        progress(Progress { stage, done, total });
    }
    Ok(seen)
}

/// The score of each known input by a regression on the other folds.
fn out_of_fold(seen: &Seen) -> Vec<f64> {
    let others = |all: &[Vec<f32>], fold: usize| -> Vec<Vec<f32>> {
        let numbered = all.iter().enumerate();
        let others = numbered.filter(|(index, _)| index % FOLDS != fold);
        others.map(|(_, features)| features.clone()).collect()
    };
    let fold = |fold: usize| {
        let score = Score::fit(&others(&seen.known, fold), &others(&seen.strangers, fold));
        let own = seen.known.iter().skip(fold).step_by(FOLDS);
        own.map(move |features| score.of(features))
    };
    (0..FOLDS).flat_map(fold).collect()
}

/// The value below which this share of some values is.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share) as usize;
    values.get(index).or(values.last()).copied().unwrap_or(0.0)
}

/// A linear function of features, above 0 rather for what is known.
struct Score {
    weights: Vec<f64>,
    bias: f64,
}

impl Score {
    /// Logistic regression with weight decay, on standardised features.
    fn fit(known: &[Vec<f32>], strangers: &[Vec<f32>]) -> Self {
        let all = || known.iter().chain(strangers);
        let count = (known.len() + strangers.len()).max(1) as f64;
        let len = known.first().map_or(0, Vec::len);
        let mut means = vec![0.0; len];
        for features in all() {
            for (mean, value) in means.iter_mut().zip(features) {
                *mean += f64::from(*value) / count;
            }
        }
        let mut deviations = vec![0.0; len];
        for features in all() {
            for ((sum, mean), value) in deviations.iter_mut().zip(&means).zip(features) {
                *sum += (f64::from(*value) - mean).powi(2) / count;
            }
        }
        // One that hardly varies among these could be anything among others: it is left alone.
        let largest = deviations.iter().copied().fold(0.0, f64::max);
        let factors: Vec<f64> = deviations
            .iter()
            .map(|square| match *square > 1e-6 * largest {
                true => square.sqrt().recip(),
                false => 0.0,
            })
            .collect();
        let standard = |features: &Vec<f32>| -> Vec<f64> {
            let scaled = features.iter().zip(&means).zip(&factors);
            scaled
                .map(|((value, mean), factor)| (f64::from(*value) - mean) * factor)
                .collect()
        };
        let rows: Vec<Vec<f64>> = all().map(standard).collect();
        let mut weights = vec![0.0; len];
        let mut bias = 0.0;
        for _ in 0..STEPS {
            let mut slope: Vec<f64> = weights.iter().map(|weight| weight * DECAY).collect();
            let mut slope_bias = 0.0;
            for (index, row) in rows.iter().enumerate() {
                let wanted = f64::from(u8::from(index < known.len()));
                let error = (sigmoid(dot(&weights, row) + bias) - wanted) / count;
                slope_bias += error;
                for (slope, value) in slope.iter_mut().zip(row) {
                    *slope += error * value;
                }
            }
            bias -= RATE * slope_bias;
            for (weight, slope) in weights.iter_mut().zip(slope) {
                *weight -= RATE * slope;
            }
        }
        for (weight, factor) in weights.iter_mut().zip(&factors) {
            *weight *= factor;
        }
        bias -= dot(&weights, &means);
        Self { weights, bias }
    }

    fn of(&self, features: &[f32]) -> f64 {
        let products = self.weights.iter().zip(features);
        products
            .map(|(weight, value)| weight * f64::from(*value))
            .sum::<f64>()
            + self.bias
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests;
