//! `kiln eval`

pub mod crops;
mod report;
mod strangers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};

use self::report::Report;

use super::model::{Pictures, open_data};
use super::npy;
use super::ui::{self, LazyBar};
use crate::data::{Dataset, Sample, Split};
use crate::device::DeviceChoice;
use crate::disk;
use crate::evaluate::{Answers, Evaluation};
use crate::inference::{Foreign, Model};

/// Which pictures of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Those that the run learnt from.
    Train,
    /// Those that chose its best epoch.
    Val,
    /// Those that it has never seen.
    Test,
    /// All, for a folder of new pictures.
    All,
}

impl Part {
    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => Split::Train.name(),
            Self::Val => Split::Val.name(),
            Self::Test => Split::Test.name(),
            Self::All => "all",
        }
    }

    /// The pictures of this part.
    pub fn samples(self, data: &Dataset) -> Vec<Sample> {
        match self {
            Self::Train => data.train.clone(),
            Self::Val => data.val.clone(),
            Self::Test => data.test.clone(),
            Self::All => data.samples().map(|(_, sample)| sample.clone()).collect(),
        }
    }
}

/// `kiln eval`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln eval runs/first photos
  kiln eval runs/first/model.onnx photos --split val --json
  kiln eval runs/first/model.int8.onnx photos
  kiln eval runs/first/model.kiln new-photos --split all
  kiln eval model.int8.onnx photos --strangers landscapes
  kiln eval runs/first photos --split val --crop-pct 80,90,100
  kiln eval runs/first photos --out report      figures, confusion matrix and worst mistakes")]
pub struct EvalArgs {
    /// A run's folder, an ONNX file, float or quantized, or a .kiln file.
    pub model: PathBuf,
    /// The pictures, laid out as for `kiln train`.
    pub data: PathBuf,
    /// Which part of the pictures.
    #[arg(long, default_value = "test")]
    pub split: Part,
    /// The folder for figures and pictures [default: RUN/evaluation for a run and its own pictures, else none].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write the logits, f32 [n, classes], as NumPy's .npy.
    #[arg(long)]
    pub logits: Option<PathBuf>,
    /// Write the inputs, f32 [n, channels, rows, columns], as NumPy's .npy.
    #[arg(long)]
    pub inputs: Option<PathBuf>,
    /// Pictures of something else: how well the model tells that they are unknown (kiln quantize --unknown).
    #[arg(long, value_name = "PICTURES")]
    pub strangers: Option<PathBuf>,
    /// Show the middle of each picture, so many per cent of each side, not what the recipe says; several are
    /// compared.
    #[arg(long, value_name = "PCT", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=100))]
    pub crop_pct: Vec<u8>,
    /// Where a run's network is computed; ONNX files are computed on the CPU.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

impl EvalArgs {
    /// What the command line has where model and pictures are named.
    pub fn of(model: &Path, data: &Path) -> Self {
        Self {
            model: model.to_owned(),
            data: data.to_owned(),
            split: Part::Test,
            out: None,
            logits: None,
            inputs: None,
            strangers: None,
            crop_pct: Vec::new(),
            device: DeviceChoice::default(),
            json: false,
            foreign: Foreign::default(),
        }
    }
}

/// Evaluates.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    if args.crop_pct.len() > 1 {
        let files = [&args.out, &args.logits, &args.inputs, &args.strangers];
        if files.into_iter().any(Option::is_some) {
            bail!(
                "several shares in --crop-pct are only compared: for files and strangers, give one"
            );
        }
        let crops = crops::compare(args)?;
        if args.json {
            ui::print(serde_json::to_string(&crops)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let evaluation = evaluate(args)?;
    if args.json {
        ui::print(serde_json::to_string(&evaluation)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a model answers to pictures; `device` is for a run's network.
pub fn ask(model: &Model, pictures: &Pictures, device: &DeviceChoice) -> anyhow::Result<Answers> {
    let bar = LazyBar::default();
    let progress = |done| bar.show("evaluating", done, pictures.samples().len());
    let answers = match model {
        Model::Run(run) => {
            let devices = device.open()?;
            let device = &devices.list[0];
            let network = run.network(device)?;
            let loader = pictures.loader()?;
            devices.guard(|| Answers::of_network(&network, loader, device, &progress))??
        }
        Model::Float(_) | Model::Int8(..) | Model::Kiln(..) => {
            let answerer = model.classifier()?;
            Answers::of(
                pictures.loader()?,
                |batch| answerer.batch(&batch.inputs),
                &progress,
            )?
        }
    };
    bar.clear();
    Ok(answers)
}

/// Evaluates, writes what was asked for and prints the figures unless `--json` will.
pub fn evaluate(args: &EvalArgs) -> anyhow::Result<Evaluation> {
    for result in args.logits.iter().chain(&args.inputs) {
        disk::for_result(result, &[&args.model])?;
    }
    let mut model = Model::open(&args.model, &args.foreign)?;
    for &crop_pct in &args.crop_pct {
        model.set_crop_pct(crop_pct)?;
    }
    let labels = model.labels()?;
    let data = open_data(&model, &args.data, &labels, args.split == Part::All)?;
    let part = args.split.name();
    let pictures = Pictures::open(&data, part, &args.split.samples(&data), &model)?;
    let answers = ask(&model, &pictures, &args.device)?;
    let mut evaluation = Evaluation::new(&answers);
    if let Some(folder) = &args.strangers {
        evaluation.strangers = Some(strangers::ask(&model, &data, &pictures, folder)?);
    }
    // What `kiln report` shows as the run's own figures: of its pictures, as it sees them.
    let own = match &model {
        Model::Run(run) if args.crop_pct.is_empty() => {
            let same = disk::same(&args.data, &run.config.data.path);
            same.then(|| run.evaluation())
        }
        _ => None,
    };
    let out = args.out.clone().or(own);
    if let Some(out) = &out {
        let report = Report {
            part,
            labels: &labels,
            data: &data,
            samples: pictures.samples(),
            answers: &answers,
            evaluation: &evaluation,
        };
        report::write(out, &report)?;
    }
    if let Some(path) = &args.logits {
        let shape = [answers.labels.len() as u64, answers.classes() as u64];
        npy::write(path, &shape, answers.logits.iter().copied())?;
    }
    if let Some(path) = &args.inputs {
        let recipe = model.recipe()?;
        let [c, h, w] = [recipe.channels(), recipe.height.into(), recipe.width.into()];
        let mut values = Vec::new();
        for batch in pictures.loader()? {
            values.extend_from_slice(&batch?.inputs.values());
        }
        let shape = [answers.labels.len(), c, h, w].map(|n| n as u64);
        npy::write(path, &shape, values.into_iter())?;
    }
    if !args.json {
        report::print(&evaluation, &labels, part)?;
        if let Some(out) = out {
            ui::say(format!("figures and pictures in {}", out.display()));
        }
    }
    Ok(evaluation)
}
