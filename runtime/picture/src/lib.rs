//! Picture files to pixels, bounded and complete: what comes out is upright 8-bit RGB, or an error that
//! says what is wrong with the file.
//!
//! | in the file | what becomes of it |
//! |---|---|
//! | JPEG, PNG, WebP, BMP, GIF | told apart by content; the name's extension is not looked at |
//! | animation (GIF, APNG, WebP) | the first frame |
//! | grey, palette, CMYK, YCCK | converted to RGB |
//! | 16 bits a channel | rounded to 8 |
//! | transparency | laid over white |
//! | EXIF orientation | applied |
//! | colour profile (ICC) | ignored: values are taken as sRGB |
//!
//! Files of more than [`Limits::max_bytes`] are not read and pictures of more than [`Limits::max_pixels`]
//! not decoded. A file that is cut short is an error, also where a viewer would show what is left of it.

mod ends;
mod error;

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use kiln_core::preprocess::{MAX_SIDE, PictureView, PreprocessError};

use self::ends::{jpeg_has_end, webp_has_end};
pub use self::error::{DecodeError, Fault};
use self::error::{fault, kind_of_stranger};

/// A decoded picture: 8-bit RGB, interleaved, rows from the top, upright (EXIF orientation applied).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The picture, borrowed.
    ///
    /// # Errors
    /// Its pixels do not fill its size.
    pub fn view(&self) -> Result<PictureView<'_>, PreprocessError> {
        PictureView::new(self.width, self.height, &self.rgb)
    }
}

/// What a picture may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file.
    pub max_bytes: u64,
    /// Width times height.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 64 MiB and 100 megapixels.
    fn default() -> Self {
        Limits {
            max_bytes: 64 << 20,
            max_pixels: 100_000_000,
        }
    }
}

/// Reads and decodes a file.
///
/// # Errors
/// A [`DecodeError`] that names the file.
pub fn decode_file(path: &Path, limits: &Limits) -> Result<Picture, DecodeError> {
    read_file(path, limits)
        .and_then(|bytes| decode(&bytes, limits))
        .map_err(|fault| DecodeError {
            path: Some(path.to_owned()),
            fault,
        })
}

/// Reads a file of at most [`Limits::max_bytes`] bytes.
///
/// # Errors
/// It is no file, empty, too large, or the file system says no.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, Fault> {
    // Opening a pipe would wait for its writer, so ask first what the path is.
    let meta = std::fs::metadata(path).map_err(Fault::Unreadable)?;
    if !meta.is_file() {
        return Err(Fault::NotAFile);
    }
    check_bytes(meta.len(), limits)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize + 1);
    let file = File::open(path).map_err(Fault::Unreadable)?;
    file.take(limits.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Fault::Unreadable)?;
    Ok(bytes)
}

/// The format that the content tells.
///
/// # Errors
/// It is none that Kiln reads.
pub fn format_of(bytes: &[u8]) -> Result<ImageFormat, Fault> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Gif)) => Ok(format),
        Ok(ImageFormat::Tiff) => Err(Fault::NotAPicture("a TIFF file")),
        Ok(ImageFormat::Avif) => Err(Fault::NotAPicture("an AVIF file")),
        _ => Err(Fault::NotAPicture(kind_of_stranger(bytes))),
    }
}

fn check_bytes(bytes: u64, limits: &Limits) -> Result<(), Fault> {
    match bytes {
        0 => Err(Fault::Empty),
        _ if bytes > limits.max_bytes => Err(Fault::TooManyBytes {
            bytes,
            limit: limits.max_bytes,
        }),
        _ => Ok(()),
    }
}

