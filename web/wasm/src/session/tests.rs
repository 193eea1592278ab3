use kiln_core::preprocess::{PictureView, preprocess};

use super::picture::over_white;
use super::*;

#[derive(Debug)]
struct Heap;

impl Source for Heap {
    fn bytes(len: usize) -> Option<&'static mut [u8]> {
        let vec = vec![0; len + 64];
        let start = vec.as_ptr().align_offset(64);
        vec.leak().get_mut(start..start + len)
    }

    fn words(len: usize) -> Option<&'static mut [i32]> {
        Some(vec![0; len].leak())
    }
}

const NANO: &[u8] = include_bytes!("../../../../models/catsdogs-nano/model.wasm32.kiln");
const TINY: &[u8] = include_bytes!("../../../../runtime/core/tests/tiny.kiln");

fn session(bytes: &[u8]) -> Result<Session<Heap>, SessionError> {
    let mut session = Session::new();
    session.load(bytes.len(), |place| place.copy_from_slice(bytes))?;
    Ok(session)
}

/// Red, green, blue and alpha of a place.
fn pixel(x: u32, y: u32) -> [u8; 4] {
    let alpha = if x.is_multiple_of(3) { 255 } else { y * 5 };
    [x * 7 % 256, y * 11 % 256, x * y % 251, alpha.min(255)].map(|value| value as u8)
}

fn classify(session: &mut Session<Heap>, width: u32, height: u32) {
    let read = |strip: &mut [u8], first: u32| {
        for (row, line) in (first..).zip(strip.chunks_exact_mut(width as usize * 4)) {
            for (x, place) in (0..).zip(line.as_chunks_mut::<4>().0) {
                *place = pixel(x, row);
            }
        }
    };
    session.prepare(width, height, read).unwrap();
    session.infer().unwrap();
}

#[test]
fn a_session_answers_as_the_engine_does_picture_after_picture() {
    let mut session = session(NANO).unwrap();
    let model = Model::new(NANO).unwrap();
    let recipe = model.recipe().unwrap();
    for (width, height) in [(64, 64), (3, 200), (900, 41), (1, 1), (64, 70)] {
        classify(&mut session, width, height);
        let mut rgb = vec![0; (width * height * 3) as usize];
        for (at, place) in (0..).zip(rgb.as_chunks_mut::<3>().0) {
            over_white(&pixel(at % width, at / width), place);
        }
        let mut scratch = vec![0; recipe.scratch_len(width, height)];
        let mut input = vec![0; recipe.len()];
        let view = PictureView::new(width, height, &rgb).unwrap();
        preprocess(view, &recipe, &mut scratch, &mut input).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        model.input_mut(&mut arena).unwrap().copy_from_slice(&input);
        model.quantize_pixels(&mut arena).unwrap();
        let output = model.run_in_place(&mut arena).unwrap();
        assert_eq!(session.logits(), output.values(), "{width} x {height}");
        assert_eq!(session.top(), &output.top());
        let placement = recipe.place(width, height).unwrap();
        assert_eq!(session.placement(), Some(placement));
        // The same picture again, without being prepared again.
        let logits = session.logits().to_vec();
        session.infer().unwrap();
        assert_eq!(session.logits(), logits);
    }
}

/// A class's map adds up to its logit, but for the rounding of two layers.
#[test]
fn maps_add_up_to_what_tells_the_classes_apart() {
    let mut session = session(NANO).unwrap();
    assert_eq!(session.map_size(), [11, 11]);
    classify(&mut session, 90, 70);
    let sums: Vec<i64> = (0..2)
        .map(|class| {
            let map = session.map(class).unwrap();
            assert_eq!(map.len(), 121);
            map.iter().copied().map(i64::from).sum()
        })
        .collect();
    assert_ne!(sums[0], sums[1]);
    assert!(session.map(2).is_err());
}

