//! Records of fixed length that are not layers: tensors, windows, the recipe.

use super::fields::{Emit, Fields};
use super::{FormatError, Problem};
use crate::preprocess::{Color, Fit, Recipe};
use crate::tensor::{Shape, Tensor};
use crate::window::Window;

/// Bytes of a tensor.
pub const TENSOR_LEN: usize = 16;
/// Bytes of a window.
pub const WINDOW_LEN: usize = 20;
/// Bytes of a recipe.
pub const RECIPE_LEN: usize = 32;

/// Reads a tensor; `base` is where it lies in the file. Any shape and offset.
///
/// # Errors
///
/// Too few bytes.
pub fn parse_tensor(bytes: &[u8], base: usize) -> Result<Tensor, FormatError> {
    Fields::new(bytes, base).front().map(tensor_of)
}

/// The tensor that such bytes are.
#[inline(always)]
pub(super) const fn tensor_of(bytes: &[u8; TENSOR_LEN]) -> Tensor {
    let (words, _) = bytes.as_chunks();
    let last = u32::from_le_bytes(words[3]);
    Tensor {
        offset: u32::from_le_bytes(words[0]),
        shape: Shape {
            height: u32::from_le_bytes(words[1]),
            width: u32::from_le_bytes(words[2]),
            channels: last & 0x00ff_ffff,
        },
        zero_point: (last >> 24) as i8,
    }
}

/// The bytes that [`parse_tensor`] reads.
///
/// # Errors
///
/// [`Problem::Limit`] for 2^24 channels or more.
pub fn emit_tensor(tensor: &Tensor) -> Result<[u8; TENSOR_LEN], FormatError> {
    let Shape {
        height,
        width,
        channels,
    } = tensor.shape;
    if channels > 0x00ff_ffff {
        let problem = Problem::Limit;
        return Err(FormatError { offset: 0, problem });
    }
    let zero_point = u32::from(tensor.zero_point as u8);
    let emit = Emit::new().u32(tensor.offset).u32(height).u32(width);
    Ok(emit.u32(channels | zero_point << 24).finish())
}

/// Reads a window; `base` is where it lies in the file.
///
/// # Errors
///
/// Too few bytes; a kernel, stride or dilation of 0.
#[inline(always)]
pub fn parse_window(bytes: &[u8], base: usize) -> Result<Window, FormatError> {
    let fields = Fields::new(bytes, base);
    let pair = |at| Ok([fields.u16(at)?, fields.u16(at + 2)?]);
    let window = Window {
        kernel: pair(0)?,
        stride: pair(4)?,
        dilation: pair(8)?,
        padding: [
            fields.u16(12)?,
            fields.u16(14)?,
            fields.u16(16)?,
            fields.u16(18)?,
        ],
    };
    let positive = [window.kernel, window.stride, window.dilation];
    if positive.as_flattened().contains(&0) {
        return Err(fields.error(0, Problem::Window));
    }
    Ok(window)
}

/// The bytes that [`parse_window`] reads.
pub fn emit_window(window: &Window) -> [u8; WINDOW_LEN] {
    Emit::new()
        .u16s(window.kernel)
        .u16s(window.stride)
        .u16s(window.dilation)
        .u16s(window.padding)
        .finish()
}

/// Reads a recipe; `base` is where it lies in the file.
///
/// # Errors
///
/// Too few bytes, an unknown fit or colour, a recipe that [`Recipe::check`] refuses.
pub fn parse_recipe(bytes: &[u8], base: usize) -> Result<Recipe, FormatError> {
    let fields = Fields::new(bytes, base);
    let fields = Fields::new(fields.front::<RECIPE_LEN>()?, base);
    let floats = |at| Ok([fields.f32(at)?, fields.f32(at + 4)?, fields.f32(at + 8)?]);
    let recipe = Recipe {
        width: fields.u16(0)?,
        height: fields.u16(2)?,
        fit: match fields.u8(4)? {
            0 => Fit::Stretch,
            1 => Fit::Crop,
            2 => Fit::Letterbox,
            id => return Err(fields.error(4, Problem::Choice { id })),
        },
        color: match fields.u8(5)? {
            0 => Color::Rgb,
            1 => Color::Grey,
            id => return Err(fields.error(5, Problem::Choice { id })),
        },
        // What is left out, so that none is 0.
        crop_pct: 100u8.saturating_sub(fields.u8(6)?),
        mean: floats(8)?,
        std: floats(20)?,
    };
    fields.reserved::<1>(7)?;
    let checked = recipe.check();
    checked.map_err(|_| fields.error(0, Problem::Recipe))?;
    Ok(recipe)
}