/// Decodes a file's bytes.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, Fault> {
    check_bytes(bytes.len() as u64, limits)?;
    let format = format_of(bytes)?;
    // The decoders of these two make do with what is left.
    let whole = match format {
        ImageFormat::Jpeg => jpeg_has_end(bytes),
        ImageFormat::WebP => webp_has_end(bytes),
        _ => true,
    };
    if !whole {
        return Err(Fault::Truncated);
    }

    let mut bounds = image::Limits::no_limits();
    // The dearest layout is 16-bit RGBA, or a progressive JPEG's coefficients beside its pixels.
    bounds.max_alloc = Some(limits.max_pixels.saturating_mul(12).saturating_add(1 << 20));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(bounds.clone());
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Fault::Damaged("it has no pixels".into()));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(Fault::TooManyPixels {
            width,
            height,
            limit: limits.max_pixels,
        });
    }
    if width.max(height) > MAX_SIDE {
        return Err(Fault::TooLong(width.max(height)));
    }
    decoder.set_limits(bounds).map_err(fault)?;
    let orientation = decoder.orientation().map_err(fault)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(fault)?;
    picture.apply_orientation(orientation);
    Ok(to_rgb(picture))
}

/// Converts to 8-bit RGB, transparency laid over white.
fn to_rgb(picture: DynamicImage) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let rgb = if picture.color().has_alpha() {
        let over_white = |value: u8, alpha: u8| {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        picture
            .into_rgba8()
            .pixels()
            .flat_map(|p| [0, 1, 2].map(|i| over_white(p.0[i], p.0[3])))
            .collect()
    } else {
        picture.into_rgb8().into_raw()
    };
    Picture { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
    use image::{
        GrayAlphaImage, GrayImage, ImageBuffer, ImageEncoder, Luma, RgbImage, Rgba, RgbaImage,
    };
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const RED: [u8; 3] = [255, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 0];
    const BLUE: [u8; 3] = [0, 0, 255];
    const WHITE: [u8; 3] = [255; 3];

    /// Red and green above, blue and white below.
    fn quarters(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb(match (x < width / 2, y < height / 2) {
                (true, true) => RED,
                (false, true) => GREEN,
                (true, false) => BLUE,
                (false, false) => WHITE,
            })
        })
        .into()
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn corners(p: &Picture) -> [[u8; 3]; 4] {
        assert_eq!(p.rgb.len(), (p.width * p.height * 3) as usize);
        let at = |x: u32, y: u32| {
            let i = ((y * p.width + x) * 3) as usize;
            [p.rgb[i], p.rgb[i + 1], p.rgb[i + 2]]
        };
        let (x, y) = (p.width - 4, p.height - 4);
        [at(3, 3), at(x, 3), at(3, y), at(x, y)]
    }

    fn decoded(bytes: &[u8]) -> Picture {
        decode(bytes, &Limits::default()).unwrap()
    }

    /// One file of every kind, made by the encoders at hand or kept in `tests/pictures`.
    fn every_kind() -> Vec<(&'static str, Vec<u8>)> {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
        let mut all: Vec<_> = [
            ("jpeg", Jpeg),
            ("png", Png),
            ("webp", WebP),
            ("bmp", Bmp),
            ("gif", Gif),
        ]
        .map(|(name, format)| (name, encoded(&quarters(16, 16), format)))
        .into();
        macro_rules! kept {
            ($($name:literal),*) => { $(
                all.push(($name, include_bytes!(concat!("../tests/pictures/quarters-", $name)).into()));
            )* };
        }
        kept!(
            "cmyk.jpg",
            "ycck.jpg",
            "progressive.jpg",
            "lossy.webp",
            "animated.webp",
            "palette.png"
        );
        all
    }

    #[test]
    fn every_kind_gives_its_colours() {
        for (name, bytes) in every_kind() {
            // The bottom right of the two printers' pictures is a grey made of black ink alone.
            let last = if name.starts_with("cmyk") || name.starts_with("ycck") {
                [100; 3]
            } else {
                WHITE
            };
            let picture = decoded(&bytes);
            assert_eq!((picture.width, picture.height), (16, 16), "{name}");
            for (got, want) in corners(&picture).iter().zip([RED, GREEN, BLUE, last]) {
                // JPEG's default here halves the colour planes, which bleeds.
                let near = got.iter().zip(want).all(|(g, w)| g.abs_diff(w) <= 4);
                assert!(near, "{name}: {got:?} is not {want:?}");
            }
        }
    }

    #[test]
    fn layouts_become_rgb8() {
        let deep = |v: [u16; 4]| ImageBuffer::from_pixel(8, 8, Rgba(v)).into();
        let cases: [(&str, DynamicImage, [u8; 3]); 6] = [
            (
                "grey",
                GrayImage::from_pixel(8, 8, Luma([90])).into(),
                [90; 3],
            ),
            (
                "grey with alpha, over white",
                GrayAlphaImage::from_pixel(8, 8, image::LumaA([0, 51])).into(),
                [204; 3],
            ),
            (
                "alpha, over white",
                RgbaImage::from_pixel(8, 8, Rgba([255, 100, 0, 128])).into(),
                [255, 177, 127],
            ),
            (
                "nothing to be seen",
                RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 0])).into(),
                WHITE,
            ),
            (
                "16-bit grey",
                ImageBuffer::from_pixel(8, 8, Luma([257 * 77u16])).into(),
                [77; 3],
            ),
            (
                "16-bit colour, rounded",
                deep([257 * 10 + 128, 257 * 10 + 129, 257 * 200 - 128, u16::MAX]),
                [10, 11, 200],
            ),
        ];
        for (name, picture, want) in cases {
            let got = decoded(&encoded(&picture, ImageFormat::Png));
            assert_eq!(corners(&got), [want; 4], "{name}");
        }
    }

    /// A TIFF header with the orientation tag alone.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut tag = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        tag.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        tag
    }

    #[test]
    fn orientation_is_applied() {
        let (r, g, b, w) = (RED, GREEN, BLUE, WHITE);
        let upright = [
            [r, g, b, w],
            [g, r, w, b],
            [w, b, g, r],
            [b, w, r, g],
            [r, b, g, w],
            [b, r, w, g],
            [w, g, b, r],
            [g, w, r, b],
        ];
        let sides = quarters(24, 16);
        for (i, want) in upright.iter().enumerate() {
            let code = i as u8 + 1;
            let size = if code < 5 { (24, 16) } else { (16, 24) };
            let mut files = [Vec::new(), Vec::new(), Vec::new()];
            let mut jpeg = JpegEncoder::new_with_quality(&mut files[0], 100);
            jpeg.set_exif_metadata(exif(code)).unwrap();
            sides.write_with_encoder(jpeg).unwrap();
            let mut png = PngEncoder::new(&mut files[1]);
            png.set_exif_metadata(exif(code)).unwrap();
            sides.write_with_encoder(png).unwrap();
            let mut webp = WebPEncoder::new_lossless(&mut files[2]);
            webp.set_exif_metadata(exif(code)).unwrap();
            sides.write_with_encoder(webp).unwrap();
            for (kind, file) in ["jpeg", "png", "webp"].iter().zip(&files) {
                let got = decoded(file);
                assert_eq!((got.width, got.height), size, "{kind} {code}");
                for (got, want) in corners(&got).iter().zip(want) {
                    let near = got.iter().zip(want).all(|(g, w)| g.abs_diff(*w) <= 4);
                    assert!(near, "{kind} {code}: {got:?} is not {want:?}");
                }
            }
        }
    }

    #[test]
    fn limits_hold_before_pixels_are_made() {
        for (name, bytes) in every_kind() {
            let tight = |max_bytes: usize, max_pixels| Limits {
                max_bytes: max_bytes as u64,
                max_pixels,
            };
            assert!(decode(&bytes, &tight(bytes.len(), 256)).is_ok(), "{name}");
            let big = decode(&bytes, &tight(bytes.len() - 1, 256)).unwrap_err();
            assert!(matches!(big, Fault::TooManyBytes { .. }), "{name}: {big}");
            let wide = decode(&bytes, &tight(bytes.len(), 255)).unwrap_err();
            assert!(
                matches!(
                    wide,
                    Fault::TooManyPixels {
                        width: 16,
                        height: 16,
                        limit: 255
                    }
                ),
                "{name}: {wide}"
            );
        }
        // A header that promises four gigapixels, with nothing behind it.
        let mut bomb = encoded(&quarters(16, 16), ImageFormat::Bmp);
        bomb[18..26].copy_from_slice(&[0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0]);
        let error = decode(&bomb, &Limits::default()).unwrap_err();
        assert!(matches!(error, Fault::TooManyPixels { .. }), "{error}");
        let long = encoded(&GrayImage::new(65_536, 1).into(), ImageFormat::Png);
        let error = decode(&long, &Limits::default()).unwrap_err();
        assert!(matches!(error, Fault::TooLong(65_536)), "{error}");
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        for (name, bytes) in every_kind() {
            // What may follow the last pixel: PNG's end chunk; GIF's end code, terminator and trailer.
            let tail = match name {
                "png" | "palette.png" => 12,
                "gif" => 4,
                _ => 0,
            };
            let whole = decoded(&bytes);
            for length in 0..bytes.len() {
                match decode(&bytes[..length], &Limits::default()) {
                    Ok(got) => {
                        assert!(
                            length >= bytes.len() - tail,
                            "{name} cut to {length} decodes"
                        );
                        assert_eq!(got, whole, "{name} cut to {length}");
                    }
                    Err(e) => assert!(length < bytes.len(), "{name} cut to {length}: {e}"),
                }
            }
        }
    }

    #[test]
    fn a_thumbnails_end_is_not_the_pictures_end() {
        let mut jpeg = encoded(&quarters(16, 16), ImageFormat::Jpeg);
        jpeg.splice(2..2, *b"\xFF\xE1\0\x08ab\xFF\xD9cd");
        assert!(decode(&jpeg, &Limits::default()).is_ok());
        let cut = &jpeg[..jpeg.len() - 40];
        let error = decode(cut, &Limits::default()).unwrap_err();
        assert!(matches!(error, Fault::Truncated), "{error}");
        // Phones append videos and the like.
        jpeg.extend(b"something after the end");
        assert!(decode(&jpeg, &Limits::default()).is_ok());
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let limits = Limits {
            max_bytes: 1 << 20,
            max_pixels: 1 << 16,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut good, mut bad) = (0, 0);
        for (name, bytes) in every_kind() {
            for round in 0..400 {
                let mut hurt = bytes.clone();
                for _ in 0..1 + round % 4 {
                    let at = rng.random_range(0..hurt.len());
                    hurt[at] = rng.random();
                }
                match decode(&hurt, &limits) {
                    Ok(p) => {
                        good += 1;
                        assert_eq!(p.rgb.len(), (p.width * p.height * 3) as usize, "{name}");
                    }
                    Err(_) => bad += 1,
                }
            }
        }
        assert!(good > 100 && bad > 100, "{good} decoded, {bad} refused");
    }

    #[test]
    fn errors_name_the_file_and_the_matter() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(&str, &[u8], &str); 7] = [
            ("a.jpg", b"", "is empty"),
            ("b.jpg", b" <!DOCTYPE html><p>404", "a web page"),
            (
                "c.jpg",
                b"\0\0\0\x18ftypheic....",
                "an HEIC, AVIF or video file",
            ),
            ("d.jpg", &[0; 64], "filled with zeros"),
            ("e.jpg", b"II*\0rest", "a TIFF file"),
            ("f.jpg", b"hello", "something unknown"),
            ("g.jpg", b"\xFF\xD8\xFF\xE0\0\x10JFIF", "is cut short"),
        ];
        for (name, bytes, what) in cases {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = decode_file(&path, &Limits::default())
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains(what), "{error}");
        }
        let missing = decode_file(&folder.path().join("none.png"), &Limits::default()).unwrap_err();
        assert!(matches!(missing.fault, Fault::Unreadable(_)), "{missing}");
        let not_file = decode_file(folder.path(), &Limits::default()).unwrap_err();
        assert!(matches!(not_file.fault, Fault::NotAFile), "{not_file}");
    }

    #[test]
    fn the_extension_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.jpg");
        std::fs::write(&path, encoded(&quarters(16, 16), ImageFormat::Png)).unwrap();
        let picture = decode_file(&path, &Limits::default()).unwrap();
        assert_eq!(corners(&picture), [RED, GREEN, BLUE, WHITE]);
    }
}
