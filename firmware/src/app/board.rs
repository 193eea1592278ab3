use core::convert::Infallible;

use kiln_core::operators::Operators;
use kiln_link::{Display, Memory};

use crate::ui::Canvas;

/// What the app needs of a board. Nothing of it fails.
pub trait Board {
    /// The operators that are linked: those of its model, or all.
    type Operators: Operators;
    /// The frame buffer.
    type Frame: Canvas<Error = Infallible>;

    /// Its name.
    const NAME: &'static str;
    /// The most columns and rows of a picture.
    const LARGEST: [u16; 2];
    /// What the frame buffer holds.
    const DISPLAY: Display;
    /// Ticks of the clock in a second.
    const TICKS_PER_SECOND: u32;
    /// In an emulator that counts instructions, nanoseconds for each of them; else 0.
    const NANOSECONDS_PER_INSTRUCTION: u16;

    /// A byte of the line, if one has come.
    fn receive(&mut self) -> Option<u8>;

    /// Sleeps until something happens, if no byte has come. False if none will ever come.
    fn wait(&mut self) -> bool;

    /// Sends bytes over the line, all of them.
    fn send(&mut self, bytes: &[u8]);

    /// The clock. It wraps.
    fn ticks(&mut self) -> u32;

    /// Tells the watchdog that all is well.
    fn feed(&mut self);

    /// The frame buffer, to be drawn on.
    fn frame(&mut self) -> &mut Self::Frame;

    /// The frame buffer's bytes.
    fn frame_bytes(&self) -> &[u8];

    /// Brings the frame buffer to the display.
    fn show(&mut self);

    /// What made the board start again, if it was an error.
    fn last_fault(&self) -> Option<&str>;

    /// What the linker and the stack tell. The app fills in arena and model; `program` counts the whole
    /// image, the model too.
    fn memory(&self) -> Memory;

    /// Does something wrong, for tests of what happens then; or runs a loop of known length and gives the
    /// ticks that it took. None if there is nothing like it.
    #[cfg(feature = "fault")]
    fn crash(&mut self, how: u16) -> Option<u32>;
}
