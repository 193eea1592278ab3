use super::{MAX_SIDE, PreprocessError};

/// A borrowed picture: 8-bit RGB, interleaved, rows from the top.
#[derive(Clone, Copy, Debug)]
pub struct PictureView<'a> {
    width: u32,
    height: u32,
    /// Bytes from a row's start to the next row's.
    stride: usize,
    /// Starts at the first row's first pixel; ends at or after the last row's last pixel.
    rgb: &'a [u8],
}

impl<'a> PictureView<'a> {
    /// Views `rgb` (`height * width * 3` bytes) as a picture.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Size`] if a side is not in `1..=MAX_SIDE`, [`PreprocessError::Length`]
    /// if `rgb` has another length.
    pub fn new(width: u32, height: u32, rgb: &'a [u8]) -> Result<Self, PreprocessError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(PreprocessError::Size);
        }
        let stride = width as usize * 3;
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

    /// The part of the picture from column `x` and row `y` on, `width * height` pixels. Copies
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Region`] if the region is empty or leaves the picture.
    pub fn region(&self, x: u32, y: u32, width: u32, height: u32) -> Result<Self, PreprocessError> {
        let inside = |start: u32, len: u32, side: u32| {
            len > 0 && start.checked_add(len).is_some_and(|end| end <= side)
        };
        if !inside(x, width, self.width) || !inside(y, height, self.height) {
            return Err(PreprocessError::Region);
        }
        let start = y as usize * self.stride + x as usize * 3;
        let rgb = self.rgb.get(start..).ok_or(PreprocessError::Region)?;
        Ok(Self {
            width,
            height,
            stride: self.stride,
            rgb,
        })
    }

    /// Pixels in a row.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Row `y`, `width * 3` bytes; empty if the picture has no such row.
    pub fn row(&self, y: u32) -> &'a [u8] {
        if y >= self.height {
            return &[];
        }
        let start = y as usize * self.stride;
        self.rgb
            .get(start..start + self.width as usize * 3)
            .unwrap_or_default()
    }
}
