//! What a host and a board say to each other over a serial line. No standard library, no heap.
//!
//! The host asks, the board answers: one [`Reply`] to each [`Request`], with its number. A request that
//! comes again, the same by its CRC, is answered again and not done again, so a lost answer costs a retry. Each is a frame of its own (see [`frame`]).

#![no_std]

#[cfg(test)]
extern crate std;

pub mod frame;
mod message;
#[cfg(test)]
mod testing;

pub use message::{
    Answer, Call, CallError, Display, FrameError, Hello, Inferred, Memory, PixelFormat, Reply,
    Request, Top,
};

/// The version of what is said. It is the first byte of every frame's content, so that each side can
/// tell that the other speaks another version.
pub const VERSION: u8 = 1;

/// The most bytes of data in one message.
pub const CHUNK: usize = 512;

/// The most bytes of a message, before framing.
pub const MAX_MESSAGE: usize = CHUNK + 128;

/// The most bytes of a name in a message.
pub const MAX_NAME: usize = 64;

/// A text, cut to the length of a name.
pub fn cut(text: &str) -> &str {
    let len = text.floor_char_boundary(MAX_NAME);
    text.get(..len).unwrap_or_default()
}
