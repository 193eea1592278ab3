//! The report as the template takes it: numbers are text, charts are SVG.

use std::error::Error;

use serde::Serialize;

use crate::classes::{Classes, Confusion};
use crate::curves::{self, Panel};
use crate::data::{Card, Evaluation, Mistake, Quantization, Report, Training};
use crate::memory::{self, Plan};
use crate::tables::{self, Costs, Row};
use crate::text::{about, bytes, count, grouped, number, percent, time};

/// Signal-to-noise ratio below which a layer is marked, in decibels.
const NOISY_DB: f64 = 15.0;

#[derive(Debug, Serialize)]
pub struct View<'a> {
    title: &'a str,
    subtitle: &'a str,
    figures: Vec<Figure>,
    forms: Vec<Form<'a>>,
    evaluation: Option<Judged<'a>>,
    training: Option<Trained>,
    quantization: Option<Quantized<'a>>,
    costs: Option<Costs<'a>>,
    plan: Option<Plan>,
    sizes: Vec<Row<'a>>,
    card: Option<&'a Card>,
}

/// A number that stands large at the top.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// One form of the model: float, int8, …
#[derive(Debug, Serialize)]
struct Form<'a> {
    model: &'a str,
    pictures: String,
    accuracy: String,
    loss: String,
    ece: String,
}

#[derive(Debug, Serialize)]
struct Judged<'a> {
    model: &'a str,
    pictures: &'a str,
    n: String,
    ece: String,
    classes: Option<Classes<'a>>,
    confusion: Option<Confusion<'a>>,
    reliability: Vec<Panel>,
    mistakes: Vec<Wrong<'a>>,
    wrong: String,
}

#[derive(Debug, Serialize)]
struct Wrong<'a> {
    picture: &'a str,
    file: &'a str,
    label: &'a str,
    answer: &'a str,
    confidence: String,
}

#[derive(Debug, Serialize)]
struct Trained {
    panels: Vec<Panel>,
    summary: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct Quantized<'a> {
    summary: Vec<(&'static str, String)>,
    rows: Vec<Row<'a>>,
    advice: &'a [String],
}

impl<'a> View<'a> {
    pub fn new(report: &'a Report) -> Result<Self, Box<dyn Error>> {
        let card = &report.card;
        let empty = card.labels.is_empty() && card.groups.is_empty() && card.command.is_empty();
        Ok(Self {
            title: match report.title.trim() {
                "" => "A model",
                title => title,
            },
            subtitle: &report.subtitle,
            figures: figures(report),
            forms: report.evaluations.iter().map(Form::new).collect(),
            evaluation: report.evaluations.last().map(Judged::new).transpose()?,
            training: report
                .training
                .as_ref()
                .map(Trained::new)
                .transpose()?
                .flatten(),
            quantization: report.quantization.as_ref().map(Quantized::new),
            costs: report.costs.as_ref().and_then(Costs::new),
            plan: report.memory.as_ref().and_then(memory::plan),
            sizes: tables::sizes(&report.sizes),
            card: (!empty).then_some(card),
        })
    }
}

fn figures(report: &Report) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name, value, note| figures.push(Figure { name, value, note });
    if let Some(last) = report.evaluations.last() {
        let note = format!("{}, {} pictures", last.model, grouped(last.n as u64));
        add("accuracy", percent(last.accuracy), note);
    }
    if let Some(memory) = &report.memory {
        let arena = memory.arena as u64;
        add("memory (arena)", about(arena), bytes(arena));
    }
    if let Some(size) = report.sizes.first() {
        add("file", about(size.bytes), bytes(size.bytes));
    }
    if let Some(costs) = &report.costs {
        let layers = || costs.layers.iter();
        let macs: u64 = layers()
            .filter_map(|layer| layer.macs)
            .fold(0, u64::saturating_add);
        if macs > 0 {
            add("multiply-accumulates", count(macs), grouped(macs));
        }
        let steps = layers().filter_map(|layer| layer.instructions);
        let steps: u64 = steps.fold(0, u64::saturating_add);
        let spent: f64 = layers().filter_map(|layer| layer.milliseconds).sum();
        if steps > 0 {
            add("instructions", count(steps), costs.device.clone());
        } else if spent > 0.0 {
            add(
                "time",
                format!("{} ms", number(spent, 1)),
                costs.device.clone(),
            );
        }
    }
    figures
}

