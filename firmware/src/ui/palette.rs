//! Six colours, and those of fire. On black and white those of at least half the brightness (ITU-R BT.601) are white.

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
/// From the least heat to the most: Inferno, by Nathaniel J. Smith and Stéfan van der Walt, at 16 places.
pub const FIRE: [Rgb888; 16] = [
    Rgb888::new(0, 0, 4),
    Rgb888::new(12, 8, 38),
    Rgb888::new(36, 12, 79),
    Rgb888::new(66, 10, 104),
    Rgb888::new(93, 18, 110),
    Rgb888::new(120, 28, 109),
    Rgb888::new(147, 38, 103),
    Rgb888::new(174, 48, 92),
    Rgb888::new(199, 62, 76),
    Rgb888::new(221, 81, 58),
    Rgb888::new(237, 105, 37),
    Rgb888::new(248, 133, 15),
    Rgb888::new(252, 165, 10),
    Rgb888::new(250, 198, 45),
    Rgb888::new(242, 230, 97),
    Rgb888::new(252, 255, 164),
];
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
