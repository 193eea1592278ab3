//! The bytes of a frame buffer as a picture.

use kiln_link::{Display, PixelFormat};
use kiln_picture::Picture;

/// Bytes of a display's frame buffer.
pub fn bytes(display: &Display) -> usize {
    row_bytes(display) * usize::from(display.height)
}

fn row_bytes(display: &Display) -> usize {
    let width = usize::from(display.width);
    match display.format {
        PixelFormat::Mono => width.div_ceil(8),
        PixelFormat::Gray4 => width.div_ceil(2),
        PixelFormat::Rgb565 => 2 * width,
    }
}

/// The picture that a frame buffer holds; what bytes are lacking is black.
pub fn picture(display: &Display, buffer: &[u8]) -> Picture {
    let (width, height) = (usize::from(display.width), usize::from(display.height));
    let byte = |y: usize, at: usize| {
        let byte = buffer.get(y * row_bytes(display) + at);
        byte.copied().unwrap_or(0)
    };
    let pixel = |y: usize, x: usize| match display.format {
        PixelFormat::Mono => {
            let bit = byte(y, x / 8) >> (7 - x % 8) & 1;
            [bit * 255; 3]
        }
        PixelFormat::Gray4 => {
            let half = byte(y, x / 2) >> (4 * (1 - x % 2)) & 15;
            [half * 17; 3]
        }
        PixelFormat::Rgb565 => {
            let value = u16::from_le_bytes([byte(y, 2 * x), byte(y, 2 * x + 1)]);
            // The upper bits again below: white is white.
            let five = |value: u16| (value << 3 | value >> 2) as u8;
            let six = |value: u16| (value << 2 | value >> 4) as u8;
            [
                five(value >> 11),
                six(value >> 5 & 0x3f),
                five(value & 0x1f),
            ]
        }
    };
    let rows = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    Picture {
        width: display.width.into(),
        height: display.height.into(),
        rgb: rows.flat_map(|(y, x)| pixel(y, x)).collect(),
    }
}

/// Every `zoom`th pixel of every `zoom`th row.
pub fn shrink(picture: &Picture, zoom: u32) -> Picture {
    let zoom = zoom.max(1) as usize;
    let row = picture.width as usize * 3;
    let rows = picture.rgb.chunks_exact(row.max(3)).step_by(zoom);
    let rgb = rows.flat_map(|row| row.chunks_exact(3).step_by(zoom).flatten().copied());
    Picture {
        width: picture.width.div_ceil(zoom as u32),
        height: picture.height.div_ceil(zoom as u32),
        rgb: rgb.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(width: u16, height: u16, format: PixelFormat) -> Display {
        Display {
            width,
            height,
            format,
        }
    }

    #[test]
    fn each_format_gives_its_pixels() {
        let grey = |values: &[u8]| values.iter().flat_map(|&value| [value; 3]).collect();
        type Case<'a> = (PixelFormat, [u16; 2], &'a [u8], Vec<u8>);
        let cases: [Case<'_>; 4] = [
            (
                PixelFormat::Mono,
                [9, 2],
                &[0b1000_0001, 0x80, 0, 0x7f],
                grey(&[255, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                PixelFormat::Gray4,
                [3, 2],
                &[0x0f, 0x1e, 0x80, 0xf3],
                grey(&[0, 255, 17, 136, 0, 255]),
            ),
            (
                PixelFormat::Rgb565,
                [2, 2],
                &[0xff, 0xff, 0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00],
                vec![255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255],
            ),
            (
                PixelFormat::Rgb565,
                [1, 2],
                &[0x10, 0x84],
                vec![132, 130, 132, 0, 0, 0],
            ),
        ];
        for (format, [width, height], buffer, rgb) in cases {
            let display = display(width, height, format);
            let picture = picture(&display, buffer);
            assert_eq!(picture.rgb, rgb, "{format:?}");
            assert_eq!(
                [picture.width, picture.height],
                [width, height].map(u32::from)
            );
        }
        assert_eq!(bytes(&display(9, 2, PixelFormat::Mono)), 4);
        assert_eq!(bytes(&display(128, 64, PixelFormat::Gray4)), 4096);
        assert_eq!(bytes(&display(240, 240, PixelFormat::Rgb565)), 115_200);
    }

    #[test]
    fn enlarged_pixels_become_one() {
        let small = Picture {
            width: 3,
            height: 2,
            rgb: (0..18).collect(),
        };
        let mut large = Picture {
            width: 12,
            height: 8,
            rgb: Vec::new(),
        };
        for y in 0..8 {
            for x in 0..12 {
                let at = (y / 4 * 3 + x / 4) * 3;
                large.rgb.extend_from_slice(&small.rgb[at..at + 3]);
            }
        }
        assert_eq!(shrink(&large, 4), small);
        assert_eq!(shrink(&small, 1), small);
    }
}
