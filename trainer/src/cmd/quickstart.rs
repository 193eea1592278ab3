//! `kiln quickstart`: the whole way, on pictures that Kiln draws.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::{eval, export, train, ui};
use crate::data::synthetic::{SyntheticOptions, write_synthetic};
use crate::device::DeviceChoice;
use crate::training::Ending;

/// `kiln quickstart`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kiln quickstart --out quickstart")]
pub struct QuickstartArgs {
    /// The folder for the pictures and the run.
    #[arg(long, short, default_value = "quickstart")]
    pub out: PathBuf,
    /// Times that each picture is seen.
    #[arg(long, default_value_t = 8)]
    pub epochs: usize,
    /// Training pictures of each class; a fifth of it for validation, two fifths for the test.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(5..=100_000))]
    pub pictures: u32,
    /// What to compute on.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
}

fn stage(number: usize, title: &str) -> std::io::Result<()> {
    ui::print(format!("\n{number}. {title}"))
}

/// Draws, trains, evaluates, exports; says what was done and what to type next.
pub fn run(args: &QuickstartArgs) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let pictures = args.out.join("pictures");
    let folder = args.out.join("run");

    stage(
        1,
        "Pictures: cats' and dogs' faces, drawn by Kiln (synthetic, not photographs)",
    )?;
    if pictures.exists() {
        ui::print(format!("   they are in {} already", pictures.display()))?;
    } else {
        std::fs::create_dir_all(&args.out)?;
        let options = SyntheticOptions {
            train: args.pictures,
            val: args.pictures / 5,
            test: args.pictures * 2 / 5,
            ..Default::default()
        };
        let bar = ui::LazyBar::default();
        write_synthetic(&pictures, &options, &|done, total| {
            bar.show("drawing", done, total)
        })?;
        let n = 2 * (options.train + options.val + options.test);
        ui::print(format!("   {n} pictures in {}", pictures.display()))?;
    }
    ui::print("   yours:  one folder a class, then  kiln check YOUR_PICTURES")?;

    stage(2, "Train: a small CNN learns them, epoch by epoch")?;
    let train_args = train::TrainArgs {
        data: Some(pictures.clone()),
        out: folder.clone(),
        overwrite: true,
        epochs: Some(args.epochs),
        set: vec!["model.channels=[16, 32, 64, 128]".into()],
        device: args.device.clone(),
        ..Default::default()
    };
    let (_, outcome) = train::train(&train_args)?;
    if outcome.is_some_and(|outcome| outcome.ending == Ending::Stopped) {
        return Ok(ExitCode::from(2));
    }
    ui::print(format!(
        "   weights, curves.png and run.toml in {}",
        folder.display()
    ))?;
    ui::print("   yours:  kiln train YOUR_PICTURES --out runs/first")?;

    stage(3, "Evaluate: on pictures that it has never seen")?;
    let evaluation = eval::evaluate(&eval::EvalArgs {
        model: folder.clone(),
        data: pictures.clone(),
        split: eval::Part::Test,
        out: None,
        logits: None,
        inputs: None,
        device: args.device.clone(),
        json: false,
    })?;
    ui::print("   yours:  kiln eval runs/first YOUR_PICTURES")?;

    stage(4, "Export: the model as ONNX, compared with the run")?;
    export::run(&export::ExportArgs {
        run: folder.clone(),
        out: None,
        data: None,
        pictures: 256,
        json: false,
    })?;
    ui::print("   yours:  kiln export runs/first")?;

    ui::print(format!(
        "\nDone in {}: {:.2}% of {} drawn test pictures are answered rightly by {}.",
        ui::time(start.elapsed().as_secs_f64()),
        evaluation.accuracy * 100.0,
        evaluation.n,
        folder.join("model.onnx").display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
