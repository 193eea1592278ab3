//! What an epoch gave: a line of `metrics.jsonl`, and the curves.

use std::fs;
use std::io;
use std::path::Path;

use kiln_runtime::files::write_atomic;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use crate::picture::{Canvas, Drawn, FONT, write_png};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// From 1.
    pub epoch: usize,
    /// Steps done since the run began.
    pub steps: usize,
    /// The learning rate of the epoch's last step.
    pub lr: f64,
    /// Mean training loss over the epoch, with smoothing, mixing and teacher as they are.
    pub train_loss: f64,
    /// Share of training pictures answered with their own class, while the weights moved.
    pub train_accuracy: f64,
    /// Mean cross-entropy on the validation split.
    pub val_loss: f64,
    /// The same once the logits are divided by the temperature that makes it least, which is what an epoch
    /// is judged by: late epochs are too sure rather than wrong, and `kiln quantize --temperature` mends
    /// that (Berta et al., <https://arxiv.org/abs/2501.19195>).
    #[serde(default)]
    pub val_tempered_loss: Option<f64>,
    /// Share of validation pictures answered rightly.
    pub val_accuracy: f64,
    /// Training pictures a second, validation left out.
    pub images_per_second: f64,
    /// Seconds for the epoch, validation included.
    pub seconds: f64,
}

impl EpochMetrics {
    /// What an epoch is judged by: the least is the best.
    pub fn judged(&self) -> f64 {
        self.val_tempered_loss.unwrap_or(self.val_loss)
    }
}

/// The epoch whose weights a run keeps.
pub fn best(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
    let finite = epochs.iter().filter(|epoch| epoch.val_loss.is_finite());
    finite.min_by(|a, b| a.judged().total_cmp(&b.judged()))
}

/// Reads the lines up to `epochs`; later ones belong to a stopped attempt.
pub fn read(path: &Path, epochs: usize) -> io::Result<Vec<EpochMetrics>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(lines
        .filter(|line: &EpochMetrics| line.epoch <= epochs)
        .collect())
}

/// Writes all lines: an epoch's line is there whole or not at all.
pub fn write(path: &Path, epochs: &[EpochMetrics]) -> io::Result<()> {
    let mut text = String::new();
    for epoch in epochs {
        text.push_str(&serde_json::to_string(epoch)?);
        text.push('\n');
    }
    write_atomic(path, text.as_bytes())
}

const TRAIN: RGBColor = RGBColor(217, 95, 2);
const VAL: RGBColor = RGBColor(27, 118, 187);

type Get = fn(&EpochMetrics) -> f64;

/// Draws loss and accuracy by epoch, training and validation, to a PNG.
pub fn draw_curves(path: &Path, epochs: &[EpochMetrics]) -> anyhow::Result<()> {
    write_png(path, (1200, 480), |canvas| {
        let (left, right) = canvas.split_horizontally(600);
        panel(&left, "Loss", epochs, |m| m.train_loss, |m| m.val_loss)?;
        panel(
            &right,
            "Accuracy",
            epochs,
            |m| m.train_accuracy,
            |m| m.val_accuracy,
        )
    })
}

fn panel(area: &Canvas<'_>, title: &str, epochs: &[EpochMetrics], train: Get, val: Get) -> Drawn {
    let values = epochs.iter().flat_map(|m| [train(m), val(m)]);
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.05).max(1e-3);
    let last = epochs.last().map_or(1, |m| m.epoch).max(2);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 22))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(1.0..last as f64, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .x_labels(last.min(12))
        .x_label_formatter(&|x| match (x - x.round()).abs() < 1e-6 {
            true => format!("{x:.0}"),
            false => String::new(),
        })
        .y_label_formatter(&|y| format!("{y:.3}"))
        .label_style((FONT, 14))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, color, get) in [("train", TRAIN, train), ("validation", VAL, val)] {
        let points = epochs.iter().map(|m| (m.epoch as f64, get(m)));
        chart
            .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .label_font((FONT, 15))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
