//! From an RGB picture to the model's input, in integers: one implementation for training,
//! calibration, evaluation and the device. The same bytes on every machine.
//!
//! A [`Recipe`] says what a model wants. [`preprocess()`] brings a whole picture there;
//! [`RowPreprocessor`] takes its rows as they come and keeps two rows in the making, so that a
//! device never holds the picture. [`resize()`] is the resize alone. The caller
//! owns the memory: [`scratch_len`] says how much. Nothing here panics, whatever comes in.
//!
//! # The arithmetic
//!
//! The resize is that of Pillow's `Image.resize(size, Image.BILINEAR)`: a triangle filter that
//! widens with the reduction, so that it antialiases. Pillow computes coefficients in doubles;
//! here they are ratios of integers, rounded once. Of n input pixels along an axis, m are made:
//!
//! 1. s = max(n, m). The centre of input pixel j is at (2j + 1)·m, that of output pixel x at
//!    (2x + 1)·n, both in units of 1/(2m) input pixels. The filter reaches 2s to either side.
//! 2. weight(x, j) = max(0, 2s − |(2j + 1)·m − (2x + 1)·n|).
//! 3. total(x) = Σ weight(x, j) over j in 0..n. It is above zero. Weights outside the picture
//!    are left out, which is why it depends on x.
//! 4. c(x, j) = ⌊(2²³·weight(x, j) + total(x)) / (2·total(x))⌋: the weight's share in 22
//!    fractional bits, rounded half up.
//! 5. out(x) = min(255, (2²¹ + Σ c(x, j)·in(j)) >> 22), over j in 0..n, in i32.
//!
//! (5) is done along x for each row, giving bytes, then along y for each column of those. Where
//! n = m, it changes nothing. A sum stays below 2³¹, because rounding adds at most n/2 to the sum
//! of the coefficients. A picture of one colour keeps it up to n = 4096·m.
//!
//! 6. Grey, of the resized R, G and B, is Pillow's `L`:
//!    (19595·R + 38470·G + 7471·B + 2¹⁵) >> 16.
//!
//! The fit of a W × H picture to a w × h input, with round(a/b) = ⌊(2a + b) / (2b)⌋, at least 1:
//!
//! 7. Crop uses, where W·h ≥ H·w, round(H·w/h) × H pixels of the picture, else W × round(W·h/w).
//! 8. Letterbox fills, where w·H ≥ h·W, round(h·W/H) × h pixels of the input, else
//!    w × round(w·H/W), and the rest of it with [`LETTERBOX_GREY`].
//!
//! 9. Of the sides (w, h) of the part that is used, the middle round(p·w/100) × round(p·h/100) are
//!    kept, p per cent ([`Recipe::crop_pct`]).
//!
//! All are centred; of an odd rest the smaller half is on the left, or above.
//!
//! Against Pillow: (4) and its doubles could part only where 2²²·weight/total lies half-way
//! between two integers, which takes n²/m of about 2²² and more, thousands of pixels made into a
//! few; none such has been seen. Pillow 12.2 and later may do the vertical pass first where the
//! height is reduced much more than the width, which moves some bytes by 1;
//! `resize((w, H)).resize((w, h))` gives Kiln's bytes in every version.

mod error;
mod filter;
mod horizontal;
mod recipe;
#[cfg(test)]
pub(crate) mod reference;
mod resize;
mod stream;
mod view;

pub use error::PreprocessError;
pub use recipe::{Color, Fit, Placement, Recipe, Rect};
pub use resize::scratch_len;
pub use stream::{PausedRows, RowPreprocessor, preprocess, resize};
pub use view::PictureView;

/// The longest side of a picture, in pixels: JPEG's.
pub const MAX_SIDE: u32 = 65535;
/// The longest side of a model's input, in pixels.
pub const MAX_INPUT_SIDE: u16 = 4096;
/// What [`Fit::Letterbox`] puts around the picture, in every channel.
pub const LETTERBOX_GREY: u8 = 128;

/// Equation (6).
const fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((19595 * red as u32 + 38470 * green as u32 + 7471 * blue as u32 + (1 << 15)) >> 16) as u8
}
