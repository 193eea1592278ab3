//! `kiln train`

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use toml::{Table, Value};

use super::ui::{self, LazyBar, STOP};
use crate::config::{OptimizerKind, Provenance, RunConfig, TeacherConfig};
use crate::data::dataset::SplitOptions;
use crate::data::{Dataset, Split};
use crate::device::{DeviceChoice, Devices};
use crate::model::{ModelConfig, ModelSpec};
use crate::run::Run;
use crate::training::{self, Ending, Event, Outcome, Setup};

/// `kiln train`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Examples:
  kiln train photos --out runs/first
  kiln train photos --out runs/tiny --model resnet --size 32 --epochs 40
  kiln train photos --out runs/wide --set model.channels=[32,64,128] --set augment.mixup=0.2
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
    /// The network's family, with its default parameters.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(ModelConfig::FAMILIES))]
    pub model: Option<String>,
    /// The rule that turns gradients into steps.
    #[arg(long)]
    pub optimizer: Option<OptimizerKind>,
    /// The highest learning rate.
    #[arg(long)]
    pub lr: Option<f64>,
    /// Everything random follows from it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// A run folder or ONNX file whose answers this run also learns from.
    #[arg(long)]
    pub teacher: Option<PathBuf>,
    /// Any key of the run, as TOML: --set augment.cutmix=1.0
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// auto, cpu, cuda, cuda:N,…, wgpu or remote:HOST:PORT,…
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Where decoded pictures are kept between epochs and runs [default: the user's cache folder].
    #[arg(long)]
    pub cache: Option<PathBuf>,
    /// Print the model and its costs, then stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
}

fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let (columns, rows) = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| {
        let side = text.parse::<u16>().ok().filter(|side| *side > 0);
        side.ok_or_else(|| format!("`{text}` is no number of pixels"))
    };
    Ok((side(columns)?, side(rows)?))
}

/// Trains.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let (run, outcome) = train(args)?;
    let Some(outcome) = outcome else {
        return Ok(ExitCode::SUCCESS);
    };
    if args.json {
        let best = outcome
            .best_epoch
            .and_then(|epoch| outcome.epochs.get(epoch - 1));
        let value = serde_json::json!({
            "run": run.folder,
            "complete": outcome.ending != Ending::Stopped,
            "epochs": outcome.epochs.len(),
            "best": best,
        });
        ui::print(value.to_string())?;
    }
    Ok(match outcome.ending {
        Ending::Stopped => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    })
}

/// Trains; the outcome is `None` after `--dry-run`.
pub fn train(args: &TrainArgs) -> anyhow::Result<(Run, Option<Outcome>)> {
    let mut config = resolve(args)?;
    let taken = args.out.join("run.toml").exists();
    if taken && !args.overwrite && !args.resume && !args.dry_run {
        bail!(
            "{} holds a run already; --resume goes on with it, --overwrite replaces it",
            args.out.display()
        );
    }
    let options = SplitOptions {
        val: config.data.val,
        test: config.data.test,
        seed: config.seed,
    };
    let frozen = args.out.join("split.json");
    let data = match args.resume && frozen.exists() {
        true => Dataset::read_split(&config.data.path, &frozen)?,
        false => Dataset::open(&config.data.path, &options)?,
    };
    let spec = config.model.spec(config.input(), data.classes.len())?;
    describe(&config, &data, &spec)?;
    if args.dry_run {
        let run = Run {
            folder: args.out.clone(),
            config,
            labels: data.classes,
        };
        return Ok((run, None));
    }
    if taken && args.overwrite {
        clear(&args.out)?;
    }
    // Weights, their average and the optimiser's moments, twice while one replaces the other.
    let params: usize = spec.costs()?.iter().map(|layer| layer.params).sum();
    ui::writable(&args.out, params as u64 * 4 * 10 + 10_000_000)?;
    let cache = ui::cache_folder(args.cache.as_deref());
    if let Some(cache) = &cache {
        ui::writable(cache, cache_bytes(&config, &data))?;
    }
    let devices = args.device.open()?;
    eprintln!("device     {}", devices.name);
    config.provenance = Some(provenance(&data, &devices));
    let run = Run::create(&args.out, config, data.classes.clone())?;
    data.write_split(&run.split())?;
    ui::catch_interrupts()?;
    let setup = Setup {
        data: &data,
        cache,
        devices: &devices,
        resume: args.resume,
        stop: &STOP,
    };
    let bar = LazyBar::default();
    let result = devices.guard(|| training::train(&run, &setup, &|event| show(&bar, &event, &run)));
    bar.clear();
    let outcome = result.with_context(|| {
        format!(
            "the device failed; go on with: kiln train --resume --out {}",
            run.folder.display()
        )
    })??;
    conclude(&run, &outcome);
    Ok((run, Some(outcome)))
}

