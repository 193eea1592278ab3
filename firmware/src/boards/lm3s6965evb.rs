//! Cortex-M3 LM3S6965 with an SSD0323 OLED display.

use core::convert::Infallible;

use embedded_hal::digital::{self, OutputPin};
use embedded_hal::spi::{self, Operation, SpiDevice};
use kiln_link::{Display, PixelFormat};

use super::interrupt::Interrupt;
use super::register::Block;
use super::watchdog::Watchdog;
use crate::plan;
use crate::ssd0323::{HEIGHT, Ssd0323, WIDTH};

pub use crate::plan::LM3S6965EVB as LIMITS;
pub use crate::ssd0323::Frame;

pub const DISPLAY: Display = Display {
    width: WIDTH as u16,
    height: HEIGHT as u16,
    format: PixelFormat::Gray4,
};
const _: () = assert!(plan::LM3S6965EVB.frame == crate::ssd0323::BYTES);

/// The core runs at 200 MHz / 4.
pub const TICKS_PER_SECOND: u32 = 50_000_000;

/// UART0's.
pub const LINE_INTERRUPT: Interrupt = Interrupt(5);
/// The watchdog's.
pub const WATCHDOG_INTERRUPT: Option<Interrupt> = Some(Interrupt(18));

pub const WATCHDOG: Watchdog = Watchdog {
    // SAFETY: the watchdog is here, and nothing else of the program uses it.
    registers: unsafe { Block::at(0x4000_0000) },
    frequency: TICKS_PER_SECOND,
};
// SAFETY: these blocks are registers of the parts that the names say, used here alone; none has DMA on.
const GPIO_A: Block = unsafe { Block::at(0x4000_4000) };
// SAFETY: as above.
const GPIO_C: Block = unsafe { Block::at(0x4000_6000) };
// SAFETY: as above.
const GPIO_D: Block = unsafe { Block::at(0x4000_7000) };
// SAFETY: as above.
const SSI: Block = unsafe { Block::at(0x4000_8000) };
// SAFETY: as above.
const UART: Block = unsafe { Block::at(0x4000_c000) };
// SAFETY: as above.
const SYSTEM: Block = unsafe { Block::at(0x400f_e000) };

/// Starts clocks, pins, line and display.
pub fn start(frame: &Frame) {
    clocks();
    pins();
    line();
    // 8 bits a frame, mode 0, 50 MHz / 14.
    SSI.write::<0x04>(0);
    SSI.write::<0x00>(7);
    SSI.write::<0x10>(14);
    SSI.write::<0x04>(2);
    let Ok(()) = display().init(frame);
}

/// The core's clock from the PLL, and clocks for watchdog, UART0, SSI0 and GPIO A, C and D.
fn clocks() {
    const BYPASS: u32 = 1 << 11;
    const OFF: u32 = 1 << 13;
    const USE_DIVIDER: u32 = 1 << 22;
    // A crystal of 8 MHz on the main oscillator; 200 MHz divided by 3 + 1.
    const CRYSTAL: u32 = 14 << 6;
    const DIVIDER: u32 = 3 << 23;
    SYSTEM.write::<0x60>(BYPASS | OFF | CRYSTAL | DIVIDER | USE_DIVIDER);
    SYSTEM.write::<0x58>(1 << 6);
    SYSTEM.write::<0x60>(BYPASS | CRYSTAL | DIVIDER | USE_DIVIDER);
    while SYSTEM.read::<0x50>() & 1 << 6 == 0 {}
    SYSTEM.write::<0x60>(CRYSTAL | DIVIDER | USE_DIVIDER);
    SYSTEM.write::<0x100>(1 << 3);
    SYSTEM.write::<0x104>(1 << 0 | 1 << 4);
    SYSTEM.write::<0x108>(1 << 0 | 1 << 2 | 1 << 3);
    // A clock is there some cycles after it was asked for.
    let _ = SYSTEM.read::<0x108>();
    let _ = SYSTEM.read::<0x108>();
}

