//! What quantization cost, and what to do about it: for people and, as JSON, for machines.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantize::Temperature;

/// Layers that the text names.
const WORST: usize = 8;
/// Below this agreement of the top-1 class there is advice.
const GOOD_AGREEMENT: f64 = 0.97;
/// Below this signal-to-noise ratio of the logits there is advice.
const GOOD_DB: f64 = 20.0;
/// Fewer pictures than this say little.
const ENOUGH_PICTURES: usize = 100;
/// A layer this far below the one with the least among the others stands out.
const OUTLIER_DB: f64 = 10.0;

/// The float model and its integers, compared on the calibration pictures. Shares are from 0 to 1,
/// signal-to-noise ratios in decibels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Calibration pictures.
    pub pictures: usize,
    /// Those whose class is known.
    pub labelled: usize,
    /// The float model's top-1 accuracy on those.
    pub float_top1: Option<f64>,
    /// The integers' top-1 accuracy on those. Where candidates were tried it is a little too good, since
    /// these pictures chose among them: a test set of other pictures says what users will see.
    pub int8_top1: Option<f64>,
    /// Pictures on which both name the same class.
    pub agreement: f64,
    /// The logits' signal-to-quantization-noise ratio.
    pub logits_sqnr_db: f64,
    /// How ranges were chosen.
    pub method: String,
    /// Pairs of layers whose channels were equalized.
    pub equalized_pairs: usize,
    /// Whether biases take back what rounding weights adds.
    pub bias_corrected: bool,
    /// Whether the weights' ranges are those of the least squared error.
    pub weights_by_mse: bool,
    /// All that was tried, in order.
    pub candidates: Vec<Candidate>,
    /// What was folded before, for people.
    pub folded: Vec<String>,
    /// Relu and Clip that saturation does.
    pub clamps_in_ranges: usize,
    /// Output channels of convolutions.
    pub channels: usize,
    /// Those of them that integers alone round as the float multiplier does.
    pub channels_obeying: usize,
    /// Layers whose results may differ by one between machines: no scales were found that prevent it.
    pub unsettled: Vec<String>,
    /// Activations that were the same everywhere.
    pub constant: Vec<String>,
    /// Output channels whose weights are all 0.
    pub dead_channels: usize,
    /// Each layer, the worst first.
    pub layers: Vec<LayerReport>,
    /// The same on pictures that had no part in it.
    pub held_out: Option<HeldOut>,
    /// What the logits are divided by, and what that changes.
    #[serde(default)]
    pub temperature: Option<Temperature>,
}

/// The float model and its integers on pictures that had no part in quantizing it. Shares are from 0
/// to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Pictures.
    pub pictures: usize,
    /// Those whose class is known.
    pub labelled: usize,
    /// The float model's top-1 accuracy on those.
    pub float_top1: Option<f64>,
    /// The integers' top-1 accuracy on those.
    pub int8_top1: Option<f64>,
    /// Pictures on which both name the same class.
    pub agreement: f64,
    /// The logits' signal-to-quantization-noise ratio, in decibels.
    pub logits_sqnr_db: f64,
}

/// One layer's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// ONNX's name.
    pub name: String,
    /// ONNX's operator.
    pub op: String,
    /// Against the float model, with all that earlier layers added.
    pub sqnr_db: f64,
    /// Of its output.
    pub scale: f32,
    /// Of its output.
    pub zero_point: i8,
}

/// One quantization that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// How ranges were chosen.
    pub method: String,
    /// Whether channels were equalized.
    pub equalized: bool,
    /// Whether biases were corrected.
    pub bias_corrected: bool,
    /// Whether the weights' ranges are those of the least squared error.
    pub weights_by_mse: bool,
    /// Top-1 accuracy where classes are known.
    pub top1: Option<f64>,
    /// Share of pictures with the float model's class.
    pub agreement: f64,
    /// The logits' signal-to-quantization-noise ratio.
    pub sqnr_db: f64,
}

impl Report {
    /// Top-1 accuracy of the float model and of the integers, on the held-out pictures where there are
    /// some, else on the calibration pictures.
    pub fn top1(&self) -> Option<(f64, f64)> {
        match &self.held_out {
            Some(held_out) => held_out.float_top1.zip(held_out.int8_top1),
            None => self.float_top1.zip(self.int8_top1),
        }
    }

    /// What was lost, in points of [`top1`](Self::top1); negative where the integers are better.
    pub fn drop_points(&self) -> Option<f64> {
        let (float, int8) = self.top1()?;
        Some((float - int8) * 100.0)
    }

