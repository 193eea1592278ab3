//! A picture, scaled into a box: the mean of what a pixel covers when it shrinks, its nearest when it
//! grows. Dithered in order where a pixel is one bit (Bayer's 4×4 matrix).

use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::{AnchorPoint, Point, Size},
    pixelcolor::{PixelColor, Rgb888, raw::RawData},
    primitives::{PointsIter, Rectangle},
};

/// A picture. Where there are fewer pixels than width, height and channels say, the rest is black.
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
    /// The input tensor of a model: −128 is dark, 127 bright.
    Tensor(&'a [i8]),
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
        let size = self.fitted(area.size);
        let place = area.resized(size, AnchorPoint::Center);
        let dithered = <D::Color as PixelColor>::Raw::BITS_PER_PIXEL == 1;
        let colours = place.points().map(|point| {
            let at = point - place.top_left;
            let colour = self.mean(at, size);
            if dithered { dither(colour, at) } else { colour }.into()
        });
        display.fill_contiguous(&place, colours)
    }

    /// The largest size of these proportions within `room`.
    fn fitted(&self, room: Size) -> Size {
        let across = room.width.saturating_mul(self.height);
        let down = room.height.saturating_mul(self.width);
        if across > down {
            let width = down.checked_div(self.height).unwrap_or(0);
            Size::new(width.max(1), room.height)
        } else {
            let height = across.checked_div(self.width).unwrap_or(0);
            Size::new(room.width, height.max(1))
        }
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
        let index = ((y * self.width + x) * self.channels + channel) as usize;
        let value = match self.pixels {
            Pixels::Bytes(bytes) => bytes.get(index).copied(),
            Pixels::Tensor(values) => values.get(index).map(|&value| value as u8 ^ 0x80),
        };
        value.unwrap_or(0)
    }
}

/// The source pixels, of `from`, that pixel `at` of `to` covers; at least one.
fn covered(at: u32, from: u32, to: u32) -> core::ops::Range<u32> {
    let start = (at * from).checked_div(to).unwrap_or(0);
    let end = ((at + 1) * from).checked_div(to).unwrap_or(0);
    start..end.max(start + 1)
}

/// Black or white, so that the neighbourhood is as bright as `colour`.
fn dither(colour: Rgb888, at: Point) -> Rgb888 {
    use embedded_graphics::pixelcolor::{Gray8, GrayColor, RgbColor};
    // Each row of the matrix as four hexadecimal digits.
    const BAYER: [u32; 4] = [0x082a, 0xc4e6, 0x3b19, 0xf7d5];
    let row = BAYER.get(at.y as usize % 4).copied().unwrap_or(0);
    let threshold = (row >> (12 - 4 * (at.x as u32 % 4)) & 15) * 16 + 8;
    if u32::from(Gray8::from(colour).luma()) >= threshold {
        Rgb888::WHITE
    } else {
        Rgb888::BLACK
    }
}
