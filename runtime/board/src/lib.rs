//! A board from the host: serial ports and emulators, firmware, the host's side of the link.
//!
//! - [`boards`]: the boards that QEMU plays.
//! - [`firmware`]: builds a board's program around a model, with cargo.
//! - [`qemu`]: a board in QEMU, its serial line and its display.
//! - [`port`]: bytes to and from a board, real or emulated.
//! - [`client`]: what can be asked of a board, with time-outs and retries.
//! - [`screen`]: the bytes of a frame buffer as a picture.
//!
//! Emulators are talked to over Unix sockets.

pub mod boards;
pub mod client;
pub mod firmware;
pub mod port;
pub mod qemu;
pub mod screen;

pub use boards::Emulated;
pub use client::{About, Board, BoardError};
pub use port::{Address, Port};
