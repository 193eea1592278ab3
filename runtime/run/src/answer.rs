//! What a model says about a picture, for people and as JSON.

use std::fmt::Write;

use kiln_core::Output;
use serde::Serialize;

/// What a model says, in floats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// One a class, in the order of the labels.
    pub logits: Vec<f32>,
    /// From 0 on the picture is like those that the model was made for; none if the model does not say.
    pub known: Option<f32>,
}

impl From<Output<'_>> for Said {
    fn from(output: Output<'_>) -> Self {
        Self {
            logits: output.logits().collect(),
            known: output.known(),
        }
    }
}

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
    /// Below 0 the picture is like none of those that the model was made for, and the classes are a guess.
    /// Not there if the model does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<f32>,
}

impl Answer {
    /// The `count` most probable classes of what was said; at least one.
    pub fn new(file: String, labels: &[String], said: Said, count: usize) -> Self {
        let Said { logits, known } = said;
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
            known,
        }
    }

    /// `photo.jpg  cat 99.2%  dog 0.8%`; `photo.jpg  unknown  cat 71.0%  dog 29.0%` where it is like none.
    pub fn text(&self) -> String {
        let mut text = self.file.clone();
        if self.known.is_some_and(|known| known < 0.0) {
            text.push_str("  unknown");
        }
        for Guess { label, probability } in &self.top {
            // Writing to a String does not fail.
            let _ = write!(text, "  {label} {:.1}%", probability * 100.0);
        }
        // Names with control characters would write elsewhere on the terminal.
        text.replace(char::is_control, "\u{FFFD}")
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
        let said = Said {
            logits: vec![1.0, 3.0, 1.0],
            known: None,
        };
        let answer = Answer::new("a.jpg".into(), &labels, said.clone(), 2);
        let share = 1.0 / (1.0 + 2.0 * (-2.0f64).exp());
        assert_eq!(answer.label, "dog");
        assert_eq!(answer.top.len(), 2);
        assert!((answer.top[0].probability - share).abs() < 1e-9);
        assert_eq!(answer.top[1].label, "cat");
        assert_eq!(answer.text(), "a.jpg  dog 78.7%  cat 10.7%");
        let json = |known| {
            let said = Said {
                known,
                ..said.clone()
            };
            let answer = Answer::new("a.jpg".into(), &labels, said, 1);
            (answer.text(), serde_json::to_value(&answer).unwrap())
        };
        assert!(json(None).1.get("known").is_none());
        let (text, value) = json(Some(0.0));
        assert_eq!(
            (&text[..], &value["known"]),
            ("a.jpg  dog 78.7%", &0.0.into())
        );
        let (text, value) = json(Some(-0.5));
        assert_eq!(text, "a.jpg  unknown  dog 78.7%");
        assert_eq!(
            (&value["label"], &value["known"]),
            (&"dog".into(), &(-0.5).into())
        );
    }

    #[test]
    fn without_labels_classes_are_numbers_and_one_guess_is_the_least() {
        let said = Said {
            logits: vec![0.5, 0.0],
            known: None,
        };
        let answer = Answer::new("x".into(), &[], said, 0);
        assert_eq!((&answer.label[..], answer.top.len()), ("0", 1));
    }
}
