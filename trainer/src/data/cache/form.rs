//! What is stored of a picture.

use std::fmt;
use std::path::Path;

use kiln_core::preprocess::{
    Color, Fit, PictureView, PreprocessError, Recipe, preprocess, resize, scratch_len,
};

use super::super::augment::AugmentConfig;
use super::super::decode::{Limits, decode_file};

/// What is stored of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// What [`preprocess`] makes of it.
    Exact(Recipe),
    /// The picture itself, for random crops: its shape kept, its shorter side brought to at most `side` (and
    /// its longer one to at most four times that); unchanged if it is smaller.
    Working {
        /// In pixels.
        side: u32,
    },
}

/// A picture in its form: width, height, bytes.
pub(super) type Made = (u32, u32, Vec<u8>);

impl Form {
    /// The form that training needs: exact, or, for random crops and for a `teacher` that takes another size,
    /// a working copy of twice the larger input's longer side, so that a crop of a quarter of the area is still
    /// not enlarged.
    pub fn for_training(
        recipe: &Recipe,
        augment: &AugmentConfig,
        teacher: Option<&Recipe>,
    ) -> Self {
        let side = |recipe: &Recipe| u32::from(recipe.width.max(recipe.height));
        match teacher {
            None if !augment.crop => Self::Exact(*recipe),
            _ => Self::Working {
                side: 2 * side(recipe).max(teacher.map_or(0, side)),
            },
        }
    }

    pub(super) fn check(&self) -> Result<(), PreprocessError> {
        match self {
            Self::Exact(recipe) => recipe.check(),
            Self::Working { side: 0 } => Err(PreprocessError::Size),
            Self::Working { .. } => Ok(()),
        }
    }

    pub(super) fn channels(&self) -> usize {
        match self {
            Self::Exact(recipe) => recipe.channels(),
            Self::Working { .. } => 3,
        }
    }

    /// Whether the stored bytes are those of another form: mean and std come later and do not count.
    pub fn same_bytes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => {
                let (mean, std) = (two.mean, two.std);
                Recipe { mean, std, ..*one } == *two
            }
            (one, two) => one == two,
        }
    }

    /// Adds what the stored bytes depend on to a hash.
    pub(super) fn hash(&self, hasher: &mut blake3::Hasher) {
        match self {
            Self::Exact(recipe) => {
                hasher.update(&[0, recipe.fit as u8, recipe.color as u8, recipe.crop_pct]);
                hasher.update(&recipe.width.to_le_bytes());
                hasher.update(&recipe.height.to_le_bytes());
            }
            Self::Working { side } => {
                hasher.update(&[1]);
                hasher.update(&side.to_le_bytes());
            }
        }
    }

    /// Reads a picture file and brings it to this form. `scratch` grows to what is needed.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub(super) fn make(
        &self,
        path: &Path,
        limits: &Limits,
        scratch: &mut Vec<i32>,
    ) -> Result<Made, String> {
        let picture = decode_file(path, limits).map_err(|error| error.fault.to_string())?;
        self.convert(picture.width, picture.height, picture.rgb, scratch)
            .map_err(|error| error.to_string())
    }

    fn convert(
        &self,
        width: u32,
        height: u32,
        rgb: Vec<u8>,
        scratch: &mut Vec<i32>,
    ) -> Result<Made, PreprocessError> {
        let view = PictureView::new(width, height, &rgb)?;
        let mut room = |words: usize| {
            if scratch.len() < words {
                scratch.resize(words, 0);
            }
        };
        match self {
            Self::Exact(recipe) => {
                room(recipe.scratch_len(width, height));
                let mut bytes = vec![0; recipe.len()];
                preprocess(view, recipe, scratch, &mut bytes)?;
                Ok((recipe.width.into(), recipe.height.into(), bytes))
            }
            Self::Working { side } => {
                let (new_width, new_height) = working_size(width, height, *side);
                if (new_width, new_height) == (width, height) {
                    return Ok((width, height, rgb));
                }
                room(scratch_len(width, height, new_width, new_height));
                let mut bytes = vec![0; new_width as usize * new_height as usize * 3];
                resize(view, new_width, new_height, scratch, &mut bytes)?;
                Ok((new_width, new_height, bytes))
            }
        }
    }
}

/// As in the file's name.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(recipe) => {
                let fit = match recipe.fit {
                    Fit::Stretch => "stretch",
                    Fit::Crop => "crop",
                    Fit::Letterbox => "letterbox",
                };
                let color = match recipe.color {
                    Color::Rgb => "rgb",
                    Color::Grey => "grey",
                };
                write!(f, "{}x{}-{fit}-{color}", recipe.width, recipe.height)?;
                match recipe.crop_pct {
                    100 => Ok(()),
                    pct => write!(f, "-{pct}pct"),
                }
            }
            Self::Working { side } => write!(f, "working{side}"),
        }
    }
}

/// The size of a picture whose shorter side is brought to at most `side`, the longer to at most `4 * side`.
fn working_size(width: u32, height: u32, side: u32) -> (u32, u32) {
    let (shorter, longer) = (u64::from(width.min(height)), u64::from(width.max(height)));
    let side = u64::from(side);
    let (up, down) = if longer <= 4 * shorter {
        (side, shorter)
    } else {
        (4 * side, longer)
    };
    if up >= down {
        return (width, height);
    }
    let scaled = |length: u32| ((2 * u64::from(length) * up + down) / (2 * down)).max(1) as u32;
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_copies_keep_their_shape() {
        struct Case {
            size: (u32, u32),
            want: (u32, u32),
        }
        let cases = [
            Case {
                size: (128, 128),
                want: (128, 128),
            },
            Case {
                size: (100, 90),
                want: (100, 90),
            },
            Case {
                size: (128, 400),
                want: (128, 400),
            },
            Case {
                size: (4000, 3000),
                want: (171, 128),
            },
            Case {
                size: (300, 1000),
                want: (128, 427),
            },
            Case {
                size: (5120, 100),
                want: (512, 10),
            },
            Case {
                size: (1, 60000),
                want: (1, 512),
            },
        ];
        for Case { size, want } in cases {
            assert_eq!(working_size(size.0, size.1, 128), want, "{size:?}");
        }
    }

    #[test]
    fn mean_and_std_do_not_change_the_stored_bytes() {
        let recipe = Recipe {
            width: 8,
            height: 6,
            fit: Fit::Crop,
            crop_pct: 100,
            color: Color::Rgb,
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        let one = Form::Exact(recipe);
        let other_mean = Form::Exact(Recipe {
            mean: [0.1; 3],
            ..recipe
        });
        let other_fit = Form::Exact(Recipe {
            fit: Fit::Stretch,
            ..recipe
        });
        let hash = |form: &Form| {
            let mut hasher = blake3::Hasher::new();
            form.hash(&mut hasher);
            hasher.finalize()
        };
        assert!(one.same_bytes(&other_mean) && hash(&one) == hash(&other_mean));
        assert!(!one.same_bytes(&other_fit) && hash(&one) != hash(&other_fit));
        assert!(!one.same_bytes(&Form::Working { side: 8 }));
    }
}
