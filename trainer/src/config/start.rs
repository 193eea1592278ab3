//! What a run builds on: weights that were trained before, and teachers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::one_or_more;

/// `[init]`: weights that were trained before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitConfig {
    /// A run folder, a `.onnx` file of `kiln export`, a `.safetensors` file or what PyTorch's `torch.save`
    /// writes. Several, in a list: the mean of their weights (Wortsman et al.,
    /// <https://arxiv.org/abs/2203.05482>), which is worth something where they come from the same weights.
    #[serde(with = "one_or_more")]
    pub weights: Vec<PathBuf>,
    /// What the file's batch normalisations add to the variance: 1e-5 in PyTorch, 1e-3 in networks
    /// that come from TensorFlow, EfficientNet among them.
    #[serde(default = "InitConfig::default_epsilon")]
    pub epsilon: f64,
    /// The hashes of the files among them, so that the run can be repeated; Kiln writes them, and refuses
    /// other files.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub blake3: Vec<String>,
}

impl InitConfig {
    fn default_epsilon() -> f64 {
        1e-5
    }

    /// The weights at `weights`, of PyTorch's usual epsilon.
    pub fn new(weights: PathBuf) -> Self {
        Self {
            weights: vec![weights],
            epsilon: Self::default_epsilon(),
            blake3: Vec::new(),
        }
    }
}

/// `[teacher]`: distillation, <https://arxiv.org/abs/1503.02531>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// A run folder, an ONNX file (floats or integers) or a `.kiln` file with the same classes, whose input
    /// is as large as the run's or larger. Several, in a list, teach what they say together: they take the
    /// same size.
    #[serde(with = "one_or_more")]
    pub model: Vec<PathBuf>,
    /// The share of the loss that follows the teacher.
    #[serde(default = "TeacherConfig::default_weight")]
    pub weight: f64,
    /// Divides both sides' logits before their softmax.
    #[serde(default = "TeacherConfig::default_temperature")]
    pub temperature: f64,
    /// The hashes of the files among them, so that the run can be repeated and gone on with; Kiln writes them, and
    /// refuses other files.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub blake3: Vec<String>,
    /// What is added to the loss where the student's features do not explain the teacher's, by a linear
    /// layer that goes when training ends (Romero et al., <https://arxiv.org/abs/1412.6550>): this times the
    /// unexplained share of their variance. 0 leaves features alone; above, the teacher is a run or an
    /// ONNX file of integers.
    #[serde(default)]
    pub features: f64,
    /// After so many epochs, the pictures of the first ones come again, cropped and mixed alike, and the teacher
    /// is not asked again: what it said lies in the run's folder until training ends. 0: every epoch is
    /// another, and the teacher answers all.
    #[serde(default)]
    pub views: usize,
}

impl TeacherConfig {
    fn default_weight() -> f64 {
        0.7
    }

    fn default_temperature() -> f64 {
        2.0
    }

    /// The teacher at `model`, with the default weight and temperature.
    pub fn new(model: PathBuf) -> Self {
        Self {
            model: vec![model],
            weight: Self::default_weight(),
            temperature: Self::default_temperature(),
            blake3: Vec::new(),
            features: 0.0,
            views: 0,
        }
    }
}