/// The bytes that [`parse_recipe`] reads.
pub fn emit_recipe(recipe: &Recipe) -> [u8; RECIPE_LEN] {
    let fit = match recipe.fit {
        Fit::Stretch => 0,
        Fit::Crop => 1,
        Fit::Letterbox => 2,
    };
    let color = match recipe.color {
        Color::Rgb => 0,
        Color::Grey => 1,
    };
    let emit = Emit::new().u16(recipe.width).u16(recipe.height);
    let left_out = 100u8.saturating_sub(recipe.crop_pct);
    let emit = emit.u8(fit).u8(color).u8(left_out).u8(0);
    let floats = recipe.mean.into_iter().chain(recipe.std);
    floats.fold(emit, Emit::f32).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_in_bytes() {
        let tensor = Tensor {
            offset: 0x0102_0304,
            shape: Shape::new(5, 70000, 0x00ff_0203),
            zero_point: -3,
        };
        let bytes = emit_tensor(&tensor).unwrap();
        assert_eq!(
            bytes,
            [4, 3, 2, 1, 5, 0, 0, 0, 0x70, 0x11, 1, 0, 3, 2, 0xff, 0xfd]
        );
        assert_eq!(parse_tensor(&bytes, 0), Ok(tensor));
        let problem = Problem::Short { needed: 86 };
        let error = FormatError {
            offset: 85,
            problem,
        };
        assert_eq!(parse_tensor(&bytes[..15], 70), Err(error));
        let mut wide = tensor;
        wide.shape.channels = 1 << 24;
        assert_eq!(emit_tensor(&wide).unwrap_err().problem, Problem::Limit);
    }

    #[test]
    fn a_window_in_bytes() {
        let window = Window {
            kernel: [1, 2],
            stride: [3, 0x0104],
            dilation: [5, 6],
            padding: [7, 8, 9, 10],
        };
        let bytes = emit_window(&window);
        assert_eq!(bytes[..8], [1, 0, 2, 0, 3, 0, 4, 1]);
        assert_eq!(bytes[8..], [5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0]);
        assert_eq!(parse_window(&bytes, 0), Ok(window));
        for at in [0, 2, 4, 8, 10] {
            let mut bytes = bytes;
            bytes[at] = 0;
            let error = FormatError {
                offset: 60,
                problem: Problem::Window,
            };
            assert_eq!(parse_window(&bytes, 60), Err(error), "{at}");
        }
    }

    #[test]
    fn a_recipe_in_bytes() {
        let recipe = Recipe {
            width: 9,
            height: 0x0102,
            fit: Fit::Letterbox,
            crop_pct: 88,
            color: Color::Grey,
            mean: [0.5, -2.0, 1.0],
            std: [1.0, 2.0, 4.0],
        };
        let bytes = emit_recipe(&recipe);
        assert_eq!(bytes[..8], [9, 0, 2, 1, 2, 1, 12, 0]);
        assert_eq!(bytes[8..16], [0, 0, 0, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!(bytes[28..], 4.0f32.to_le_bytes());
        assert_eq!(parse_recipe(&bytes, 0), Ok(recipe));
        let cases = [
            (0, Problem::Recipe),
            (4, Problem::Choice { id: 3 }),
            (5, Problem::Choice { id: 3 }),
            (6, Problem::Recipe),
            (7, Problem::Reserved),
            (23, Problem::Recipe),
        ];
        for (at, problem) in cases {
            let mut bytes = bytes;
            bytes[at] = match at {
                0 => 0,
                6 => 100,
                23 => 0xff,
                _ => 3,
            };
            assert_eq!(parse_recipe(&bytes, 0).unwrap_err().problem, problem);
        }
        assert!(parse_recipe(&bytes[..31], 0).is_err());
    }
}
