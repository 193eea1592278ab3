//! Boards that QEMU plays, with the firmware of this source tree.

use std::time::{Duration, Instant};

use kiln_board::boards::{self, Emulated};
use kiln_board::client::Patience;
use kiln_board::firmware::{FirmwareError, Source};
use kiln_board::qemu::{Options, Qemu};
use kiln_board::{Board, BoardError};
use kiln_core::Model;
use kiln_link::CallError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A model of three values in and two logits out; it takes no pictures.
const TINY: &[u8] = include_bytes!("../../core/tests/tiny.kiln");

fn start(board: &Emulated) -> Board {
    let source = Source::find().unwrap();
    let program = source.program(board, TINY, &mut || {}).unwrap();
    let (qemu, port) = Qemu::start(board, &program, &Options::default()).unwrap();
    Board::greet(port, Some(qemu), Patience::default()).unwrap()
}

/// Asks a board all that can be asked with this model.
fn agrees_with_the_host(emulated: &Emulated) {
    let model = Model::new(TINY).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut board = start(emulated);
    let about = board.about().clone();
    assert_eq!(
        (&about.board[..], &about.model[..]),
        (emulated.name, model.name())
    );
    assert!(about.intact && !about.takes_pictures && about.last_fault.is_none());
    assert_eq!(about.layers as usize, model.layer_count());

    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for round in 0..20 {
        let input: [i8; 3] = rng.random();
        let inferred = board.run(&input, &mut |_, _| {}).unwrap();
        let output = model.run(&mut arena, &input).unwrap();
        let expected: Vec<f32> = output.logits().collect();
        assert_eq!(board.logits().unwrap(), expected, "{input:?}");
        let [best] = output.top();
        let found = inferred.top[0];
        assert_eq!(usize::from(found.class), best.index, "{input:?}");
        assert_eq!(found.probability, best.probability, "{input:?}");
        assert!(
            about.instructions(inferred.infer_ticks) > Some(100),
            "round {round}"
        );
    }
    assert!(model.labels().eq(board.labels().unwrap()));
    let layers = board.profile().unwrap();
    assert!(
        model
            .layers()
            .map(|(name, _)| name)
            .eq(layers.iter().map(|layer| &layer.name[..]))
    );
    let memory = board.memory().unwrap();
    assert_eq!(memory.model as usize, TINY.len());
    assert_eq!(memory.arena_used as usize, model.arena_bytes());
    assert!(
        memory.stack_used * 10 <= memory.stack_reserved * 8,
        "{memory:?}"
    );

    let screen = board.screen().unwrap();
    let lit = screen.rgb.iter().filter(|&&value| value > 100).count();
    assert!(lit > 100, "{lit} values are bright");
    let drawn = board.screendump().unwrap();
    assert_eq!(drawn.is_some(), emulated.zoom.is_some());
    if let Some(drawn) = drawn {
        assert!(
            drawn == screen,
            "QEMU draws something else than what was sent to the display"
        );
    }
}

#[test]
fn the_m3_agrees_with_the_host() {
    agrees_with_the_host(&boards::EMULATED[0]);
}

#[test]
fn the_m4_agrees_with_the_host() {
    agrees_with_the_host(&boards::EMULATED[1]);
}

#[test]
fn the_m7_agrees_with_the_host() {
    agrees_with_the_host(&boards::EMULATED[2]);
}

#[test]
fn the_m33_agrees_with_the_host() {
    agrees_with_the_host(&boards::EMULATED[3]);
}

#[test]
fn the_m55_agrees_with_the_host() {
    agrees_with_the_host(&boards::EMULATED[4]);
}

/// Whatever comes over the line, the board answers the next question.
#[test]
fn noise_on_the_line_costs_no_answer() {
    let mut board = start(&boards::EMULATED[0]);
    let about = board.about().clone();
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for round in 0..60 {
        let len = [1, 7, 100, 5000][round % 4];
        let noise: Vec<u8> = match round % 3 {
            0 => (0..len).map(|_| rng.random()).collect(),
            // With no end.
            1 => vec![0xff; len],
            // Frames with nothing in them.
            _ => (0..len).map(|index| (index % 2) as u8).collect(),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        board.port().send(&noise, deadline).unwrap();
        if round % 5 == 0 {
            let inferred = board.run(&[9, -1, 0], &mut |_, _| {}).unwrap();
            assert_eq!(inferred.top[0].class, 0, "round {round}");
        } else {
            assert_eq!(board.hello().unwrap(), about, "round {round}");
        }
    }
}

#[test]
fn what_a_board_cannot_do_it_says() {
    let mut board = start(&boards::EMULATED[0]);
    let refused = |error| match error {
        BoardError::Refused(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused(board.logits().unwrap_err()), CallError::NotInferred);
    assert_eq!(
        refused(board.verify(3).unwrap_err()),
        CallError::NoSuch { count: 0 }
    );
    let picture = kiln_picture::Picture {
        width: 2,
        height: 1,
        rgb: vec![0; 6],
    };
    let error = board.classify(&picture, &mut |_, _| {}).unwrap_err();
    assert_eq!(refused(error), CallError::NoRecipe);
    let error = board.expect(1).unwrap_err().to_string();
    assert!(
        error.contains("the board runs another model: `tiny`"),
        "{error}"
    );

    let qemu = board.qemu().unwrap();
    qemu.stop();
    let error = board.hello().unwrap_err().to_string();
    assert!(error.contains("QEMU has ended"), "{error}");
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_numbers() {
    // The arena's bytes, as FORMAT.md says.
    let mut large = TINY.to_vec();
    large[16..20].copy_from_slice(&70_000u32.to_le_bytes());
    let error = Source::find()
        .unwrap()
        .program(&boards::EMULATED[0], &large, &mut || {});
    let error = error.unwrap_err();
    assert!(matches!(error, FirmwareError::Refused(_)), "{error}");
    let text = error.to_string();
    for part in ["lm3s6965evb", "arena 70000", "65536"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
}
