//! Frames: how a message lies on the wire.
//!
//! ```text
//! frame   = 0x00 COBS(content) 0x00
//! content = version (1 byte), message (postcard), CRC-32 of both (4 bytes, little endian)
//! ```
//!
//! COBS leaves no zero but those at the ends, so whatever was cut or garbled before it, a frame arrives:
//! its first zero ends what the line made up. Empty frames mean nothing. All of this but the message stays
//! the same in every version, so that a frame of another version is told as such and not as damaged.
//!
//! Nothing here panics, whatever comes.

use cobs::{CobsEncoder, DecodeResult, DecoderState};
use kiln_core::crc::{Crc32, crc32};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::{FrameError, MAX_MESSAGE, VERSION};

/// The most bytes of a frame's content: version, message, checksum.
pub const MAX_CONTENT: usize = 1 + MAX_MESSAGE + CHECKSUM;

/// The most bytes of a frame on the wire: for [`encode`]'s buffer.
pub const MAX_FRAME: usize = cobs::max_encoding_length(MAX_CONTENT) + 2;

/// Bytes of the checksum.
const CHECKSUM: usize = size_of::<u32>();

/// Writes the frame of a message; its bytes, the zeros included. `None` if it is longer than any frame
/// may be, or than the buffer.
pub fn encode<'b, M: Serialize>(message: &M, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let (first, rest) = buffer.split_first_mut()?;
    *first = 0;
    let content = Content {
        cobs: CobsEncoder::new(rest),
        crc: Crc32::new(),
        left: MAX_CONTENT,
    };
    let end = 1 + write(message, content).ok()?;
    *buffer.get_mut(end)? = 0;
    buffer.get(..=end)
}

fn write<M: Serialize>(message: &M, mut content: Content<'_>) -> postcard::Result<usize> {
    content.try_push(VERSION)?;
    postcard::serialize_with_flavor(message, content)
}

/// The content of a frame in the making.
struct Content<'b> {
    cobs: CobsEncoder<'b>,
    crc: Crc32,
    /// Bytes that may still come.
    left: usize,
}

impl Content<'_> {
    fn extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        const FULL: postcard::Error = postcard::Error::SerializeBufferFull;
        self.left = self.left.checked_sub(bytes.len()).ok_or(FULL)?;
        self.cobs.push(bytes).map_err(|_| FULL)
    }
}

impl Flavor for Content<'_> {
    /// Bytes on the wire, but for the zeros.
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.crc.update(bytes);
        self.extend(bytes)
    }

    fn finalize(mut self) -> postcard::Result<usize> {
        let checksum = self.crc.finish().to_le_bytes();
        self.extend(&checksum)?;
        Ok(self.cobs.finalize())
    }
}

/// The message of a frame, from what [`Decoder::feed`] gave.
///
/// # Errors
///
/// [`FrameError::Unknown`] if it is not exactly one `M`.
pub fn message<'m, M: Deserialize<'m>>(bytes: &'m [u8]) -> Result<M, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Unknown),
    }
}

/// Finds frames in what comes over the line, a byte at a time. `N` is the most bytes of a frame's content.
#[derive(Debug)]
pub struct Decoder<const N: usize = MAX_CONTENT> {
    state: DecoderState,
    content: [u8; N],
    len: usize,
    /// The frame was too long, which has been said: nothing more of it is looked at.
    skips: bool,
}

impl<const N: usize> Default for Decoder<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Decoder<N> {
    /// One that is between two frames.
    pub const fn new() -> Self {
        Self {
            state: DecoderState::Idle,
            content: [0; N],
            len: 0,
            skips: false,
        }
    }

    /// Takes the next byte. Where it ends a frame: the bytes of its message, for [`message`], or what is
    /// wrong with it. A frame that does not end is told as [`FrameError::TooLong`] once. After an error
    /// the next frame is found.
    pub fn feed(&mut self, byte: u8) -> Option<Result<&[u8], FrameError>> {
        if self.skips {
            self.skips = byte != 0;
            return None;
        }
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => None,
            Ok(DecodeResult::DataStart) => {
                self.len = 0;
                None
            }
            Ok(DecodeResult::DataContinue(byte)) => match self.content.get_mut(self.len) {
                Some(place) => {
                    *place = byte;
                    self.len += 1;
                    None
                }
                None => {
                    self.skips = true;
                    self.state = DecoderState::Idle;
                    Some(Err(FrameError::TooLong))
                }
            },
            Ok(DecodeResult::DataComplete) => Some(open(self.content.get(..self.len))),
            Err(_) => Some(Err(FrameError::Malformed)),
        }
    }
}

/// The message of a frame's content.
fn open(content: Option<&[u8]>) -> Result<&[u8], FrameError> {
    let (checked, checksum) = content
        .and_then(<[u8]>::split_last_chunk::<CHECKSUM>)
        .ok_or(FrameError::Malformed)?;
    match checked.split_first() {
        None => Err(FrameError::Malformed),
        Some(_) if crc32(checked) != u32::from_le_bytes(*checksum) => Err(FrameError::Checksum),
        Some((&theirs, _)) if theirs != VERSION => Err(FrameError::Version { theirs }),
        Some((_, message)) => Ok(message),
    }
}

#[cfg(test)]
mod tests;
