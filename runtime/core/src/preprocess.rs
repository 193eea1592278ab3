//! From an RGB picture to the model's input, in integers: one implementation for training,
//! calibration, evaluation and the device.

/// A borrowed picture: 8-bit RGB, interleaved, rows from the top.
#[derive(Clone, Copy, Debug)]
pub struct PictureView<'a> {
    width: u32,
    height: u32,
    /// Bytes from a row's start to the next row's.
    stride: usize,
    rgb: &'a [u8],
}

/// How a picture of another shape is brought to the model's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Both sides are scaled on their own: the whole picture, its shape not kept.
    Stretch,
    /// The largest centred part of the model's shape.
    Crop,
    /// The whole picture with its shape kept; what is left over is grey.
    Letterbox,
}

/// What the model's channels hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Red, green, blue.
    Rgb,
    /// One channel of luma (ITU-R BT.601).
    Grey,
}

/// How a picture becomes a model's input. It travels inside the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// The input's columns.
    pub width: u16,
    /// The input's rows.
    pub height: u16,
    /// How the shape is fitted.
    pub fit: Fit,
    /// The input's channels.
    pub color: Color,
    /// Subtracted from each channel's pixel value in 0..=1. Grey uses the first.
    pub mean: [f32; 3],
    /// Divides what is left. Grey uses the first.
    pub std: [f32; 3],
}

/// Why a picture or a recipe was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreprocessError {
    /// A side is zero or too long.
    Size,
    /// The pixels do not fill the stated size.
    Length,
    /// A region lies outside the picture.
    Region,
}

impl<'a> PictureView<'a> {
    /// Views `rgb` (`height * width * 3` bytes) as a picture.
    pub fn new(width: u32, height: u32, rgb: &'a [u8]) -> Result<Self, PreprocessError> {
        if width == 0 || height == 0 {
            return Err(PreprocessError::Size);
        }
        let stride = (width as usize)
            .checked_mul(3)
            .ok_or(PreprocessError::Size)?;
        if stride.checked_mul(height as usize) != Some(rgb.len()) {
            return Err(PreprocessError::Length);
        }
        Ok(Self {
            width,
            height,
            stride,
            rgb,
        })
    }
}