    /// What to do where the result is not good; nothing where it is.
    pub fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let drop = self.drop_points().unwrap_or(0.0);
        let bad = drop > 1.0 || self.agreement < GOOD_AGREEMENT || self.logits_sqnr_db < GOOD_DB;
        if bad && self.pictures < ENOUGH_PICTURES {
            advice.push(format!(
                "calibrate with more pictures: {} say little about ranges, {ENOUGH_PICTURES} to 500 do",
                self.pictures
            ));
        }
        if let [worst, next, ..] = &self.layers[..]
            && bad
        {
            let stands_out = next.sqnr_db - worst.sqnr_db > OUTLIER_DB;
            advice.push(format!(
                "look at `{}` ({}), {:.1} dB{}: an activation with a few far outliers; a clip (Relu6) or \
                 weight decay there in training helps most",
                worst.name,
                worst.op,
                worst.sqnr_db,
                if stands_out { ", far worse than all others" } else { "" }
            ));
            advice.push(
                "train a little longer with a smaller learning rate and augmentation, which narrows \
                 activations, and quantize again"
                    .into(),
            );
        }
        if !self.constant.is_empty() {
            advice.push(format!(
                "constant on all pictures: {}: dead layers, or pictures unlike those of training",
                self.constant.join(", ")
            ));
        }
        if !self.unsettled.is_empty() {
            advice.push(format!(
                "may differ by 1 between machines: {}: an activation that several additions share",
                self.unsettled.join(", ")
            ));
        }
        advice
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "calibration     {} pictures", self.pictures)?;
        match self.candidates.len() {
            0 => writeln!(f)?,
            tried => writeln!(f, ", which also chose among {tried} ways: test on others")?,
        }
        let top1 = self.float_top1.zip(self.int8_top1);
        likeness(f, top1, self.agreement, self.logits_sqnr_db)?;
        if let Some(other) = &self.held_out {
            writeln!(f, "held out        {} pictures", other.pictures)?;
            let top1 = other.float_top1.zip(other.int8_top1);
            likeness(f, top1, other.agreement, other.logits_sqnr_db)?;
        }
        if let Some(found) = &self.temperature {
            writeln!(
                f,
                "temperature     {:.3}: by {} pictures, whose loss goes from {:.4} to {:.4}",
                found.temperature, found.pictures, found.loss_before, found.loss_after
            )?;
        }
        write!(f, "method          {}", self.method)?;
        if self.equalized_pairs > 0 {
            write!(f, ", {} pairs of layers equalized", self.equalized_pairs)?;
        }
        if self.bias_corrected {
            write!(f, ", bias corrected")?;
        }
        if self.weights_by_mse {
            write!(f, ", weights by least squared error")?;
        }
        writeln!(f)?;
        for folded in &self.folded {
            writeln!(f, "folded          {folded}")?;
        }
        if self.clamps_in_ranges > 0 {
            writeln!(
                f,
                "clamps          {} done by saturation",
                self.clamps_in_ranges
            )?;
        }
        writeln!(
            f,
            "multiplier rule {} of {} channels",
            self.channels_obeying, self.channels
        )?;
        if self.dead_channels > 0 {
            writeln!(f, "dead channels   {}", self.dead_channels)?;
        }
        writeln!(f, "worst layers")?;
        for layer in self.layers.iter().take(WORST) {
            writeln!(
                f,
                "  {:6.1} dB  {} ({})",
                layer.sqnr_db, layer.name, layer.op
            )?;
        }
        for advice in self.advice() {
            writeln!(f, "advice          {advice}")?;
        }
        Ok(())
    }
}

/// How near the integers come to the float model, in three lines.
fn likeness(
    f: &mut fmt::Formatter,
    top1: Option<(f64, f64)>,
    agreement: f64,
    sqnr_db: f64,
) -> fmt::Result {
    if let Some((float, int8)) = top1 {
        let lost = (float - int8) * 100.0;
        let (float, int8) = (float * 100.0, int8 * 100.0);
        writeln!(
            f,
            "top-1           float {float:.2}%, int8 {int8:.2}%, lost {lost:.2} points"
        )?;
    }
    writeln!(f, "same class      {:.2}%", agreement * 100.0)?;
    writeln!(f, "logits          {sqnr_db:.1} dB SQNR")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let layer = |name: &str, sqnr_db| LayerReport {
            name: name.into(),
            op: "Conv".into(),
            sqnr_db,
            scale: 0.1,
            zero_point: 0,
        };
        Report {
            pictures: 40,
            labelled: 40,
            float_top1: Some(0.95),
            int8_top1: Some(0.925),
            agreement: 0.9,
            logits_sqnr_db: 14.0,
            method: "mse".into(),
            channels: 10,
            channels_obeying: 9,
            layers: vec![layer("first", 9.0), layer("second", 25.0)],
            ..Report::default()
        }
    }

    #[test]
    fn a_bad_result_says_what_to_do_and_a_good_one_nothing() {
        let bad = report();
        assert!((bad.drop_points().unwrap() - 2.5).abs() < 1e-9);
        let advice = bad.advice().join("\n");
        for part in ["40 say little", "`first` (Conv), 9.0 dB, far worse"] {
            assert!(advice.contains(part), "{advice}");
        }
        let good = Report {
            int8_top1: Some(0.95),
            agreement: 0.99,
            logits_sqnr_db: 33.0,
            ..report()
        };
        assert_eq!(good.advice(), [""; 0]);
    }

    #[test]
    fn text_has_the_figures_and_json_is_read_back() {
        let report = Report {
            candidates: vec![Candidate::default(); 3],
            ..report()
        };
        let text = report.to_string();
        for part in [
            "float 95.00%, int8 92.50%, lost 2.50 points",
            "40 pictures, which also chose among 3 ways",
            "9 of 10 channels",
            "14.0 dB SQNR",
            "     9.0 dB  first (Conv)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let held_out = Report {
            held_out: Some(HeldOut {
                pictures: 70,
                labelled: 70,
                float_top1: Some(0.9),
                int8_top1: Some(0.88),
                ..HeldOut::default()
            }),
            ..report.clone()
        };
        assert!((held_out.drop_points().unwrap() - 2.0).abs() < 1e-9);
        let text = held_out.to_string();
        for part in ["lost 2.50 points", "held out        70", "lost 2.00 points"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
