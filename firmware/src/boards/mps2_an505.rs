//! Cortex-M33 on MPS2, image AN505; the program is secure.

use super::cmsdk::Uart;
use super::interrupt::Interrupt;
use super::register::Block;
use super::watchdog::Watchdog;

pub use super::cmsdk::{DISPLAY, Frame, line_acknowledge, line_read, line_write, show, start};
pub use crate::plan::MPS2_AN505 as LIMITS;

/// The core's clock.
pub const TICKS_PER_SECOND: u32 = 20_000_000;

/// The receive interrupt of UART0.
pub const LINE_INTERRUPT: Interrupt = Interrupt(32);
/// The watchdog's is not masked.
pub const WATCHDOG_INTERRUPT: Option<Interrupt> = None;

// SAFETY: UART0 is here, used here alone, with no DMA.
pub const UART: Uart = Uart(unsafe { Block::at(0x5020_0000) });

pub const WATCHDOG: Watchdog = Watchdog {
    // SAFETY: the watchdog is here, and nothing else of the program uses it.
    registers: unsafe { Block::at(0x5002_e000) },
    frequency: 32_768,
};
