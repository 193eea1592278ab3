//! `kiln export`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::model::{Pictures, open_data};
use super::ui::{self, at_least_one};
use crate::data::Sample;
use crate::disk;
use crate::export::{self, ExportError};
use crate::inference::Model;
use crate::run::Run;

/// `kiln export`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln export runs/first
  kiln export runs/first --data photos --out first.onnx
  kiln export runs/first --crop-pct 90      as kiln eval --crop-pct found best")]
pub struct ExportArgs {
    /// The run's folder.
    pub run: PathBuf,
    /// The file to write [default: RUN/model.onnx].
    #[arg(long, short)]
    pub out: Option<PathBuf>,
    /// Pictures to compare on [default: those the run was trained on].
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Pictures compared at most.
    #[arg(long, default_value_t = 256, value_parser = at_least_one)]
    pub pictures: usize,
    /// Per cent of each side of a picture that the file's recipe uses, around the middle [default: the run's].
    #[arg(long, value_name = "PCT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub crop_pct: Option<u8>,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Exports, compares on real pictures, writes the file.
pub fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let mut run = Run::open(&args.run)?;
    if let Some(crop_pct) = args.crop_pct {
        run.config.recipe.crop_pct = crop_pct;
    }
    let out = args.out.clone().unwrap_or_else(|| run.onnx());
    disk::for_result(&out, &[])?;
    let file = export::export(&run)?;
    let model = Model::Run(Box::new(run.clone()));
    let path = args.data.as_ref().unwrap_or(&run.config.data.path);
    let data = open_data(&model, path, &run.labels, false)?;
    // From all classes: the samples are sorted by path.
    let step = data.val.len().div_ceil(args.pictures).max(1);
    let samples: Vec<Sample> = data.val.iter().step_by(step).cloned().collect();
    let pictures = Pictures::open(&data, "val", &samples, &model)?;
    let mut inputs = Vec::new();
    for batch in pictures.loader()? {
        let batch = batch?.inputs;
        let values = batch.values();
        let pictures = values.chunks_exact(batch.values_of_one().max(1));
        inputs.extend(pictures.map(<[f32]>::to_vec));
    }
    let difference = match export::compare(&run, &file, &inputs) {
        Err(error @ ExportError::Differs { .. }) => {
            ui::say(format!("kiln: {error}"));
            return Ok(ExitCode::from(1));
        }
        compared => compared?,
    };
    file.save(&out)?;
    let bytes = std::fs::metadata(&out)?.len();
    if args.json {
        let value = serde_json::json!({
            "model": out,
            "bytes": bytes,
            "pictures": inputs.len(),
            "largest_difference": difference,
        });
        ui::print(value.to_string())?;
    } else {
        ui::print(format!("{}: {bytes} bytes", out.display()))?;
        ui::print(format!(
            "compared with the run on {} pictures: logits differ by {difference:.1e} at most",
            inputs.len()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
