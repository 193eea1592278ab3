//! How good the forms of a model are: on pictures, or as `kiln eval` wrote it down.

use std::fs;
use std::path::Path;

use anyhow::Context;
use kiln_report::{Bin, Evaluation, Mistake, Thumbnail};

use super::ReportArgs;
use super::forms::{Form, Forms};
use crate::cmd::eval::{Part, ask};
use crate::cmd::model::{Pictures, open_data};
use crate::data::Dataset;
use crate::data::decode::{Limits, decode_file};
use crate::evaluate::{self, Answers};
use crate::inference::Model;

/// Asks the float model and the integers, as far as they are there.
pub fn evaluations(
    args: &ReportArgs,
    forms: &Forms,
    data: &Path,
) -> anyhow::Result<Vec<Evaluation>> {
    let mut found = Vec::new();
    match (&forms.float, &forms.run) {
        (Some(form), _) => found.push(judge(args, data, &form.model, &named("float", form))?),
        (None, Some(run)) => {
            let model = Model::Run(Box::new(run.clone()));
            found.push(judge(args, data, &model, "float: the run's network")?);
        }
        (None, None) => {}
    }
    // Both have the same bits; only ONNX files tell how the splits were drawn.
    match (&forms.int8, &forms.kiln) {
        (Some(form), _) => found.push(judge(args, data, &form.model, &named("int8", form))?),
        (None, Some(form)) => found.push(judge(args, data, &form.model, &named("int8", form))?),
        (None, None) => {}
    }
    Ok(found)
}

fn named(kind: &str, form: &Form) -> String {
    let file = form.path.file_name().unwrap_or_default();
    format!("{kind}: {}", file.to_string_lossy())
}

fn judge(args: &ReportArgs, data: &Path, model: &Model, name: &str) -> anyhow::Result<Evaluation> {
    let labels = model.labels()?;
    let part = args.split;
    let data = open_data(model, data, &labels, part == Part::All)?;
    let pictures = Pictures::open(&data, part.name(), &part.samples(&data), model)?;
    let answers = ask(model, &pictures, &args.device)?;
    let mut judged = page(&evaluate::Evaluation::new(&answers), &labels);
    judged.model = name.to_owned();
    let root = data.root.canonicalize();
    let folder = root.as_ref().unwrap_or(&data.root).file_name();
    let folder = folder.unwrap_or_default().to_string_lossy();
    judged.pictures = match part {
        Part::All => format!("all of {folder}"),
        part => format!("{} split of {folder}", part.name()),
    };
    judged.mistakes = mistakes(&answers, &data, &pictures, &labels, args.mistakes);
    Ok(judged)
}

fn page(evaluation: &evaluate::Evaluation, labels: &[String]) -> Evaluation {
    let bin = |bin: &evaluate::Bin| {
        let n = bin.n.max(1) as f64;
        Bin {
            n: bin.n,
            accuracy: bin.right as f64 / n,
            confidence: bin.confidence / n,
        }
    };
    Evaluation {
        n: evaluation.n,
        accuracy: evaluation.accuracy,
        loss: evaluation.loss,
        ece: evaluation.ece,
        labels: labels.to_vec(),
        confusion: evaluation.confusion.clone(),
        bins: evaluation.bins.iter().map(bin).collect(),
        ..Evaluation::default()
    }
}

fn mistakes(
    answers: &Answers,
    data: &Dataset,
    pictures: &Pictures,
    labels: &[String],
    most: usize,
) -> Vec<Mistake> {
    let label = |class: usize| labels.get(class).cloned().unwrap_or_default();
    let worst = answers.mistakes().into_iter().take(most);
    let shown = worst.filter_map(|mistake| {
        let sample = pictures.samples().get(mistake.index)?;
        Some(Mistake {
            picture: thumbnail(&data.file(sample)),
            file: sample.path.clone(),
            label: label(mistake.label),
            answer: label(mistake.answer),
            confidence: mistake.confidence,
        })
    });
    shown.collect()
}

/// `None` where the file cannot be read any more.
fn thumbnail(file: &Path) -> Option<Thumbnail> {
    let picture = decode_file(file, &Limits::default()).ok()?;
    Thumbnail::of_rgb(picture.width, picture.height, picture.rgb).ok()
}

/// The figures that `kiln eval` left in the run's folder, of the part that is asked for.
pub fn former(args: &ReportArgs, forms: &Forms) -> anyhow::Result<Vec<Evaluation>> {
    let Some(run) = &forms.run else {
        return Ok(Vec::new());
    };
    let part = args.split.name();
    let path = run.evaluation().join(format!("{part}-figures.json"));
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let named = || path.display().to_string();
    let text = fs::read_to_string(&path).with_context(named)?;
    let figures: evaluate::Evaluation = serde_json::from_str(&text).with_context(named)?;
    let mut judged = page(&figures, &run.labels);
    judged.model = "as kiln eval left it".into();
    judged.pictures = format!("{part} split");
    Ok(vec![judged])
}
