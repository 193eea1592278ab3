//! How good a model is: loss, accuracy, confusion, calibration.

use burn::tensor::{Device, Tensor};
use kiln_runtime::quantize::Temperature;
use serde::{Deserialize, Serialize};

use crate::data::loader::{Batch, Loader, LoaderError};
use crate::model::Network;

/// What a model answered to labelled pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Logits, picture after picture.
    pub logits: Vec<f32>,
    /// Each picture's class.
    pub labels: Vec<usize>,
}

/// Figures over labelled pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Pictures.
    pub n: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of pictures whose highest logit is their class.
    pub accuracy: f64,
    /// Expected calibration error over 15 equal bins of confidence
    /// (<https://arxiv.org/abs/1706.04599>).
    pub ece: f64,
    /// By class, in label order.
    pub classes: Vec<ClassFigures>,
    /// Rows: the true class; columns: the answer.
    pub confusion: Vec<Vec<usize>>,
    /// The bins of `ece`, by confidence.
    #[serde(default)]
    pub bins: Vec<Bin>,
    /// What the model makes of pictures of something else, where some were shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangers: Option<Strangers>,
}

/// How well a model tells pictures of something else, strangers, from those that it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Strangers {
    /// Strangers.
    pub n: usize,
    /// The area under the ROC curve: how often a stranger gets a lower score than a picture of the data.
    pub auroc: f64,
    /// Share of the data's pictures that are known.
    pub accepted: f64,
    /// Share of the strangers that are unknown.
    pub refused: f64,
}

/// Answers whose confidence lies in one of equal bins from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Pictures.
    pub n: usize,
    /// Right answers.
    pub right: usize,
    /// The sum of their confidences.
    pub confidence: f64,
}

/// Figures of one class. Where there is nothing to divide by, the share is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Pictures of the class.
    pub n: usize,
    /// Share of the pictures answered with the class that are of it.
    pub precision: f64,
    /// Share of the class's pictures that are answered with it.
    pub recall: f64,
}

/// A picture answered wrongly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// Index among the answers.
    pub index: usize,
    /// The true class.
    pub label: usize,
    /// The class answered.
    pub answer: usize,
    /// Softmax of the answer.
    pub confidence: f64,
}

/// `log softmax` of one picture's logits, in f64.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Of infinite logits too: equals differ by nothing.
    let below = |x: f32| if x == max { 0.0 } else { f64::from(x - max) };
    let shifted: Vec<f64> = logits.iter().copied().map(below).collect();
    let sum: f64 = shifted.iter().map(|x| x.exp()).sum();
    shifted.iter().map(|x| x - sum.ln()).collect()
}

/// Logits of a burn network for a batch, `[n, classes]`.
pub fn network_logits(network: &Network, batch: &Batch, device: &Device) -> Vec<f32> {
    values(network.forward(batch.inputs.to_tensor(device)))
}

/// A tensor's values, read back from its device.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().iter::<f32>().collect()
}

/// How far two rows of logits are apart where they are farthest: a NaN is as different as can be.
pub fn largest_gap(some: &[f32], others: &[f32]) -> f32 {
    let gaps = some.iter().zip(others).map(|(a, b)| (a - b).abs());
    gaps.fold(0.0, |largest, gap| match gap.is_nan() {
        true => f32::INFINITY,
        false => largest.max(gap),
    })
}

/// Index of the highest value, the first of equals.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

impl Answers {
    /// Answers by a burn network on `device`; `progress` gets the number of pictures done.
    pub fn of_network(
        network: &Network,
        loader: Loader,
        device: &Device,
        progress: &dyn Fn(usize),
    ) -> Result<Self, LoaderError> {
        let mut answers = Self::default();
        for batch in loader {
            let batch = batch?;
            answers
                .logits
                .extend(network_logits(network, &batch, device));
            answers.labels.extend(batch.labels);
            progress(answers.labels.len());
        }
        Ok(answers)
    }

    /// Answers by `logits`, which gets a batch and gives `[n, classes]`.
    pub fn of(
        loader: Loader,
        logits: impl Fn(&Batch) -> anyhow::Result<Vec<f32>>,
        progress: &dyn Fn(usize),
    ) -> anyhow::Result<Self> {
        let mut answers = Self::default();
        for batch in loader {
            let batch = batch?;
            answers.logits.extend(logits(&batch)?);
            answers.labels.extend(batch.labels);
            progress(answers.labels.len());
        }
        Ok(answers)
    }

    /// Logits in a row.
    pub fn classes(&self) -> usize {
        self.logits.len() / self.labels.len().max(1)
    }

    /// Each picture's class and logits.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let rows = self.logits.chunks_exact(self.classes().max(1));
        self.labels.iter().copied().zip(rows)
    }

    /// The temperature that suits the logits best, and the losses without and with it.
    pub fn tempered(&self) -> Temperature {
        let rows = self.rows().map(|(label, logits)| (logits, label));
        Temperature::of(&rows.collect::<Vec<_>>())
    }

    /// Wrong answers, the most confident first.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (index, (label, logits)) in self.rows().enumerate() {
            let answer = argmax(logits);
            if answer != label {
                let confidence = log_softmax(logits)[answer].exp();
                mistakes.push(Mistake {
                    index,
                    label,
                    answer,
                    confidence,
                });
            }
        }
        mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        mistakes
    }
}

