//! A request and its answer, over a line that loses and changes bytes.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use kiln_link::{Answer, Call, CallError, FrameError, Reply, Request, VERSION, frame};

use super::BoardError;
use crate::port::Port;
use crate::qemu::Qemu;

/// How long an answer may still take once something unreadable has come in its place, for the last time.
const GRACE: Duration = Duration::from_millis(300);

/// How often and how long a board is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For what a board answers at once.
    pub quick: Duration,
    /// For a run of the model.
    pub slow: Duration,
    /// How often a request is sent before it is given up.
    pub tries: u32,
}

impl Default for Patience {
    /// 5 s and 60 s, three times: also an emulator on a busy machine answers.
    fn default() -> Self {
        Self {
            quick: Duration::from_secs(5),
            slow: Duration::from_secs(60),
            tries: 3,
        }
    }
}

/// The host's end of a line, and the emulator at the other end where it is one.
#[derive(Debug)]
pub struct Exchange {
    pub port: Port,
    pub qemu: Option<Qemu>,
    pub patience: Patience,
    decoder: Box<frame::Decoder>,
    number: u16,
}

/// What has come in place of an answer.
#[derive(Debug, Default)]
struct Noise {
    bytes: usize,
    version: Option<u8>,
    refused: Option<FrameError>,
}

/// What one try gave.
enum Try<T> {
    Answered(T),
    Refused(CallError),
    /// The answer is one to something else.
    Unexpected,
    Nothing,
}

impl Exchange {
    pub fn new(port: Port, qemu: Option<Qemu>, patience: Patience) -> Self {
        Self {
            port,
            qemu,
            patience,
            decoder: Box::default(),
            // Another one than that of whoever asked before.
            number: RandomState::new().hash_one(0) as u16,
        }
    }

    /// Sends a request until its answer comes. `read` takes the answer if it is one to this call.
    pub fn call<T>(
        &mut self,
        call: Call<'_>,
        patience: Duration,
        mut read: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<T, BoardError> {
        self.number = match self.number.wrapping_add(1) {
            // That of answers to what could not be read.
            0 => 1,
            number => number,
        };
        let request = Request {
            number: self.number,
            call,
        };
        let mut buffer = [0; frame::MAX_FRAME];
        // Only a call with too much data has no frame, and there is none.
        let Some(bytes) = frame::encode(&request, &mut buffer) else {
            return Err(BoardError::Unexpected);
        };
        let mut noise = Noise::default();
        for _ in 0..self.patience.tries.max(1) {
            match self.attempt(bytes, patience, &mut noise, &mut read)? {
                Try::Answered(answer) => return Ok(answer),
                Try::Refused(error) => return Err(BoardError::Refused(error)),
                Try::Unexpected => return Err(BoardError::Unexpected),
                Try::Nothing => {}
            }
        }
        Err(noise.error(&self.port))
    }

    fn attempt<T>(
        &mut self,
        request: &[u8],
        patience: Duration,
        noise: &mut Noise,
        read: &mut dyn FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<Try<T>, BoardError> {
        let end = Instant::now() + patience;
        let mut deadline = end;
        let sent = self.port.send(request, deadline);
        sent.map_err(|error| self.line(error))?;
        let mut buffer = [0; 1024];
        loop {
            let received = self.port.receive(&mut buffer, deadline);
            let bytes = match received {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Try::Nothing),
                Err(error) => return Err(self.line(error)),
            };
            noise.bytes += bytes.len();
            let mut result = Try::Nothing;
            for &byte in bytes {
                let Some(event) = self.decoder.feed(byte) else {
                    continue;
                };
                match event.and_then(frame::message::<Reply<'_>>) {
                    // It may come twice, where its request was sent again.
                    Ok(reply) if reply.number == self.number => {
                        if matches!(result, Try::Nothing) {
                            result = match reply.result {
                                Ok(answer) => read(answer).map_or(Try::Unexpected, Try::Answered),
                                Err(error) => Try::Refused(error),
                            };
                        }
                        continue;
                    }
                    Ok(Reply {
                        result: Err(CallError::Frame(error)),
                        ..
                    }) => noise.refused = Some(error),
                    // An answer to an earlier one.
                    Ok(_) => continue,
                    Err(FrameError::Version { theirs }) => noise.version = Some(theirs),
                    Err(_) => {}
                }
                deadline = end.min(Instant::now() + GRACE);
            }
            if !matches!(result, Try::Nothing) {
                return Ok(result);
            }
            if Instant::now() > deadline {
                return Ok(Try::Nothing);
            }
        }
    }

    fn line(&mut self, source: io::Error) -> BoardError {
        if source.kind() == ErrorKind::TimedOut {
            return BoardError::Stuck;
        }
        let said = self.qemu.as_mut().and_then(Qemu::ended);
        BoardError::Line { source, said }
    }
}

impl Noise {
    /// What it looks like.
    fn error(self, port: &Port) -> BoardError {
        let baud = match port {
            Port::Serial(port) => port.baud_rate().unwrap_or_default().to_string(),
            Port::Socket(_) => "emulated".to_owned(),
        };
        if let Some(theirs) = self.version {
            let ours = VERSION;
            return BoardError::Version { theirs, ours };
        }
        if let Some(error) = self.refused {
            return BoardError::Garbled(error);
        }
        match self.bytes {
            0 => BoardError::Silent { baud },
            bytes => BoardError::Garbage { bytes, baud },
        }
    }
}
