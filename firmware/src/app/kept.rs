use kiln_core::crc::crc32;
use kiln_link::frame::{MAX_FRAME, encode};
use kiln_link::{CallError, FrameError, Reply};

use super::Board;

/// The last answer, for when it is asked for again.
#[derive(Debug)]
pub struct Kept {
    /// The checksum of the request's bytes.
    request: Option<u32>,
    frame: [u8; MAX_FRAME],
    len: usize,
}

impl Kept {
    pub const fn new() -> Self {
        Self {
            request: None,
            frame: [0; MAX_FRAME],
            len: 0,
        }
    }

    /// Whether this is the answer to a request of these bytes.
    pub fn is_for(&self, request: &[u8]) -> bool {
        self.request == Some(crc32(request))
    }

    /// Keeps the answer to a request of these bytes.
    pub fn keep(&mut self, request: &[u8], reply: &Reply<'_>) {
        self.request = Some(crc32(request));
        self.len = encode(reply, &mut self.frame).map_or(0, <[u8]>::len);
    }

    /// The answer's frame.
    pub fn frame(&self) -> &[u8] {
        self.frame.get(..self.len).unwrap_or_default()
    }
}

/// Says that a frame could not be read. The last answer is still kept.
pub fn refuse<B: Board>(board: &mut B, error: FrameError) {
    let reply = Reply {
        number: 0,
        result: Err(CallError::Frame(error)),
    };
    if let Some(frame) = encode(&reply, &mut [0; 32]) {
        board.send(frame);
    }
}
