use std::string::String;
use std::vec;
use std::vec::Vec;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::testing::{replies, requests};
use crate::{Answer, CHUNK, Call, CallError, MAX_NAME, Reply, Request};

fn frame<M: Serialize>(message: &M) -> Vec<u8> {
    let mut buffer = [0xaa; MAX_FRAME];
    encode(message, &mut buffer).unwrap().to_vec()
}

/// What a decoder tells of a stream.
fn events(decoder: &mut Decoder, stream: &[u8]) -> Vec<Result<Vec<u8>, FrameError>> {
    let mut events = Vec::new();
    for &byte in stream {
        events.extend(decoder.feed(byte).map(|event| event.map(<[u8]>::to_vec)));
    }
    events
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes
        .iter()
        .map(|byte| std::format!("{byte:02x}"))
        .collect();
    bytes.join(" ")
}

#[test]
fn the_bytes_on_the_wire() {
    let request = |number, call| frame(&Request { number, call });
    let reply = |number, result| frame(&Reply { number, result });
    let data = Call::Data {
        offset: 300,
        bytes: &[7, 0, 9],
    };
    let received = Answer::Received {
        done: 3,
        total: 30000,
    };
    let version = CallError::Frame(FrameError::Version { theirs: 9 });
    // The checksums are zlib's; COBS's codes are the first byte and those in place of zeros.
    let cases: [(&str, Vec<u8>, &str); 6] = [
        (
            "hello",
            request(1, Call::Hello),
            "00 03 01 01 05 64 82 98 e7 00",
        ),
        (
            "number",
            request(513, Call::Infer),
            "00 09 01 81 04 04 d3 c8 0e 1a 00",
        ),
        (
            "data",
            request(2, data),
            "00 08 01 02 03 ac 02 03 07 06 09 37 9e 87 f8 00",
        ),
        (
            "received",
            reply(2, Ok(received)),
            "00 03 01 02 0a 01 03 b0 ea 01 60 9d 0a 07 00",
        ),
        (
            "refused",
            reply(3, Err(CallError::NoRecipe)),
            "00 09 01 03 01 02 4d 56 ab 6c 00",
        ),
        (
            "version",
            reply(0, Err(version)),
            "00 02 01 02 01 07 03 09 04 fe d3 90 00",
        ),
    ];
    for (name, found, expected) in cases {
        assert_eq!(hex(&found), expected, "{name}");
    }
}

#[test]
fn every_message_comes_back() {
    let mut decoder = Decoder::<MAX_CONTENT>::new();
    for request in requests() {
        let events = events(&mut decoder, &frame(&request));
        let [Ok(bytes)] = &events[..] else {
            panic!("{request:?}: {events:?}");
        };
        assert_eq!(message(bytes), Ok(request));
    }
    for reply in replies() {
        let events = events(&mut decoder, &frame(&reply));
        let [Ok(bytes)] = &events[..] else {
            panic!("{reply:?}: {events:?}");
        };
        assert_eq!(message(bytes), Ok(reply));
    }
}

#[test]
fn the_longest_messages_fit_and_longer_ones_are_refused() {
    for fill in [0, 1, 0xff] {
        let text = String::from_utf8(vec![b'x'; MAX_NAME]).unwrap();
        for reply in crate::testing::longest(&text, &[fill; CHUNK]) {
            let frame = frame(&reply);
            let events = events(&mut Decoder::new(), &frame);
            assert_eq!(message(events[0].as_ref().unwrap()), Ok(reply));
            let mut short = vec![0; frame.len() - 1];
            assert_eq!(encode(&reply, &mut short), None);
            assert_eq!(encode(&reply, &mut []), None);
        }
    }
    let mut buffer = [0; 2 * MAX_FRAME];
    let of = |bytes: usize| vec![3u8; bytes];
    // Two bytes are the slice's own length.
    let len = encode(&&of(MAX_MESSAGE - 2)[..], &mut buffer).map(<[u8]>::len);
    assert_eq!(len, Some(MAX_FRAME));
    assert_eq!(encode(&&of(MAX_MESSAGE - 1)[..], &mut buffer), None);
}

