//! Cortex-M33 RP2350 with a colour display: a Raspberry Pi Pico 2 on a base with an ST7789 of 240×240
//! pixels. **Built, never run**: QEMU has no such machine, and it was tried on no real one.
//!
//! | pin | what |
//! |---|---|
//! | GP0, GP1 | UART0, to the host and from it: 115200 baud |
//! | GP16 | D/C of the display |
//! | GP17 | CS of the display |
//! | GP18, GP19 | SCK and MOSI of SPI0, 62.5 MHz |
//!
//! They are those of Pimoroni's Pico Explorer, whose light is always on. The watchdog gives no warning before
//! it resets, so that only panics and faults have their reason kept.

use core::cell::RefCell;

use cortex_m::interrupt::{self, Mutex};
use embassy_rp::gpio::{Level, Output};
use embassy_rp::pac;
use embassy_rp::peripherals::SPI0;
use embassy_rp::spi::{self, Blocking, Spi};
use embassy_rp::uart::{self, Uart};
use embassy_time::Delay;
use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::pixelcolor::raw::{LittleEndian, RawU16};
use embedded_hal_bus::spi::{ExclusiveDevice, NoDelay};
use kiln_link::{Display, PixelFormat};
use mipidsi::interface::SpiInterface;
use mipidsi::models::ST7789;
use mipidsi::options::ColorInversion;
use mipidsi::{Builder, NoResetPin};

use super::interrupt::Interrupt;
use crate::plan;

pub use crate::plan::RP2350 as LIMITS;

const SIDE: u16 = 240;
const BYTES: usize = buffer_size::<Rgb565>(SIDE as usize, SIDE as usize);
const _: () = assert!(plan::RP2350.frame == BYTES);

/// A frame buffer.
pub type Frame =
    Framebuffer<Rgb565, RawU16, LittleEndian, { SIDE as usize }, { SIDE as usize }, BYTES>;

pub const DISPLAY: Display = Display {
    width: SIDE,
    height: SIDE,
    format: PixelFormat::Rgb565,
};

/// The core's clock, as embassy-rp sets it.
pub const TICKS_PER_SECOND: u32 = 150_000_000;

/// UART0's.
pub const LINE_INTERRUPT: Interrupt = Interrupt(pac::Interrupt::UART0_IRQ as u16);
/// The watchdog has none.
pub const WATCHDOG_INTERRUPT: Option<Interrupt> = None;

pub const WATCHDOG: Watchdog = Watchdog;

/// The chip's watchdog.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog;

impl Watchdog {
    /// Starts it: after twice these milliseconds with no [`feed`](Self::feed) it resets. Twice 8.3 seconds
    /// is the most.
    pub fn start(self, milliseconds: u32) {
        let microseconds = milliseconds.saturating_mul(2000).min(0xff_ffff);
        pac::WATCHDOG
            .ctrl()
            .modify(|control| control.set_enable(false));
        // All but the oscillators, as the chip's manual has it for a watchdog.
        pac::PSM.wdsel().write(|what| {
            what.0 = 0x01ff_ffff;
            what.set_rosc(false);
            what.set_xosc(false);
        });
        // Kept for `feed`.
        pac::WATCHDOG.scratch0().write_value(microseconds);
        pac::WATCHDOG
            .load()
            .write(|load| load.set_load(microseconds));
        pac::WATCHDOG
            .ctrl()
            .modify(|control| control.set_enable(true));
    }

    /// Starts the time again.
    pub fn feed(self) {
        let microseconds = pac::WATCHDOG.scratch0().read();
        pac::WATCHDOG
            .load()
            .write(|load| load.set_load(microseconds));
    }
}

type Bus = ExclusiveDevice<Spi<'static, SPI0, Blocking>, Output<'static>, NoDelay>;
type Panel = mipidsi::Display<SpiInterface<'static, Bus, Output<'static>>, ST7789, NoResetPin>;

/// The display, but for while it is used.
static PANEL: Mutex<RefCell<Option<Panel>>> = Mutex::new(RefCell::new(None));

/// Starts clocks, line and display.
pub fn start(frame: &Frame) {
    let chip = embassy_rp::init(Default::default());

    let mut settings = uart::Config::default();
    settings.baudrate = 115_200;
    let line = Uart::new_blocking(chip.UART0, chip.PIN_0, chip.PIN_1, settings);
    // The registers are used from here on; its end would turn the pins off.
    core::mem::forget(line);
    pac::UART0.uartimsc().write(|mask| {
        mask.set_rxim(true);
        mask.set_rtim(true);
    });

    let mut settings = spi::Config::default();
    settings.frequency = 62_500_000;
    let bus = Spi::new_blocking_txonly(chip.SPI0, chip.PIN_18, chip.PIN_19, settings);
    let select = Output::new(chip.PIN_17, Level::High);
    let data = Output::new(chip.PIN_16, Level::High);
    let buffer = cortex_m::singleton!(: [u8; 512] = [0; 512]);
    let (Ok(device), Some(buffer)) = (ExclusiveDevice::new_no_delay(bus, select), buffer) else {
        return;
    };
    // Nothing is read from the display, so that the line serves without one, too.
    let panel = Builder::new(ST7789, SpiInterface::new(device, data, buffer))
        .display_size(SIDE, SIDE)
        .invert_colors(ColorInversion::Inverted)
        .init(&mut Delay);
    put_panel(panel.ok());
    show(frame);
}

fn take_panel() -> Option<Panel> {
    interrupt::free(|section| PANEL.borrow(section).try_borrow_mut().ok()?.take())
}

fn put_panel(panel: Option<Panel>) {
    interrupt::free(|section| {
        if let Ok(mut place) = PANEL.borrow(section).try_borrow_mut() {
            *place = panel;
        }
    });
}

/// What has come goes when it is read; the time-out goes here.
pub fn line_acknowledge() {
    pac::UART0.uarticr().write(|clear| clear.set_rtic(true));
}

pub fn line_read() -> Option<u8> {
    (!pac::UART0.uartfr().read().rxfe()).then(|| pac::UART0.uartdr().read().data())
}

pub fn line_write(byte: u8) {
    while pac::UART0.uartfr().read().txff() {
        WATCHDOG.feed();
    }
    pac::UART0.uartdr().write(|data| data.set_data(byte));
}

/// Brings a frame to the display: 15 ms.
pub fn show(frame: &Frame) {
    // Not within the critical section: bytes of the line come meanwhile.
    let Some(mut panel) = take_panel() else {
        return;
    };
    let (pixels, _) = frame.data().as_chunks();
    let colours = pixels
        .iter()
        .map(|&pixel| RawU16::new(u16::from_le_bytes(pixel)).into());
    // An SPI that only sends has no errors.
    let _ = panel.set_pixels(0, 0, SIDE - 1, SIDE - 1, colours);
    put_panel(Some(panel));
}
