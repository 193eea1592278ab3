//! Every call, and what it is answered with.

use kiln_firmware::ui::thumbnail::Pixels;
use kiln_firmware::ui::{self, Cost, Guess, Heat, Screen, Thumbnail};

use super::*;

#[test]
fn hello_says_what_the_board_is() {
    let model = bytes();
    let sent = serve(&model, &request(7, Call::Hello)).sent;
    let mut decoder: Decoder = Decoder::new();
    let frame = sent.iter().find_map(|&byte| {
        let frame = decoder.feed(byte)?;
        Some(frame.unwrap().to_vec())
    });
    let frame = frame.unwrap();
    let reply: Reply<'_> = message(&frame).unwrap();
    assert_eq!(reply.number, 7);
    let Ok(Answer::Hello(hello)) = reply.result else {
        panic!("{reply:?}");
    };
    assert_eq!((hello.board, hello.model), ("mock", "two layers"));
    assert_eq!(hello.checksum.to_le_bytes(), model[12..16]);
    assert!(hello.intact && hello.takes_pictures);
    assert_eq!((hello.input, hello.largest), ([2, 3, 1], LARGEST));
    assert_eq!((hello.logits, hello.layers, hello.vectors), (4, 2, 2));
    assert_eq!((hello.scale, hello.zero_point), (0.25, 3));
    let display = hello.display;
    assert_eq!((display.width, display.height), (WIDTH, HEIGHT));
    assert_eq!(display.format, PixelFormat::Gray4);
    assert_eq!(
        (hello.ticks_per_second, hello.nanoseconds_per_instruction),
        (1000, 0)
    );
    assert_eq!(hello.last_fault, Some("it broke"));
}

#[test]
fn a_picture_in_pieces_gives_the_engines_bits() {
    let (model, rgb) = (bytes(), picture());
    let (inferred, logits) = expected(&model, &rgb);
    // Pieces that end within pixels, within rows, at rows, and that hold several rows.
    for sizes in [
        &[60][..],
        &[15, 15, 15, 15],
        &[1, 13, 1, 16, 29],
        &[0, 44, 0, 16],
    ] {
        let mut calls = vec![PICTURE];
        let (mut at, mut received) = (
            0,
            vec![told(1, Ok(Answer::Received { done: 0, total: 60 }))],
        );
        for &size in sizes {
            calls.push(data(at as u32, &rgb[at..at + size]));
            at += size;
            let done = Answer::Received {
                done: at as u32,
                total: 60,
            };
            received.push(told(calls.len() as u16, Ok(done)));
        }
        calls.extend([
            Call::Infer,
            Call::Logits { offset: 0 },
            Call::Logits { offset: 3 },
        ]);
        let number = received.len() as u16 + 1;
        received.push(told(number, Ok(Answer::Inferred(inferred))));
        for (number, from) in [(number + 1, 0), (number + 2, 3)] {
            let bytes = Answer::Bytes {
                total: 4,
                bytes: &logits[from..],
            };
            received.push(told(number, Ok(bytes)));
        }
        assert_eq!(answers(&model, &calls), received, "{sizes:?}");
    }
}

#[test]
fn a_tensor_is_the_input_itself() {
    let model = bytes();
    let input = input_of(1);
    let checked = Model::new(&model).unwrap();
    let golden = checked.golden().nth(1).unwrap();
    let logits = Answer::Bytes {
        total: 4,
        bytes: golden.logits,
    };
    let calls = [
        Call::Tensor,
        data(0, &input[..2]),
        data(2, &input[2..]),
        Call::Infer,
        Call::Logits { offset: 0 },
    ];
    let told_answers = answers(&model, &calls);
    assert_eq!(
        told_answers[0],
        told(1, Ok(Answer::Received { done: 0, total: 6 }))
    );
    assert!(
        told_answers[3].contains("preprocess_ticks: 0"),
        "{}",
        told_answers[3]
    );
    assert_eq!(told_answers[4], told(5, Ok(logits)));
}

