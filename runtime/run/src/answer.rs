//! What a model says about a picture, for people and as JSON.

use std::fmt::Write;

use serde::Serialize;

/// A class and how probable it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The class's name; its number where the model has no names.
    pub label: String,
    /// By softmax, in 0..=1.
    pub probability: f64,
}

/// What a model says about one file. `kiln classify --json` and `kiln-run --json` print one a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The file, as it was named.
    pub file: String,
    /// The most probable class.
    pub label: String,
    /// The most probable classes, the first of equals first.
    pub top: Vec<Guess>,
    /// One a class, in the order of the labels.
    pub logits: Vec<f32>,
}

impl Answer {
    /// The `count` most probable classes of `logits`; at least one.
    pub fn new(file: String, labels: &[String], logits: Vec<f32>, count: usize) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| f64::from(logit - max).exp();
        let sum: f64 = logits.iter().map(|&logit| weight(logit)).sum();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let guess = |&class: &usize| Guess {
            label: name(labels, class),
            probability: weight(logits[class]) / sum,
        };
        let top: Vec<Guess> = order.iter().take(count.max(1)).map(guess).collect();
        Self {
            file,
            label: top
                .first()
                .map_or_else(String::new, |guess| guess.label.clone()),
            top,
            logits,
        }
    }

    /// `photo.jpg  cat 99.2%  dog 0.8%`.
    pub fn text(&self) -> String {
        let mut text = self.file.clone();
        for Guess { label, probability } in &self.top {
            // Writing to a String does not fail.
            let _ = write!(text, "  {label} {:.1}%", probability * 100.0);
        }
        text
    }
}

fn name(labels: &[String], class: usize) -> String {
    let label = labels.get(class).cloned();
    label.unwrap_or_else(|| class.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_come_first_and_probabilities_are_softmax() {
        let labels = ["cat", "dog", "fox"].map(String::from);
        let logits = vec![1.0, 3.0, 1.0];
        let answer = Answer::new("a.jpg".into(), &labels, logits, 2);
        let share = 1.0 / (1.0 + 2.0 * (-2.0f64).exp());
        assert_eq!(answer.label, "dog");
        assert_eq!(answer.top.len(), 2);
        assert!((answer.top[0].probability - share).abs() < 1e-9);
        assert_eq!(answer.top[1].label, "cat");
        assert_eq!(answer.text(), "a.jpg  dog 78.7%  cat 10.7%");
    }

    #[test]
    fn without_labels_classes_are_numbers_and_one_guess_is_the_least() {
        let answer = Answer::new("x".into(), &[], vec![0.5, 0.0], 0);
        assert_eq!((&answer.label[..], answer.top.len()), ("0", 1));
    }
}
