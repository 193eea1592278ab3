//! An evaluation on paper: files, tables, pictures.

use std::path::Path;

use anyhow::Context;
use kiln_runtime::files::write_atomic;

use crate::cmd::ui;
use crate::data::{Dataset, Sample};
use crate::disk;
use crate::evaluate::{Answers, Evaluation};
use crate::picture::{self, Tile};

/// Everything that a report is made of.
pub struct Report<'a> {
    /// The part of the data.
    pub part: &'a str,
    /// Class names in label order.
    pub labels: &'a [String],
    /// Where the pictures lie.
    pub data: &'a Dataset,
    /// The pictures in the order of the answers.
    pub samples: &'a [Sample],
    /// What the model said.
    pub answers: &'a Answers,
    /// What that amounts to.
    pub evaluation: &'a Evaluation,
}

/// Writes figures, confusion matrix and worst mistakes into the folder `out`.
pub fn write(out: &Path, report: &Report<'_>) -> anyhow::Result<()> {
    let Report {
        part,
        labels,
        data,
        samples,
        answers,
        evaluation,
    } = *report;
    disk::writable(out, 5_000_000)?;
    let path = |name: &str| out.join(format!("{part}-{name}"));
    let figures = path("figures.json");
    let text = serde_json::to_string_pretty(evaluation)?;
    write_atomic(&figures, text.as_bytes()).with_context(|| figures.display().to_string())?;
    picture::draw_confusion(&path("confusion.png"), labels, &evaluation.confusion)?;
    let mut tiles = Vec::new();
    for mistake in answers.mistakes().into_iter().take(40) {
        let sample = &samples[mistake.index];
        tiles.push(Tile {
            file: data.root.join(&sample.path),
            title: format!(
                "{} as {} {:.0}%",
                labels[mistake.label],
                labels[mistake.answer],
                mistake.confidence * 100.0
            ),
            name: sample
                .path
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
        });
    }
    picture::draw_sheet(&path("mistakes.png"), &tiles)
}

/// Prints the figures for people.
pub fn print(evaluation: &Evaluation, labels: &[String], part: &str) -> anyhow::Result<()> {
    let percent = |share: f64| format!("{:.2}%", share * 100.0);
    ui::print(format!("{part} split, {} pictures", evaluation.n))?;
    ui::print(format!("accuracy   {}", percent(evaluation.accuracy)))?;
    ui::print(format!("loss       {:.4}", evaluation.loss))?;
    ui::print(format!("ece        {:.4}", evaluation.ece))?;
    if let Some(found) = &evaluation.strangers {
        ui::print(format!(
            "strangers  {} pictures: AUROC {:.4}, {} are unknown, of the {part} split {} are known",
            found.n,
            found.auroc,
            percent(found.refused),
            percent(found.accepted)
        ))?;
    }
    let width = labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    ui::print(format!("{:width$}  pictures  precision   recall", "class"))?;
    for (label, class) in labels.iter().zip(&evaluation.classes) {
        let (precision, recall) = (percent(class.precision), percent(class.recall));
        ui::print(format!(
            "{label:width$}  {:>8}  {precision:>9}  {recall:>7}",
            class.n
        ))?;
    }
    // A wide table helps nobody; the picture has it.
    if labels.len() <= 12 {
        ui::print("confusion  (rows: the truth, columns: the answer)")?;
        let head: String = labels
            .iter()
            .map(|label| format!(" {label:>8.8}"))
            .collect();
        ui::print(format!("{:width$} {head}", ""))?;
        for (label, row) in labels.iter().zip(&evaluation.confusion) {
            let cells: String = row.iter().map(|n| format!(" {n:>8}")).collect();
            ui::print(format!("{label:width$} {cells}"))?;
        }
    }
    Ok(())
}
