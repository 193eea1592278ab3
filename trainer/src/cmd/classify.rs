//! `kiln classify`

mod explain;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;
use clap::Args;
use kiln_core::preprocess::Recipe;
use kiln_run::answer::{Answer, Said};
use kiln_run::pictures;
use rayon::prelude::*;

use super::ui::{self, LazyBar};
use crate::disk;
use crate::inference::{Answerer, Foreign, Model, Session};

/// Files that are classified between two times of printing.
const CHUNK: usize = 256;

/// `kiln classify`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln classify model.kiln photo.jpg
  kiln classify model.onnx photos --top 3
  kiln classify model.int8.onnx photos --json > answers.jsonl
  kiln classify model.kiln photo.jpg --explain why.png

With --json each line is an object: file, label, top (label and probability), logits, and, if the model
says that (kiln quantize --unknown), known: below 0 the picture is like none of those that it was made for.
A broken file is named on stderr and the rest is done; the exit code is then 2.")]
pub struct ClassifyArgs {
    /// An ONNX file, float or quantized, or a .kiln file.
    pub model: PathBuf,
    /// Pictures, and folders of pictures.
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// Name this many of the most probable classes.
    #[arg(long, default_value_t = 2)]
    pub top: usize,
    /// Print a JSON object a picture, one a line.
    #[arg(long)]
    pub json: bool,
    /// Paint over the picture (one, and with a quantized or compiled model) which places speak for the answer: a class
    /// activation map where the network ends in a global average and a linear layer, else by covering place after
    /// place.
    #[arg(long, value_name = "OUT.png")]
    pub explain: Option<PathBuf>,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

impl ClassifyArgs {
    /// What the command line has where only the model is named. There are no pictures yet.
    pub fn of(model: &Path) -> Self {
        Self {
            model: model.to_owned(),
            pictures: Vec::new(),
            top: 2,
            json: false,
            explain: None,
            foreign: Foreign::default(),
        }
    }
}

/// Classifies.
pub fn run(args: &ClassifyArgs) -> anyhow::Result<ExitCode> {
    let model = Model::open(&args.model, &args.foreign)?;
    let recipe = model.recipe()?;
    let answerer = model.answerer()?;
    let labels = names(&model, &answerer)?;
    let files = pictures::files(&args.pictures)?;
    if files.is_empty() {
        bail!("no pictures found in the folders named");
    }
    // Before anything is classified.
    let explained = match &args.explain {
        Some(out) => {
            let subject = explain::subject(&answerer, &files)?;
            disk::for_result(out, &[&args.model, subject.1])?;
            Some((subject, out))
        }
        None => None,
    };
    let bar = LazyBar::default();
    let done = AtomicUsize::new(0);
    let mut broken = 0;
    for chunk in files.chunks(CHUNK) {
        let answers: Vec<anyhow::Result<Answer>> = chunk
            .par_iter()
            .map_init(
                || (answerer.session(), Vec::new()),
                |(session, scratch), file| {
                    let said = said(session, file, &recipe, scratch)?;
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    bar.show("classifying", count, files.len());
                    let file = file.display().to_string();
                    Ok(Answer::new(file, &labels, said, args.top))
                },
            )
            .collect();
        for answer in answers {
            match answer {
                Ok(answer) => tell(&answer, args.json)?,
                Err(error) => {
                    broken += 1;
                    bar.line(&format!("kiln: {}", ui::reason(&error)));
                }
            }
        }
    }
    bar.clear();
    if let Some(((engine, file), out)) = explained.filter(|_| broken == 0) {
        explain::write(engine, file, &recipe, out)?;
    }
    if broken > 0 {
        ui::say(format!(
            "kiln: {broken} of {} files were left out",
            files.len()
        ));
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

/// The classes' names; without, classes are numbers.
///
/// # Errors
/// A float model that gives another number of logits.
pub(super) fn names(model: &Model, answerer: &Answerer) -> anyhow::Result<Vec<String>> {
    let labels = model.labels().unwrap_or_default();
    if let Answerer::Float(float) = answerer
        && !labels.is_empty()
    {
        let values = float.shape().iter().product();
        let logits = float.run(&vec![0.0; values])?.len();
        if logits != labels.len() {
            bail!(
                "it gives {logits} logits, and {} labels are named",
                labels.len()
            );
        }
    }
    Ok(labels)
}

/// Prints an answer.
pub(super) fn tell(answer: &Answer, json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string(answer)?,
        false => answer.text(),
    };
    ui::print(text)
}

/// What is said of a file.
pub(super) fn said(
    session: &mut Session<'_>,
    file: &Path,
    recipe: &Recipe,
    scratch: &mut Vec<i32>,
) -> anyhow::Result<Said> {
    let pixels = pictures::pixels(file, recipe, scratch)?;
    session.pixels(&pixels, recipe)
}
