//! Small pictures that travel inside the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Pixels of a thumbnail's longer side, at most: twice what the page shows, for dense displays.
pub const SIDE: u32 = 256;
const QUALITY: u8 = 80;

/// A small picture, as a `data:` address of a JPEG.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Thumbnail(String);

/// Why there is no thumbnail.
#[derive(Debug, Error)]
pub enum ThumbnailError {
    /// The bytes are not as many as the picture's size says, or there are none.
    #[error("a picture of {width}×{height} pixels needs 3 bytes for each, not {bytes} in all")]
    Length {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes given.
        bytes: usize,
    },
    /// The picture cannot be written as a JPEG.
    #[error("the picture cannot be made small: {0}")]
    Image(#[from] image::ImageError),
}

impl Thumbnail {
    /// Of RGB pixels, `[height][width][3]`, brought into a square of [`SIDE`] with their shape kept.
    ///
    /// # Errors
    /// [`ThumbnailError::Length`], and what the JPEG's encoder says.
    pub fn of_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, ThumbnailError> {
        let bytes = rgb.len();
        let wrong = ThumbnailError::Length {
            width,
            height,
            bytes,
        };
        let expected = u128::from(width) * u128::from(height) * 3;
        if expected == 0 || expected != bytes as u128 {
            return Err(wrong);
        }
        let picture = RgbImage::from_raw(width, height, rgb).ok_or(wrong)?;
        Ok(Self::of_image(&picture)?)
    }

    fn of_image(picture: &RgbImage) -> Result<Self, image::ImageError> {
        let (width, height) = picture.dimensions();
        let longest = width.max(height).max(1);
        let side = |length: u32| {
            let scaled = u64::from(length) * u64::from(SIDE) / u64::from(longest);
            u32::try_from(scaled).unwrap_or(SIDE).max(1)
        };
        let small;
        let picture = if longest > SIDE {
            small =
                image::imageops::resize(picture, side(width), side(height), FilterType::Triangle);
            &small
        } else {
            picture
        };
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).write_image(
            picture.as_raw(),
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )?;
        Ok(Self(format!(
            "data:image/jpeg;base64,{}",
            STANDARD.encode(jpeg)
        )))
    }

    /// The `data:` address.
    pub fn address(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(thumbnail: &Thumbnail) -> RgbImage {
        let (_, data) = thumbnail.address().split_once(',').unwrap();
        let jpeg = STANDARD.decode(data).unwrap();
        image::load_from_memory(&jpeg).unwrap().to_rgb8()
    }

    #[test]
    fn a_large_picture_gets_small_and_keeps_its_shape() {
        let rgb = [200, 30, 60].repeat(600 * 300);
        let small = decoded(&Thumbnail::of_rgb(600, 300, rgb).unwrap());
        assert_eq!(small.dimensions(), (256, 128));
        let middle = small.get_pixel(100, 60).0;
        for (found, wanted) in middle.iter().zip([200u8, 30, 60]) {
            assert!(found.abs_diff(wanted) < 6, "{middle:?}");
        }
        let thin = Thumbnail::of_rgb(1, 900, vec![0; 2700]).unwrap();
        assert_eq!(decoded(&thin).dimensions(), (1, 256));
    }

    #[test]
    fn a_small_picture_keeps_its_size() {
        let thumbnail = Thumbnail::of_rgb(7, 5, vec![128; 105]).unwrap();
        assert_eq!(decoded(&thumbnail).dimensions(), (7, 5));
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        for (width, height, bytes) in [(2, 2, 11), (0, 5, 0), (u32::MAX, u32::MAX, 3)] {
            assert!(Thumbnail::of_rgb(width, height, vec![0; bytes]).is_err());
        }
    }
}
