//! How much of a picture's middle a model is best shown.

use serde::Serialize;

use super::super::ui;
use super::{EvalArgs, Part, Pictures, ask, open_data};
use crate::evaluate::Evaluation;
use crate::inference::Model;

/// What a model is worth where it is shown a share of each picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Crop {
    /// Per cent of each side.
    pub crop_pct: u8,
    /// As in [`Evaluation`].
    pub accuracy: f64,
    /// As in [`Evaluation`].
    pub loss: f64,
    /// As in [`Evaluation`].
    pub n: usize,
}

/// Evaluates with each of the shares and prints a line for each unless `--json` will.
pub fn compare(args: &EvalArgs) -> anyhow::Result<Vec<Crop>> {
    let mut model = Model::open(&args.model, &args.foreign)?;
    let labels = model.labels()?;
    let data = open_data(&model, &args.data, &labels, args.split == Part::All)?;
    let samples = args.split.samples(&data);
    let mut crops = Vec::new();
    for &crop_pct in &args.crop_pct {
        model.set_crop_pct(crop_pct)?;
        if crops.is_empty() && !args.json {
            let (part, n) = (args.split.name(), ui::count(samples.len()));
            ui::print(format!("{part} split, {n} pictures"))?;
            ui::print("crop_pct  accuracy    loss")?;
        }
        let pictures = Pictures::open(&data, args.split.name(), &samples, &model)?;
        let answers = ask(&model, &pictures, &args.device)?;
        let Evaluation {
            n, loss, accuracy, ..
        } = Evaluation::new(&answers);
        if !args.json {
            let accuracy = 100.0 * accuracy;
            ui::print(format!("{crop_pct:>7}%  {accuracy:>7.2}%  {loss:.4}"))?;
        }
        crops.push(Crop {
            crop_pct,
            accuracy,
            loss,
            n,
        });
    }
    Ok(crops)
}
