//! Screens of text: waiting, receiving, an error.

use embedded_graphics::{draw_target::DrawTarget, pixelcolor::Rgb888};
use heapless::String;

use super::{
    bar::bar,
    layout::{Layout, inset, rows},
    palette::{ALARM, FAINT, INK, PAPER},
    text::{Align, LINE, Style, line, push, push_number, wrapped},
};

/// Who is here, and what is waited for.
pub fn waiting<D>(
    layout: &Layout,
    display: &mut D,
    board: &str,
    model: &str,
) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.clear(PAPER.into())?;
    let page = inset(layout.whole, layout.gap);
    let title = layout.title.character_size.height;
    let body = layout.body.character_size.height;
    let style = |font, ink| Style {
        font,
        ink,
        align: Align::Middle,
    };
    let top = (layout.whole.size.height - (title + 3 * body + 3 * layout.gap)) / 2;
    line(
        display,
        rows(page, top, title),
        &style(layout.title, INK),
        model,
    )?;
    let top = top + title + layout.gap;
    line(
        display,
        rows(page, top, body),
        &style(layout.body, FAINT),
        board,
    )?;
    let top = top + body + 2 * layout.gap;
    line(
        display,
        rows(page, top, body),
        &style(layout.body, FAINT),
        "send a picture",
    )
}

/// How much has come.
pub fn receiving<D>(layout: &Layout, display: &mut D, done: u32, total: u32) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.clear(PAPER.into())?;
    let permille = (u64::from(done) * 1000)
        .checked_div(u64::from(total))
        .unwrap_or(0)
        .min(1000) as u32;
    let page = inset(layout.whole, layout.gap);
    let title = layout.title.character_size.height;
    let body = layout.body.character_size.height;
    let style = |font, ink| Style {
        font,
        ink,
        align: Align::Middle,
    };
    let top = (layout.whole.size.height - (title + body + layout.bar + 2 * layout.gap)) / 2;
    line(
        display,
        rows(page, top, title),
        &style(layout.title, INK),
        "Receiving",
    )?;
    let top = top + title + layout.gap;
    bar(display, rows(page, top, layout.bar), permille)?;
    let top = top + layout.bar + layout.gap;
    let mut percent: String<LINE> = String::new();
    push_number(&mut percent, permille / 10);
    push(&mut percent, '%');
    line(
        display,
        rows(page, top, body),
        &style(layout.body, FAINT),
        &percent,
    )
}

/// What is wrong.
pub fn fault<D>(layout: &Layout, display: &mut D, title: &str, text: &str) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.clear(PAPER.into())?;
    let head = rows(
        layout.whole,
        0,
        layout.title.character_size.height + layout.gap,
    );
    display.fill_solid(&head, ALARM.into())?;
    let style = Style {
        font: layout.title,
        ink: PAPER,
        align: Align::Left,
    };
    let page = inset(layout.whole, layout.gap);
    line(
        display,
        rows(page, layout.gap / 2, head.size.height),
        &style,
        title,
    )?;
    let style = Style {
        font: layout.body,
        ink: INK,
        align: Align::Left,
    };
    let top = head.size.height + layout.gap;
    let height = layout.whole.size.height.saturating_sub(top);
    wrapped(display, rows(page, top, height), &style, text)
}
