//! The Solomon SSD0323, controller of 128×64 OLED panels with 16 greys, over SPI.
//!
//! It holds no picture of its own: draw on a [`Frame`], then [`show`](Ssd0323::show) it. Commands go out
//! with D/C low, pixels with D/C high; the SPI device must have sent every bit before it returns, as
//! embedded-hal asks, since D/C changes next. SPI mode 0 or 3, at most 4 MHz on the real part.
//!
//! Bytes hold two pixels, the left one in the upper half: the order of embedded-graphics' `RawU4`, and
//! that of the controller when nibbles are re-mapped, as [`init`](Ssd0323::init) asks.
//!
//! On the board lm3s6965evb, D/C is pin 7 of GPIO port C; the data come from SSI0 (PL022). QEMU shows the
//! bytes while pin 0 of port D is high (the SD card of the same bus listens while it is low), takes no
//! notice of re-mapping, brightness and on/off, and prints an error for commands it does not know: only
//! those that it knows are used here.

use embedded_graphics::{
    framebuffer::{Framebuffer, buffer_size},
    pixelcolor::{
        Gray4,
        raw::{BigEndian, RawU4},
    },
};
use embedded_hal::{digital::OutputPin, spi::SpiDevice};

/// Columns.
pub const WIDTH: usize = 128;
/// Rows.
pub const HEIGHT: usize = 64;
/// Bytes of a frame.
pub const BYTES: usize = buffer_size::<Gray4>(WIDTH, HEIGHT);

/// A frame buffer: `[row][column / 2]`, the left pixel in the upper half.
pub type Frame = Framebuffer<Gray4, RawU4, BigEndian, WIDTH, HEIGHT, BYTES>;

/// What [`init`](Ssd0323::init) sends, a command a line. Currents and voltages are for the OSRAM Pictiva
/// 128×64 (OS128064PK16MY).
const INIT: &[&[u8]] = &[
    &[0xae],                                                 // off
    &[0xa0, 0x52], // left nibble first, rows from the bottom of the glass up, rows odd and even apart
    &[0xa1, 0x00], // first line
    &[0xa2, 0x00], // no offset
    &[0xa4],       // normal: neither all on, all off nor inverse
    &[0xa8, 0x3f], // 64 rows
    &[0x86],       // full current
    &[0x81, 0x37], // contrast
    &[0xb1, 0x55], // 5 clocks to discharge, 5 to charge
    &[0xb2, 0x46], // 70 clocks a row
    &[0xb3, 0x41], // clock divided by 2
    &[0xbc, 0x10], // charging voltage
    &[0xbe, 0x1c], // voltage of rows that are off
    &[0xbf, 0x0e], // low voltage of columns: an external diode
    &[0xad, 0x02], // supplied from outside, no converter
    &[0xb8, 0x01, 0x11, 0x22, 0x32, 0x43, 0x54, 0x65, 0x76], // steps between the greys
];

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<S, P> {
    /// The SPI device.
    Spi(S),
    /// The D/C pin.
    Pin(P),
}

/// An SSD0323 on an SPI device and a D/C pin.
#[derive(Debug)]
pub struct Ssd0323<S, P> {
    spi: S,
    dc: P,
}

impl<S: SpiDevice, P: OutputPin> Ssd0323<S, P> {
    /// The controller, untouched.
    pub fn new(spi: S, dc: P) -> Self {
        Self { spi, dc }
    }

    /// Sets the controller up, shows `frame` and turns the display on.
    ///
    /// # Errors
    ///
    /// Those of the SPI device and of the pin.
    pub fn init(&mut self, frame: &Frame) -> Result<(), Error<S::Error, P::Error>> {
        for command in INIT {
            self.command(command)?;
        }
        self.show(frame)?;
        self.set_on(true)
    }

    /// Shows a frame.
    ///
    /// # Errors
    ///
    /// Those of the SPI device and of the pin.
    pub fn show(&mut self, frame: &Frame) -> Result<(), Error<S::Error, P::Error>> {
        self.command(&[0x15, 0, (WIDTH / 2 - 1) as u8])?;
        self.command(&[0x75, 0, (HEIGHT - 1) as u8])?;
        self.dc.set_high().map_err(Error::Pin)?;
        self.spi.write(frame.data()).map_err(Error::Spi)
    }

    /// Turns the display on or off; it keeps its picture.
    ///
    /// # Errors
    ///
    /// Those of the SPI device and of the pin.
    pub fn set_on(&mut self, on: bool) -> Result<(), Error<S::Error, P::Error>> {
        self.command(&[if on { 0xaf } else { 0xae }])
    }

    /// Sets the contrast: 0 to 127, more counts as 127.
    ///
    /// # Errors
    ///
    /// Those of the SPI device and of the pin.
    pub fn set_contrast(&mut self, contrast: u8) -> Result<(), Error<S::Error, P::Error>> {
        self.command(&[0x81, contrast.min(0x7f)])
    }

    fn command(&mut self, bytes: &[u8]) -> Result<(), Error<S::Error, P::Error>> {
        self.dc.set_low().map_err(Error::Pin)?;
        self.spi.write(bytes).map_err(Error::Spi)
    }
}
