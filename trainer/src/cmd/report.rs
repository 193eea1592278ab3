//! `kiln report`

mod card;
mod forms;
mod judged;
mod layers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use kiln_core::Model;
use kiln_report::{Epoch, LayerNoise, Quantization, Report, Training};
use kiln_runtime::files::write_atomic;
use kiln_runtime::report::{LayerReport, Report as Noise};
use serde::de::DeserializeOwned;

use self::forms::Forms;
use self::layers::Profile;
use super::compile::stem;
use super::eval::Part;
use super::ui;
use crate::device::DeviceChoice;
use crate::disk;
use crate::inference::Foreign;
use crate::run::Run;
use crate::training::metrics;

/// `kiln report`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln report runs/first photos                 runs/first/report.html
  kiln report runs/first/model.kiln photos -o model.html
  kiln quantize runs/first/model.onnx --calibrate photos --report runs/first/quantize.json
  kiln device profile /dev/ttyACM0 --json > runs/first/profile.json
  kiln report runs/first photos                 with noise and time by layer

The page is one file: it needs no network and holds no script. It has what is known: a run's curves and
settings; accuracy, mistakes and calibration where PICTURES are given, or as `kiln eval` left them; sizes
and the memory plan where there is a .kiln or int8 ONNX file.")]
pub struct ReportArgs {
    /// A run's folder, an ONNX file, float or quantized, or a .kiln file. What belongs to it is found
    /// beside it: NAME.onnx, NAME.int8.onnx, NAME.kiln.
    pub model: PathBuf,
    /// Pictures to evaluate on, laid out as for `kiln train`.
    #[arg(value_name = "PICTURES")]
    pub data: Option<PathBuf>,
    /// Which part of the pictures.
    #[arg(long, default_value = "test")]
    pub split: Part,
    /// The file to write [default: report.html in the run's folder, or MODEL with the ending
    /// .report.html].
    #[arg(long, short)]
    pub out: Option<PathBuf>,
    /// Show this many of the worst mistakes.
    #[arg(long, default_value_t = 24)]
    pub mistakes: usize,
    /// What `kiln quantize --report` wrote [default: quantize.json beside the model].
    #[arg(long, value_name = "FILE")]
    pub quantization: Option<PathBuf>,
    /// What `kiln device profile --json` printed [default: profile.json beside the model].
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Where a run's network is computed; files are computed on the CPU.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Print what the page holds as JSON.
    #[arg(long)]
    pub json: bool,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

/// Collects, writes the page, says where it is.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let forms = Forms::open(&args.model, &args.foreign)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => match &forms.run {
            Some(run) if args.model.is_dir() => run.report(),
            _ => args
                .model
                .with_file_name(format!("{}.report.html", stem(&args.model))),
        },
    };
    let files = forms.files().map(|form| &form.path);
    let read = files.chain(&args.quantization).chain(&args.profile);
    let read: Vec<&Path> = read.map(PathBuf::as_path).collect();
    disk::for_result(&out, &read)?;
    let report = collect(args, &forms)?;
    let page = kiln_report::render(&report)?;
    write_atomic(&out, page.as_bytes()).with_context(|| out.display().to_string())?;
    if args.json {
        ui::print(serde_json::to_string(&report)?)?;
    } else {
        ui::print(format!("{}: {} bytes", out.display(), page.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn collect(args: &ReportArgs, forms: &Forms) -> anyhow::Result<Report> {
    let profile = profile(args, forms)?;
    let noise = noise(args, forms)?;
    let compiled = forms.integers();
    let card = card::card(args, forms)?;
    Ok(Report {
        title: forms.title(),
        subtitle: card::subtitle(forms, &card),
        card,
        training: forms.run.as_ref().map(training).transpose()?.flatten(),
        evaluations: match &args.data {
            Some(data) => judged::evaluations(args, forms, data)?,
            None => judged::former(args, forms)?,
        },
        quantization: noise.map(|found| quantization(&found, forms)),
        memory: compiled.map(|model| layers::memory(model.model())),
        costs: compiled.map(|model| layers::costs(model.model(), profile.as_ref())),
        sizes: forms.sizes(),
    })
}

/// What `kiln device profile` measured of this model.
///
/// # Errors
/// A file that was named is of another model.
fn profile(args: &ReportArgs, forms: &Forms) -> anyhow::Result<Option<Profile>> {
    let named = args.profile.as_deref();
    let found: Option<Profile> = beside(args, named, "profile.json")?;
    let other = "another model: its layers are not this one's; profile this one";
    of_this(forms, found, Profile::is_of, ("profile.json", named, other))
}

/// What `kiln quantize` wrote of this model.
///
/// # Errors
/// A file that was named is of another model.
fn noise(args: &ReportArgs, forms: &Forms) -> anyhow::Result<Option<Noise>> {
    let named = args.quantization.as_deref();
    let found: Option<Noise> = beside(args, named, "quantize.json")?;
    let other =
        "another model, or of another quantization of this one: its layers have other zero points";
    let is_of = |found: &Noise, model: &Model<'_>| layers::is_of(model, found);
    of_this(forms, found, is_of, ("quantize.json", named, other))
}

/// What was found, if it is of this model.
///
/// # Errors
/// It is not, and was named; what only lay beside the model is left out, and that said.
fn of_this<T>(
    forms: &Forms,
    found: Option<T>,
    is_of: impl Fn(&T, &Model<'_>) -> bool,
    (name, named, other): (&str, Option<&Path>, &str),
) -> anyhow::Result<Option<T>> {
    let Some(found) = found else {
        return Ok(None);
    };
    if forms
        .integers()
        .is_none_or(|model| is_of(&found, model.model()))
    {
        return Ok(Some(found));
    }
    match named {
        Some(path) => bail!("{}: it is of {other}", path.display()),
        None => ui::say(format!("left out: {name}, which is of {other}")),
    }
    Ok(None)
}

/// A file that was named, or the one of this name beside the model, if there is one.
fn beside<T: DeserializeOwned>(
    args: &ReportArgs,
    given: Option<&Path>,
    name: &str,
) -> anyhow::Result<Option<T>> {
    let folder = match args.model.is_dir() {
        true => &args.model,
        false => args.model.parent().unwrap_or(Path::new("")),
    };
    let path = given.map_or_else(|| folder.join(name), Path::to_owned);
    if given.is_none() && !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => bail!("{}: not what Kiln writes there: {error}", path.display()),
    }
}

fn training(run: &Run) -> anyhow::Result<Option<Training>> {
    let path = run.metrics();
    let lines = metrics::read(&path, usize::MAX).with_context(|| path.display().to_string())?;
    let best = metrics::best(&lines).map(|line| line.epoch);
    let epoch = |line: &metrics::EpochMetrics| Epoch {
        epoch: line.epoch,
        lr: line.lr,
        train_loss: line.train_loss,
        train_accuracy: line.train_accuracy,
        val_loss: line.val_loss,
        val_accuracy: line.val_accuracy,
        images_per_second: line.images_per_second,
        seconds: line.seconds,
    };
    let epochs: Vec<Epoch> = lines.iter().map(epoch).collect();
    Ok((!epochs.is_empty()).then_some(Training { epochs, best }))
}

/// Layers come in the order in which they run, where that is known.
fn quantization(found: &Noise, forms: &Forms) -> Quantization {
    let layer = |layer: &LayerReport| LayerNoise {
        name: layer.name.clone(),
        op: layer.op.clone(),
        sqnr_db: layer.sqnr_db,
    };
    let mut layers: Vec<LayerNoise> = found.layers.iter().map(layer).collect();
    if let Some(model) = forms.integers() {
        let names: Vec<&str> = model.model().layers().map(|(name, _)| name).collect();
        let place = |layer: &LayerNoise| names.iter().position(|name| *name == layer.name);
        layers.sort_by_cached_key(|layer| place(layer).unwrap_or(usize::MAX));
    }
    let (pictures, agreement, sqnr) = match &found.held_out {
        Some(other) => (other.pictures, other.agreement, other.logits_sqnr_db),
        None => (found.pictures, found.agreement, found.logits_sqnr_db),
    };
    Quantization {
        pictures,
        method: found.method.clone(),
        agreement,
        logits_sqnr_db: sqnr,
        top1: found.top1(),
        layers,
        advice: found.advice(),
    }
}
