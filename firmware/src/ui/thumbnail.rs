//! A picture, scaled into a box: the mean of what a pixel covers when it shrinks, its nearest when it
//! grows. Dithered where a pixel is one bit.

use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::{AnchorPoint, Point, Size},
    pixelcolor::{Gray8, GrayColor, PixelColor, Rgb888, raw::RawData},
    primitives::{PointsIter, Rectangle},
};

use super::dither::Dither;

/// A picture. Where there are fewer pixels than width, height and channels say, the rest is black; where
/// one of them is 0, nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thumbnail<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 is grey, 3 is red, green and blue; of more the first three are used.
    pub channels: u32,
    /// `height × width × channels` bytes.
    pub pixels: Pixels<'a>,
}

/// The bytes of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pixels<'a> {
    /// 0 is dark, 255 bright.
    Bytes(&'a [u8]),
    /// The input tensor of a model, an i8 a byte: −128 is dark, 127 bright.
    Tensor(&'a [u8]),
}

impl Thumbnail<'_> {
    /// Draws the picture in the middle of `area`, as large as its proportions allow.
    ///
    /// # Errors
    ///
    /// Those of the display.
    pub fn draw<D>(&self, display: &mut D, area: Rectangle) -> Result<(), D::Error>
    where
        D: DrawTarget<Color: From<Rgb888>>,
    {
        if self.width == 0 || self.height == 0 || self.channels == 0 {
            return Ok(());
        }
        let size = fitted([self.width, self.height], area.size);
        let place = area.resized(size, AnchorPoint::Center);
        let one_bit = <D::Color as PixelColor>::Raw::BITS_PER_PIXEL == 1;
        let dither = one_bit.then(|| Dither::of(self.brightnesses()));
        let colours = place.points().map(|point| {
            let at = point - place.top_left;
            let colour = self.mean(at, size);
            match &dither {
                Some(dither) => dither.apply(brightness(colour), at),
                None => colour,
            }
            .into()
        });
        display.fill_contiguous(&place, colours)
    }

    /// The brightness of every pixel.
    fn brightnesses(&self) -> impl Iterator<Item = u8> + Clone {
        let rows = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        rows.map(|(x, y)| {
            let channel = |number| self.value(x, y, number);
            brightness(Rgb888::new(channel(0), channel(1), channel(2)))
        })
    }

    /// The mean colour of what the pixel at `at` covers in a picture scaled to `size`.
    fn mean(&self, at: Point, size: Size) -> Rgb888 {
        let columns = covered(at.x as u32, self.width, size.width);
        let rows = covered(at.y as u32, self.height, size.height);
        let mut sum = [0u32; 3];
        let mut count = 0u32;
        for y in rows {
            for x in columns.clone() {
                for (channel, sum) in sum.iter_mut().enumerate() {
                    *sum += u32::from(self.value(x, y, channel as u32));
                }
                count += 1;
            }
        }
        let [r, g, b] = sum.map(|sum| (sum + count / 2).checked_div(count).unwrap_or(0) as u8);
        Rgb888::new(r, g, b)
    }

    /// A channel of a pixel.
    fn value(&self, x: u32, y: u32, channel: u32) -> u8 {
        let channel = if self.channels < 3 { 0 } else { channel };
        let pixel = y.wrapping_mul(self.width).wrapping_add(x);
        let index = pixel.wrapping_mul(self.channels).wrapping_add(channel) as usize;
        let value = match self.pixels {
            Pixels::Bytes(bytes) => bytes.get(index).copied(),
            Pixels::Tensor(bytes) => bytes.get(index).map(|byte| byte ^ 0x80),
        };
        value.unwrap_or(0)
    }
}

/// The largest size of the proportions of `width` and `height`, neither of them 0, within `room`.
pub(super) fn fitted([width, height]: [u32; 2], room: Size) -> Size {
    let across = room.width.saturating_mul(height);
    let down = room.height.saturating_mul(width);
    if across > down {
        let width = down.checked_div(height).unwrap_or(0);
        Size::new(width.max(1), room.height)
    } else {
        let height = across.checked_div(width).unwrap_or(0);
        Size::new(room.width, height.max(1))
    }
}

/// The brightness of a colour, 0 to 255.
fn brightness(colour: Rgb888) -> u8 {
    Gray8::from(colour).luma()
}

/// The source pixels, of `from`, that pixel `at` of `to` covers; at least one.
fn covered(at: u32, from: u32, to: u32) -> core::ops::Range<u32> {
    let start = (at * from).checked_div(to).unwrap_or(0);
    let end = ((at + 1) * from).checked_div(to).unwrap_or(0);
    start..end.max(start + 1)
}

#[cfg(test)]
mod tests {
    use embedded_graphics::{
        mock_display::MockDisplay,
        pixelcolor::{BinaryColor, Gray4},
    };

    use super::*;

    fn square(side: u32) -> Rectangle {
        Rectangle::new(Point::zero(), Size::new_equal(side))
    }

    #[test]
    fn grey_shrinks_to_means_and_grows_to_the_nearest() {
        let bytes = [0, 34, 255, 255, 34, 68, 255, 255];
        let wide = Thumbnail {
            width: 4,
            height: 2,
            channels: 1,
            pixels: Pixels::Bytes(&bytes),
        };
        let cases: [(u32, &[&str]); 3] = [
            (2, &["2F"]),
            (4, &["    ", "02FF", "24FF"]),
            (
                8,
                &[
                    "        ", "        ", "0022FFFF", "0022FFFF", "2244FFFF", "2244FFFF",
                ],
            ),
        ];
        for (side, pattern) in cases {
            let mut display = MockDisplay::<Gray4>::new();
            wide.draw(&mut display, square(side)).unwrap();
            display.assert_pattern(pattern);
        }
    }

    #[test]
    fn a_tensor_is_as_bright_as_its_bytes() {
        let tall = Thumbnail {
            width: 1,
            height: 3,
            channels: 1,
            pixels: Pixels::Tensor(&[0x80, 0x00, 0x7f]),
        };
        let mut display = MockDisplay::<Gray4>::new();
        tall.draw(&mut display, square(3)).unwrap();
        display.assert_pattern(&[" 0", " 8", " F"]);
    }

    #[test]
    fn black_and_white_is_dithered() {
        let ramp: [u8; 24] = core::array::from_fn(|at| [0, 51, 102, 153, 204, 255][at / 4]);
        let pixels = Pixels::Bytes(&ramp);
        let tall = Thumbnail {
            width: 4,
            height: 6,
            channels: 1,
            pixels,
        };
        let mut display = MockDisplay::<BinaryColor>::new();
        tall.draw(&mut display, Rectangle::new(Point::zero(), Size::new(4, 6)))
            .unwrap();
        display.assert_pattern(&["....", "....", "#.#.", ".#.#", "####", "####"]);
    }

    #[test]
    fn nonsense_does_no_harm() {
        let cases: [(u32, u32, u32, &[&str]); 5] = [
            (0, 5, 3, &[]),
            (5, 0, 1, &[]),
            (5, 5, 0, &[]),
            (3, 3, 3, &["F0", "00"]),
            (1, 1, 7, &["FF", "FF"]),
        ];
        for (width, height, channels, pattern) in cases {
            let pixels = Pixels::Bytes(&[255, 255, 255]);
            let broken = Thumbnail {
                width,
                height,
                channels,
                pixels,
            };
            let mut display = MockDisplay::<Gray4>::new();
            broken.draw(&mut display, square(2)).unwrap();
            display.assert_pattern(pattern);
            broken.draw(&mut display, square(0)).unwrap();
        }
    }
}
