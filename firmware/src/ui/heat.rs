//! Which part of a picture speaks for an answer, over the picture that is on the display.
//!
//! On every display a line goes around what has at least half of the greatest heat. Beside that, by how many
//! bits a pixel has:
//!
//! - one: outside of the line every second pixel is black;
//! - up to eight: the colder, the darker;
//! - more: the warmer, the more of the colours of fire, those of the page and of `kiln classify --explain`.

use embedded_graphics::{
    Pixel,
    geometry::{AnchorPoint, Point, Size},
    pixelcolor::{PixelColor, Rgb888, RgbColor, raw::RawData},
    primitives::{PointsIter, Rectangle},
};

use super::{
    Canvas,
    palette::{FIRE, INK},
    thumbnail::fitted,
};

/// What each place of a picture says for an answer. What `levels` lacks is cold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heat<'a> {
    /// Columns of the picture.
    pub width: u32,
    /// Rows of the picture.
    pub height: u32,
    /// Columns of the map, evenly over the picture's.
    pub columns: u32,
    /// Rows of the map.
    pub rows: u32,
    /// `rows × columns`: 255 is the greatest heat.
    pub levels: &'a [u8],
}

impl Heat<'_> {
    /// Draws it over the picture that a [`Thumbnail`](super::Thumbnail) of the same proportions has left in
    /// `area`. Where nothing is warm, the picture stays as it is.
    ///
    /// # Errors
    ///
    /// Those of the display.
    pub fn draw<D: Canvas>(&self, display: &mut D, area: Rectangle) -> Result<(), D::Error> {
        let nothing = self.width == 0 || self.height == 0;
        if nothing || self.levels.iter().all(|&level| level == 0) {
            return Ok(());
        }
        let size = fitted([self.width, self.height], area.size);
        let place = area.resized(size, AnchorPoint::Center);
        let mut left = 0;
        for point in place.points() {
            let Some(under) = display.pixel(point) else {
                continue;
            };
            let at = point - place.top_left;
            let level = self.level(at, size);
            let above = self.level(at - Point::new(0, at.y.min(1)), size);
            if at.x == 0 {
                left = level;
            }
            let line = is_hot(level) != is_hot(left) || is_hot(level) != is_hot(above);
            left = level;
            let colour = match line {
                true => INK,
                false => tinted::<<D as super::DrawTarget>::Color>(under.into(), level, at),
            };
            display.draw_iter([Pixel(point, colour.into())])?;
        }
        Ok(())
    }

    /// The heat at a pixel of a picture scaled to `size`: between the four values about it.
    fn level(&self, at: Point, size: Size) -> u8 {
        let (left, right, across) = between(at.x as u32, self.columns, size.width);
        let (above, below, down) = between(at.y as u32, self.rows, size.height);
        let value = |row: u32, column: u32| {
            let index = row.wrapping_mul(self.columns).wrapping_add(column);
            u32::from(self.levels.get(index as usize).copied().unwrap_or(0))
        };
        let mix = |from: u32, to: u32, share: u32| from * (256 - share) + to * share;
        let row = |row| mix(value(row, left), value(row, right), across);
        (mix(row(above), row(below), down) >> 16) as u8
    }
}

/// The places of `count` about pixel `at` of `size`, and how far it is from the first to the second, in
/// 256ths. Values stand for the middles of their places.
fn between(at: u32, count: u32, size: u32) -> (u32, u32, u32) {
    let middle = (2 * at + 1).wrapping_mul(count).wrapping_mul(128);
    let last = count.saturating_sub(1);
    let from_first = middle.checked_div(size).unwrap_or(0).saturating_sub(128);
    let low = (from_first >> 8).min(last);
    (low, (low + 1).min(last), from_first & 255)
}

/// Whether it is at least half of the greatest heat.
const fn is_hot(level: u8) -> bool {
    level >= 128
}

/// A pixel of the picture on a display of colour `C`, so warm.
fn tinted<C: PixelColor>(under: Rgb888, level: u8, at: Point) -> Rgb888 {
    let warmth = u32::from(level);
    match C::Raw::BITS_PER_PIXEL {
        1 if is_hot(level) || (at.x + at.y) & 1 == 0 => under,
        1 => Rgb888::BLACK,
        2..=8 => mixed(Rgb888::BLACK, under, 64 + (2 * warmth).min(255) * 3 / 4),
        // Four fifths of it for the greatest heat.
        _ => mixed(under, fire(warmth), (warmth << 8).isqrt() * 4 / 5),
    }
}

/// The colour of fire for a warmth of 0 to 255.
fn fire(warmth: u32) -> Rgb888 {
    let colour = |index: u32| FIRE.get(index as usize).copied().unwrap_or(INK);
    let at = warmth * (FIRE.len() as u32 - 1);
    mixed(colour(at / 255), colour(at / 255 + 1), at % 255)
}

/// `share` 256ths of `to`, the rest of `from`.
fn mixed(from: Rgb888, to: Rgb888, share: u32) -> Rgb888 {
    let mix = |from: u8, to: u8| {
        let sum = u32::from(from) * (256 - share) + u32::from(to) * share;
        (sum >> 8) as u8
    };
    Rgb888::new(
        mix(from.r(), to.r()),
        mix(from.g(), to.g()),
        mix(from.b(), to.b()),
    )
}

