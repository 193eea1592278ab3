//! How a run trains: the optimiser, the schedule, epochs and numbers.

use serde::{Deserialize, Serialize};

/// Which rule turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay, <https://arxiv.org/abs/1711.05101>.
    Adamw,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// `[optimizer]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which rule.
    pub kind: OptimizerKind,
    /// The learning rate at its highest.
    pub lr: f64,
    /// Decay of convolution and fully connected weights; biases and batch norm have none.
    pub weight_decay: f64,
    /// SGD's momentum.
    pub momentum: f64,
    /// Gradients with a larger global norm are scaled down to it; 0 turns this off.
    pub clip_norm: f64,
}

/// `[schedule]`: a linear rise, then half a cosine down, by the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Epochs of linear rise from 0; parts of an epoch are allowed.
    pub warmup: f64,
    /// Where the cosine ends, as a share of the highest learning rate.
    pub end: f64,
}

/// The numbers that convolutions are computed with; all else is computed in 32-bit floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// `bf16` on NVIDIA's GPUs that have it, else `f32`.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 32-bit floats rounded to their upper 16 bits.
    Bf16,
}

/// `[training]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Times that each picture is seen.
    pub epochs: usize,
    /// Pictures in a step.
    pub batch: usize,
    /// What convolutions are computed with.
    pub precision: Precision,
    /// Share of the target that is spread over all classes, <https://arxiv.org/abs/1512.00567>.
    pub label_smoothing: f64,
    /// Decay of the moving average of weights by the step; 0 turns it off.
    pub ema: f64,
    /// Epochs with no better validation loss before the run stops; 0 turns this off.
    pub patience: usize,
    /// Whether the network is computed as its integers will be: weights and activations are rounded to 8
    /// bits, and gradients pass the rounding. It starts from the run in `[init]`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub qat: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            lr: 3e-3,
            weight_decay: 0.02,
            momentum: 0.9,
            clip_norm: 0.0,
        }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            warmup: 1.0,
            end: 0.01,
        }
    }
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch: 64,
            precision: Precision::Auto,
            label_smoothing: 0.0,
            ema: 0.0,
            patience: 0,
            qat: false,
        }
    }
}
