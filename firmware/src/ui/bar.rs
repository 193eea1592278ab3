//! A horizontal bar that is filled in part.

use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::{Point, Size},
    pixelcolor::Rgb888,
    primitives::{PointsIter, Rectangle},
};

use super::palette::{FAINT, GLOW, TRACK};

/// Draws a bar with a border of a pixel, filled from the left by `permille` thousandths. Every pixel
/// of `area` is drawn once.
///
/// # Errors
///
/// Those of the display.
pub fn bar<D>(display: &mut D, area: Rectangle, permille: u32) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    let inside = Rectangle::new(
        area.top_left + Point::new(1, 1),
        area.size.saturating_sub(Size::new(2, 2)),
    );
    let filled = inside.top_left.x + (inside.size.width * permille.min(1000) / 1000) as i32;
    let colour = |point: Point| match (inside.contains(point), point.x < filled) {
        (false, _) => FAINT,
        (true, true) => GLOW,
        (true, false) => TRACK,
    };
    display.fill_contiguous(&area, area.points().map(|point| colour(point).into()))
}
