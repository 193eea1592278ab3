//! `kiln eval`

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use kiln_core::preprocess::Recipe;
use kiln_runtime::float::FloatModel;
use kiln_runtime::onnx::OnnxFile;
use npyz::WriterBuilder;

use super::ui::{self, LazyBar};
use crate::data::augment::AugmentConfig;
use crate::data::cache::{Cache, CacheOptions, Form, Source};
use crate::data::dataset::SplitOptions;
use crate::data::loader::{Loader, LoaderOptions};
use crate::data::{Dataset, Split};
use crate::device::DeviceChoice;
use crate::evaluate::{Answers, Evaluation};
use crate::picture::{self, Tile};
use crate::run::Run;

/// `kiln eval`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln eval runs/first photos
  kiln eval runs/first/model.onnx photos --split val --json
  kiln eval runs/first photos --out report      figures, confusion matrix and worst mistakes")]
pub struct EvalArgs {
    /// A run's folder or an ONNX file that `kiln export` wrote.
    pub model: PathBuf,
    /// The pictures, laid out as for `kiln train`.
    pub data: PathBuf,
    /// Which part of the pictures.
    #[arg(long, default_value = "test")]
    pub split: Split,
    /// The folder for figures and pictures [default: RUN/evaluation for a run, none for a file].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write the logits, f32 [n, classes], as NumPy's .npy.
    #[arg(long)]
    pub logits: Option<PathBuf>,
    /// Write the inputs, f32 [n, channels, rows, columns], as NumPy's .npy.
    #[arg(long)]
    pub inputs: Option<PathBuf>,
    /// Where a run's network is computed; ONNX files are computed on the CPU.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A model that can be asked.
pub enum Model {
    /// A run's folder.
    Run(Box<Run>),
    /// An ONNX file.
    Onnx(Box<OnnxFile>),
}

impl Model {
    /// Opens a run's folder or an ONNX file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(match path.is_dir() {
            true => Self::Run(Box::new(Run::open(path)?)),
            false => Self::Onnx(Box::new(OnnxFile::load(path)?)),
        })
    }

    /// Class names in the order of the logits.
    pub fn labels(&self) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::Run(run) => run.labels.clone(),
            Self::Onnx(file) => file.labels()?,
        })
    }

    /// How a picture becomes an input.
    pub fn recipe(&self) -> anyhow::Result<Recipe> {
        Ok(match self {
            Self::Run(run) => run.config.recipe(),
            Self::Onnx(file) => file.recipe()?.into(),
        })
    }
}

/// A split's pictures as a model sees them.
pub struct Pictures {
    cache: Arc<Cache>,
    recipe: Recipe,
    classes: usize,
}

impl Pictures {
    /// Decodes a split in memory; broken files are named on stderr and left out.
    pub fn open(data: &Dataset, split: Split, recipe: Recipe) -> anyhow::Result<Self> {
        let bar = LazyBar::default();
        let source = Source {
            name: split.name(),
            root: &data.root,
            samples: data.split(split),
        };
        let form = Form::Exact(recipe);
        let progress = |done, total| bar.show("decoding", done, total);
        let cache = Cache::open(&source, form, &CacheOptions::default(), &progress)?;
        for file in cache.broken() {
            bar.line(&format!("left out: {}: {}", file.path, file.reason));
        }
        if cache.is_empty() {
            bail!(
                "{}: no pictures in the {} split",
                data.root.display(),
                split.name()
            );
        }
        Ok(Self {
            cache: Arc::new(cache),
            recipe,
            classes: data.classes.len(),
        })
    }

    /// Batches in file order.
    pub fn loader(&self) -> anyhow::Result<Loader> {
        let options = LoaderOptions::evaluation(self.classes, 64);
        let off = AugmentConfig::off();
        Ok(Loader::new(
            self.cache.clone(),
            &self.recipe,
            &off,
            &options,
        )?)
    }

    /// Pictures that could be read.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there are none; [`Pictures::open`] refuses that.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
}