#[test]
fn what_is_wrong_with_a_frame_is_said() {
    let good = frame(&Request {
        number: 1,
        call: Call::Hello,
    });
    let sealed = |content: &[u8], checksum: u32| {
        let mut wire = vec![0; 64];
        let content = [content, &checksum.to_le_bytes()].concat();
        let len = cobs::try_encode(&content, &mut wire).unwrap();
        wire.truncate(len + 1);
        wire
    };
    let right = |content: &[u8]| sealed(content, crc32(content));
    let unknown = right(&[VERSION, 1, 99]);
    let longer = right(&[VERSION, 1, 0, 0]);
    let cases: [(&str, Vec<u8>, Option<FrameError>); 9] = [
        ("nothing", vec![0, 0, 0, 0], None),
        (
            "cut",
            [&good[..5], &[0]].concat(),
            Some(FrameError::Malformed),
        ),
        ("short", vec![4, 1, 2, 3, 0], Some(FrameError::Malformed)),
        ("checksum alone", right(&[]), Some(FrameError::Malformed)),
        (
            "checksum",
            sealed(&[VERSION, 1, 0], 7),
            Some(FrameError::Checksum),
        ),
        (
            "version",
            right(&[2, 1, 0]),
            Some(FrameError::Version { theirs: 2 }),
        ),
        ("another message", unknown, Some(FrameError::Unknown)),
        ("more than a message", longer, Some(FrameError::Unknown)),
        ("no message", right(&[VERSION]), Some(FrameError::Unknown)),
    ];
    for (name, wire, expected) in cases {
        let mut decoder = Decoder::new();
        let found = events(&mut decoder, &wire);
        let found: Vec<FrameError> = found
            .iter()
            .filter_map(|event| match event {
                Ok(bytes) => message::<Request<'_>>(bytes).err(),
                Err(error) => Some(*error),
            })
            .collect();
        assert_eq!(found, Vec::from_iter(expected), "{name}");
        assert_eq!(events(&mut decoder, &good), [Ok(vec![1, 0])], "{name}");
    }
}

#[test]
fn a_stream_with_no_end_is_told_once() {
    let good = frame(&Reply {
        number: 9,
        result: Err(CallError::Model),
    });
    for byte in [1, 2, 0x7f, 0xfe, 0xff] {
        let mut decoder = Decoder::<MAX_CONTENT>::new();
        let found = events(&mut decoder, &vec![byte; 100_000]);
        assert_eq!(found, [Err(FrameError::TooLong)], "{byte}");
        let found = events(&mut decoder, &[&[0][..], &good].concat());
        assert_eq!(found.len(), 1, "{byte}");
        assert!(found[0].is_ok(), "{byte}");
    }
}

/// Something that goes wrong on a line.
fn spoil(rng: &mut ChaCha8Rng, frame: &[u8]) -> Vec<u8> {
    let mut wire = frame.to_vec();
    let at = rng.random_range(0..wire.len());
    match rng.random_range(0..7) {
        0 => wire[at] ^= 1 << rng.random_range(0..8),
        1 => wire[at] = rng.random(),
        2 => wire.truncate(at),
        3 => drop(wire.drain(..at)),
        4 => wire.insert(at, rng.random()),
        5 => {
            let end = rng.random_range(at..wire.len());
            wire.splice(at..at, frame[at..=end].iter().copied());
        }
        _ => {
            let len = rng.random_range(0..2 * MAX_FRAME);
            wire.splice(at..at, (0..len).map(|_| rng.random()));
        }
    }
    wire
}

/// Whatever happened to a frame, the next one arrives. And nothing arrives that was not sent.
#[test]
fn a_good_frame_after_a_bad_one_arrives() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let requests = requests();
    let mut decoder = Decoder::<MAX_CONTENT>::new();
    let mut lost = 0;
    for round in 0..20_000 {
        let data: Vec<u8> = (0..rng.random_range(0..CHUNK))
            .map(|_| rng.random())
            .collect();
        let mut pick = || match rng.random_range(0..=requests.len()) {
            index if index < requests.len() => requests[index],
            _ => Request {
                number: 7,
                call: Call::Data {
                    offset: 1,
                    bytes: &data,
                },
            },
        };
        let (first, second) = (pick(), pick());
        let mut wire = spoil(&mut rng, &frame(&first));
        wire.extend(frame(&second));

        let events = events(&mut decoder, &wire);
        let arrived: Vec<Request<'_>> = events
            .iter()
            .flatten()
            .map(|bytes| message(bytes).unwrap())
            .collect();
        assert_eq!(arrived.last(), Some(&second), "round {round}");
        for message in &arrived {
            assert!(
                [first, second].contains(message),
                "round {round}: {message:?}"
            );
        }
        lost += usize::from(!arrived.contains(&first));
    }
    assert!(lost > 10_000, "{lost} frames were spoilt");
}

#[test]
fn noise_is_no_message() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut decoder = Decoder::<MAX_CONTENT>::new();
    let noise: Vec<u8> = (0..1_000_000).map(|_| rng.random()).collect();
    let found = events(&mut decoder, &noise);
    assert!(found.len() > 1000, "{} frames in the noise", found.len());
    assert!(found.iter().all(Result::is_err));
}
