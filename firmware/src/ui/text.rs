//! Lines of text that never leave their box, paragraphs, and numbers without `core::fmt`.

use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::Point,
    mono_font::{MonoFont, MonoTextStyle},
    pixelcolor::Rgb888,
    primitives::Rectangle,
    text::{Baseline, renderer::TextRenderer},
};
use heapless::String;

/// The bytes of the longest line.
pub const LINE: usize = 128;

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
    let free = area.size.width as i32 - width(style.font, &text) as i32;
    let indent = match style.align {
        Align::Left => 0,
        Align::Middle => free / 2,
        Align::Right => free,
    };
    let start = area.top_left + Point::new(indent, 0);
    MonoTextStyle::new(style.font, style.ink.into()).draw_string(
        &text,
        start,
        Baseline::Top,
        display,
    )?;
    Ok(())
}

/// How many characters fit into `width` pixels.
pub fn columns(font: &MonoFont<'_>, width: u32) -> usize {
    width.checked_div(font.character_size.width).unwrap_or(0) as usize
}

/// The pixels that `text` takes.
pub fn width(font: &MonoFont<'_>, text: &str) -> u32 {
    text.chars().count() as u32 * font.character_size.width
}

/// `text` in characters that the fonts have, at most `columns` of them; where some are left out, the
/// last are dots.
pub fn cut(text: &str, columns: usize) -> String<LINE> {
    let mut line = String::new();
    let whole = text.chars().count() <= columns;
    let kept = if whole {
        columns
    } else {
        columns.saturating_sub(2)
    };
    for character in text.chars().take(kept) {
        push(&mut line, printable(character));
    }
    if !whole {
        for _ in 0..columns.min(2) {
            push(&mut line, '.');
        }
    }
    line
}

/// Adds a character if there is room.
pub fn push<const N: usize>(line: &mut String<N>, character: char) {
    // What does not fit is left out: lines are longer than displays are wide.
    let _ = line.push(character);
}

/// Adds a text as far as there is room.
pub fn push_str<const N: usize>(line: &mut String<N>, text: &str) {
    text.chars().for_each(|character| push(line, character));
}

/// Adds a number in decimal.
pub fn push_number<const N: usize>(line: &mut String<N>, mut value: u32) {
    let mut power = 1_000_000_000;
    let mut started = false;
    while power > 0 {
        let mut digit = b'0';
        while value >= power {
            value -= power;
            digit += 1;
        }
        started |= digit > b'0' || power == 1;
        if started {
            push(line, digit as char);
        }
        power /= 10;
    }
}

/// The character, or one that the fonts (ISO 8859-1) have in its place.
fn printable(character: char) -> char {
    match character {
        ' '..='~' | '\u{a1}'..='\u{ff}' => character,
        c if c.is_control() || c.is_whitespace() => ' ',
        _ => '?',
    }
}

/// Draws a paragraph from the top of `area`, broken at spaces; what does not fit is left out.
///
/// # Errors
///
/// Those of the display.
pub fn wrapped<D>(
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
    let mut rest = text.trim();
    for number in 0..lines {
        let last = number + 1 == lines;
        let (taken, left) = if last {
            (rest, "")
        } else {
            broken(rest, columns)
        };
        line(
            display,
            super::layout::rows(area, number * height, height),
            style,
            taken,
        )?;
        rest = left;
    }
    Ok(())
}

/// The first line of `text` and what follows it.
fn broken(text: &str, columns: usize) -> (&str, &str) {
    let Some((most, _)) = text.char_indices().nth(columns) else {
        return (text, "");
    };
    let space = text
        .char_indices()
        .take(columns + 1)
        .filter(|(_, c)| *c == ' ')
        .last();
    let end = space.map_or(most, |(at, _)| at);
    let (taken, left) = text.split_at_checked(end).unwrap_or((text, ""));
    (taken, left.trim_start())
}
