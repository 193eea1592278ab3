//! Cortex-M7 on MPS2, image AN500.

use super::cmsdk::Uart;
use super::interrupt::Interrupt;
use super::register::Block;
use super::watchdog::Watchdog;

pub use super::cmsdk::{DISPLAY, Frame, line_acknowledge, line_read, line_write, show, start};
pub use crate::plan::MPS2_AN500 as LIMITS;

/// The core's clock.
pub const TICKS_PER_SECOND: u32 = 25_000_000;

/// The receive interrupt of UART0.
pub const LINE_INTERRUPT: Interrupt = Interrupt(0);
/// The watchdog's is not masked.
pub const WATCHDOG_INTERRUPT: Option<Interrupt> = None;

// SAFETY: UART0 is here, used here alone, with no DMA.
pub const UART: Uart = Uart(unsafe { Block::at(0x4000_4000) });

pub const WATCHDOG: Watchdog = Watchdog {
    // SAFETY: the watchdog is here, and nothing else of the program uses it.
    registers: unsafe { Block::at(0x4000_8000) },
    frequency: TICKS_PER_SECOND,
};