/// Square by square what an inference of its own says; the answer stays.
#[test]
fn occlusion_is_the_mean_of_the_squares_over_a_pixel() {
    let mut session = session(NANO).unwrap();
    classify(&mut session, 90, 70);
    let (logits, top) = (session.logits().to_vec(), *session.top());
    let input = session.input.first(88 * 88 * 3).to_vec();
    let model = *session.model().unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut probability_of = |pixels: &[u8]| {
        model.input_mut(&mut arena).unwrap().copy_from_slice(pixels);
        model.quantize_pixels(&mut arena).unwrap();
        let output = model.run_in_place(&mut arena).unwrap();
        1.0 / (1.0 + f64::from(output.logit(0) - output.logit(1)).exp())
    };
    let whole = probability_of(&input);
    session.occlude(1).unwrap();
    assert_eq!(session.squares(), [0, 49]);
    let mut expected = vec![(0.0, 0); 88 * 88];
    for square in 0..49 {
        assert!(session.occlusion().is_err());
        session.occlude_next().unwrap();
        assert_eq!(session.squares(), [square + 1, 49]);
        let (top, left) = (square / 7 * 11, square % 7 * 11);
        let inside = |at: &usize| {
            (top..top + 22).contains(&(at / 88)) && (left..left + 22).contains(&(at % 88))
        };
        let places: Vec<usize> = (0..88 * 88).filter(inside).collect();
        let mut covered = input.clone();
        for &at in &places {
            covered[at * 3..at * 3 + 3].fill(128);
        }
        let drop = whole - probability_of(&covered);
        for at in places {
            expected[at] = (expected[at].0 + drop, expected[at].1 + 1);
        }
    }
    session.occlude_next().unwrap();
    let map = session.occlusion().unwrap().iter();
    let map: Vec<f32> = map
        .map(|bits| f32::from_bits(bits.cast_unsigned()))
        .collect();
    for (value, (sum, count)) in map.iter().zip(expected) {
        assert!((f64::from(*value) - sum / f64::from(count)).abs() < 1e-6);
    }
    assert!(map.iter().any(|value| value.abs() > 1e-3));
    assert_eq!((session.logits(), session.top()), (&logits[..], &top));
    // Another picture ends it.
    classify(&mut session, 5, 5);
    assert_eq!(session.squares(), [0, 0]);
    assert!(session.occlude_next().is_err() && session.occlusion().is_err());
    assert!(session.occlude(2).is_err());
}

#[test]
fn what_comes_out_of_turn_or_does_not_suit_is_refused() {
    let mut empty = Session::<Heap>::new();
    assert!(matches!(empty.infer(), Err(SessionError::Order(_))));
    assert!(matches!(empty.map(0), Err(SessionError::Order(_))));
    assert!(matches!(empty.occlude(0), Err(SessionError::Order(_))));
    assert!(matches!(empty.occlude_next(), Err(SessionError::Order(_))));
    assert!(matches!(empty.occlusion(), Err(SessionError::Order(_))));
    let error = empty.prepare(2, 2, |_, _| ()).unwrap_err();
    assert_eq!(error.to_string(), "out of turn: first load a model");
    let mut tiny = session(TINY).unwrap();
    let error = tiny.prepare(2, 2, |_, _| ()).unwrap_err();
    assert_eq!(error, RunError::Recipe.into());
    assert_eq!(tiny.map_size(), [0, 0]);
    let mut nano = session(NANO).unwrap();
    for (width, height) in [(0, 1), (1, 0), (1 << 20, 1)] {
        let error = nano.prepare(width, height, |_, _| ()).unwrap_err();
        assert!(matches!(error, SessionError::Picture(_)), "{error}");
        assert!(nano.infer().is_err() && nano.logits().is_empty());
    }
    let error = nano.load(3, |_| ()).unwrap_err();
    assert!(matches!(error, SessionError::Order(_)));
}

#[test]
fn broken_files_are_refused_with_a_reason() {
    for len in [0, 3, 100, NANO.len() - 1] {
        let error = session(&NANO[..len]).unwrap_err();
        assert!(matches!(error, SessionError::Format(_)), "{len}: {error}");
    }
    let mut flipped = NANO.to_vec();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert_eq!(session(&flipped).unwrap_err(), SessionError::Checksum);
}
