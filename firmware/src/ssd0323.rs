//! The Solomon SSD0323, controller of 128×64 OLED panels with 16 greys, over SPI.
//!
//! It holds no picture of its own: draw on a [`Frame`], then [`show`](Ssd0323::show) it. Commands go out
//! with D/C low, pixels with D/C high; the SPI device must have sent every bit before it returns, as
//! embedded-hal asks, since D/C changes next. SPI mode 0 or 3, at most 4 MHz on the real part.
//!
//! Bytes hold two pixels, the left one in the upper half: the order of embedded-graphics' `RawU4`, and
//! that of the controller when nibbles are re-mapped, as [`init`](Ssd0323::init) asks.
//!
//! On the board lm3s6965evb, D/C is pin 7 of GPIO port C; the data come from SSI0 (PL022), whose Fss (pin 3 of
//! port A) selects the display on the real board. QEMU shows the bytes while pin 0 of port D is high (the SD
//! card of the same bus listens while it is low), and its PL022 stops sending while eight received bytes wait
//! to be read. It takes no notice of re-mapping, brightness and on/off, and prints an error for commands
//! that it does not know: only those that it knows are used here.

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

#[cfg(test)]
mod tests {
    use core::{cell::RefCell, convert::Infallible};

    use embedded_graphics::prelude::*;
    use embedded_hal::{digital, spi};
    use heapless::Vec;

    use super::*;

    /// What went over the wires: a byte, and whether D/C was high.
    #[derive(Default)]
    struct Wires {
        data: bool,
        sent: Vec<(bool, u8), 8192>,
    }

    struct Spi<'a>(&'a RefCell<Wires>);
    struct Pin<'a>(&'a RefCell<Wires>);

    impl spi::ErrorType for Spi<'_> {
        type Error = Infallible;
    }

    impl SpiDevice for Spi<'_> {
        fn transaction(&mut self, steps: &mut [spi::Operation<'_, u8>]) -> Result<(), Infallible> {
            let mut wires = self.0.borrow_mut();
            for step in steps {
                let spi::Operation::Write(bytes) = step else {
                    panic!("the driver only writes: {step:?}");
                };
                let data = wires.data;
                wires.sent.extend(bytes.iter().map(|&byte| (data, byte)));
            }
            Ok(())
        }
    }

    impl digital::ErrorType for Pin<'_> {
        type Error = Infallible;
    }

    impl OutputPin for Pin<'_> {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().data = false;
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().data = true;
            Ok(())
        }
    }

    /// The commands and the pixels that `use_it` sends.
    fn sent(
        use_it: impl FnOnce(&mut Ssd0323<Spi<'_>, Pin<'_>>) -> Result<(), Error<Infallible, Infallible>>,
    ) -> (Vec<u8, 128>, Vec<u8, 4096>) {
        let wires = RefCell::new(Wires::default());
        use_it(&mut Ssd0323::new(Spi(&wires), Pin(&wires))).unwrap();
        let sent = wires.into_inner().sent;
        let of = |data| {
            sent.iter()
                .filter(move |(d, _)| *d == data)
                .map(|(_, byte)| *byte)
        };
        (of(false).collect(), of(true).collect())
    }

    #[test]
    fn commands_are_these_bytes() {
        type Case = (
            fn(&mut Ssd0323<Spi<'_>, Pin<'_>>) -> Result<(), Error<Infallible, Infallible>>,
            &'static [u8],
        );
        let cases: [Case; 4] = [
            (|display| display.set_on(true), &[0xaf]),
            (|display| display.set_on(false), &[0xae]),
            (|display| display.set_contrast(0x20), &[0x81, 0x20]),
            (|display| display.set_contrast(0xff), &[0x81, 0x7f]),
        ];
        for (use_it, bytes) in cases {
            let (commands, data) = sent(use_it);
            assert_eq!(commands, bytes);
            assert!(data.is_empty());
        }
    }

    #[test]
    fn a_frame_goes_out_by_rows_the_left_pixel_in_the_upper_half() {
        let mut frame = Frame::new();
        for (x, y, grey) in [(0, 0, 15), (1, 0, 3), (127, 0, 9), (0, 1, 5), (126, 63, 12)] {
            frame.set_pixel(Point::new(x, y), Gray4::new(grey));
        }
        let (commands, data) = sent(|display| display.show(&frame));
        assert_eq!(commands, [0x15, 0x00, 0x3f, 0x75, 0x00, 0x3f]);
        assert_eq!(data.len(), 4096);
        let set: Vec<(usize, u8), 8> = data
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, byte)| *byte != 0)
            .collect();
        assert_eq!(set, [(0, 0xf3), (63, 0x09), (64, 0x50), (4095, 0xc0)]);
    }

    #[test]
    fn init_sets_up_shows_and_only_then_turns_on() {
        let (commands, data) = sent(|display| display.init(&Frame::new()));
        let setup = [
            0xae, 0xa0, 0x52, 0xa1, 0x00, 0xa2, 0x00, 0xa4, 0xa8, 0x3f, 0x86, 0x81, 0x37, 0xb1,
            0x55, 0xb2, 0x46, 0xb3, 0x41, 0xbc, 0x10, 0xbe, 0x1c, 0xbf, 0x0e, 0xad, 0x02, 0xb8,
            0x01, 0x11, 0x22, 0x32, 0x43, 0x54, 0x65, 0x76, 0x15, 0x00, 0x3f, 0x75, 0x00, 0x3f,
            0xaf,
        ];
        assert_eq!(commands, setup);
        assert_eq!(data, [0; 4096]);
    }
}
