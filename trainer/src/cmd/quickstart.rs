//! `kiln quickstart`: the whole way, on pictures that Kiln draws.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use kiln_board::Address;
use kiln_run::pictures;

use super::{classify, compile, device, eval, export, quantize, train, ui, verify};
use crate::data::synthetic::{SyntheticOptions, write_synthetic};
use crate::device::DeviceChoice;
use crate::disk;
use crate::evaluate::Evaluation;
use crate::run::{Run, is_run};
use crate::training::Ending;

/// `kiln quickstart`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kiln quickstart --out quickstart")]
pub struct QuickstartArgs {
    /// The folder for the pictures and the run.
    #[arg(long, short, default_value = "quickstart")]
    pub out: PathBuf,
    /// Times that each picture is seen.
    #[arg(long, default_value_t = 12, value_parser = ui::at_least_one)]
    pub epochs: usize,
    /// Training pictures of each class; a fifth of it for validation, two fifths for the test.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(5..=100_000))]
    pub pictures: u32,
    /// What to compute on.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
}

fn stage(number: usize, title: &str) -> anyhow::Result<()> {
    ui::print(format!("\n{number}. {title}"))
}

/// Goes through all the stages; says at each what was done and what to type next.
pub fn run(args: &QuickstartArgs) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let pictures = args.out.join("pictures");
    let folder = args.out.join("run");
    if is_run(&folder) {
        let kept = || {
            let folder = folder.display();
            format!("{folder} holds a run, which is not replaced; give another folder with --out")
        };
        let run = Run::open(&folder).with_context(kept)?;
        if !disk::same(&run.config.data.path, &pictures) {
            bail!("{} (on {})", kept(), run.config.data.path.display());
        }
    }
    if !folder.exists() && !pictures.exists() && has_files(&args.out) {
        bail!(
            "{} holds something else; give a new folder with --out",
            args.out.display()
        );
    }
    draw(args, &pictures)?;
    if learn(args, &pictures, &folder)? == Ending::Stopped {
        return Ok(ExitCode::from(2));
    }
    export_onnx(&folder)?;
    let int8 = quantize_to_int8(&pictures, &folder)?;
    let kiln = compile_for_here(&int8)?;
    verify_all(&pictures, &kiln)?;
    let evaluation = ask(args, &pictures, &kiln)?;
    let screen = on_a_board(&pictures, &int8)?;
    ui::print(format!(
        "\nDone in {}: {:.2}% of {} drawn test pictures are answered rightly by {}, in int8.",
        ui::time(start.elapsed().as_secs_f64()),
        evaluation.accuracy * 100.0,
        evaluation.n,
        kiln.display()
    ))?;
    if let Some(screen) = screen {
        ui::print(format!(
            "A Cortex-M3 with 64 KB of RAM answered one of them; what its display showed is in {}.",
            screen.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn has_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn draw(args: &QuickstartArgs, pictures: &Path) -> anyhow::Result<()> {
    stage(
        1,
        "Pictures: cats' and dogs' faces, drawn by Kiln (synthetic, not photographs)",
    )?;
    if pictures.exists() {
        ui::print(format!("   they are in {} already", pictures.display()))?;
    } else {
        std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
        let options = SyntheticOptions {
            train: args.pictures,
            val: args.pictures / 5,
            test: args.pictures * 2 / 5,
            ..Default::default()
        };
        let bar = ui::LazyBar::default();
        write_synthetic(pictures, &options, &|done, total| {
            bar.show("drawing", done, total)
        })?;
        let n = 2 * (options.train + options.val + options.test);
        ui::print(format!("   {n} pictures in {}", pictures.display()))?;
    }
    ui::print("   yours:  one folder a class, then  kiln check YOUR_PICTURES")?;
    Ok(())
}

fn learn(args: &QuickstartArgs, pictures: &Path, folder: &Path) -> anyhow::Result<Ending> {
    stage(2, "Train: a small CNN learns them, epoch by epoch")?;
    let train_args = train::TrainArgs {
        data: Some(pictures.to_owned()),
        out: folder.to_owned(),
        overwrite: true,
        epochs: Some(args.epochs),
        // Small enough for 64 KB of RAM.
        size: Some((48, 48)),
        set: vec!["model.channels=[12, 24, 48, 96]".into()],
        device: args.device.clone(),
        ..Default::default()
    };
    let (_, outcome) = train::train(&train_args)?;
    ui::print(format!(
        "   weights, curves.png and run.toml in {}",
        folder.display()
    ))?;
    ui::print("   yours:  kiln train YOUR_PICTURES --out runs/first")?;
    Ok(outcome.map_or(Ending::Complete, |outcome| outcome.ending))
}

fn export_onnx(folder: &Path) -> anyhow::Result<()> {
    stage(3, "Export: the model as ONNX, compared with the run")?;
    export::run(&export::ExportArgs {
        run: folder.to_owned(),
        out: None,
        data: None,
        pictures: 256,
        crop_pct: None,
        json: false,
    })?;
    ui::print("   yours:  kiln export runs/first")?;
    Ok(())
}

fn quantize_to_int8(pictures: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    stage(
        4,
        "Quantize: floats become 8-bit integers, chosen on training pictures",
    )?;
    let model = folder.join("model.onnx");
    let out = folder.join("model.int8.onnx");
    quantize::run(&quantize::QuantizeArgs {
        calibrate: pictures.to_owned(),
        pictures: 200,
        out: Some(out.clone()),
        ..quantize::QuantizeArgs::of(&model)
    })?;
    ui::print("   yours:  kiln quantize runs/first/model.onnx --calibrate YOUR_PICTURES")?;
    Ok(out)
}

fn compile_for_here(int8: &Path) -> anyhow::Result<PathBuf> {
    stage(
        5,
        "Compile: one file, every byte of memory known before it runs",
    )?;
    let out = int8.with_file_name("model.kiln");
    compile::run(&compile::CompileArgs {
        out: Some(out.clone()),
        ..compile::CompileArgs::of(int8)
    })?;
    ui::print("   yours:  kiln compile runs/first/model.int8.onnx --target cortex-m4")?;
    Ok(out)
}

fn verify_all(pictures: &Path, kiln: &Path) -> anyhow::Result<()> {
    stage(
        6,
        "Verify: the float model, the int8 ONNX by tract, and the engine, side by side",
    )?;
    verify::run(&verify::VerifyArgs::of(kiln, &pictures.join("test")))?;
    ui::print("   yours:  kiln verify runs/first YOUR_PICTURES")?;
    Ok(())
}

/// The display's picture; none where this machine cannot play a board, which is said.
fn on_a_board(pictures: &Path, int8: &Path) -> anyhow::Result<Option<PathBuf>> {
    stage(
        9,
        "Device: firmware around the model on a Cortex-M3, played by QEMU down to its OLED display",
    )?;
    let board = kiln_board::boards::find("lm3s6965evb").context("QEMU's smallest board")?;
    let mut files = pictures::files(&[pictures.join("test")])?;
    let photo = files.swap_remove(files.len() / 4);
    let screen = int8.with_file_name("screen.png");
    let classify = device::DeviceCommand::Classify(device::ClassifyArgs {
        screen: Some(screen.clone()),
        ..device::ClassifyArgs::of(Address::Qemu(board), int8, &[photo])
    });
    let told = device::run(&device::DeviceArgs { command: classify });
    if let Err(error) = &told {
        ui::print(format!("   left out: {}", ui::reason(error)))?;
    }
    ui::print(
        "   yours:  kiln device classify qemu:mps2-an386 YOUR_PHOTO.jpg --model runs/first/model.int8.onnx",
    )?;
    Ok(told.is_ok().then_some(screen))
}

fn ask(args: &QuickstartArgs, pictures: &Path, kiln: &Path) -> anyhow::Result<Evaluation> {
    stage(
        7,
        "Evaluate: the compiled file on pictures that no one of them has seen",
    )?;
    let evaluation = eval::evaluate(&eval::EvalArgs {
        device: args.device.clone(),
        out: kiln.parent().map(|folder| folder.join("evaluation")),
        ..eval::EvalArgs::of(kiln, pictures)
    })?;
    ui::print("   yours:  kiln eval runs/first/model.int8.onnx YOUR_PICTURES")?;
    stage(8, "Classify: what is on these?")?;
    let some: Vec<PathBuf> = pictures::files(&[pictures.join("test")])?;
    let step = some.len().div_ceil(4).max(1);
    classify::run(&classify::ClassifyArgs {
        pictures: some.into_iter().step_by(step).collect(),
        ..classify::ClassifyArgs::of(kiln)
    })?;
    ui::print("   yours:  kiln classify runs/first/model.kiln YOUR_PHOTO.jpg")?;
    Ok(evaluation)
}
