//! The picture, and what the model makes of it.

use embedded_graphics::{draw_target::DrawTarget, pixelcolor::Rgb888};
use heapless::String;

use super::{
    Cost, Guess, Thumbnail,
    bar::bar,
    layout::{Layout, inset, rows},
    palette::{FAINT, INK, PAPER},
    text::{Align, LINE, Style, line, push, push_number, push_str},
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
    if let Some(picture) = picture {
        picture.draw(display, layout.picture)?;
    }
    let style = Style {
        font: layout.body,
        ink: FAINT,
        align: Align::Middle,
    };
    let height = layout.body.character_size.height;
    let top = (layout.panel.size.height - height) / 2;
    line(display, rows(layout.panel, top, height), &style, "thinking")
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
    let panel = if layout.beside {
        layout.panel
    } else {
        inset(layout.panel, layout.gap)
    };
    let title = layout.title.character_size.height;
    let body = layout.body.character_size.height;
    let top = layout.gap / 2;
    line(
        display,
        rows(panel, top, title),
        &style(layout.title, INK, Align::Left),
        best.label,
    )?;
    let top = top + title + layout.gap;
    bar(display, rows(panel, top, layout.bar), best.permille())?;
    let top = top + layout.bar + layout.gap;
    if let Some(second) = second {
        let mut text: String<LINE> = String::new();
        push_str(&mut text, second.label);
        push(&mut text, ' ');
        push_number(&mut text, second.permille() / 10);
        push(&mut text, '%');
        line(
            display,
            rows(panel, top, body),
            &style(layout.body, FAINT, Align::Left),
            &text,
        )?;
    }
    let top = if layout.beside {
        layout.panel.size.height - body
    } else {
        top
    };
    line(
        display,
        rows(panel, top, body),
        &style(layout.body, FAINT, Align::Right),
        &spelled(cost),
    )
}

/// The cost in three digits and a unit; what is less than the last digit is left out.
fn spelled(cost: Cost) -> String<LINE> {
    let mut text = String::new();
    let (mut value, units, name) = match cost {
        Cost::Milliseconds(time) => (u64::from(time), [" ms", " s", " ks", "", ""], ""),
        Cost::Instructions(count) => (count, [" ", " k ", " M ", " G ", " T "], "instr"),
    };
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or("");
    let mut thousandths = 0;
    while value >= 1000 {
        thousandths = (value % 1000) as u32;
        value /= 1000;
        unit = units.next().unwrap_or("");
    }
    push_number(&mut text, value as u32);
    if value < 100 && !unit.trim().is_empty() {
        push(&mut text, '.');
        push_number(&mut text, thousandths / 100);
    }
    push_str(&mut text, unit);
    push_str(&mut text, name);
    text
}
