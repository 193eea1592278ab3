//! Lines of text that never leave their box, and paragraphs.

use super::{
    layout::rows,
    line::{ELLIPSIS, Line, cut},
};
use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::{Point, Size},
    mono_font::{MonoFont, MonoTextStyle},
    pixelcolor::Rgb888,
    primitives::Rectangle,
    text::{Baseline, renderer::TextRenderer},
};

/// Where a line stands in its box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the left.
    Left,
    /// In the middle.
    Middle,
    /// At the right.
    Right,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// The font.
    pub font: &'static MonoFont<'static>,
    /// The colour. The ground stays as it is.
    pub ink: Rgb888,
    /// Where the line stands.
    pub align: Align,
}

/// Draws a line at the top of `area`, cut with an ellipsis where it is wider.
///
/// # Errors
///
/// Those of the display.
pub fn line<D>(display: &mut D, area: Rectangle, style: &Style, text: &str) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    let text = cut(text, columns(style.font, area.size.width));
    let free = area.size.width.saturating_sub(width(style.font, &text));
    let indent = match style.align {
        Align::Left => 0,
        Align::Middle => free / 2,
        Align::Right => free,
    };
    let mut at = area.top_left + Point::new(indent as i32, 0);
    let mono = MonoTextStyle::new(style.font, style.ink.into());
    for (number, part) in text.split(ELLIPSIS).enumerate() {
        if number > 0 {
            at = dots(display, at, style)?;
        }
        at = mono.draw_string(part, at, Baseline::Top, display)?;
    }
    Ok(())
}

/// Draws an ellipsis as one character and gives the place of the next.
fn dots<D>(display: &mut D, at: Point, style: &Style) -> Result<Point, D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    let width = style.font.character_size.width;
    let step = width.div_ceil(3);
    let dot = Size::new_equal(step.saturating_sub(1).clamp(1, 2));
    let foot = style.font.baseline + 1;
    for number in 0..3 {
        let corner = Point::new((number * step) as i32, foot as i32 - dot.height as i32);
        display.fill_solid(&Rectangle::new(at + corner, dot), style.ink.into())?;
    }
    Ok(at + Point::new(width as i32, 0))
}

/// Draws a paragraph from the top of `area`, broken at spaces. If there are not enough lines, the last
/// one is cut.
///
/// # Errors
///
/// Those of the display.
pub fn paragraph<D>(
    display: &mut D,
    area: Rectangle,
    style: &Style,
    text: &str,
) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    let height = style.font.character_size.height;
    let lines = area.size.height.checked_div(height).unwrap_or(0);
    let columns = columns(style.font, area.size.width);
    let mut rest = text.trim_ascii();
    for number in 0..lines {
        let (taken, left) = if number + 1 == lines {
            (rest, "")
        } else {
            split(rest, columns)
        };
        line(display, rows(area, number * height, height), style, taken)?;
        rest = left;
    }
    Ok(())
}

/// The first line of a paragraph, and what follows it.
fn split(text: &str, columns: usize) -> (&str, &str) {
    // Where the first character is that has no room any more.
    let Some((most, next)) = text.char_indices().nth(columns.max(1)) else {
        return (text, "");
    };
    let (full, _) = text.split_at_checked(most).unwrap_or((text, ""));
    // Not `str::rfind`, which can panic as far as the compiler sees.
    let space = || {
        full.char_indices()
            .rfind(|&(_, character)| character == ' ')
    };
    let end = match next {
        ' ' => most,
        _ => space().map_or(most, |(at, _)| at),
    };
    let (taken, left) = text.split_at_checked(end).unwrap_or((text, ""));
    (taken, left.trim_ascii_start())
}

/// How many characters fit into `width` pixels.
pub fn columns(font: &MonoFont<'_>, width: u32) -> usize {
    width.checked_div(font.character_size.width).unwrap_or(0) as usize
}

/// The pixels that a line takes.
pub fn width(font: &MonoFont<'_>, line: &Line) -> u32 {
    line.chars().count() as u32 * font.character_size.width
}

#[cfg(test)]
mod tests {
    use embedded_graphics::{
        mock_display::MockDisplay,
        mono_font::iso_8859_1::{FONT_5X8, FONT_6X10},
        pixelcolor::BinaryColor,
    };

    use super::*;

    #[test]
    fn paragraphs_break_at_spaces() {
        let cases = [
            ("one two three", 7, ("one two", "three")),
            ("one two three", 8, ("one two", "three")),
            ("one two three", 6, ("one", "two three")),
            ("unbreakable", 4, ("unbr", "eakable")),
            ("short", 5, ("short", "")),
            ("çççç çç", 4, ("çççç", "çç")),
            ("zero", 0, ("z", "ero")),
        ];
        for (text, columns, expected) in cases {
            assert_eq!(split(text, columns), expected, "{text:?} in {columns}");
        }
    }

    #[test]
    fn a_line_stays_in_its_box() {
        let draw = |text, align, width| {
            let mut display = MockDisplay::<BinaryColor>::new();
            let style = Style {
                font: &FONT_5X8,
                ink: Rgb888::new(255, 255, 255),
                align,
            };
            let area = Rectangle::new(Point::new(0, 0), Size::new(width, 8));
            line(&mut display, area, &style, text).unwrap();
            display
        };
        let cases: [(&str, Align, u32, [&str; 7]); 3] = [
            (
                "lion",
                Align::Left,
                14,
                [
                    "          ",
                    " ##       ",
                    "  #       ",
                    "  #       ",
                    "  #       ",
                    "  #       ",
                    " ### # # #",
                ],
            ),
            (
                "l",
                Align::Right,
                8,
                [
                    "       ", "    ## ", "     # ", "     # ", "     # ", "     # ", "    ###",
                ],
            ),
            (
                "l",
                Align::Middle,
                8,
                [
                    "     ", "  ## ", "   # ", "   # ", "   # ", "   # ", "  ###",
                ],
            ),
        ];
        for (text, align, width, pattern) in cases {
            draw(text, align, width).assert_pattern(&pattern);
        }
    }

    #[test]
    fn a_paragraph_stays_in_its_box() {
        let mut display = MockDisplay::<BinaryColor>::new();
        let style = Style {
            font: &FONT_6X10,
            ink: Rgb888::new(255, 255, 255),
            align: Align::Left,
        };
        let area = Rectangle::new(Point::new(2, 3), Size::new(59, 25));
        let text = "far more words than fit into two lines of nine letters";
        paragraph(&mut display, area, &style, text).unwrap();
        let drawn = display.affected_area();
        assert!(area.contains(drawn.top_left), "{drawn:?}");
        assert!(
            drawn
                .bottom_right()
                .is_some_and(|corner| area.contains(corner)),
            "{drawn:?}"
        );
        assert!(drawn.size.height > 10, "there are two lines: {drawn:?}");
    }
}