impl<'a> Form<'a> {
    fn new(evaluation: &'a Evaluation) -> Self {
        Self {
            model: &evaluation.model,
            pictures: format!(
                "{}, {} pictures",
                evaluation.pictures,
                grouped(evaluation.n as u64)
            ),
            accuracy: percent(evaluation.accuracy),
            loss: number(evaluation.loss, 4),
            ece: number(evaluation.ece, 4),
        }
    }
}

impl<'a> Judged<'a> {
    fn new(evaluation: &'a Evaluation) -> Result<Self, Box<dyn Error>> {
        let of = |mistake: &'a Mistake| Wrong {
            picture: mistake.picture.as_ref().map_or("", |small| small.address()),
            file: &mistake.file,
            label: &mistake.label,
            answer: &mistake.answer,
            confidence: match mistake.confidence.is_finite() {
                true => format!("{:.1}%", mistake.confidence * 100.0),
                false => "–".into(),
            },
        };
        let right = (0..evaluation.confusion.len())
            .filter_map(|class| evaluation.confusion[class].get(class))
            .sum::<usize>();
        let wrong = match evaluation.confusion.is_empty() {
            true => evaluation.mistakes.len(),
            false => evaluation.n.saturating_sub(right),
        };
        Ok(Self {
            model: &evaluation.model,
            pictures: &evaluation.pictures,
            n: grouped(evaluation.n as u64),
            ece: number(evaluation.ece, 4),
            classes: Classes::new(evaluation),
            confusion: Confusion::new(evaluation),
            reliability: curves::reliability(&evaluation.bins)?,
            mistakes: evaluation.mistakes.iter().map(of).collect(),
            wrong: grouped(wrong as u64),
        })
    }
}

impl Trained {
    fn new(training: &Training) -> Result<Option<Self>, Box<dyn Error>> {
        let panels = curves::training(training)?;
        if panels.is_empty() {
            return Ok(None);
        }
        let epochs = &training.epochs;
        let mut summary = vec![("epochs", epochs.len().to_string())];
        if let Some(best) = epochs.iter().find(|e| Some(e.epoch) == training.best) {
            summary.push(("best epoch", best.epoch.to_string()));
            summary.push(("its validation loss", number(best.val_loss, 4)));
            summary.push(("its validation accuracy", percent(best.val_accuracy)));
        }
        let seconds: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
        if seconds > 0.0 {
            summary.push(("time", time(seconds)));
            let rate: f64 = epochs.iter().map(|epoch| epoch.images_per_second).sum();
            summary.push(("pictures a second", number(rate / epochs.len() as f64, 0)));
        }
        Ok(Some(Self { panels, summary }))
    }
}

impl<'a> Quantized<'a> {
    fn new(found: &'a Quantization) -> Self {
        let mut summary = Vec::new();
        if let Some((float, int8)) = found.top1 {
            summary.push(("float accuracy", percent(float)));
            summary.push(("int8 accuracy", percent(int8)));
            let lost = number((float - int8) * 100.0, 2);
            summary.push(("lost", format!("{lost} points")));
        }
        summary.push(("same class", percent(found.agreement)));
        summary.push(("logits", format!("{} dB", number(found.logits_sqnr_db, 1))));
        if !found.method.is_empty() {
            summary.push(("ranges by", found.method.clone()));
        }
        summary.push(("pictures", grouped(found.pictures as u64)));
        let most = found.layers.iter().map(|layer| layer.sqnr_db);
        let most = most.filter(|db| db.is_finite()).fold(1.0, f64::max);
        let row = |layer: &'a crate::data::LayerNoise| Row {
            name: &layer.name,
            note: &layer.op,
            value: format!("{} dB", number(layer.sqnr_db, 1)),
            width: tables::width(layer.sqnr_db, most),
            marked: layer.sqnr_db < NOISY_DB,
        };
        Self {
            summary,
            rows: found.layers.iter().map(row).collect(),
            advice: &found.advice,
        }
    }
}