#[test]
fn profile_labels_memory_and_screen() {
    let (model, rgb) = (bytes(), picture());
    let calls = [
        PICTURE,
        data(0, &rgb),
        Call::Infer,
        Call::Profile { layer: 1 },
        Call::Profile { layer: 2 },
        Call::Label { class: 3 },
        Call::Memory,
    ];
    let told_answers = answers(&model, &calls);
    let layer = Answer::Layer {
        name: "second",
        ticks: 1,
    };
    assert_eq!(told_answers[3], told(4, Ok(layer)));
    assert_eq!(
        told_answers[4],
        told(5, Err(CallError::NoSuch { count: 2 }))
    );
    assert_eq!(told_answers[5], told(6, Ok(Answer::Label { name: "fish" })));
    let arena = Model::new(&model).unwrap().arena_bytes() as u32;
    let memory = kiln_link::Memory {
        arena_reserved: arena,
        arena_used: arena,
        program: 5000,
        model: model.len() as u32,
        ..mock::MEMORY
    };
    assert_eq!(told_answers[6], told(7, Ok(Answer::Memory(memory))));

    let served = serve(
        &model,
        &(1..)
            .zip(calls)
            .flat_map(|(n, call)| request(n, call))
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        served.shown,
        1 + 1 + 1 + 2,
        "welcome, receiving twice, thinking and answer"
    );
    let frame = served.frame;
    assert!(frame.iter().any(|&byte| byte != 0));
    let mut screen = Vec::new();
    for offset in (0..frame.len() + 1).step_by(512) {
        let mut line: Vec<u8> = (1..)
            .zip(calls)
            .flat_map(|(n, call)| request(n, call))
            .collect();
        line.extend(request(
            99,
            Call::Screen {
                offset: offset as u32,
            },
        ));
        let chunk = frame.get(offset..).unwrap_or_default();
        let bytes = chunk.get(..512).unwrap_or(chunk);
        let answer = Answer::Bytes {
            total: frame.len() as u32,
            bytes,
        };
        assert_eq!(
            replies(&serve(&model, &line).sent).pop(),
            Some(told(99, Ok(answer)))
        );
        screen.extend_from_slice(bytes);
    }
    assert_eq!(screen, frame);
}

/// The display shows what the screens say, with the map that the engine gives on its own over the picture; the
/// logits are the engine's.
#[test]
fn the_answer_is_shown_with_what_speaks_for_it() {
    let (model, rgb) = (mapped(), picture());
    let (inferred, logits) = expected(&model, &rgb);
    let calls = [
        PICTURE,
        data(0, &rgb),
        Call::Infer,
        Call::Logits { offset: 0 },
    ];
    let line: Vec<u8> = (1..)
        .zip(calls)
        .flat_map(|(number, call)| request(number, call))
        .collect();
    let served = serve(&model, &line);
    let bytes = Answer::Bytes {
        total: 4,
        bytes: &logits,
    };
    assert_eq!(replies(&served.sent).pop(), Some(told(4, Ok(bytes))));

    let model = Model::new(&model).unwrap();
    let (pixels, map) = explained(&model, &rgb, inferred.top[0].class.into());
    assert!(map.iter().any(|&value| value > 0), "{map:?}");
    let most = map.iter().copied().max().unwrap();
    let levels: Vec<u8> = map
        .iter()
        .map(|&value| (value.max(0) * 255 / most) as u8)
        .collect();
    let guess = |index: usize| Guess {
        label: model.label(inferred.top[index].class.into()).unwrap(),
        probability: inferred.top[index].probability,
    };
    let picture = |pixels| Thumbnail {
        width: 3,
        height: 2,
        channels: 1,
        pixels,
    };
    let heat = Heat {
        width: 3,
        height: 2,
        columns: 3,
        rows: 2,
        levels: &levels,
    };
    let answer = Screen::Answer {
        best: guess(0),
        second: Some(guess(1)),
        cost: Cost::Milliseconds(3),
    };
    let drawn = |pixels| {
        let mut frame = mock::Frame::new();
        let picture = Some(picture(pixels));
        ui::draw(&Screen::Thinking { picture }, &mut frame).unwrap();
        ui::draw(&answer, &mut frame).unwrap();
        frame
    };
    let mut frame = drawn(Pixels::Bytes(&pixels));
    assert_ne!(served.frame, frame.data(), "there is a map");
    ui::explain(&heat, &mut frame).unwrap();
    assert_eq!(served.frame, frame.data());
    // A host preprocesses what is larger than the board takes: the tensor is the picture.
    let (mut arena, _) = ready(&model, &rgb);
    let input = model.input_mut(&mut arena).unwrap().to_vec();
    let calls = [Call::Tensor, data(0, &input), Call::Infer];
    let line: Vec<u8> = (1..)
        .zip(calls)
        .flat_map(|(number, call)| request(number, call))
        .collect();
    let mut frame = drawn(Pixels::Tensor(&input));
    ui::explain(&heat, &mut frame).unwrap();
    assert_eq!(serve(&mapped(), &line).frame, frame.data());
}

