//! What can be wrong with a picture file, in words.

use std::io;
use std::path::{Path, PathBuf};

use image::error::{ImageError, LimitErrorKind};
use kiln_core::preprocess::MAX_SIDE;

#[cfg(doc)]
use super::Limits;

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
    /// A side longer than [`MAX_SIDE`].
    #[error("has a side of {0} pixels, the limit is {MAX_SIDE}; save it smaller")]
    TooLong(u32),
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

/// Names what a download or a phone leaves behind in place of a picture.
pub(crate) fn kind_of_stranger(bytes: &[u8]) -> &'static str {
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

/// What a decoder's error means for whoever has the file.
pub(crate) fn fault(error: ImageError) -> Fault {
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
