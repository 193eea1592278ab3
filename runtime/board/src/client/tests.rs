use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use kiln_link::{CallError, FrameError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::mock::{self, Fault, HELLO, Mock};
use super::*;

const PATIENCE: Patience = Patience {
    quick: Duration::from_millis(50),
    slow: Duration::from_millis(50),
    tries: 20,
};

/// A board that is asked `tries` times, at the other end of a line from one that does as `fault` says
/// with its requests, by their count.
fn greet(
    fault: impl FnMut(usize) -> Fault + Send + 'static,
    patience: Patience,
) -> (Result<Board, BoardError>, mock::Running) {
    let (near, far) = UnixStream::pair().unwrap();
    let running = Mock::new(fault).run(far);
    (Board::greet(Port::Socket(near), None, patience), running)
}

/// A picture of this size, no two pixels the same.
fn picture(width: u32, height: u32) -> Picture {
    let bytes = width * height * 3;
    Picture {
        width,
        height,
        rgb: (0..bytes).map(|index| (index * 89 % 251) as u8).collect(),
    }
}

/// All that can be asked, with what is to come of it. The requests that it takes.
fn session(board: &mut Board) -> usize {
    let photo = picture(31, 19);
    let mut steps = Vec::new();
    let inferred = board
        .classify(&photo, &mut |done, total| steps.push((done, total)))
        .unwrap();
    let total = 31 * 19 * 3;
    assert_eq!(
        steps,
        [(512, total), (1024, total), (1536, total), (1767, total)]
    );
    assert_eq!(inferred, mock::inferred(&photo.rgb));
    assert_eq!(board.quantized_logits().unwrap(), mock::logits(&photo.rgb));
    let expected = mock::logits(&photo.rgb);
    let expected: Vec<f32> = expected
        .iter()
        .map(|&q| 0.5 * (f32::from(q) + 3.0))
        .collect();
    assert_eq!(board.logits().unwrap(), expected);
    assert_eq!(board.labels().unwrap(), ["class 0", "class 1"]);
    assert_eq!(board.verify(0).unwrap(), None);
    let differs = board.verify(1).unwrap().unwrap();
    assert_eq!((differs.layer, &differs.name[..]), (2, "add"));
    let cost = |name: &str, ticks| LayerCost {
        name: name.to_owned(),
        ticks,
    };
    let profile = board.profile().unwrap();
    assert_eq!(
        profile,
        [cost("layer 0", 0), cost("layer 1", 10), cost("layer 2", 20)]
    );
    let screen = board.screen().unwrap();
    assert_eq!(
        screen,
        screen::picture(&HELLO.display, &mock::frame_buffer())
    );
    assert_eq!(board.memory().unwrap(), mock::MEMORY);
    let tensor = [-128, 0, 127, 5, -1, 9];
    let bytes = tensor.map(|value: i8| value as u8);
    assert_eq!(
        board.run(&tensor, &mut |_, _| {}).unwrap(),
        mock::inferred(&bytes)
    );
    assert_eq!(board.screendump().unwrap(), None);
    // Hello; picture, four pieces, infer; logits twice; labels; verify; profile; screen; memory; tensor.
    1 + 6 + 2 + 2 + 2 + 3 + 8 + 1 + 3
}

#[test]
fn a_board_answers_all_questions() {
    let (board, running) = greet(|_| Fault::None, PATIENCE);
    let mut board = board.unwrap();
    assert_eq!(board.about(), &About::from(HELLO));
    let requests = session(&mut board);
    drop(board);
    assert_eq!(running.done(), requests);
}

#[test]
fn whatever_is_lost_is_asked_again_and_nothing_is_done_twice() {
    let mut requests = 0;
    for fault in Fault::ALL {
        // Where in the session it strikes.
        for every in [1, 2, 3] {
            let strikes = move |count: usize| match count % (every + 1) {
                0 => fault,
                _ => Fault::None,
            };
            let (board, running) = greet(strikes, PATIENCE);
            let mut board = board.unwrap();
            requests = session(&mut board);
            drop(board);
            assert_eq!(running.done(), requests, "{fault:?} {every}");
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let random = move |_| match rng.random_range(0..10) {
        index @ 0..5 => Fault::ALL[index],
        _ => Fault::None,
    };
    let (board, running) = greet(random, PATIENCE);
    let mut board = board.unwrap();
    session(&mut board);
    drop(board);
    assert_eq!(running.done(), requests);
}

#[test]
fn a_line_that_carries_nothing_readable_is_told_apart() {
    let patience = Patience {
        tries: 3,
        ..PATIENCE
    };
    let cases = [
        (Fault::DropReply, "nothing answers"),
        (Fault::NoiseOnly, "the baud rate is another"),
        (Fault::Garble, "the baud rate is another"),
        (
            Fault::OtherVersion,
            "the board speaks version 2 of the link, this program version 1; update",
        ),
        (Fault::Unread, "a frame with changed bytes"),
        (Fault::OtherAnswer, "does not belong to the question"),
    ];
    for (fault, part) in cases {
        let (board, _running) = greet(move |_| fault, patience);
        let error = board.unwrap_err().to_string();
        assert!(error.contains(part), "{fault:?}: {error}");
    }
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    let error = Board::greet(Port::Socket(near), None, patience).unwrap_err();
    assert!(
        error.to_string().contains("the line to the board broke"),
        "{error}"
    );
}

#[test]
fn a_board_that_takes_nothing_is_stuck() {
    let (near, _far) = UnixStream::pair().unwrap();
    let mut port = Port::Socket(near);
    let soon = || Instant::now() + Duration::from_millis(50);
    // The line is full.
    while port.send(&[1; 1 << 16], soon()).is_ok() {}
    let patience = Patience {
        tries: 1,
        ..PATIENCE
    };
    let error = Board::greet(port, None, patience).unwrap_err();
    assert!(matches!(error, BoardError::Stuck), "{error}");
}

#[test]
fn what_the_board_refuses_is_said() {
    let (board, _running) = greet(|_| Fault::None, PATIENCE);
    let mut board = board.unwrap();
    let mut quiet = |_, _| {};
    let refused = [
        (
            board.quantized_logits().map(drop),
            "nothing has been inferred",
        ),
        (board.verify(7).map(drop), "there are only 2"),
        (
            board.run(&[1, 2], &mut quiet).map(drop),
            "2 values for an input of 6",
        ),
        (
            board.classify(&picture(41, 2), &mut quiet).map(drop),
            "41x2 pixels is too large",
        ),
        (
            board.classify(&picture(2, 31), &mut quiet).map(drop),
            "the board, which takes 40x30",
        ),
        (
            board.classify(&picture(0, 2), &mut quiet).map(drop),
            "the picture is empty",
        ),
        (
            board.expect(9),
            "`mock` with checksum 0badcafe, not 00000009",
        ),
    ];
    for (result, part) in refused {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    board.expect(0x0bad_cafe).unwrap();
    assert_eq!(board.hello().unwrap(), About::from(HELLO));
}

#[test]
fn each_refusal_and_version_has_its_words() {
    let words = |error| BoardError::Refused(error).to_string();
    let incomplete = CallError::Incomplete { done: 3, total: 9 };
    let cases = [
        (words(CallError::NoRecipe), "takes no pictures"),
        (words(CallError::NothingBegun), "no picture has begun"),
        (
            words(CallError::Offset { expected: 512 }),
            "byte 512 is due",
        ),
        (
            words(CallError::TooMany { total: 6 }),
            "more than the 6 bytes",
        ),
        (words(incomplete), "3 of 9 bytes have come"),
        (words(CallError::Model), "its bytes in flash have changed"),
        (words(CallError::Frame(FrameError::TooLong)), "does not end"),
        (
            BoardError::Version { theirs: 1, ours: 2 }.to_string(),
            "build the firmware anew",
        ),
    ];
    for (text, part) in cases {
        assert!(text.contains(part), "{text}");
    }
}
