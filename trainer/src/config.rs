//! One TOML file describes a run: data, recipe, model, augmentation, optimiser, schedule, seed.

mod one_or_more;
mod range;

use std::path::{Path, PathBuf};

use kiln_core::preprocess::Recipe;
use kiln_runtime::recipe::RecipeText;
use serde::{Deserialize, Serialize};

pub use self::range::ConfigError;
use crate::data::augment::AugmentConfig;
use crate::data::cache::CacheOptions;
use crate::data::dataset::SplitOptions;
use crate::data::decode::Limits;
use crate::model::ModelConfig;

/// A run, complete: what `run.toml` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// Which pictures.
    pub data: DataConfig,
    /// How a picture becomes an input.
    pub recipe: RecipeText,
    /// Which network.
    pub model: ModelConfig,
    /// What is done to training pictures.
    pub augment: AugmentConfig,
    /// How weights follow gradients.
    pub optimizer: OptimizerConfig,
    /// How the learning rate moves.
    pub schedule: ScheduleConfig,
    /// How long, in what portions, against what loss.
    pub training: TrainingConfig,
    /// Where the weights start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// What a teacher adds to the loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherConfig>,
    /// Who made this and from what; written by Kiln, replaced when the run is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// `[data]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The folder of class folders, or of split folders of class folders.
    pub path: PathBuf,
    /// Share of each class set aside for validation, where the folder has no such split.
    pub val: f64,
    /// Share of each class set aside for the test, where the folder has no such split.
    pub test: f64,
    /// More broken files than this share of the pictures stop the run.
    pub broken: f64,
    /// Pixels decoded at most for one picture.
    pub max_pixels: u64,
    /// Bytes of decoded pictures kept in memory for each split; more is read from the cache's file.
    pub memory: u64,
}

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

/// `[init]`: weights that were trained before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitConfig {
    /// A run folder, a `.onnx` file of `kiln export`, a `.safetensors` file or what PyTorch's `torch.save`
    /// writes.
    pub weights: PathBuf,
    /// What the file's batch normalisations add to the variance: 1e-5 in PyTorch, 1e-3 in networks
    /// that come from TensorFlow, EfficientNet among them.
    #[serde(default = "InitConfig::default_epsilon")]
    pub epsilon: f64,
    /// The file's hash, so that the run can be repeated; Kiln writes it, and refuses another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
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

/// `[provenance]` of a run: what is needed to believe it or to repeat it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Kiln's version.
    pub kiln: String,
    /// burn's version.
    pub burn: String,
    /// The command that was typed.
    pub command: String,
    /// The device that computed.
    pub device: String,
    /// blake3 over every picture's class, split, path and bytes.
    pub data_hash: String,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            data: DataConfig::default(),
            recipe: RecipeText::default(),
            model: ModelConfig::default(),
            augment: AugmentConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            training: TrainingConfig::default(),
            init: None,
            teacher: None,
            provenance: None,
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            val: 0.1,
            test: 0.1,
            broken: 0.01,
            max_pixels: 100_000_000,
            memory: 1 << 30,
        }
    }
}

impl DataConfig {
    /// How pictures are read, with no folder to keep them in.
    pub fn cache_options(&self) -> CacheOptions {
        CacheOptions {
            dir: None,
            memory_bytes: self.memory,
            broken_share: self.broken,
            limits: Limits {
                max_pixels: self.max_pixels,
                ..Default::default()
            },
        }
    }
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

impl InitConfig {
    fn default_epsilon() -> f64 {
        1e-5
    }

    /// The weights at `weights`, of PyTorch's usual epsilon.
    pub fn new(weights: PathBuf) -> Self {
        Self {
            weights,
            epsilon: Self::default_epsilon(),
            blake3: None,
        }
    }
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
            features: 0.0,
            views: 0,
        }
    }
}

impl RunConfig {
    /// Reads a run file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            cause: error.to_string(),
        })
    }

    /// The run as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// How splits are drawn where the folder has none.
    pub fn split_options(&self) -> SplitOptions {
        SplitOptions {
            val: self.data.val,
            test: self.data.test,
            seed: self.seed,
        }
    }

    /// The recipe in the engine's form.
    pub fn recipe(&self) -> Recipe {
        self.recipe.into()
    }

    /// Channels, rows, columns of the input.
    pub fn input(&self) -> [usize; 3] {
        let recipe = self.recipe();
        [
            recipe.channels(),
            usize::from(recipe.height),
            usize::from(recipe.width),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_survives_its_own_toml() {
        for family in ModelConfig::FAMILIES {
            let mut run = RunConfig {
                model: ModelConfig::family(family).unwrap(),
                ..Default::default()
            };
            run.training.epochs = 3;
            run.training.precision = Precision::Bf16;
            run.init = Some(InitConfig::new("weights.pth".into()));
            run.teacher = Some(TeacherConfig::new("teacher.onnx".into()));
            let text = run.to_toml().unwrap();
            assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), run, "{text}");
            assert!(text.contains("model = \"teacher.onnx\""), "{text}");

            let teacher = run.teacher.as_mut().unwrap();
            teacher.model.push("other.onnx".into());
            let text = run.to_toml().unwrap();
            assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), run, "{text}");
        }
        let error = toml::from_str::<RunConfig>("[teacher]\nmodel = []").unwrap_err();
        assert!(error.to_string().contains("at least one"), "{error}");
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_it() {
        for text in [
            "sed = 1",
            "[training]\nepoch = 3",
            "[model]\nfamily = \"cnn\"\nchanels = [8]",
        ] {
            let error = toml::from_str::<RunConfig>(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{text}: {error}");
        }
    }
}
