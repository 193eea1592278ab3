//! `kiln quantize`

mod calibration;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use kiln_runtime::calibrate::{Calibration, Method};
use kiln_runtime::compile::CompileError;
use kiln_runtime::files::write_atomic;
use kiln_runtime::fold::fold;
use kiln_runtime::load::load;
use kiln_runtime::onnx::{self, OnnxFile};
use kiln_runtime::onnx_out;
use kiln_runtime::qgraph::Meta;
use kiln_runtime::quantize::{Options, Progress, held_out, quantize, scale_logits, with_known};
use kiln_runtime::quantized::meta;
use kiln_runtime::report::Report;

use self::calibration::{Pictures, Tensors};
use super::compile::stem;
use super::eval::Part;
use super::ui::{self, LazyBar, at_least_one};
use crate::disk;
use crate::inference::{Foreign, Model};

/// How ranges of activations are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodChoice {
    /// What measures best on the calibration pictures; what it was trained with, where that was --qat.
    Auto,
    /// The least and the greatest value seen.
    MinMax,
    /// All but a share of the values.
    Percentile,
    /// The least Kullback-Leibler divergence.
    Entropy,
    /// The least squared error.
    Mse,
}

impl MethodChoice {
    fn method(self) -> Option<Method> {
        match self {
            Self::Auto => None,
            Self::MinMax => Some(Method::MinMax),
            Self::Percentile => Some(Method::Percentile { outside: 100 }),
            Self::Entropy => Some(Method::Entropy),
            Self::Mse => Some(Method::Mse),
        }
    }
}

/// `kiln quantize`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln quantize runs/first/model.onnx --calibrate photos
  kiln quantize model.onnx --calibrate photos -o small.int8.onnx --evaluate photos --max-drop 1.0
  kiln quantize pytorch.onnx --calibrate photos --labels labels.txt --recipe recipe.toml
  kiln quantize keywords.onnx --calibrate spectrograms.npy
  kiln quantize model.onnx --calibrate photos --temperature --unknown

