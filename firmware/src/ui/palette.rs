//! Six colours. On black and white those of at least half the brightness (ITU-R BT.601) are white.

use embedded_graphics::pixelcolor::{PixelColor, Rgb888, raw::RawData};

/// The ground.
pub const PAPER: Rgb888 = Rgb888::new(0, 0, 0);
/// Texts.
pub const INK: Rgb888 = Rgb888::new(255, 255, 255);
/// Texts that matter less. White on black and white.
pub const FAINT: Rgb888 = Rgb888::new(168, 168, 176);
/// What a bar may still fill. Black on black and white.
pub const TRACK: Rgb888 = Rgb888::new(48, 48, 56);
/// What a bar fills. White on black and white.
pub const GLOW: Rgb888 = Rgb888::new(255, 140, 32);
/// Behind the title of an error.
const ALARM: Rgb888 = Rgb888::new(255, 96, 80);

/// What is behind the title of an error on a display of colour `C`: white where there are but greys.
pub fn alarm<C: PixelColor>() -> Rgb888 {
    if C::Raw::BITS_PER_PIXEL > 8 {
        ALARM
    } else {
        INK
    }
}
