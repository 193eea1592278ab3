//! Messages for tests: each kind of them.

use std::vec;
use std::vec::Vec;

use crate::{
    Answer, Call, CallError, Display, FrameError, Hello, Inferred, Memory, PixelFormat, Reply,
    Request, Top,
};

/// A request of every kind, with numbers of one byte to the most.
pub fn requests() -> Vec<Request<'static>> {
    let calls = [
        Call::Hello,
        Call::Picture {
            width: 320,
            height: u16::MAX,
        },
        Call::Tensor,
        Call::Data {
            offset: u32::MAX,
            bytes: &[0, 255, 0, 0, 1],
        },
        Call::Infer,
        Call::Logits { offset: 512 },
        Call::Label { class: 1 },
        Call::Verify { vector: 3 },
        Call::Profile { layer: 0 },
        Call::Screen { offset: 0 },
        Call::Memory,
    ];
    numbered(calls)
        .map(|(number, call)| Request { number, call })
        .collect()
}

/// A reply of every kind.
pub fn replies() -> Vec<Reply<'static>> {
    let received = Answer::Received { done: 0, total: 7 };
    let bytes = Answer::Bytes {
        total: 70_000,
        bytes: &[1, 0, 2],
    };
    let layer = Answer::Layer {
        name: "conv",
        ticks: 1,
    };
    let top =
        [(1, 0.75), (0, 0.25), (0, 0.0)].map(|(class, probability)| Top { class, probability });
    let inferred = Inferred {
        top,
        preprocess_ticks: 300,
        infer_ticks: u32::MAX,
    };
    let mut answers = vec![Answer::Hello(hello("lm3s6965evb")), received, bytes, layer];
    answers.push(Answer::Inferred(inferred));
    answers.extend([None, Some((4, "add"))].map(|differs| Answer::Verified { differs }));
    answers.push(Answer::Label { name: "cat" });
    answers.push(Answer::Memory(memory()));
    let formats = [PixelFormat::Mono, PixelFormat::Gray4, PixelFormat::Rgb565];
    answers.extend(formats.map(|format| {
        let mut hello = hello("");
        hello.display.format = format;
        hello.last_fault = None;
        Answer::Hello(hello)
    }));
    let frame_errors = [
        FrameError::TooLong,
        FrameError::Malformed,
        FrameError::Checksum,
        FrameError::Version { theirs: 9 },
        FrameError::Unknown,
    ];
    let mut errors = vec![
        CallError::PictureSize { largest: [640, 1] },
        CallError::NoRecipe,
        CallError::NothingBegun,
        CallError::Offset { expected: 1 << 20 },
        CallError::TooMany { total: 3 },
        CallError::Incomplete { done: 1, total: 2 },
        CallError::NotInferred,
        CallError::NoSuch { count: 0 },
        CallError::Model,
    ];
    errors.extend(frame_errors.map(CallError::Frame));
    let results = answers
        .into_iter()
        .map(Ok)
        .chain(errors.into_iter().map(Err));
    numbered(results)
        .map(|(number, result)| Reply { number, result })
        .collect()
}

/// The longest replies, from a text and bytes of the most length.
pub fn longest<'a>(text: &'a str, bytes: &'a [u8]) -> [Reply<'a>; 3] {
    let hello = Hello {
        model: text,
        last_fault: Some(text),
        checksum: u32::MAX,
        input: [u32::MAX; 3],
        largest: [u16::MAX; 2],
        logits: u32::MAX,
        layers: u16::MAX,
        vectors: u16::MAX,
        ticks_per_second: u32::MAX,
        ..hello(text)
    };
    let total = u32::MAX;
    let differs = Some((u16::MAX, text));
    [
        Answer::Hello(hello),
        Answer::Bytes { total, bytes },
        Answer::Verified { differs },
    ]
    .map(|answer| Reply {
        number: u16::MAX,
        result: Ok(answer),
    })
}

fn hello(board: &str) -> Hello<'_> {
    Hello {
        board,
        model: "catsdogs-nano",
        checksum: 0x1234_5678,
        intact: true,
        input: [40, 48, 3],
        takes_pictures: true,
        largest: [640, 480],
        logits: 2,
        scale: 0.125,
        zero_point: -128,
        layers: 12,
        vectors: 1,
        display: Display {
            width: 128,
            height: 64,
            format: PixelFormat::Gray4,
        },
        ticks_per_second: 1_000_000,
        nanoseconds_per_instruction: 16,
        last_fault: Some("panic"),
    }
}

fn memory() -> Memory {
    Memory {
        stack_reserved: 1,
        stack_used: 0,
        arena_reserved: 65_536,
        arena_used: 3,
        statics: 128,
        ram: 16_384,
        program: 4,
        model: u32::MAX,
    }
}

fn numbered<T>(values: impl IntoIterator<Item = T>) -> impl Iterator<Item = (u16, T)> {
    let numbers = [1, 0, 127, 128, 300, u16::MAX].into_iter().cycle();
    numbers.zip(values)
}