#[cfg(test)]
mod tests {
    use embedded_graphics::{
        draw_target::DrawTarget,
        framebuffer::{Framebuffer, buffer_size},
        image::GetPixel,
        mock_display::MockDisplay,
        pixelcolor::{
            BinaryColor, Gray4, GrayColor, Rgb565,
            raw::{BigEndian, LittleEndian, RawU1, RawU4, RawU16},
        },
    };

    use super::*;

    const SIDE: usize = 8;

    /// What a display of one brightness shows with heat in its upper right quarter.
    macro_rules! heated {
        ($colour:ty, $raw:ty, $order:ty, $ground:expr) => {{
            type Frame = Framebuffer<
                $colour,
                $raw,
                $order,
                SIDE,
                SIDE,
                { buffer_size::<$colour>(SIDE, SIDE) },
            >;
            let mut frame = Frame::new();
            frame.clear($ground).unwrap();
            corner(&[0, 255, 0, 0]).draw(&mut frame, all()).unwrap();
            frame
        }};
    }

    fn corner(levels: &[u8]) -> Heat<'_> {
        Heat {
            width: 64,
            height: 64,
            columns: 2,
            rows: 2,
            levels,
        }
    }

    fn all() -> Rectangle {
        Rectangle::new(Point::zero(), Size::new_equal(SIDE as u32))
    }

    /// A pattern of a frame, for `MockDisplay`.
    fn shown<C>(frame: &impl GetPixel<Color = C>) -> MockDisplay<C>
    where
        C: PixelColor,
    {
        let mut display = MockDisplay::new();
        for point in all().points() {
            display.set_pixel(point, frame.pixel(point));
        }
        display
    }

    #[test]
    fn black_and_white_is_whole_within_a_line() {
        let white = heated!(BinaryColor, RawU1, BigEndian, BinaryColor::On);
        shown(&white).assert_pattern(&[
            "#.#.####", ".#.#####", "#.#.####", ".#.#####", "#.#.####", ".#.#.#.#", "#.#.#.#.",
            ".#.#.#.#",
        ]);
        let black = heated!(BinaryColor, RawU1, BigEndian, BinaryColor::Off);
        shown(&black).assert_pattern(&[
            "....#...", "....#...", "....#...", "....##..", ".....###", "........", "........",
            "........",
        ]);
    }

    #[test]
    fn greys_are_darker_where_it_is_cold() {
        let frame = heated!(Gray4, RawU4, BigEndian, Gray4::new(8));
        shown(&frame).assert_pattern(&[
            "2236F888", "2236F888", "2236F888", "2235FF88", "22245FFF", "22223333", "22222222",
            "22222222",
        ]);
    }

    #[test]
    fn colours_are_of_fire_where_it_is_warm() {
        let frame = heated!(Rgb565, RawU16, LittleEndian, Rgb565::new(8, 16, 8));
        let at = |x, y| frame.pixel(Point::new(x, y)).unwrap();
        assert_eq!(at(0, 7), Rgb565::new(8, 16, 8), "cold: as it was");
        let hot = at(7, 0);
        assert!(hot.r() > 24 && hot.g() > 48, "{hot:?}");
    }

    #[test]
    fn nothing_warm_and_nonsense_change_nothing() {
        let cases = [
            corner(&[0; 4]),
            corner(&[]),
            Heat {
                width: 0,
                ..corner(&[255; 4])
            },
            Heat {
                height: 0,
                ..corner(&[255; 4])
            },
        ];
        for heat in cases {
            let mut frame =
                Framebuffer::<Gray4, RawU4, BigEndian, SIDE, SIDE, { SIDE * SIDE / 2 }>::new();
            frame.clear(Gray4::new(9)).unwrap();
            heat.draw(&mut frame, all()).unwrap();
            assert_eq!(frame.data(), &[0x99; SIDE * SIDE / 2], "{heat:?}");
        }
        // A map of no columns, of more than there are values, and a picture beside the display.
        for (columns, rows) in [(0, 1), (1, 0), (u32::MAX, u32::MAX), (3, 3)] {
            let heat = Heat {
                columns,
                rows,
                ..corner(&[255; 4])
            };
            let mut frame =
                Framebuffer::<Gray4, RawU4, BigEndian, SIDE, SIDE, { SIDE * SIDE / 2 }>::new();
            let beside = Rectangle::new(Point::new(-4, 5), Size::new(9, 200));
            heat.draw(&mut frame, beside).unwrap();
            assert_eq!(frame.pixel(Point::new(7, 0)).map(|c| c.luma()), Some(0));
        }
    }

    #[test]
    fn values_are_mixed_between_the_middles_of_their_places() {
        let cases = [
            (0, 2, 8, (0, 1, 0)),
            (1, 2, 8, (0, 1, 0)),
            (3, 2, 8, (0, 1, 96)),
            (4, 2, 8, (0, 1, 160)),
            (7, 2, 8, (1, 1, 96)),
            (5, 1, 9, (0, 0, 28)),
            (0, 0, 9, (0, 0, 0)),
            (3, 4, 0, (0, 1, 0)),
        ];
        for (at, count, size, expected) in cases {
            assert_eq!(between(at, count, size), expected, "{at} {count} {size}");
        }
    }

    #[test]
    fn fire_goes_from_its_first_colour_to_its_last() {
        assert_eq!(fire(0), FIRE[0]);
        assert_eq!(fire(255), FIRE[15]);
        assert_eq!(fire(17 * 9), FIRE[9]);
    }
}