const BINS: usize = 15;

impl Evaluation {
    /// Counts over all answers.
    pub fn new(answers: &Answers) -> Self {
        let n = answers.labels.len();
        let count = answers.classes();
        let mut confusion = vec![vec![0; count]; count];
        let mut loss = 0.0;
        let mut bins = vec![Bin::default(); BINS];
        for (label, logits) in answers.rows() {
            let log_p = log_softmax(logits);
            let answer = argmax(logits);
            let confidence = log_p[answer].exp();
            confusion[label][answer] += 1;
            loss -= log_p[label];
            let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            bins[bin].n += 1;
            bins[bin].right += usize::from(answer == label);
            bins[bin].confidence += confidence;
        }
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let classes = (0..count).map(|class| {
            let of_class: usize = confusion[class].iter().sum();
            let answered: usize = confusion.iter().map(|row| row[class]).sum();
            let right = confusion[class][class];
            ClassFigures {
                n: of_class,
                precision: share(right, answered),
                recall: share(right, of_class),
            }
        });
        let classes: Vec<_> = classes.collect();
        let right = (0..count).map(|class| confusion[class][class]).sum();
        let gaps = bins
            .iter()
            .map(|bin| (bin.right as f64 - bin.confidence).abs());
        Self {
            n,
            loss: loss / n.max(1) as f64,
            accuracy: share(right, n),
            ece: gaps.sum::<f64>() / n.max(1) as f64,
            classes,
            confusion,
            bins,
            strangers: None,
        }
    }
}

/// How often one of `low` is less than one of `high`, of all pairs; a tie counts half: the area under the ROC
/// curve. None of either gives 0.
pub fn auroc(high: &[f32], low: &[f32]) -> f64 {
    let mut low = low.to_vec();
    low.sort_by(f32::total_cmp);
    let below = |value: &f32| {
        let less = low.partition_point(|other| other < value);
        let most = low.partition_point(|other| other <= value);
        (less + most) as f64 / 2.0
    };
    let pairs = (high.len() * low.len()).max(1) as f64;
    high.iter().map(below).sum::<f64>() / pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes; logits whose softmax for class 1 is `p`.
    fn answer(p: f64) -> [f32; 2] {
        [0.0, (p / (1.0 - p)).ln() as f32]
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let logits = [answer(0.9), answer(0.8), answer(0.3), answer(0.6)].concat();
        let answers = Answers {
            logits,
            labels: vec![1, 1, 0, 0],
        };
        let found = Evaluation::new(&answers);
        assert_eq!((found.n, found.accuracy), (4, 0.75));
        assert_eq!(found.confusion, [[1, 1], [0, 2]]);
        let loss = -(0.9f64.ln() + 0.8f64.ln() + 0.7f64.ln() + 0.4f64.ln()) / 4.0;
        assert!((found.loss - loss).abs() < 1e-6);
        assert_eq!(found.classes[0].n, 2);
        assert!((found.classes[1].precision - 2.0 / 3.0).abs() < 1e-9);
        assert!((found.classes[0].recall - 0.5).abs() < 1e-9);
        // Four bins of one picture each: 0.9, 0.8 and 0.7 were right, 0.6 was wrong.
        let ece = (0.1 + 0.2 + 0.3 + 0.6) / 4.0;
        assert!((found.ece - ece).abs() < 1e-6, "{}", found.ece);
        let filled: Vec<_> = found.bins.iter().filter(|bin| bin.n > 0).collect();
        assert_eq!(filled.len(), 4);
        assert_eq!((filled[0].right, filled[3].right), (0, 1));
        assert!((filled[3].confidence - 0.9).abs() < 1e-6);
    }

    #[test]
    fn the_area_counts_pairs() {
        assert_eq!(auroc(&[2.0, 3.0], &[0.0, 1.0]), 1.0);
        assert_eq!(auroc(&[0.0], &[1.0, 2.0]), 0.0);
        // Of six pairs 3 are right, 1 is a tie.
        let found = auroc(&[1.0, 2.0, 0.5], &[1.0, 0.7]);
        assert!((found - 3.5 / 6.0).abs() < 1e-12, "{found}");
        assert_eq!(auroc(&[], &[1.0]), 0.0);
    }

    #[test]
    fn mistakes_come_with_the_most_confident_first() {
        let answers = Answers {
            logits: [answer(0.6), answer(0.2), answer(0.99)].concat(),
            labels: vec![0, 0, 0],
        };
        let indices: Vec<_> = answers.mistakes().iter().map(|m| m.index).collect();
        assert_eq!(indices, [2, 0]);
    }

    #[test]
    fn what_is_no_number_is_far_from_all() {
        assert_eq!(largest_gap(&[1.0, 2.0], &[1.5, 0.0]), 2.0);
        assert_eq!(largest_gap(&[f32::NAN, 2.0], &[0.0, 2.0]), f32::INFINITY);
        assert_eq!(largest_gap(&[], &[]), 0.0);
    }

    #[test]
    fn nothing_is_no_panic_and_infinite_logits_are_no_nan() {
        assert_eq!(Evaluation::new(&Answers::default()).n, 0);
        assert_eq!(log_softmax(&[1000.0, 0.0]), [0.0, -1000.0]);
        assert_eq!(log_softmax(&[f32::INFINITY, 0.0]), [0.0, f64::NEG_INFINITY]);
    }
}
