//! A board that is a thread, at the other end of a socket, with a bad line.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use kiln_link::{
    Answer, CHUNK, Call, CallError, Display, FrameError, Hello, Inferred, Memory, PixelFormat,
    Reply, Request, Top, frame,
};

pub const HELLO: Hello<'static> = Hello {
    board: "a thread",
    model: "mock",
    checksum: 0x0bad_cafe,
    intact: true,
    input: [1, 2, 3],
    takes_pictures: true,
    largest: [40, 30],
    logits: 2,
    scale: 0.5,
    zero_point: -3,
    layers: 3,
    vectors: 2,
    display: Display {
        width: 128,
        height: 57,
        format: PixelFormat::Gray4,
    },
    ticks_per_second: 1000,
    nanoseconds_per_instruction: 0,
    last_fault: Some("watchdog"),
};

pub const MEMORY: Memory = Memory {
    stack_reserved: 8192,
    stack_used: 1000,
    arena_reserved: 50,
    arena_used: 40,
    statics: 60,
    ram: 70,
    program: 80,
    model: 90,
};

pub fn frame_buffer() -> Vec<u8> {
    (0..64 * 57).map(|index| (index % 253) as u8).collect()
}

/// Logits that depend on every byte of the data.
pub fn logits(data: &[u8]) -> [i8; 2] {
    let sum = kiln_core::crc::crc32(data).to_le_bytes();
    [sum[0] as i8, sum[1] as i8]
}

pub fn inferred(data: &[u8]) -> Inferred {
    let [first, second] = logits(data).map(|logit| Top {
        class: u16::from(logit as u8),
        probability: 0.5,
    });
    Inferred {
        top: [first, second, Top::default()],
        preprocess_ticks: data.len() as u32,
        infer_ticks: 7,
    }
}

/// What happens to a request or its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The reply is lost.
    DropReply,
    /// A bit of it flips.
    Garble,
    /// It ends early, without its zero.
    CutReply,
    /// It comes twice, behind noise.
    Twice,
    /// The board cannot read the request.
    Unread,
    /// Something comes that is no reply.
    NoiseOnly,
    /// The reply is of another version.
    OtherVersion,
    /// The reply is to another call.
    OtherAnswer,
}

impl Fault {
    /// Those that a retry mends.
    pub const ALL: [Self; 5] = [
        Self::DropReply,
        Self::Garble,
        Self::CutReply,
        Self::Twice,
        Self::Unread,
    ];
}

pub struct Mock<F> {
    fault: F,
    requests: usize,
    /// The last request and its reply, as a frame.
    last: Option<(u16, Vec<u8>)>,
    done: usize,
    total: Option<usize>,
    data: Vec<u8>,
    inferred: bool,
}

/// A board that runs.
pub struct Running(JoinHandle<usize>);

impl Running {
    /// The requests that were done, once nobody asks any more.
    pub fn done(self) -> usize {
        self.0.join().unwrap()
    }
}