#[test]
fn an_input_like_none_of_the_classes_is_shown_as_unknown() {
    let bytes = knowing();
    let model = Model::new(&bytes).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut seen = [0; 2];
    for vector in 0..40 {
        let input = input_of(vector);
        model.input_mut(&mut arena).unwrap().copy_from_slice(&input);
        let output = model.run_in_place(&mut arena).unwrap();
        let [first, second] = output.top::<2>().map(|class| Guess {
            label: model.label(class.index).unwrap(),
            probability: class.probability,
        });
        let unknown = output.known().unwrap() < 0.0;
        let (best, second) = match unknown {
            true => {
                let probability = output.unknown().unwrap();
                let label = "unknown";
                (Guess { label, probability }, first)
            }
            false => (first, second),
        };
        let calls = [Call::Tensor, data(0, &input), Call::Infer];
        let calls = calls
            .into_iter()
            .chain([Call::Logits { offset: 0 }, Call::Label { class: 3 }]);
        let line: Vec<u8> = (1..)
            .zip(calls)
            .flat_map(|(number, call)| request(number, call))
            .collect();
        let served = serve(&bytes, &line);
        let tensor: Vec<u8> = output.tensor().collect();
        let replies = replies(&served.sent);
        let (total, bytes) = (4, &tensor[..]);
        assert_eq!(replies[3], told(4, Ok(Answer::Bytes { total, bytes })));
        assert_eq!(replies[4], told(5, Err(CallError::NoSuch { count: 3 })));
        let mut frame = mock::Frame::new();
        ui::draw(&Screen::Thinking { picture: None }, &mut frame).unwrap();
        let answer = Screen::Answer {
            best,
            second: Some(second),
            cost: Cost::Milliseconds(2),
        };
        ui::draw(&answer, &mut frame).unwrap();
        assert_eq!(served.frame, frame.data(), "{vector}");
        seen[usize::from(unknown)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn verify_names_the_layer_that_differs() {
    let model = bytes();
    let whole = [Call::Verify { vector: 0 }, Call::Verify { vector: 1 }];
    for (number, found) in (1..).zip(answers(&model, &whole)) {
        assert_eq!(found, told(number, Ok(Answer::Verified { differs: None })));
    }
    for (layer, name) in [(0, "first"), (1, "second")] {
        let changed = models::with_changed_weight(layer);
        let found = answers(&changed, &[Call::Verify { vector: 0 }, Call::Hello]);
        let differs = Some((layer as u16, name));
        assert_eq!(found[0], told(1, Ok(Answer::Verified { differs })));
        assert!(found[1].contains("intact: false"), "{}", found[1]);
    }
}
