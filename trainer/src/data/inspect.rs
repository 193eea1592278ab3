//! A close look at one picture file: is it whole, what is odd about it, and what does it look like.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, ImageFormat};
use serde::Serialize;

use super::Picture;
use super::decode::{Fault, Limits, decode, format_of, read_file};
use super::near::{Print, Printer};

/// A side shorter than this is [`Oddity::Tiny`].
const TINY_SIDE: u32 = 32;

/// A picture this many times as long as wide, or more, is [`Oddity::Long`].
const LONG_RATIO: u32 = 4;

/// More pixels than this are [`Oddity::Huge`]: few cameras make them, and they decode for seconds.
const HUGE_PIXELS: u64 = 36_000_000;

/// Greys that spread less than this are [`Oddity::Blank`], in units of 0..=255.
const BLANK_SPREAD: f64 = 2.0;

/// What is odd about a picture that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// A side is shorter than 32 pixels.
    Tiny,
    /// One side is at least four times the other.
    Long,
    /// One colour, or nearly.
    Blank,
    /// More than 36 megapixels.
    Huge,
    /// The name's extension stands for another format than the content has.
    Extension,
    /// Only the first of several frames counts.
    Animated,
}

/// A picture that can be decoded.
#[derive(Clone)]
pub struct Seen {
    /// Columns, upright.
    pub width: u32,
    /// Rows, upright.
    pub height: u32,
    /// The content's format: `JPEG`, `PNG`, `WebP`, `BMP` or `GIF`.
    pub format: &'static str,
    /// What is odd.
    pub oddities: Vec<Oddity>,
    /// What it looks like.
    pub print: Print,
}

/// A file.
pub struct Look {
    /// Its size.
    pub bytes: u64,
    /// blake3 of its content.
    pub content: [u8; 32],
    /// What is in it, or why it cannot be decoded.
    pub picture: Result<Seen, Fault>,
}

/// Looks at files. One for a thread.
pub struct Inspector {
    printer: Printer,
    limits: Limits,
}

impl Inspector {
    /// An inspector that decodes within these limits.
    pub fn new(limits: Limits) -> Inspector {
        Inspector {
            printer: Printer::default(),
            limits,
        }
    }

    /// Reads, hashes and decodes a file.
    pub fn look(&self, path: &Path) -> Look {
        match read_file(path, &self.limits) {
            Ok(bytes) => Look {
                bytes: bytes.len() as u64,
                content: blake3::hash(&bytes).into(),
                picture: decode(&bytes, &self.limits).and_then(|p| self.see(path, &bytes, &p)),
            },
            Err(fault) => Look {
                bytes: path.metadata().map_or(0, |meta| meta.len()),
                content: [0; 32],
                picture: Err(fault),
            },
        }
    }

    fn see(&self, path: &Path, bytes: &[u8], picture: &Picture) -> Result<Seen, Fault> {
        let format = format_of(bytes)?;
        let (width, height) = (picture.width, picture.height);
        let print = self.printer.print(picture);
        let print = print.map_err(|e| Fault::Unsupported(e.to_string()))?;
        let mut oddities = Vec::new();
        let (short, long) = (width.min(height), width.max(height));
        let extension = path.extension().and_then(ImageFormat::from_extension);
        for (is, oddity) in [
            (short < TINY_SIDE, Oddity::Tiny),
            (long >= short.saturating_mul(LONG_RATIO), Oddity::Long),
            (print.spread() < BLANK_SPREAD, Oddity::Blank),
            (
                u64::from(width) * u64::from(height) > HUGE_PIXELS,
                Oddity::Huge,
            ),
            (extension.is_some_and(|e| e != format), Oddity::Extension),
            (is_animated(bytes, format), Oddity::Animated),
        ] {
            if is {
                oddities.push(oddity);
            }
        }
        Ok(Seen {
            width,
            height,
            format: name_of(format),
            oddities,
            print,
        })
    }
}

fn name_of(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        _ => "GIF",
    }
}

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => {
            GifDecoder::new(bytes).is_ok_and(|d| d.into_frames().take(2).flatten().count() > 1)
        }
        ImageFormat::Png => PngDecoder::new(bytes).is_ok_and(|d| d.is_apng().unwrap_or(false)),
        ImageFormat::WebP => WebPDecoder::new(bytes).is_ok_and(|d| d.has_animation()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::gif::GifEncoder;
    use image::{Delay, Frame, Rgb, RgbImage, RgbaImage};

    fn noisy(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 37 % 256) as u8, (y * 91) as u8, 7])
        })
    }

    #[test]
    fn oddities_are_seen_and_plain_pictures_have_none() {
        use ImageFormat::{Gif, Jpeg, Png};
        let flat = RgbImage::from_pixel(40, 40, Rgb([200, 10, 10]));
        let cases: [(&str, RgbImage, ImageFormat, &[Oddity]); 8] = [
            ("plain.PNG", noisy(40, 40), Png, &[]),
            ("plain.jfif", noisy(40, 40), Jpeg, &[]),
            ("one frame.gif", noisy(40, 40), Gif, &[]),
            ("side of 32.png", noisy(32, 127), Png, &[]),
            ("tiny.png", noisy(31, 40), Png, &[Oddity::Tiny]),
            ("long.png", noisy(160, 40), Png, &[Oddity::Long]),
            ("blank.png", flat, Png, &[Oddity::Blank]),
            ("named.jpg", noisy(40, 40), Png, &[Oddity::Extension]),
        ];
        let folder = tempfile::tempdir().unwrap();
        let inspector = Inspector::new(Limits::default());
        for (name, picture, format, want) in cases {
            let path = folder.path().join(name);
            picture.save_with_format(&path, format).unwrap();
            let look = inspector.look(&path);
            let seen = look.picture.unwrap();
            assert_eq!(seen.oddities, want, "{name}");
            assert_eq!((seen.width, seen.height), picture.dimensions(), "{name}");
            assert_eq!(look.bytes, path.metadata().unwrap().len(), "{name}");
        }
    }

    #[test]
    fn animations_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.gif");
        let mut gif = GifEncoder::new(std::fs::File::create(&path).unwrap());
        for value in [0, 255] {
            let picture = RgbaImage::from_fn(40, 40, |x, _| image::Rgba([x as u8, value, 0, 255]));
            let frame = Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(9, 1));
            gif.encode_frame(frame).unwrap();
        }
        drop(gif);
        let webp = folder.path().join("two.webp");
        let kept = include_bytes!("../../../runtime/picture/tests/pictures/quarters-animated.webp");
        std::fs::write(&webp, kept).unwrap();
        let inspector = Inspector::new(Limits::default());
        for (path, want) in [
            (path, vec![Oddity::Animated]),
            (webp, vec![Oddity::Tiny, Oddity::Animated]),
        ] {
            assert_eq!(inspector.look(&path).picture.unwrap().oddities, want);
        }
    }

    #[test]
    fn broken_files_keep_their_reason_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.png");
        std::fs::write(&path, "<html>").unwrap();
        let look = Inspector::new(Limits::default()).look(&path);
        assert_eq!(look.bytes, 6);
        assert!(matches!(
            look.picture,
            Err(Fault::NotAPicture("a web page"))
        ));
    }
}
