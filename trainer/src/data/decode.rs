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

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::Picture;

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

/// A picture that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.as_deref().unwrap_or(Path::new("picture")).display())]
pub struct DecodeError {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a picture.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file system said no.
    #[error("cannot be read ({0}); check that it exists and may be read")]
    Unreadable(io::Error),
    /// A folder, pipe or device.
    #[error("is not a file; take it out of the pictures")]
    NotAFile,
    /// No bytes.
    #[error("is empty; fetch it again or delete it")]
    Empty,
    /// More bytes than [`Limits::max_bytes`].
    #[error("has {bytes} bytes, the limit is {limit}; save it smaller")]
    TooManyBytes {
        /// The file's size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More pixels than [`Limits::max_pixels`].
    #[error("has {width}x{height} pixels, the limit is {limit}; save it smaller")]
    TooManyPixels {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit.
        limit: u64,
    },
    /// Something else than a picture that Kiln reads.
    #[error("is {0}, not a JPEG, PNG, WebP, BMP or GIF picture; convert it or delete it")]
    NotAPicture(&'static str),
    /// A feature of the format that the decoder lacks.
    #[error("cannot be decoded ({0}); save it again as a plain JPEG or PNG")]
    Unsupported(String),
    /// The end is missing.
    #[error("is cut short; fetch it again or delete it")]
    Truncated,
    /// The bytes make no picture.
    #[error("is damaged ({0}); fetch it again or delete it")]
    Damaged(String),
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

/// Decodes a file's bytes.
///
/// # Errors
/// A [`DecodeError`] with no path.
pub fn decode_bytes(bytes: &[u8], limits: &Limits) -> Result<Picture, DecodeError> {
    decode(bytes, limits).map_err(|fault| DecodeError { path: None, fault })
}

/// Reads a file of at most [`Limits::max_bytes`] bytes.
pub(super) fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, Fault> {
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
pub(super) fn format_of(bytes: &[u8]) -> Result<ImageFormat, Fault> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Gif)) => Ok(format),
        Ok(ImageFormat::Tiff) => Err(Fault::NotAPicture("a TIFF file")),
        Ok(ImageFormat::Avif) => Err(Fault::NotAPicture("an AVIF file")),
        _ => Err(Fault::NotAPicture(kind_of_stranger(bytes))),
    }
}

/// Names what a download or a phone leaves behind in place of a picture.
fn kind_of_stranger(bytes: &[u8]) -> &'static str {
    let text = bytes.trim_ascii_start();
    let starts = |with: &str| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    if bytes.get(4..8) == Some(b"ftyp") {
        "an HEIC, AVIF or video file"
    } else if starts("<!doctype") || starts("<html") {
        "a web page"
    } else if starts("<svg") || starts("<?xml") {
        "an SVG or XML file"
    } else if starts("%PDF") {
        "a PDF file"
    } else if bytes.starts_with(b"\0\0\0\0") {
        "filled with zeros"
    } else {
        "something unknown"
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

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, Fault> {
    check_bytes(bytes.len() as u64, limits)?;
    let format = format_of(bytes)?;
    if format == ImageFormat::Jpeg && !jpeg_has_end(bytes) {
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

/// Whether a JPEG's end marker follows its first scan. The decoder would fill up with grey otherwise.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(rest) = bytes.get(at..) {
        match *rest {
            // Fill bytes, and markers that have no length.
            [0xFF, 0xFF, ..] => at += 1,
            [0xFF, 0x01 | 0xD0..=0xD8, ..] => at += 2,
            [0xFF, START_OF_SCAN, ..] => return has_end_marker(rest),
            // Thumbnails inside these segments have end markers of their own.
            [0xFF, _, high, low, ..] => at += 2 + usize::from(u16::from_be_bytes([high, low])),
            // No marker where one belongs: let the decoder say it.
            _ => return has_end_marker(rest),
        }
    }
    false
}

fn has_end_marker(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    bytes.windows(2).any(|pair| pair == END_OF_IMAGE)
}

fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => Fault::Truncated,
        ImageError::Unsupported(e) => Fault::Unsupported(e.to_string()),
        ImageError::Limits(e) => match e.kind() {
            LimitErrorKind::InsufficientMemory => {
                Fault::Unsupported("it needs more memory than its size justifies".into())
            }
            _ => Fault::Unsupported(e.to_string()),
        },
        other if is_end_of_file(&other) => Fault::Truncated,
        other => Fault::Damaged(other.to_string()),
    }
}

fn is_end_of_file(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::UnexpectedEof;
        }
        cause = e.source();
    }
    false
}
