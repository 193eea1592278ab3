//! What a report is made of: plain data, every part of which may be missing.

use serde::{Deserialize, Serialize};

use crate::thumbnail::Thumbnail;

/// All that is known about a model. Shares are from 0 to 1. Names are shown as they are, whatever they
/// hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The model's name.
    pub title: String,
    /// One line under it.
    pub subtitle: String,
    /// What there is to know to make it again.
    pub card: Card,
    /// The epochs.
    pub training: Option<Training>,
    /// How good it is, form after form: the float model before the integers. The last is shown whole.
    pub evaluations: Vec<Evaluation>,
    /// What integers cost.
    pub quantization: Option<Quantization>,
    /// Where each activation lies.
    pub memory: Option<Memory>,
    /// What each layer costs.
    pub costs: Option<Costs>,
    /// Bytes of files and memory.
    pub sizes: Vec<Size>,
}

/// What there is to know to make a model again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Class names, in the order of the logits.
    pub labels: Vec<String>,
    /// Data, recipe, network, versions, …
    pub groups: Vec<Group>,
    /// The command that made it.
    pub command: String,
}

/// Some lines of a [`Card`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Their heading.
    pub title: String,
    /// Names and values.
    pub lines: Vec<(String, String)>,
}

/// A run's epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// In order.
    pub epochs: Vec<Epoch>,
    /// The number of the epoch whose weights are kept.
    pub best: Option<usize>,
}

/// One epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// The learning rate of its last step.
    pub lr: f64,
    /// Mean loss on the training pictures.
    pub train_loss: f64,
    /// Share of them answered rightly.
    pub train_accuracy: f64,
    /// Mean loss on the validation pictures.
    pub val_loss: f64,
    /// Share of them answered rightly.
    pub val_accuracy: f64,
    /// Training pictures a second.
    pub images_per_second: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What a model answered to labelled pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Which form of the model: float, int8, …
    pub model: String,
    /// Which pictures.
    pub pictures: String,
    /// How many.
    pub n: usize,
    /// Share of right answers.
    pub accuracy: f64,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// Class names, in the order of the logits.
    pub labels: Vec<String>,
    /// Rows: the true class; columns: the answer.
    pub confusion: Vec<Vec<usize>>,
    /// Equal bins of confidence from 0 to 1; none where they are not known.
    pub bins: Vec<Bin>,
    /// The worst mistakes, the worst first.
    pub mistakes: Vec<Mistake>,
}

/// Answers of like confidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// How many.
    pub n: usize,
    /// Share of right ones.
    pub accuracy: f64,
    /// Their mean confidence.
    pub confidence: f64,
}

/// A picture answered wrongly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mistake {
    /// The picture, where it could be read.
    pub picture: Option<Thumbnail>,
    /// Its file.
    pub file: String,
    /// Its class.
    pub label: String,
    /// The answer.
    pub answer: String,
    /// The answer's probability, as the model sees it.
    pub confidence: f64,
}

/// What integers cost, on pictures that the float model answered too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantization {
    /// How many pictures.
    pub pictures: usize,
    /// How ranges of activations were chosen.
    pub method: String,
    /// Share of pictures on which both name the same class.
    pub agreement: f64,
    /// Of the logits, in decibels.
    pub logits_sqnr_db: f64,
    /// The float model's accuracy and that of the integers.
    pub top1: Option<(f64, f64)>,
    /// In the order in which they run.
    pub layers: Vec<LayerNoise>,
    /// What could be done about it.
    pub advice: Vec<String>,
}

/// A layer's signal-to-quantization-noise ratio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerNoise {
    /// The layer.
    pub name: String,
    /// What it computes.
    pub op: String,
    /// In decibels, with all that earlier layers added.
    pub sqnr_db: f64,
}

/// The arena while an inference runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Its bytes.
    pub arena: usize,
    /// What the plan was made for.
    pub target: String,
    /// The layers, in the order in which they run.
    pub steps: Vec<String>,
    /// What lies in it.
    pub blocks: Vec<Block>,
}

/// What a part of the arena holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// The model's input.
    Input,
    /// A layer's output.
    #[default]
    Activation,
    /// The logits.
    Output,
    /// What a layer needs only while it runs.
    Scratch,
}

/// A part of the arena that holds one thing for some steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What writes it.
    pub name: String,
    /// What it is.
    pub kind: BlockKind,
    /// The first byte.
    pub offset: usize,
    /// Bytes.
    pub bytes: usize,
    /// The step that writes it, from 0.
    pub first: usize,
    /// The last step that needs it.
    pub last: usize,
}

/// What an inference costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Costs {
    /// Where instructions or time were measured.
    pub device: String,
    /// In the order in which they run.
    pub layers: Vec<LayerCost>,
}

/// What a layer costs; what was not measured is not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerCost {
    /// The layer.
    pub name: String,
    /// What it computes.
    pub op: String,
    /// The shape of its output, for people.
    pub output: String,
    /// Multiply-accumulates.
    pub macs: Option<u64>,
    /// Bytes of weights and other constants.
    pub constants: Option<u64>,
    /// Executed instructions.
    pub instructions: Option<u64>,
    /// Milliseconds.
    pub milliseconds: Option<f64>,
}

/// Bytes of something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// What.
    pub name: String,
    /// How many.
    pub bytes: u64,
    /// What there is to say about it.
    pub note: String,
}