impl<F: FnMut(usize) -> Fault + Send + 'static> Mock<F> {
    pub fn new(fault: F) -> Self {
        Self {
            fault,
            requests: 0,
            last: None,
            done: 0,
            total: None,
            data: Vec::new(),
            inferred: false,
        }
    }

    pub fn run(mut self, mut line: UnixStream) -> Running {
        Running(thread::spawn(move || {
            let mut decoder: frame::Decoder = frame::Decoder::new();
            let mut buffer = [0; 256];
            while let Ok(count @ 1..) = line.read(&mut buffer) {
                for &byte in &buffer[..count] {
                    let Some(event) = decoder.feed(byte) else {
                        continue;
                    };
                    let reply = match event.and_then(frame::message::<Request<'_>>) {
                        Ok(request) => self.reply(&request),
                        Err(error) => unread(error),
                    };
                    if line.write_all(&reply).is_err() {
                        return self.done;
                    }
                }
            }
            self.done
        }))
    }

    /// What goes over the line in answer to a request.
    fn reply(&mut self, request: &Request<'_>) -> Vec<u8> {
        let fault = (self.fault)(self.requests);
        self.requests += 1;
        if fault == Fault::Unread {
            return unread(FrameError::Checksum);
        }
        let again = self
            .last
            .as_ref()
            .is_some_and(|(number, _)| *number == request.number);
        if !again {
            self.done += 1;
            let result = self.answer(&request.call);
            self.last = Some((request.number, encode(request.number, result)));
        }
        let mut reply = self.last.clone().unwrap_or_default().1;
        match fault {
            Fault::None | Fault::Unread => {}
            Fault::DropReply => reply.clear(),
            Fault::Garble => reply[1] ^= 0x40,
            Fault::CutReply => reply.truncate(reply.len() / 2),
            Fault::Twice => reply = [&[9, 9, 0][..], &reply, &reply].concat(),
            Fault::NoiseOnly => reply = vec![0x55, 0xfe, 0x80, 0, 0x33],
            Fault::OtherVersion => {
                // Version 2, a message of one byte, their checksum, behind COBS's code.
                let [a, b, c, d] = kiln_core::crc::crc32(&[2, 1]).to_le_bytes();
                reply = vec![7, 2, 1, a, b, c, d, 0];
            }
            Fault::OtherAnswer => {
                let layer = Answer::Layer { name: "", ticks: 0 };
                reply = encode(request.number, Ok(layer));
            }
        }
        reply
    }

    fn answer(&mut self, call: &Call<'_>) -> Result<Answer<'static>, CallError> {
        let received = |data: &[u8], total| Answer::Received {
            done: data.len() as u32,
            total,
        };
        Ok(match *call {
            Call::Hello => Answer::Hello(HELLO),
            Call::Picture { width: 0, .. } => {
                let largest = HELLO.largest;
                return Err(CallError::PictureSize { largest });
            }
            Call::Picture { width, height } => self.begin(u32::from(width) * u32::from(height) * 3),
            Call::Tensor => self.begin(6),
            Call::Data { offset, bytes } => {
                let total = self.total.ok_or(CallError::NothingBegun)? as u32;
                let expected = self.data.len() as u32;
                if offset != expected {
                    return Err(CallError::Offset { expected });
                }
                if self.data.len() + bytes.len() > total as usize {
                    return Err(CallError::TooMany { total });
                }
                self.data.extend_from_slice(bytes);
                received(&self.data, total)
            }
            Call::Infer if self.total == Some(self.data.len()) => {
                self.inferred = true;
                Answer::Inferred(inferred(&self.data))
            }
            Call::Infer => return Err(CallError::NothingBegun),
            Call::Logits { .. } if !self.inferred => return Err(CallError::NotInferred),
            Call::Logits { offset } => piece(&logits(&self.data).map(|logit| logit as u8), offset),
            Call::Label { class } => Answer::Label {
                name: ["class 0", "class 1"][usize::from(class)],
            },
            Call::Verify { vector: 0 } => Answer::Verified { differs: None },
            Call::Verify { vector: 1 } => Answer::Verified {
                differs: Some((2, "add")),
            },
            Call::Verify { .. } => return Err(CallError::NoSuch { count: 2 }),
            Call::Profile { layer } => Answer::Layer {
                name: ["layer 0", "layer 1", "layer 2"][usize::from(layer)],
                ticks: u32::from(layer) * 10,
            },
            Call::Screen { offset } => piece(&frame_buffer(), offset),
            Call::Memory => Answer::Memory(MEMORY),
        })
    }

    fn begin(&mut self, total: u32) -> Answer<'static> {
        self.total = Some(total as usize);
        self.data.clear();
        self.inferred = false;
        Answer::Received { done: 0, total }
    }
}

fn piece(bytes: &[u8], offset: u32) -> Answer<'static> {
    let rest = &bytes[offset as usize..];
    Answer::Bytes {
        total: bytes.len() as u32,
        // A test's few bytes may stay.
        bytes: rest[..rest.len().min(CHUNK)].to_vec().leak(),
    }
}

fn unread(error: FrameError) -> Vec<u8> {
    encode(0, Err(CallError::Frame(error)))
}

fn encode(number: u16, result: Result<Answer<'_>, CallError>) -> Vec<u8> {
    let mut buffer = [0; frame::MAX_FRAME];
    let reply = Reply { number, result };
    frame::encode(&reply, &mut buffer).unwrap().to_vec()
}
