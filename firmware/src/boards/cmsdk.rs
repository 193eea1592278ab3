//! What the boards of Arm's MPS2 and MPS3 share: the UART of the CMSDK, and a frame buffer in RAM that
//! stands for a display of 240×240 colours.

use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::pixelcolor::raw::{LittleEndian, RawU16};
use kiln_link::{Display, PixelFormat};

use super::board::{self, WATCHDOG};
use super::register::Block;

const SIDE: usize = 240;
const BYTES: usize = buffer_size::<Rgb565>(SIDE, SIDE);
const _: () = assert!(board::LIMITS.frame == BYTES);

/// A frame buffer.
pub type Frame = Framebuffer<Rgb565, RawU16, LittleEndian, SIDE, SIDE, BYTES>;

pub const DISPLAY: Display = Display {
    width: SIDE as u16,
    height: SIDE as u16,
    format: PixelFormat::Rgb565,
};

const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const INTERRUPT: usize = 0xc;
const DIVIDER: usize = 0x10;

const SEND: u32 = 1;
const RECEIVE: u32 = 2;
const RECEIVE_INTERRUPT: u32 = 8;

/// The board's UART.
#[derive(Clone, Copy, Debug)]
pub struct Uart(pub Block);

impl Uart {
    /// Starts it: 115200 baud, with an interrupt for each byte that comes.
    pub fn start(self) {
        let Self(registers) = self;
        registers.write::<DIVIDER>(board::TICKS_PER_SECOND / 115_200);
        registers.write::<CONTROL>(SEND | RECEIVE | RECEIVE_INTERRUPT);
    }

    /// Takes the interrupt back. A byte that comes from now on asks for it again.
    pub fn acknowledge(self) {
        self.0.write::<INTERRUPT>(RECEIVE);
    }

    /// The byte that has come, if there is one.
    pub fn read(self) -> Option<u8> {
        (self.0.read::<STATE>() & RECEIVE != 0).then(|| self.0.read::<DATA>() as u8)
    }

    /// Sends a byte, as soon as there is room.
    pub fn write(self, byte: u8) {
        while self.0.read::<STATE>() & SEND != 0 {
            WATCHDOG.feed();
        }
        self.0.write::<DATA>(byte.into());
    }
}

pub fn start(_: &Frame) {
    board::UART.start();
}

pub fn line_acknowledge() {
    board::UART.acknowledge();
}

pub fn line_read() -> Option<u8> {
    board::UART.read()
}

pub fn line_write(byte: u8) {
    board::UART.write(byte);
}

/// The frame buffer is all that there is; [`Screen`](kiln_link::Call::Screen) reads it.
pub fn show(_: &Frame) {}