/// PA0 and 1 are the UART's, PA2, 4 and 5 the SSI's. PC7 is D/C, PD0 selects the display.
fn pins() {
    const DIRECTION: usize = 0x400;
    const FUNCTION: usize = 0x420;
    const DIGITAL: usize = 0x51c;
    GPIO_A.write::<FUNCTION>(0b11_0111);
    GPIO_A.write::<DIGITAL>(0b11_0111);
    // The debugger's pins, PC0 to 3, stay what they are.
    GPIO_C.write::<DIRECTION>(1 << 7);
    GPIO_C.write::<DIGITAL>(1 << 7 | 0xf);
    GPIO_D.write::<DIRECTION>(1 << 0);
    GPIO_D.write::<DIGITAL>(1 << 0);
    // High: the display. Low would be the SD card, which never is.
    GPIO_D.write::<{ 4 << 0 }>(1 << 0);
}

/// 115200 baud, 8 bits, no parity, one stop bit.
fn line() {
    const RECEIVED: u32 = 1 << 4;
    const TIMED_OUT: u32 = 1 << 6;
    UART.write::<0x30>(0);
    // 50 MHz / 16 / 115200 = 27 + 8 / 64.
    UART.write::<0x24>(27);
    UART.write::<0x28>(8);
    UART.write::<0x2c>(3 << 5 | 1 << 4);
    UART.write::<0x34>(0);
    UART.write::<0x38>(RECEIVED | TIMED_OUT);
    UART.write::<0x30>(1 << 9 | 1 << 8 | 1);
}

/// What has come goes when it is read.
pub fn line_acknowledge() {}

pub fn line_read() -> Option<u8> {
    const EMPTY: u32 = 1 << 4;
    (UART.read::<0x18>() & EMPTY == 0).then(|| UART.read::<0x00>() as u8)
}

pub fn line_write(byte: u8) {
    const FULL: u32 = 1 << 5;
    while UART.read::<0x18>() & FULL != 0 {
        WATCHDOG.feed();
    }
    UART.write::<0x00>(byte.into());
}

/// Brings a frame to the display.
pub fn show(frame: &Frame) {
    let Ok(()) = display().show(frame);
}

fn display() -> Ssd0323<Bus, DataPin> {
    Ssd0323::new(Bus, DataPin)
}

/// The SSI with the display selected.
struct Bus;

impl spi::ErrorType for Bus {
    type Error = Infallible;
}

impl SpiDevice for Bus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        for operation in operations {
            match operation {
                Operation::Read(words) => words.iter_mut().for_each(|word| *word = exchange(0)),
                Operation::Write(words) => words.iter().for_each(|&word| {
                    exchange(word);
                }),
                Operation::Transfer(words, sent) => {
                    let sent = sent.iter().copied().chain(core::iter::repeat(0));
                    for (word, sent) in words.iter_mut().zip(sent) {
                        *word = exchange(sent);
                    }
                }
                Operation::TransferInPlace(words) => {
                    words.iter_mut().for_each(|word| *word = exchange(*word));
                }
                Operation::DelayNs(nanoseconds) => {
                    cortex_m::asm::delay(*nanoseconds / 20 + 1);
                }
            }
        }
        Ok(())
    }
}

/// Sends a byte and takes the one that comes for it.
fn exchange(byte: u8) -> u8 {
    const RECEIVED: u32 = 1 << 2;
    SSI.write::<0x08>(byte.into());
    while SSI.read::<0x0c>() & RECEIVED == 0 {}
    SSI.read::<0x08>() as u8
}

/// PC7: high for pixels, low for commands.
struct DataPin;

impl digital::ErrorType for DataPin {
    type Error = Infallible;
}

impl OutputPin for DataPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // The address says which pins are written.
        GPIO_C.write::<{ 4 << 7 }>(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        GPIO_C.write::<{ 4 << 7 }>(1 << 7);
        Ok(())
    }
}
