//! The preprocessing recipe as text: `[recipe]` of a run file, and JSON inside a model.

use kiln_core::preprocess::{Color, Fit, Recipe};
use serde::{Deserialize, Serialize};

/// [`Recipe`] in a form that TOML and JSON can hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecipeText {
    /// The input's columns.
    pub width: u16,
    /// The input's rows.
    pub height: u16,
    /// How a picture of another shape is fitted.
    pub fit: FitText,
    /// Per cent of each side of what that uses that are used, around the middle: 1 to 100.
    pub crop_pct: u8,
    /// Three channels or one.
    pub color: ColorText,
    /// Subtracted from each channel's pixel value in 0..=1.
    pub mean: [f32; 3],
    /// Divides what is left.
    pub std: [f32; 3],
}

/// [`Fit`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FitText {
    /// Both sides are scaled on their own.
    Stretch,
    /// The largest centred part of the model's shape.
    Crop,
    /// The whole picture, grey at the sides.
    Letterbox,
}

/// [`Color`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorText {
    /// Red, green, blue.
    Rgb,
    /// One channel of luma.
    Grey,
}

impl Default for RecipeText {
    fn default() -> Self {
        Self {
            width: 64,
            height: 64,
            fit: FitText::Stretch,
            crop_pct: 100,
            color: ColorText::Rgb,
            mean: [0.5; 3],
            std: [0.25; 3],
        }
    }
}

impl From<RecipeText> for Recipe {
    fn from(text: RecipeText) -> Self {
        Self {
            width: text.width,
            height: text.height,
            fit: match text.fit {
                FitText::Stretch => Fit::Stretch,
                FitText::Crop => Fit::Crop,
                FitText::Letterbox => Fit::Letterbox,
            },
            crop_pct: text.crop_pct,
            color: match text.color {
                ColorText::Rgb => Color::Rgb,
                ColorText::Grey => Color::Grey,
            },
            mean: text.mean,
            std: text.std,
        }
    }
}
