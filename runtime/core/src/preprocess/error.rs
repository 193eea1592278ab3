use core::fmt;

use super::{MAX_INPUT_SIDE, MAX_SIDE};

/// Why a picture, a buffer or a recipe was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreprocessError {
    /// A picture's side is zero or longer than [`MAX_SIDE`].
    Size,
    /// The pixels do not fill the stated size.
    Length,
    /// A region is empty or lies outside the picture.
    Region,
    /// The scratch is too small.
    Scratch {
        /// The words that are needed.
        needed: usize,
    },
    /// The output has another length.
    Output {
        /// The bytes that are needed.
        needed: usize,
    },
    /// A source row has another length.
    Row {
        /// The bytes that are needed.
        needed: usize,
    },
    /// A row was pushed after the last one, or taken before its turn.
    Order,
    /// A side of the recipe's input is zero or longer than [`MAX_INPUT_SIDE`].
    InputSize,
    /// The recipe's share of each side is not 1 to 100 per cent.
    CropPct,
    /// A mean of the recipe is not finite.
    Mean,
    /// A standard deviation of the recipe is not finite and above zero, or so small that a
    /// normalised value is not finite.
    Std,
}

impl fmt::Display for PreprocessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => write!(
                f,
                "a picture's side is zero or too long: use sides of 1 to {MAX_SIDE} pixels"
            ),
            Self::Length => f.write_str(
                "the pixels do not fill the picture: pass height * width * 3 bytes of RGB",
            ),
            Self::Region => {
                f.write_str("the region is empty or leaves the picture: keep it within")
            }
            Self::Scratch { needed } => write!(
                f,
                "the scratch is too small: pass at least {needed} words (see scratch_len)"
            ),
            Self::Output { needed } => {
                write!(f, "the output has the wrong length: pass {needed} bytes")
            }
            Self::Row { needed } => {
                write!(f, "a row has the wrong length: pass {needed} bytes of RGB")
            }
            Self::Order => f.write_str("the picture has had its last row: restart for the next"),
            Self::InputSize => write!(
                f,
                "the recipe's width or height is zero or too long: use 1 to {MAX_INPUT_SIDE}"
            ),
            Self::CropPct => f.write_str("the recipe's crop_pct is not 1 to 100"),
            Self::Mean => {
                f.write_str("the recipe's mean is not finite: use means of 0..=1 pixel values")
            }
            Self::Std => f.write_str(
                "the recipe's std is not finite and above zero: use those of 0..=1 pixel values",
            ),
        }
    }
}

impl core::error::Error for PreprocessError {}
