//! Screens of text: waiting, receiving, an error.

use embedded_graphics::{draw_target::DrawTarget, pixelcolor::Rgb888};

use super::{
    bar::bar,
    icon::{SIDE, icon},
    layout::{Layout, inset, rows},
    line::{Line, push_number, push_str},
    palette::{FAINT, INK, PAPER, alarm},
    text::{Align, Style, line, paragraph},
};

/// Who is here.
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
    let (title, body) = layout.line_heights();
    let side = SIDE * (page.size.height / (3 * SIDE)).max(1);
    let height = side + title + 2 * body + 3 * layout.gap;
    let top = page.size.height.saturating_sub(height) / 2;
    icon(display, rows(page, top, side))?;
    let top = top + side + layout.gap;
    line(
        display,
        rows(page, top, title),
        &centred(layout.title, INK),
        model,
    )?;
    let top = top + title + layout.gap;
    line(
        display,
        rows(page, top, body),
        &centred(layout.body, FAINT),
        board,
    )?;
    let top = top + body + layout.gap;
    line(
        display,
        rows(page, top, body),
        &centred(layout.body, FAINT),
        "ready",
    )
}

/// How much has come.
pub fn receiving<D>(layout: &Layout, display: &mut D, done: u32, total: u32) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.clear(PAPER.into())?;
    let page = inset(layout.whole, layout.gap);
    let (title, body) = layout.line_heights();
    let height = title + layout.bar + body + 2 * layout.gap;
    let top = page.size.height.saturating_sub(height) / 2;
    line(
        display,
        rows(page, top, title),
        &centred(layout.title, INK),
        "Receiving",
    )?;
    let top = top + title + layout.gap;
    let share = permille(done, total);
    bar(display, rows(page, top, layout.bar), share)?;
    let top = top + layout.bar + layout.gap;
    let mut percent = Line::new();
    push_number(&mut percent, share / 10, 1);
    push_str(&mut percent, "%");
    line(
        display,
        rows(page, top, body),
        &centred(layout.body, FAINT),
        &percent,
    )
}

/// What is wrong.
pub fn fault<D>(layout: &Layout, display: &mut D, title: &str, text: &str) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    display.clear(PAPER.into())?;
    let page = inset(layout.whole, layout.gap);
    let (height, _) = layout.line_heights();
    let head = rows(layout.whole, 0, height + layout.gap);
    display.fill_solid(&head, alarm::<D::Color>().into())?;
    let style = Style {
        font: layout.title,
        ink: PAPER,
        align: Align::Left,
    };
    line(display, rows(page, layout.gap / 2, height), &style, title)?;
    let style = Style {
        font: layout.body,
        ink: INK,
        align: Align::Left,
    };
    let top = head.size.height + layout.gap;
    let rest = layout.whole.size.height.saturating_sub(top);
    paragraph(display, rows(page, top, rest), &style, text)
}

fn centred(font: &'static embedded_graphics::mono_font::MonoFont<'static>, ink: Rgb888) -> Style {
    Style {
        font,
        ink,
        align: Align::Middle,
    }
}

/// `done` of `total` in thousandths, at most 1000; of nothing, 0. Without division of 64 bits, which
/// is a kilobyte of program.
fn permille(done: u32, total: u32) -> u32 {
    let places = (u32::BITS - total.leading_zeros()).saturating_sub(22);
    let share = ((done.min(total) >> places) * 1000).checked_div(total >> places);
    share.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_of_any_numbers() {
        let cases = [
            (0, 0, 0),
            (1, 0, 0),
            (1, 3, 333),
            (4, 3, 1000),
            (2_097_152, 4_194_304, 500),
            (u32::MAX / 4, u32::MAX, 249),
            (u32::MAX, u32::MAX, 1000),
        ];
        for (done, total, share) in cases {
            assert_eq!(permille(done, total), share, "{done} of {total}");
        }
    }
}
