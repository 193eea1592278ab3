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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_regions_keep_the_stride() {
        // 4 columns, 2 rows; a pixel's bytes tell where it lies.
        let mut rgb = [0; 24];
        for (at, byte) in (0..).zip(&mut rgb) {
            *byte = at;
        }
        let view = PictureView::new(4, 2, &rgb).unwrap();
        assert_eq!(view.row(1), &rgb[12..]);
        let part = view.region(1, 0, 2, 2).unwrap();
        assert_eq!((part.width(), part.height()), (2, 2));
        assert_eq!(part.row(0), [3, 4, 5, 6, 7, 8]);
        assert_eq!(part.row(1), [15, 16, 17, 18, 19, 20]);
        let pixel = part.region(1, 1, 1, 1).unwrap();
        assert_eq!(pixel.row(0), [18, 19, 20]);
        assert!(part.row(2).is_empty());
        assert!(part.row(u32::MAX).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rgb = [0; 36];
        let new = |width, height| PictureView::new(width, height, &rgb).unwrap_err();
        assert_eq!(new(0, 3), PreprocessError::Size);
        assert_eq!(new(4, 0), PreprocessError::Size);
        assert_eq!(new(u32::MAX, u32::MAX), PreprocessError::Size);
        assert_eq!(new(MAX_SIDE + 1, 1), PreprocessError::Size);
        assert_eq!(new(MAX_SIDE, MAX_SIDE), PreprocessError::Length);
        assert_eq!(new(4, 2), PreprocessError::Length);
        assert_eq!(new(4, 4), PreprocessError::Length);
        let view = PictureView::new(4, 3, &rgb).unwrap();
        let cases = [
            (0, 0, 0, 1),
            (0, 0, 1, 0),
            (0, 0, 5, 3),
            (0, 0, 4, 4),
            (4, 0, 1, 1),
            (0, 3, 1, 1),
            (u32::MAX, 0, 2, 1),
            (0, 1, 1, u32::MAX),
        ];
        for (x, y, width, height) in cases {
            let error = view.region(x, y, width, height).unwrap_err();
            assert_eq!(error, PreprocessError::Region, "{x} {y} {width} {height}");
        }
    }
}
