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

#[cfg(test)]
mod tests {
    use embedded_graphics::{mock_display::MockDisplay, pixelcolor::BinaryColor};

    use super::*;

    #[test]
    fn filled_from_the_left_within_a_border() {
        let cases = [
            (0, ["##########", "#........#", "##########"]),
            (500, ["##########", "#####....#", "##########"]),
            (999, ["##########", "########.#", "##########"]),
            (1000, ["##########", "##########", "##########"]),
            (u32::MAX, ["##########", "##########", "##########"]),
        ];
        for (permille, pattern) in cases {
            let mut display = MockDisplay::<BinaryColor>::new();
            let area = Rectangle::new(Point::zero(), Size::new(10, 3));
            bar(&mut display, area, permille).unwrap();
            display.assert_pattern(&pattern);
        }
    }

    #[test]
    fn too_small_for_an_inside() {
        let mut display = MockDisplay::<BinaryColor>::new();
        let area = Rectangle::new(Point::zero(), Size::new(3, 1));
        bar(&mut display, area, 500).unwrap();
        display.assert_pattern(&["###"]);
    }
}
