//! `kiln train`

mod before;
mod report;
mod resolve;
mod tui;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use clap::Args;

use self::before::{drawn_alike, former, keeps_what_it_reads, unchanged, within};
use self::report::{advise, conclude, describe, show};
use self::resolve::{parse_size, resolve};
use self::tui::Tui;
use super::ui::{self, LazyBar, STEPPING, STOP};
use crate::config::{OptimizerKind, Precision, Provenance, RunConfig};
use crate::data::Dataset;
use crate::data::cache::cached;
use crate::device::{DeviceChoice, Devices};
use crate::disk;
use crate::model::ModelConfig;
use crate::model::init::InitError;
use crate::run::Run;
use crate::training::teacher::TeacherError;
use crate::training::{self, Ending, Event, Outcome, Setup, TrainError};

/// `kiln train`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Examples:
  kiln train photos --out runs/first
  kiln train photos --out runs/tiny --model resnet --size 32 --epochs 40
  kiln train photos --out runs/wide --set 'model.channels=[32,64,128,256]' --set augment.mixup=0.2
  kiln train photos --out runs/seen --tui
  kiln train photos --out runs/tuned --model efficientnet-lite --init efficientnet-lite0.pth --set init.epsilon=0.001
  kiln train --qat --init runs/first --out runs/rounded
  kiln train --config runs/first/run.toml --out runs/again
  kiln train --resume --out runs/first")]
pub struct TrainArgs {
    /// The pictures: class folders, or train, val and test folders of class folders.
    pub data: Option<PathBuf>,
    /// The run's folder: metrics, curves, checkpoints, weights and run.toml.
    #[arg(long, short, default_value = "runs/new")]
    pub out: PathBuf,
    /// A run.toml to start from; the other options change it.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out.
    #[arg(long)]
    pub resume: bool,
    /// Replace the run that is in --out.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
    /// Times that each picture is seen.
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Pictures in a step.
    #[arg(long)]
    pub batch: Option<usize>,
    /// The model's input in pixels: a side, or COLUMNSxROWS.
    #[arg(long, value_parser = parse_size)]
    pub size: Option<(u16, u16)>,
    /// The numbers that convolutions are computed with.
    #[arg(long)]
    pub precision: Option<Precision>,
    /// The network's family, with its default parameters.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(ModelConfig::FAMILIES))]
    pub model: Option<String>,
    /// The rule that turns gradients into steps.
    #[arg(long)]
    pub optimizer: Option<OptimizerKind>,
    /// The highest learning rate.
    #[arg(long, allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Everything random follows from it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Weights to start from: a run folder, a model.onnx of `kiln export`, a .safetensors file or one of
    /// PyTorch's; given more than once, from their mean.
    #[arg(long, value_name = "WEIGHTS")]
    pub init: Vec<PathBuf>,
    /// Go on from the run in --init as its integers will compute it (quantization-aware training), with its
    /// settings but for 3 epochs at a twentieth of its learning rate, where nothing else is said.
    #[arg(long, requires = "init", conflicts_with = "resume")]
    pub qat: bool,
    /// A run folder, ONNX file (float or int8) or .kiln file whose answers this run also learns from; given
    /// more than once, from what they say together.
    #[arg(long, value_name = "MODEL")]
    pub teacher: Vec<PathBuf>,
    /// Any key of the run, as TOML: --set augment.cutmix=1.0
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// auto, cpu, cuda, cuda:N,…, wgpu or remote:HOST:PORT,…
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Where decoded pictures are kept between epochs and runs [default: $KILN_CACHE, else
    /// the user's cache folder].
    #[arg(long)]
    pub cache: Option<PathBuf>,
    /// Print the model and its costs, then stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
    /// Draw live curves in the whole terminal.
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    pub tui: bool,
}

/// Trains.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let (run, outcome) = train(args)?;
    let Some(outcome) = outcome else {
        return Ok(ExitCode::SUCCESS);
    };
    if args.json {
        let value = serde_json::json!({
            "run": run.folder,
            "complete": outcome.ending != Ending::Stopped,
            "epochs": outcome.epochs.len(),
            "best": outcome.best(),
        });
        ui::print(value.to_string())?;
    } else if outcome.ending != Ending::Stopped
        // The run is whole without it.
        && let Err(error) = advise(&run, &args.device)
    {
        ui::say(format!("tip        none: {}", ui::reason(&error)));
    }
    Ok(match outcome.ending {
        Ending::Stopped => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    })
}