/// The run that the configuration file, `--set` and the options describe together.
fn resolve(args: &TrainArgs) -> anyhow::Result<RunConfig> {
    let own = args.out.join("run.toml");
    let file = match (&args.config, args.resume) {
        (Some(file), _) => Some(file.clone()),
        (None, true) if own.exists() => Some(own),
        (None, true) => bail!("{}: nothing to resume here", args.out.display()),
        (None, false) => None,
    };
    let mut table = match &file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| path.display().to_string())?
            .parse::<Table>()
            .with_context(|| path.display().to_string())?,
        None => Table::new(),
    };
    if let Some(family) = &args.model {
        let model = Table::from_iter([("family".to_owned(), Value::from(family.as_str()))]);
        table.insert("model".into(), Value::Table(model));
    }
    for assignment in &args.set {
        set(&mut table, assignment)?;
    }
    if let Some(Value::Table(model)) = table.get_mut("model") {
        model.entry("family").or_insert_with(|| "cnn".into());
    }
    let mut config: RunConfig = table.try_into().context("the run's configuration")?;
    let training = &mut config.training;
    training.epochs = args.epochs.unwrap_or(training.epochs);
    training.batch = args.batch.unwrap_or(training.batch);
    if let Some((columns, rows)) = args.size {
        (config.recipe.width, config.recipe.height) = (columns, rows);
    }
    config.optimizer.kind = args.optimizer.unwrap_or(config.optimizer.kind);
    config.optimizer.lr = args.lr.unwrap_or(config.optimizer.lr);
    config.seed = args.seed.unwrap_or(config.seed);
    if let Some(data) = &args.data {
        config.data.path.clone_from(data);
    }
    if config.data.path.as_os_str().is_empty() {
        bail!("no pictures are named: kiln train PICTURES --out RUN");
    }
    if let Some(teacher) = &args.teacher {
        config.teacher = Some(TeacherConfig::new(teacher.clone()));
    }
    config.check()?;
    Ok(config)
}

/// Sets `a.b=value` in a table; what is no TOML value is taken as a string.
fn set(table: &mut Table, assignment: &str) -> anyhow::Result<()> {
    let Some((key, value)) = assignment.split_once('=') else {
        bail!("--set {assignment}: write it as KEY=VALUE");
    };
    let parsed = format!("value = {value}").parse::<Table>();
    let value = parsed
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::from(value));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let Some(last) = parts.pop() else {
        return Ok(());
    };
    let mut table = table;
    for part in parts {
        let entry = table
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            bail!("--set {assignment}: `{part}` is no table");
        };
        table = inner;
    }
    table.insert(last.into(), value);
    Ok(())
}

/// Says what will be trained and what it costs, before it starts.
fn describe(config: &RunConfig, data: &Dataset, spec: &ModelSpec) -> anyhow::Result<()> {
    let sizes = [Split::Train, Split::Val, Split::Test].map(|split| data.split(split).len());
    eprintln!(
        "pictures   {}: {} classes",
        data.root.display(),
        data.classes.len()
    );
    eprintln!(
        "           train {}, val {}, test {}",
        sizes[0], sizes[1], sizes[2]
    );
    let [channels, rows, columns] = spec.input;
    eprintln!("input      {columns}×{rows}, {channels} channels");
    let layers = spec.costs()?;
    eprintln!("layer                         output            params       MACs");
    for layer in &layers {
        let [c, h, w] = layer.output;
        let output = format!("{c}×{h}×{w}");
        let (params, macs) = (ui::count(layer.params), ui::count(layer.macs));
        eprintln!("  {:<27} {output:<14} {params:>9}  {macs:>9}", layer.name);
    }
    let params: usize = layers.iter().map(|layer| layer.params).sum();
    let macs: usize = layers.iter().map(|layer| layer.macs).sum();
    eprintln!(
        "total      {} parameters, {} MACs",
        ui::count(params),
        ui::count(macs)
    );
    let sizes = std::iter::once(spec.input.iter().product::<usize>())
        .chain(layers.iter().map(|layer| layer.output.iter().product()));
    let sizes: Vec<usize> = sizes.collect();
    let peak = sizes
        .windows(2)
        .map(|pair| pair[0] + pair[1])
        .max()
        .unwrap_or(0);
    eprintln!(
        "memory     weights {:.1} kB as f32, {:.1} kB as int8; activations {:.1} kB at least as int8",
        params as f64 * 4.0 / 1e3,
        params as f64 / 1e3,
        peak as f64 / 1e3
    );
    // Each value is kept for the way back, and has a gradient.
    let step = sizes.iter().sum::<usize>() * config.training.batch * 4 * 2;
    eprintln!(
        "           about {:.0} MB for a training step",
        step as f64 / 1e6 + params as f64 * 16.0 / 1e6
    );
    Ok(())
}

/// Bytes that the decoded pictures take at most.
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
        command: env::args().collect::<Vec<_>>().join(" "),
        device: devices.name.clone(),
        data_hash,
    }
}

