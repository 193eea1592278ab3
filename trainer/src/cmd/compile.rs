//! `kiln compile`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use kiln_core::Target;
use kiln_runtime::compile::{self, Options, TargetName};
use kiln_runtime::files::write_atomic;

use super::ui;
use crate::disk;
use crate::inference::{Foreign, Model};

/// Golden vectors that a file has where nothing else is said: one takes some hundred bytes.
pub(super) const GOLDEN: u16 = 1;

/// `kiln compile`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln compile model.int8.onnx -o model.kiln
  kiln compile model.int8.onnx --target cortex-m4 -o model-m4.kiln
  kiln compile model.int8.onnx --json                    where each byte goes, for machines")]
pub struct CompileArgs {
    /// A quantized ONNX file: `kiln quantize` makes it; QDQ and QLinear files from elsewhere do too.
    pub model: PathBuf,
    /// What it is to run on: host, generic, x86-64, aarch64, wasm32, cortex-m0plus (or cortex-m0), cortex-m3, cortex-m4,
    /// cortex-m7, cortex-m33 or cortex-m55.
    #[arg(long, default_value = "host", value_parser = target)]
    pub target: Target,
    /// The file to write [default: MODEL with the ending .kiln].
    #[arg(long, short)]
    pub out: Option<PathBuf>,
    /// Golden vectors in the file, with which a device checks itself: drawn inputs, and what each
    /// layer makes of them.
    #[arg(long, value_name = "COUNT", default_value_t = GOLDEN)]
    pub golden: u16,
    /// The model's name, as a device shows it [default: the file's name].
    #[arg(long)]
    pub name: Option<String>,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

impl CompileArgs {
    /// What the command line has where only the model is named.
    pub fn of(model: &Path) -> Self {
        Self {
            model: model.to_owned(),
            target: compile::host(),
            out: None,
            golden: GOLDEN,
            name: None,
            json: false,
            foreign: Foreign::default(),
        }
    }
}

fn target(name: &str) -> Result<Target, String> {
    name.parse::<TargetName>()
        .map(|TargetName(target)| target)
        .map_err(|error| error.to_string())
}

/// Compiles and prints where each byte goes.
pub fn run(args: &CompileArgs) -> anyhow::Result<ExitCode> {
    let named = || args.model.display().to_string();
    let graph = match Model::open(&args.model, &args.foreign)? {
        Model::Int8(_, graph, _) => graph,
        Model::Float(_) => bail!(
            "{0}: it is not quantized; first: kiln quantize {0} --calibrate PICTURES",
            args.model.display()
        ),
        Model::Kiln(..) => bail!("{}: it is compiled already", args.model.display()),
        Model::Run(run) => bail!(
            "{0}: this is a run; first: kiln export {0}, then kiln quantize",
            run.folder.display()
        ),
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => default_out(&args.model),
    };
    disk::for_result(&out, &[&args.model])?;
    let name = args.name.clone().unwrap_or_else(|| stem(&args.model));
    let options = Options {
        target: args.target,
        name: Some(&name),
        golden: args.golden,
        ..Default::default()
    };
    let compiled = compile::compile(&graph, &options).with_context(named)?;
    write_atomic(&out, &compiled.bytes).with_context(|| out.display().to_string())?;
    if args.json {
        ui::print(serde_json::to_string(&compiled.report)?)?;
    } else {
        ui::print(compiled.report.to_string())?;
        ui::print(format!("{}: {} bytes", out.display(), compiled.bytes.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `runs/first/model.int8.onnx` gives `runs/first/model.kiln`.
fn default_out(model: &Path) -> PathBuf {
    model.with_file_name(format!("{}.kiln", stem(model)))
}

/// A model file's name without the endings of its kind: `.onnx`, `.int8.onnx`, `.kiln`, `.cortex-m4.kiln`.
pub(super) fn stem(model: &Path) -> String {
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    let name = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
    let without = |kind: &str| name.strip_suffix(kind)?.strip_suffix('.');
    let targets = Target::ALL.into_iter().map(Target::name);
    let stem = targets.chain(["int8"]).find_map(without);
    stem.unwrap_or(name).to_owned()
}
