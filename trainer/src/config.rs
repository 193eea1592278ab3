//! One TOML file describes a run: data, recipe, model, augmentation, optimiser, schedule, seed.

mod one_or_more;
mod pinned;
mod range;
mod start;
mod training;

use std::path::{Path, PathBuf};

use kiln_core::preprocess::Recipe;
use kiln_runtime::recipe::RecipeText;
use serde::{Deserialize, Serialize};

pub use self::pinned::PinError;
pub use self::range::ConfigError;
pub use self::start::{InitConfig, TeacherConfig};
pub use self::training::{
    OptimizerConfig, OptimizerKind, Precision, ScheduleConfig, TrainingConfig,
};
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
    /// From which they are drawn [default: the run's seed].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// More broken files than this share of the pictures stop the run.
    pub broken: f64,
    /// Pixels decoded at most for one picture.
    pub max_pixels: u64,
    /// Bytes of decoded pictures kept in memory for each split; more is read from the cache's file.
    pub memory: u64,
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
            seed: None,
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
            limits: Limits {
                max_pixels: self.max_pixels,
                ..Default::default()
            },
            ..CacheOptions::default()
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
            seed: self.data.seed.unwrap_or(self.seed),
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