/// Removes a former run's files, nothing else.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let run = Run {
        folder: folder.to_owned(),
        config: RunConfig::default(),
        labels: Vec::new(),
    };
    let failed = |path: &Path| format!("{}: cannot remove it", path.display());
    for path in [run.weights(), run.metrics(), run.curves(), run.onnx()] {
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| failed(&path))?;
        }
    }
    for path in [run.checkpoints(), run.evaluation()] {
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| failed(&path))?;
        }
    }
    Ok(())
}

/// Draws an event: bars while work is under way, a line for what is done.
pub fn show(bar: &LazyBar, event: &Event<'_>, run: &Run) {
    let epochs = run.config.training.epochs;
    match event {
        Event::Caching { split, done, total } => {
            bar.show(&format!("decoding {split}"), *done, *total);
        }
        Event::Broken(files) => {
            bar.line(&format!(
                "{} files could not be read and are left out:",
                files.len()
            ));
            for file in files.iter().take(10) {
                bar.line(&format!("  {}: {}", file.path, file.reason));
            }
            if files.len() > 10 {
                bar.line("  … (kiln check names them all)");
            }
        }
        Event::Resumed { epochs } => bar.line(&format!("resumed after epoch {epochs}")),
        Event::Steps {
            epoch,
            done,
            total,
            loss,
            accuracy,
            images_per_second,
        } => bar.show_with(
            &format!("epoch {epoch}/{epochs}"),
            *done,
            *total,
            format!(
                "loss {loss:.4}  accuracy {:.2}%  {images_per_second:.0} images/s",
                accuracy * 100.0
            ),
        ),
        Event::Epoch { metrics, best } => {
            let left = (epochs - metrics.epoch.min(epochs)) as f64 * metrics.seconds;
            bar.line(&format!(
                "epoch {:>3}/{epochs}  train {:.4} {:.2}%  val {:.4} {:.2}%  {:.0} images/s  left {}{}",
                metrics.epoch,
                metrics.train_loss,
                metrics.train_accuracy * 100.0,
                metrics.val_loss,
                metrics.val_accuracy * 100.0,
                metrics.images_per_second,
                ui::time(left),
                if *best { "  best" } else { "" },
            ));
        }
    }
}

fn conclude(run: &Run, outcome: &Outcome) {
    let folder = run.folder.display();
    match outcome.ending {
        Ending::Stopped => {
            eprintln!("stopped after epoch {}; go on with:", outcome.epochs.len());
            eprintln!("  kiln train --resume --out {folder}");
        }
        Ending::Early => eprintln!("stopped early: the validation loss has not fallen any more"),
        Ending::Complete => {}
    }
    if let Some(best) = outcome
        .best_epoch
        .and_then(|epoch| outcome.epochs.get(epoch - 1))
    {
        eprintln!(
            "best       epoch {}: validation loss {:.4}, accuracy {:.2}%",
            best.epoch,
            best.val_loss,
            best.val_accuracy * 100.0
        );
    }
    eprintln!("run        {folder} (curves.png, metrics.jsonl, model.bpk, run.toml)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_override_sets_and_sets_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, "seed = 5\n[training]\nepochs = 7\nbatch = 8\n").unwrap();
        let args = TrainArgs {
            config: Some(file),
            data: Some("photos".into()),
            set: vec![
                "training.epochs=9".into(),
                "training.batch=16".into(),
                "model.channels=[8, 8]".into(),
                "recipe.fit=crop".into(),
            ],
            batch: Some(32),
            ..Default::default()
        };
        let config = resolve(&args).unwrap();
        assert_eq!(
            (config.seed, config.training.epochs, config.training.batch),
            (5, 9, 32)
        );
        assert_eq!(config.recipe.fit, kiln_runtime::recipe::FitText::Crop);
        assert!(matches!(config.model, ModelConfig::Cnn(cnn) if cnn.channels == [8, 8]));
    }

    #[test]
    fn mistakes_in_the_options_are_named() {
        let with = |set: &str| {
            let args = TrainArgs {
                data: Some("photos".into()),
                set: vec![set.into()],
                ..Default::default()
            };
            format!("{:#}", resolve(&args).unwrap_err())
        };
        assert!(with("training.epoch=9").contains("unknown field `epoch`"));
        assert!(with("seed").contains("KEY=VALUE"));
        assert!(with("optimizer.lr=-1").contains("optimizer.lr"));
        let none = TrainArgs::default();
        assert!(
            resolve(&none)
                .unwrap_err()
                .to_string()
                .contains("kiln train PICTURES")
        );
    }

    #[test]
    fn the_version_of_burn_is_the_pinned_one() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }

    #[test]
    fn sizes_are_a_side_or_two() {
        assert_eq!(parse_size("64"), Ok((64, 64)));
        assert_eq!(parse_size("96x64"), Ok((96, 64)));
        assert!(parse_size("0").is_err() && parse_size("axb").is_err());
    }
}
