//! Kiln's sign: a fire under a vault.

use core::num::NonZeroU32;

use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::{AnchorPoint, Size},
    pixelcolor::Rgb888,
    primitives::{PointsIter, Rectangle},
};

use super::palette::{GLOW, PAPER};

/// Columns and rows.
pub const SIDE: u32 = 16;

/// A row a number, its leftmost pixel in the highest bit.
const ROWS: [u16; SIDE as usize] = [
    0b0000011111100000,
    0b0001100000011000,
    0b0010000000000100,
    0b0100000100000010,
    0b0100000110000010,
    0b1000001110000001,
    0b1000001111010001,
    0b1000011111011001,
    0b1000110111111001,
    0b1001110011111001,
    0b1001100001111001,
    0b1001100001110001,
    0b1000110001110001,
    0b1000011111100001,
    0b1000000000000001,
    0b1111111111111111,
];

/// Draws the sign in the middle of `area`, each of its pixels a square as large as there is room for.
///
/// # Errors
///
/// Those of the display.
pub fn icon<D>(display: &mut D, area: Rectangle) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    let scale = NonZeroU32::new(area.size.width.min(area.size.height) / SIDE);
    let scale = scale.unwrap_or(NonZeroU32::MIN);
    let place = area.resized(Size::new_equal(SIDE * scale.get()), AnchorPoint::Center);
    let colours = place.points().map(|point| {
        let at = point - place.top_left;
        let row = ROWS
            .get((at.y as u32 / scale) as usize)
            .copied()
            .unwrap_or(0);
        let lit = row << (at.x as u32 / scale) & 0x8000 != 0;
        if lit { GLOW } else { PAPER }.into()
    });
    display.fill_contiguous(&place, colours)
}
