//! The picture, and what the model makes of it.

use embedded_graphics::{
    draw_target::DrawTarget,
    geometry::{AnchorPoint, Size},
    mono_font::MonoFont,
    pixelcolor::Rgb888,
    primitives::Rectangle,
};

use super::{
    Guess, Thumbnail,
    bar::bar,
    cost::Cost,
    icon::icon,
    layout::{Layout, inset, rows},
    line::{Line, cut, push_number, push_str},
    palette::{FAINT, INK, PAPER},
    text::{Align, Style, columns, line, width},
};

/// The picture, while the model runs.
pub fn thinking<D>(
    layout: &Layout,
    display: &mut D,
    picture: Option<&Thumbnail<'_>>,
) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.clear(PAPER.into())?;
    match picture {
        Some(picture) => picture.draw(display, layout.picture)?,
        None => {
            let middle = layout.picture.size / 2;
            icon(display, layout.picture.resized(middle, AnchorPoint::Center))?;
        }
    }
    let (_, body) = layout.line_heights();
    let top = layout.panel.size.height.saturating_sub(body) / 2;
    let style = Style {
        font: layout.body,
        ink: FAINT,
        align: Align::Middle,
    };
    line(display, rows(layout.panel, top, body), &style, "thinking")
}

/// What the model makes of it.
pub fn answer<D>(
    layout: &Layout,
    display: &mut D,
    best: &Guess<'_>,
    second: Option<&Guess<'_>>,
    cost: Cost,
) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.fill_solid(&layout.panel, PAPER.into())?;
    let style = |font, ink, align| Style { font, ink, align };
    let label = style(layout.title, INK, Align::Left);
    let small = style(layout.body, FAINT, Align::Left);
    let right = style(layout.body, FAINT, Align::Right);
    let (title, body) = layout.line_heights();
    let sure = percent(best);
    let spelled = cost.spelled();

    if layout.beside {
        let panel = layout.panel;
        line(display, rows(panel, 0, title), &label, best.label)?;
        let top = title + layout.gap / 2;
        bar(display, rows(panel, top, layout.bar), best.permille())?;
        let top = top + layout.bar + layout.gap / 2;
        line(display, rows(panel, top, title), &label, &sure)?;
        let bottom = panel.size.height.saturating_sub(body);
        let text = with_percent(second, layout.body, panel.size.width);
        let above = bottom.saturating_sub(body + 1);
        line(display, rows(panel, above, body), &small, &text)?;
        line(display, rows(panel, bottom, body), &small, &spelled)
    } else {
        let panel = inset(layout.panel, layout.gap);
        let top = layout.gap;
        let head = rows(panel, top, title);
        let loud = style(layout.title, INK, Align::Right);
        line(display, head, &loud, &sure)?;
        line(
            display,
            without(head, &sure, layout.title),
            &label,
            best.label,
        )?;
        let top = top + title + layout.gap / 2;
        bar(display, rows(panel, top, layout.bar), best.permille())?;
        let top = top + layout.bar + layout.gap;
        let foot = rows(panel, top, body);
        line(display, foot, &right, &spelled)?;
        let rest = without(foot, &spelled, layout.body);
        let text = with_percent(second, layout.body, rest.size.width);
        line(display, rest, &small, &text)
    }
}

/// What is left of `row` beside a text at its right end.
fn without(row: Rectangle, text: &Line, font: &MonoFont<'_>) -> Rectangle {
    let taken = width(font, text) + font.character_size.width;
    let rest = row.size.saturating_sub(Size::new(taken, 0));
    row.resized(rest, AnchorPoint::TopLeft)
}

/// The label, cut where it and the percentage are wider than `room` pixels, and the percentage.
fn with_percent(guess: Option<&Guess<'_>>, font: &MonoFont<'_>, room: u32) -> Line {
    let Some(guess) = guess else {
        return Line::new();
    };
    let percent = percent(guess);
    let room = columns(font, room).saturating_sub(percent.len() + 1);
    let mut text = cut(guess.label, room);
    push_str(&mut text, " ");
    push_str(&mut text, &percent);
    text
}

/// The probability in per cent, rounded.
fn percent(guess: &Guess<'_>) -> Line {
    let mut text = Line::new();
    push_number(&mut text, (guess.permille() + 5) / 10, 1);
    push_str(&mut text, "%");
    text
}
