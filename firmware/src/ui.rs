//! What the display shows: any [`DrawTarget`] from 128×64 in black and white to 240×240 in colour.
//!
//! - [`Screen`]: what is to be seen; [`draw`] draws it.
//! - [`layout`]: where it goes, by the size of the display alone.
//! - [`text`]: lines and paragraphs that stay in their box; [`mod@line`]: what they say.
//! - [`bar`]: how far, or how sure. [`thumbnail`]: the picture, scaled, dithered on black and white.
//!   [`heat`]: which part of it speaks for the answer.
//! - [`palette`]: the colours, and what becomes of them on grey and on black and white.
//!
//! Nothing here panics, whatever the texts, the numbers and the pixels.

mod answer;
pub mod bar;
mod cost;
mod dither;
pub mod heat;
mod icon;
pub mod layout;
pub mod line;
mod message;
pub mod palette;
pub mod text;
pub mod thumbnail;

use embedded_graphics::{draw_target::DrawTarget, image::GetPixel, pixelcolor::Rgb888};

pub use cost::Cost;
pub use heat::Heat;
use layout::Layout;
pub use thumbnail::Thumbnail;

/// What the display shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Screen<'a> {
    /// Nothing has come yet.
    Waiting {
        /// The board's name.
        board: &'a str,
        /// The model's name.
        model: &'a str,
    },
    /// A picture is coming.
    Receiving {
        /// Bytes that have come.
        done: u32,
        /// Bytes that are needed.
        total: u32,
    },
    /// The model runs. Its arena may overwrite the picture afterwards: [`Screen::Answer`] leaves the
    /// picture's area as it is.
    Thinking {
        /// What the model sees, if that can be shown; else Kiln's sign is.
        picture: Option<Thumbnail<'a>>,
    },
    /// The model has run, after [`Screen::Thinking`].
    Answer {
        /// The most probable class.
        best: Guess<'a>,
        /// The class after that.
        second: Option<Guess<'a>>,
        /// What the inference cost.
        cost: Cost,
    },
    /// Something is wrong.
    Fault {
        /// What, in two or three words.
        title: &'a str,
        /// Why, and what to do: wrapped over the lines that there are.
        text: &'a str,
    },
}

/// A display whose pixels can be read again: a frame buffer.
pub trait Canvas:
    DrawTarget<Color: From<Rgb888> + Into<Rgb888>> + GetPixel<Color = <Self as DrawTarget>::Color>
{
}

impl<T> Canvas for T where
    T: DrawTarget<Color: From<Rgb888> + Into<Rgb888>> + GetPixel<Color = <T as DrawTarget>::Color>
{
}

/// A class and how probable it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess<'a> {
    /// The class.
    pub label: &'a str,
    /// 0 to 1; what is outside is brought inside.
    pub probability: f32,
}

impl Guess<'_> {
    /// The probability in thousandths, 0 to 1000, rounded.
    fn permille(&self) -> u32 {
        // `as` gives 0 for what is negative or no number.
        ((self.probability * 1000.0 + 0.5) as u32).min(1000)
    }
}

/// Draws a screen. The whole display is drawn, but for [`Screen::Answer`], which leaves the picture's
/// area.
///
/// # Errors
///
/// Those of the display.
pub fn draw<D>(screen: &Screen<'_>, display: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color: From<Rgb888>>,
{
    let layout = Layout::of(display.bounding_box());
    match screen {
        Screen::Waiting { board, model } => message::waiting(&layout, display, board, model),
        Screen::Receiving { done, total } => message::receiving(&layout, display, *done, *total),
        Screen::Fault { title, text } => message::fault(&layout, display, title, text),
        Screen::Thinking { picture } => answer::thinking(&layout, display, picture.as_ref()),
        Screen::Answer { best, second, cost } => {
            answer::answer(&layout, display, best, second.as_ref(), *cost)
        }
    }
}

/// Draws over the picture of a [`Screen::Answer`] which part of it speaks for the answer.
///
/// # Errors
///
/// Those of the display.
pub fn explain<D: Canvas>(heat: &Heat<'_>, display: &mut D) -> Result<(), D::Error> {
    let layout = Layout::of(display.bounding_box());
    heat.draw(display, layout.picture)
}