Exit codes: 0 done, 1 the accuracy fell by more than --max-drop, 2 an error.")]
pub struct QuantizeArgs {
    /// A float ONNX file: of `kiln export`, PyTorch, Keras, …
    pub model: PathBuf,
    /// Pictures like those to come, with class folders or without; or inputs as the model takes them,
    /// .npy with one input along axis 0 after the other.
    #[arg(long, value_name = "PICTURES")]
    pub calibrate: PathBuf,
    /// Which part of the pictures, where the folder has parts.
    #[arg(long, default_value = "train")]
    pub split: Part,
    /// Pictures used at most, evenly from all of them.
    #[arg(long, default_value_t = 512, value_parser = at_least_one)]
    pub pictures: usize,
    /// Labelled pictures that say how much was lost: others than those that quantized.
    #[arg(long, value_name = "PICTURES")]
    pub evaluate: Option<PathBuf>,
    /// Which part of those, where the folder has parts.
    #[arg(long, value_name = "SPLIT", default_value = "val")]
    pub evaluate_split: Part,
    /// The file to write [default: MODEL with the ending .int8.onnx].
    #[arg(long, short)]
    pub out: Option<PathBuf>,
    /// How ranges of activations are chosen.
    #[arg(long, default_value = "auto")]
    pub method: MethodChoice,
    /// Leave the ranges of channels as they are: no cross-layer equalization.
    #[arg(long)]
    pub no_equalize: bool,
    /// Leave biases as they are: no bias correction.
    #[arg(long)]
    pub no_bias_correction: bool,
    /// Divide the logits by the one number that makes probabilities as sure as they are right (temperature
    /// scaling), on the labelled pictures of --evaluate, else on the val part of --calibrate.
    #[arg(long)]
    pub temperature: bool,
    /// Give the model one more output that says whether a picture is like those of --calibrate at all: below
    /// 0 the answer is "unknown". 98% of pictures like them are let through.
    #[arg(long)]
    pub unknown: bool,
    /// Fail if top-1 accuracy falls by more than this, in points: on the pictures of --evaluate, else on
    /// those of --calibrate, which is a little optimistic.
    #[arg(long, value_name = "POINTS", value_parser = points, allow_negative_numbers = true)]
    pub max_drop: Option<f64>,
    /// Also write the report, as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

impl QuantizeArgs {
    /// What the command line has where only the model is named. There are no calibration pictures yet.
    pub fn of(model: &Path) -> Self {
        Self {
            model: model.to_owned(),
            calibrate: PathBuf::new(),
            split: Part::Train,
            pictures: 512,
            evaluate: None,
            evaluate_split: Part::Val,
            out: None,
            method: MethodChoice::Auto,
            no_equalize: false,
            no_bias_correction: false,
            temperature: false,
            unknown: false,
            max_drop: None,
            report: None,
            json: false,
            foreign: Foreign::default(),
        }
    }
}

/// Quantizes, writes the file, prints the report.
pub fn run(args: &QuantizeArgs) -> anyhow::Result<ExitCode> {
    let file = match Model::open(&args.model, &args.foreign)? {
        Model::Float(file) => *file,
        Model::Int8(..) => bail!(
            "{0}: it is quantized already; next: kiln compile {0}",
            args.model.display()
        ),
        Model::Kiln(..) => bail!("{}: it is compiled already", args.model.display()),
        Model::Run(run) => bail!(
            "{0}: this is a run; first: kiln export {0}",
            run.folder.display()
        ),
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => args
            .model
            .with_file_name(format!("{}.int8.onnx", stem(&args.model))),
    };
    for result in args.report.iter().chain([&out]) {
        disk::for_result(result, &[&args.model, &args.calibrate])?;
    }
    let mut graph = fold(&load(&file)?);
    let (labels, logits) = (
        file.labels().unwrap_or_default().len(),
        graph.values[graph.output].shape.len(),
    );
    if labels != 0 && labels != logits {
        return Err(CompileError::Labels { labels, logits })
            .with_context(|| args.model.display().to_string());
    }
    let bar = LazyBar::default();
    let mut calibration = calibration(args, &file, &bar)?;
    let options = Options {
        method: args.method.method(),
        equalize: args.no_equalize.then_some(false),
        correct_bias: args.no_bias_correction.then_some(false),
        scales: match file.get(onnx::SCALES) {
            Ok(_) => file.get_json(onnx::SCALES)?,
            Err(_) => Vec::new(),
        },
        meta: Meta {
            name: stem(&args.model),
            ..meta(&file, &graph)
        },
        ..Default::default()
    };
    let progress = |progress: Progress| {
        bar.show(&progress.stage.to_string(), progress.done, progress.total);
    };
    if args.unknown {
        file.labels()
            .context("--unknown needs a model with labels; give --labels")?;
        graph = with_known(&graph, &mut *calibration, &progress)?;
    }
    let (mut quantized, mut report) = quantize(&graph, &mut *calibration, &options, &progress)
        .with_context(|| args.model.display().to_string())?;
    let held = match &args.evaluate {
        Some(folder) => Some((folder, args.evaluate_split)),
        None => args.temperature.then_some((&args.calibrate, Part::Val)),
    };
    if let Some((folder, part)) = held {
        let mut pictures = Pictures::open(folder, &file, part, usize::MAX, &bar)?;
        if args.evaluate.is_some() {
            report.held_out = Some(held_out(&graph, &quantized, &mut pictures, &progress)?);
        }
        if args.temperature {
            report.temperature = Some(scale_logits(&mut quantized, &mut pictures, &progress)?);
        }
    }
    bar.clear();
    let quantized = onnx_out::to_onnx(&quantized);
    quantized.save(&out)?;
    if let Some(path) = &args.report {
        let text = serde_json::to_string_pretty(&report)?;
        write_atomic(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    if args.json {
        ui::print(serde_json::to_string(&report)?)?;
    } else {
        ui::print(report.to_string())?;
        let bytes = std::fs::metadata(&out)?.len();
        ui::print(format!("{}: {bytes} bytes", out.display()))?;
    }
    verdict(args, &report)
}

/// Points of accuracy; a negative number asks for more than the float model has.
fn points(text: &str) -> Result<f64, String> {
    let points = text.parse().ok().filter(|points: &f64| points.is_finite());
    points.ok_or_else(|| "give a number of points, as 0.5".to_owned())
}

fn verdict(args: &QuantizeArgs, report: &Report) -> anyhow::Result<ExitCode> {
    let Some(allowed) = args.max_drop else {
        return Ok(ExitCode::SUCCESS);
    };
    let Some((float, int8)) = report.top1() else {
        let folder = args.evaluate.as_ref().unwrap_or(&args.calibrate);
        bail!(
            "--max-drop needs labelled pictures: {} has no class folders that are the model's labels",
            folder.display()
        );
    };
    let drop = (float - int8) * 100.0;
    // But for rounding: 95% and 94% are a point apart.
    if drop > allowed + 1e-9 {
        ui::say(format!(
            "kiln: accuracy fell by {drop:.2} points, from {:.2}% to {:.2}%; {allowed} are allowed",
            float * 100.0,
            int8 * 100.0
        ));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn calibration(
    args: &QuantizeArgs,
    file: &OnnxFile,
    bar: &LazyBar,
) -> anyhow::Result<Box<dyn Calibration>> {
    if args
        .calibrate
        .extension()
        .is_some_and(|ending| ending == "npy")
    {
        return Ok(Box::new(Tensors::open(&args.calibrate, file)?));
    }
    let pictures = Pictures::open(&args.calibrate, file, args.split, args.pictures, bar)?;
    Ok(Box::new(pictures))
}