/// Trains; the outcome is `None` after `--dry-run`.
pub fn train(args: &TrainArgs) -> anyhow::Result<(Run, Option<Outcome>)> {
    if args.tui {
        tui::check()?;
    }
    let mut config = resolve(args)?;
    let before = former(args)?;
    let pictures = &config.data.path;
    if args.resume && !pictures.is_dir() {
        bail!(
            "{}: the run's pictures are not there; if they were moved: kiln train NEW_PLACE --resume --out {}",
            pictures.display(),
            disk::typed(&args.out)
        );
    }
    if before.is_none() && !args.dry_run {
        if within(&args.out, pictures)? {
            bail!(
                "--out {}: lies in the pictures' folder, {}, of which its files would be a part; name a folder \
                 elsewhere",
                args.out.display(),
                pictures.display()
            );
        }
        keeps_what_it_reads(&args.out, &config)?;
    }
    let data = match &before {
        Some(run) if run.split().exists() => Dataset::read_split(&config.data.path, &run.split())?,
        _ => Dataset::open(&config.data.path, &config.split_options())?,
    };
    for (split, samples) in [("training", &data.train), ("validation", &data.val)] {
        if samples.is_empty() {
            bail!(
                "{}: no {split} pictures, which a run needs; see its folders, and data.val and data.test",
                data.root.display()
            );
        }
    }
    drawn_alike(&config, &data);
    let spec = config.model.spec(config.input(), data.classes.len())?;
    let described = describe(&config, &data, &spec)?;
    if !args.dry_run || args.json {
        ui::say(&described);
    }
    if args.dry_run {
        ui::print(match args.json {
            true => serde_json::to_string(&spec.costs()?)?,
            false => described,
        })?;
        let run = Run {
            folder: args.out.clone(),
            config,
            labels: data.classes,
        };
        return Ok((run, None));
    }
    // Weights, their average and the optimiser's moments, twice while one replaces the other.
    let params: usize = spec.costs()?.iter().map(|layer| layer.params).sum();
    disk::writable(&args.out, params as u64 * 4 * 10 + 10_000_000)?;
    let cache = ui::cache_folder(args.cache.as_deref());
    if let Some(cache) = &cache {
        // What a run goes on with is there already, and less than this where pictures are small.
        let bytes = match args.resume {
            true => 0,
            false => cache_bytes(&config, &data).saturating_sub(cached(cache)),
        };
        disk::writable(cache, bytes)?;
    }
    let devices = args.device.open()?;
    let bf16 = devices.bf16(config.training.precision)?;
    let numbers = if bf16 { ", convolutions in bf16" } else { "" };
    ui::say(format!("device     {}{numbers}", devices.name));
    config.provenance = Some(provenance(&data, &devices));
    if let Some(init) = config.init.as_mut().filter(|_| !args.resume) {
        init.pin().map_err(InitError::from)?;
    }
    if let Some(teacher) = &mut config.teacher {
        teacher.pin().map_err(TeacherError::from)?;
    }
    if let Some(run) = &before {
        unchanged(&run.config, &config)?;
    }
    let (pictures, batch) = (data.train.len(), config.training.batch);
    if pictures < batch {
        bail!(TrainError::TooFew { pictures, batch });
    }
    let run = Run {
        folder: args.out.clone(),
        config,
        labels: data.classes.clone(),
    };
    ui::catch_interrupts()?;
    let setup = Setup {
        data: &data,
        cache,
        devices: &devices,
        bf16,
        resume: args.resume,
        stop: &STOP,
    };
    let bar = LazyBar::default();
    let screen = args.tui.then(|| Tui::start(&run)).transpose()?;
    let observe = |event: Event<'_>| match &screen {
        Some(screen) => screen.show(&event, &run),
        None => show(&bar, &event, &run),
    };
    let result = devices.guard(|| training::train(&run, &setup, &observe));
    STEPPING.store(false, Ordering::Relaxed);
    drop(screen);
    bar.clear();
    let outcome = result.with_context(|| {
        let folder = disk::typed(&run.folder);
        format!("the device failed; go on with: kiln train --resume --out {folder}")
    })??;
    if !args.json {
        conclude(&run, &outcome)?;
    }
    Ok((run, Some(outcome)))
}

/// Bytes that the decoded pictures take, where they are not much longer than wide.
fn cache_bytes(config: &RunConfig, data: &Dataset) -> u64 {
    let side = u64::from(config.recipe.width.max(config.recipe.height));
    let share = if config.augment.crop { 4 } else { 1 };
    let exact = side * side * 3;
    data.train.len() as u64 * exact * share + data.val.len() as u64 * exact
}

/// The version that the workspace pins.
const BURN: &str = "0.22.1";

fn provenance(data: &Dataset, devices: &Devices) -> Provenance {
    let bar = LazyBar::default();
    let data_hash = data.fingerprint(&|done, total| bar.show("hashing", done, total));
    Provenance {
        kiln: env!("CARGO_PKG_VERSION").into(),
        burn: BURN.into(),
        command: command_line(),
        device: devices.name.clone(),
        data_hash,
    }
}

/// The command as it was typed.
fn command_line() -> String {
    let words = env::args_os().map(disk::typed);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_pinned_one() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