/// Evaluates.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let evaluation = evaluate(args)?;
    if args.json {
        ui::print(serde_json::to_string(&evaluation)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Evaluates, writes what was asked for and prints the figures unless `--json` will.
pub fn evaluate(args: &EvalArgs) -> anyhow::Result<Evaluation> {
    let model = Model::open(&args.model)?;
    let labels = model.labels()?;
    let data = open_data(&model, &args.data, &labels)?;
    let recipe = model.recipe()?;
    let pictures = Pictures::open(&data, args.split, recipe)?;
    let bar = LazyBar::default();
    let progress = |done| bar.show("evaluating", done, pictures.len());
    let answers = match &model {
        Model::Run(run) => {
            let devices = args.device.open()?;
            let device = &devices.list[0];
            Answers::of_network(&run.network(device)?, pictures.loader()?, device, &progress)?
        }
        Model::Onnx(file) => {
            Answers::of_onnx(&FloatModel::new(file)?, pictures.loader()?, &progress)?
        }
    };
    bar.clear();
    let evaluation = Evaluation::new(&answers);
    let own = match &model {
        Model::Run(run) => Some(run.evaluation()),
        Model::Onnx(_) => None,
    };
    let out = args.out.clone().or(own);
    if let Some(out) = &out {
        write(
            out,
            args.split,
            &labels,
            &data,
            &pictures,
            &answers,
            &evaluation,
        )?;
    }
    if let Some(path) = &args.logits {
        let shape = [answers.labels.len() as u64, answers.classes() as u64];
        write_npy(path, &shape, answers.logits.iter().copied())?;
    }
    if let Some(path) = &args.inputs {
        let [c, h, w] = [recipe.channels(), recipe.height.into(), recipe.width.into()];
        let mut values = Vec::new();
        for batch in pictures.loader()? {
            values.extend(batch?.pixels);
        }
        let shape = [pictures.len(), c, h, w].map(|n| n as u64);
        write_npy(path, &shape, values.into_iter())?;
    }
    if !args.json {
        print(&evaluation, &labels, args.split)?;
        if let Some(out) = out {
            eprintln!("figures and pictures in {}", out.display());
        }
    }
    Ok(evaluation)
}

/// Opens the pictures, split as the run split them, and compares the classes.
pub fn open_data(model: &Model, path: &Path, labels: &[String]) -> anyhow::Result<Dataset> {
    let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    let data = match model {
        Model::Run(run) if same(path, &run.config.data.path) => {
            Dataset::read_split(path, &run.split())?
        }
        _ => Dataset::open(path, &SplitOptions::default())?,
    };
    if data.classes != labels {
        bail!(
            "{}: it has the classes {:?}, the model knows {labels:?}; name the class folders as the \
             model's classes",
            path.display(),
            data.classes
        );
    }
    Ok(data)
}

#[allow(clippy::too_many_arguments, reason = "all parts of one report")]
fn write(
    out: &Path,
    split: Split,
    labels: &[String],
    data: &Dataset,
    pictures: &Pictures,
    answers: &Answers,
    evaluation: &Evaluation,
) -> anyhow::Result<()> {
    ui::writable(out, 5_000_000)?;
    let path = |name: &str| out.join(format!("{}-{name}", split.name()));
    let figures = path("figures.json");
    std::fs::write(&figures, serde_json::to_string_pretty(evaluation)?)
        .with_context(|| figures.display().to_string())?;
    picture::draw_confusion(&path("confusion.png"), labels, &evaluation.confusion)?;
    let samples = pictures.cache.samples();
    let mut tiles = Vec::new();
    for mistake in answers.mistakes().into_iter().take(40) {
        let sample = &samples[mistake.index];
        tiles.push(Tile {
            file: data.root.join(&sample.path),
            title: format!(
                "{} as {} {:.0}%",
                labels[mistake.label],
                labels[mistake.answer],
                mistake.confidence * 100.0
            ),
            name: sample
                .path
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
        });
    }
    picture::draw_sheet(&path("mistakes.png"), &tiles)
}

fn write_npy(path: &Path, shape: &[u64], values: impl Iterator<Item = f32>) -> anyhow::Result<()> {
    let failed = || path.display().to_string();
    let file = BufWriter::new(File::create(path).with_context(failed)?);
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(file).begin_nd().with_context(failed)?;
    writer.extend(values).with_context(failed)?;
    writer.finish().with_context(failed)
}

fn print(evaluation: &Evaluation, labels: &[String], split: Split) -> anyhow::Result<()> {
    let percent = |share: f64| format!("{:.2}%", share * 100.0);
    ui::print(format!("{} split, {} pictures", split.name(), evaluation.n))?;
    ui::print(format!("accuracy   {}", percent(evaluation.accuracy)))?;
    ui::print(format!("loss       {:.4}", evaluation.loss))?;
    ui::print(format!("ece        {:.4}", evaluation.ece))?;
    let width = labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    ui::print(format!("{:width$}  pictures  precision   recall", "class"))?;
    for (label, class) in labels.iter().zip(&evaluation.classes) {
        let (precision, recall) = (percent(class.precision), percent(class.recall));
        ui::print(format!(
            "{label:width$}  {:>8}  {precision:>9}  {recall:>7}",
            class.n
        ))?;
    }
    // A wide table helps nobody; the picture has it.
    if labels.len() <= 12 {
        ui::print("confusion  (rows: the truth, columns: the answer)")?;
        let head: String = labels
            .iter()
            .map(|label| format!(" {label:>8.8}"))
            .collect();
        ui::print(format!("{:width$} {head}", ""))?;
        for (label, row) in labels.iter().zip(&evaluation.confusion) {
            let cells: String = row.iter().map(|n| format!(" {n:>8}")).collect();
            ui::print(format!("{label:width$} {cells}"))?;
        }
    }
    Ok(())
}
