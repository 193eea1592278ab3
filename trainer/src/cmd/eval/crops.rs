//! How much of a picture's middle a model is best shown.

use serde::Serialize;

use super::super::ui;
use super::{EvalArgs, Part, Pictures, ask, open_data};
use crate::data::{Dataset, Sample};
use crate::device::DeviceChoice;
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

/// Evaluates a model that is shown the middle of each picture; `part` names the pictures in messages.
pub fn judge(
    model: &mut Model,
    crop_pct: u8,
    data: &Dataset,
    (part, samples): (&str, &[Sample]),
    device: &DeviceChoice,
) -> anyhow::Result<Crop> {
    model.set_crop_pct(crop_pct)?;
    let pictures = Pictures::open(data, part, samples, model)?;
    let evaluation = Evaluation::new(&ask(model, &pictures, device)?);
    Ok(Crop {
        crop_pct,
        accuracy: evaluation.accuracy,
        loss: evaluation.loss,
        n: evaluation.n,
    })
}

/// Evaluates with each of the shares and prints a line for each unless `--json` will.
pub fn compare(args: &EvalArgs) -> anyhow::Result<Vec<Crop>> {
    let mut model = Model::open(&args.model, &args.foreign)?;
    let labels = model.labels()?;
    let data = open_data(&model, &args.data, &labels, args.split == Part::All)?;
    let part = args.split.name();
    let samples = args.split.samples(&data);
    let mut crops = Vec::new();
    for &crop_pct in &args.crop_pct {
        let crop = judge(&mut model, crop_pct, &data, (part, &samples), &args.device)?;
        if !args.json {
            if crops.is_empty() {
                let n = ui::count(samples.len());
                ui::print(format!("{part} split, {n} pictures"))?;
                ui::print("crop_pct  accuracy    loss")?;
            }
            let (accuracy, loss) = (100.0 * crop.accuracy, crop.loss);
            ui::print(format!("{crop_pct:>7}%  {accuracy:>7.2}%  {loss:.4}"))?;
        }
        crops.push(crop);
    }
    Ok(crops)
}
