//! Where things go. A display much wider than high has the picture on the left and the texts on its
//! right; all others have the picture on top and the texts below.
//!
//! ```text
//! ┌───────┬─────────┐    ┌───────────────┐
//! │       │ label   │    │   ┌───────┐   │
//! │picture│ bar     │    │   │picture│   │
//! │       │ second  │    │   └───────┘   │
//! │       │ cost    │    │ label         │
//! └───────┴─────────┘    │ bar           │
//!                        │ second   cost │
//!                        └───────────────┘
//! ```

use embedded_graphics::{
    geometry::{AnchorPoint, Point, Size},
    mono_font::{
        MonoFont,
        iso_8859_1::{FONT_5X8, FONT_6X10, FONT_6X13, FONT_8X13, FONT_9X18_BOLD, FONT_10X20},
    },
    primitives::Rectangle,
    transform::Transform,
};

/// Where things go on a display.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// The display.
    pub whole: Rectangle,
    /// The picture.
    pub picture: Rectangle,
    /// The texts beside or below the picture: all that [`Screen::Answer`](super::Screen::Answer) draws on.
    pub panel: Rectangle,
    /// Whether the panel is beside the picture.
    pub beside: bool,
    /// For labels and titles.
    pub title: &'static MonoFont<'static>,
    /// For the rest.
    pub body: &'static MonoFont<'static>,
    /// Pixels between things.
    pub gap: u32,
    /// The height of bars in pixels.
    pub bar: u32,
}

impl Layout {
    /// The layout of a display of these bounds.
    // Inlined, so that a display of fixed size brings its own fonts alone.
    #[inline(always)]
    pub fn of(whole: Rectangle) -> Self {
        let Size { width, height } = whole.size;
        let (title, body, gap, bar) = match width.min(height) {
            0..96 => (&FONT_6X13, &FONT_5X8, 4, 8),
            96..200 => (&FONT_9X18_BOLD, &FONT_6X10, 4, 10),
            _ => (&FONT_10X20, &FONT_8X13, 8, 16),
        };
        let beside = 2 * width >= 3 * height;
        let (picture, panel) = if beside {
            let side = height.min(width / 2);
            let left = whole.resized(Size::new_equal(side), AnchorPoint::TopLeft);
            let rest = Size::new(width.saturating_sub(side + gap), height);
            (left, whole.resized(rest, AnchorPoint::TopRight))
        } else {
            let lines = title.character_size.height + bar + body.character_size.height + 4 * gap;
            let side = height.saturating_sub(lines).min(width);
            let margin = Point::new(0, gap as i32);
            let square = Size::new_equal(side.saturating_sub(gap));
            let top = whole
                .resized(square, AnchorPoint::TopCenter)
                .translate(margin);
            let rest = Size::new(width, height - side);
            (top, whole.resized(rest, AnchorPoint::BottomLeft))
        };
        Self {
            whole,
            picture,
            panel,
            beside,
            title,
            body,
            gap,
            bar,
        }
    }

    /// The heights of a line in the title's font and in the body's.
    pub fn line_heights(&self) -> (u32, u32) {
        (
            self.title.character_size.height,
            self.body.character_size.height,
        )
    }
}

/// A part of `rectangle`: `height` rows, `top` rows below its top.
pub(super) fn rows(rectangle: Rectangle, top: u32, height: u32) -> Rectangle {
    let corner = rectangle.top_left + Point::new(0, top as i32);
    Rectangle::new(corner, Size::new(rectangle.size.width, height))
}

/// `rectangle` without `margin` columns at its left and right.
pub(super) fn inset(rectangle: Rectangle, margin: u32) -> Rectangle {
    let width = rectangle.size.width.saturating_sub(2 * margin);
    rectangle.resized(Size::new(width, rectangle.size.height), AnchorPoint::Center)
}
