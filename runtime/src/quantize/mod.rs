//! From the float graph to integers: post-training quantization.
//!
//! | pass | what it does |
//! |---|---|
//! | `lower` | what is left of batch-norm becomes a convolution; clamps go into ranges |
//! | [`collect`](crate::calibrate::collect) | statistics of each activation over the calibration pictures |
//! | `equalize` | channels of one activation come to like ranges |
//! | `groups` | ranges, scales and zero points; what is copied shares them |
//! | `trained` | scales that training has chosen, where it did |
//! | `settle` | scales move until every order of float operations gives the same integers |
//! | `weights` | weights and bias a channel, with scales that obey the multiplier rule |
//! | `known` | one more output that says whether an input is like the pictures of calibration |
//! | `temperature` | the logits' scale, so that probabilities are as sure as they are right |
//! | `choose` | the methods side by side on the calibration pictures, by the engine itself |
//!
//! Scheme: activations asymmetric and per tensor, weights symmetric and per output channel (Nagel et al.,
//! A White Paper on Neural Network Quantization, 2021).

mod build;
mod choose;
mod equalize;
mod groups;
mod known;
mod lower;
mod measure;
mod settle;
mod strangers;
mod temperature;
#[cfg(test)]
pub(crate) mod testing;
mod ties;
mod trained;
mod weights;

use std::fmt;

use thiserror::Error;

use crate::calibrate::{CalibrateError, Calibration, Method};
use crate::graph::Graph;
use crate::qgraph::{Meta, QGraph};
use crate::report::Report;
use build::Variant;
use choose::Chosen;
pub use known::{ACCEPTED, with_known};
pub use measure::held_out;
pub use temperature::{Temperature, scale_logits};
pub use trained::Scale;
pub use weights::WeightRange;

/// How to quantize. What is not said is chosen by what measures best on the calibration pictures: top-1
/// accuracy where they are labelled, and else how near the logits come to the float model's.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How ranges are chosen.
    pub method: Option<Method>,
    /// Whether channels are equalized across layers.
    pub equalize: Option<bool>,
    /// Whether biases take back what rounding weights adds on the average.
    pub correct_bias: Option<bool>,
    /// How the ranges of weights are chosen.
    pub weights: Option<WeightRange>,
    /// The scales that the network was trained with: where there are some and no method is given, they are
    /// taken, and nothing else is tried.
    pub scales: Vec<Scale>,
    /// What travels with the model. Its layout is that of the graph.
    pub meta: Meta,
}

/// What is being done, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What.
    pub stage: Stage,
    /// Pictures done.
    pub done: usize,
    /// Pictures in this stage.
    pub total: usize,
}

/// The stages that go over the calibration pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Statistics of activations.
    Calibrate,
    /// Statistics again, after equalization.
    Equalize,
    /// Methods side by side.
    Choose,
    /// Finer choices for the best method.
    Refine,
    /// The float model and the integers, layer by layer.
    Compare,
    /// The same on pictures that had no part in it.
    Evaluate,
    /// What is known and what is not.
    Known,
    /// How sure the answers are.
    Temperature,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Calibrate => "calibrating",
            Self::Equalize => "calibrating again",
            Self::Choose => "choosing the method",
            Self::Refine => "refining",
            Self::Compare => "comparing",
            Self::Evaluate => "evaluating",
            Self::Known => "learning what is known",
            Self::Temperature => "scaling the logits",
        })
    }
}

/// Why a model was not quantized.
#[derive(Debug, Error)]
pub enum QuantizeError {
    /// Calibration failed.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// The file's numbers are broken.
    #[error(
        "`{0}`: a weight is not a finite number: training diverged; export an earlier checkpoint"
    )]
    NotFinite(String),
    /// There is nothing to do.
    #[error("`{0}`: the model is quantized already; compile it as it is, or give the float model")]
    AlreadyQuantized(String),
    /// There is nothing to learn from what is known.
    #[error("`{0}` is the model's end: --unknown needs one that ends in a fully connected layer")]
    NotLinear(String),
    /// Too little to learn from.
    #[error("--unknown needs at least {0} calibration pictures, better some hundred")]
    TooFew(usize),
    /// Nothing says what is right.
    #[error(
        "--temperature needs labelled pictures: class folders with the names of the model's labels; give \
         them with --evaluate"
    )]
    NoLabels,
    /// The integers do not run.
    #[error("the quantized model does not run: {0}")]
    Engine(String),
}

/// The scales that [`quantize`] chooses for a folded graph, without the measuring of its report.
///
/// # Errors
/// See [`QuantizeError`].
pub fn scales(
    graph: &Graph,
    calibration: &mut dyn Calibration,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Vec<Scale>, QuantizeError> {
    let (_, chosen) = choose(graph, calibration, options, progress)?;
    Ok(Scale::of(&chosen.built.graph))
}

/// Quantizes a folded graph, with ranges from `calibration`.
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize(
    graph: &Graph,
    calibration: &mut dyn Calibration,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<(QGraph, Report), QuantizeError> {
    let (variant, chosen) = choose(graph, calibration, options, progress)?;
    let report = measure::report(&variant, &chosen, calibration, progress)?;
    Ok((chosen.built.graph, report))
}

/// The best quantization, and the float graph that it is of.
fn choose(
    graph: &Graph,
    calibration: &mut dyn Calibration,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<(Variant, Chosen), QuantizeError> {
    let options = options.with_trained();
    let mut variants = build::variants(graph, calibration, &options, progress)?;
    let chosen = choose::choose(&variants, calibration, &options, progress)?;
    let variant = variants.swap_remove(chosen.recipe.variant);
    Ok((variant, chosen))
}

#[cfg(test)]
mod tests;
