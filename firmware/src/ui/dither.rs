//! Greys of black and white pixels: ordered dithering with Bayer's 4×4 matrix, after the contrast has
//! been spread over what a picture has most of.

use embedded_graphics::{
    geometry::Point,
    pixelcolor::{Rgb888, RgbColor},
};

/// Bayer's matrix, 0 to 15: a row a number, a column a hexadecimal digit.
const BAYER: [u32; 4] = [0x082a, 0xc4e6, 0x3b19, 0xf7d5];

/// What is between black and white in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dither {
    /// The brightness that becomes 128.
    middle: i32,
    /// From there to black, and to white.
    reach: i32,
}

impl Dither {
    /// Black and white lie two mean deviations from the mean, but at least 32, so that noise stays grey.
    pub fn of(brightnesses: impl Iterator<Item = u8> + Clone) -> Self {
        let mean = |values: &mut dyn Iterator<Item = i32>| {
            let (sum, count) =
                values.fold((0i32, 0i32), |(sum, count), value| (sum + value, count + 1));
            sum.checked_div(count).unwrap_or(0)
        };
        let middle = mean(&mut brightnesses.clone().map(i32::from));
        let deviation = mean(&mut brightnesses.map(|value| (i32::from(value) - middle).abs()));
        Self {
            middle,
            reach: (deviation * 2).clamp(32, 128),
        }
    }

    /// Black or white for a pixel of this brightness at this place.
    pub fn apply(&self, brightness: u8, at: Point) -> Rgb888 {
        let spread = (i32::from(brightness) - self.middle) * 128;
        let level = 128 + spread.checked_div(self.reach).unwrap_or(0);
        let row = BAYER.get(at.y as usize % 4).copied().unwrap_or(0);
        let rank = row >> (12 - 4 * (at.x as u32 % 4)) & 15;
        if level >= rank as i32 * 16 + 8 {
            Rgb888::WHITE
        } else {
            Rgb888::BLACK
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_white_pixels_as_the_grey_is_bright() {
        let plain = Dither {
            middle: 128,
            reach: 128,
        };
        for rank in 0..=16u8 {
            let brightness = (u32::from(rank) * 255 / 16) as u8;
            let white = (0..16)
                .filter(|at| plain.apply(brightness, Point::new(at % 4, at / 4)) == Rgb888::WHITE)
                .count();
            assert_eq!(white, usize::from(rank), "brightness {brightness}");
        }
    }

    #[test]
    fn contrast_is_spread_over_what_there_is_most_of() {
        let cases: [(&[u8], Dither); 4] = [
            (
                &[],
                Dither {
                    middle: 0,
                    reach: 32,
                },
            ),
            (
                &[200, 200],
                Dither {
                    middle: 200,
                    reach: 32,
                },
            ),
            (
                &[100, 200, 100, 200],
                Dither {
                    middle: 150,
                    reach: 100,
                },
            ),
            (
                &[0, 255],
                Dither {
                    middle: 127,
                    reach: 128,
                },
            ),
        ];
        for (brightnesses, dither) in cases {
            let made = Dither::of(brightnesses.iter().copied());
            assert_eq!(made, dither, "{brightnesses:?}");
        }
    }
}
