//! What C may hand over by mistake: an error, and nothing written.
#![allow(unsafe_code, reason = "the functions are those of C")]

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use kiln_capi::*;

const TINY: &[u8] = include_bytes!("../../core/tests/tiny.kiln");

/// Bytes of the model with a recipe.
fn nano() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/catsdogs-nano/model.kiln"
    );
    std::fs::read(path).unwrap()
}

fn blank<T>() -> T {
    // SAFETY: only used for the structs of the header, which are numbers and pointers.
    unsafe { std::mem::zeroed() }
}

fn init(bytes: &[u8]) -> KilnModel {
    let mut model = blank();
    // SAFETY: all of it is there; the callers keep the bytes.
    let status = unsafe { kiln_model_init(&mut model, bytes.as_ptr(), bytes.len()) };
    assert_eq!(status, KilnStatus::Ok);
    model
}

fn info(model: &KilnModel) -> KilnInfo {
    let mut info = KilnInfo::default();
    // SAFETY: initialised; a place.
    assert_eq!(unsafe { kiln_info(model, &mut info) }, KilnStatus::Ok);
    info
}

#[test]
fn a_model_is_read_run_and_named() {
    let model = init(TINY);
    let info = info(&model);
    assert_eq!((info.arena_len, info.model_len), (5, TINY.len()));
    assert_eq!(
        (info.input_len, info.input_channels, info.output_len),
        (3, 3, 2)
    );
    assert_eq!((info.input_scale, info.output_scale), (1.0, 0.5));
    assert_eq!((info.label_count, info.has_recipe), (2, 0));
    let mut arena = [0; 5];
    let mut output: KilnOutput = blank();
    let mut top = [KilnClass::default(); 3];
    let (mut floats, mut text): ([f32; 2], KilnText) = ([0.0; 2], blank());
    // SAFETY: all memory is there and as long as said.
    unsafe {
        assert_eq!(kiln_arena_len(TINY.as_ptr(), TINY.len()), 5);
        let input = [9, -1, 0];
        let set = kiln_input_set(&model, arena.as_mut_ptr(), 5, input.as_ptr(), 3);
        assert_eq!(set, KilnStatus::Ok);
        assert_eq!(
            kiln_run(&model, arena.as_mut_ptr(), 5, &mut output),
            KilnStatus::Ok
        );
        assert_eq!(
            std::slice::from_raw_parts(output.values, output.len),
            [5, 0]
        );
        assert_eq!(kiln_logits(&output, floats.as_mut_ptr(), 2), KilnStatus::Ok);
        assert_eq!(floats, [2.5, 0.0]);
        assert_eq!(
            kiln_logits(&output, floats.as_mut_ptr(), 1),
            KilnStatus::Buffer
        );
        assert_eq!(kiln_top(&output, top.as_mut_ptr(), 3), KilnStatus::Ok);
        assert_eq!(top.map(|class| class.index), [0, 1, 2]);
        assert!(top[0].probability > 0.9 && top[2].probability == 0.0);
        assert_eq!(kiln_label(&model, 0, &mut text), KilnStatus::Ok);
        assert_eq!(
            std::slice::from_raw_parts(text.bytes.cast::<u8>(), text.len),
            b"down"
        );
        assert_eq!(kiln_label(&model, 2, &mut text), KilnStatus::Label);
        assert_eq!(kiln_name(&model, &mut text), KilnStatus::Ok);
        assert_eq!(
            std::slice::from_raw_parts(text.bytes.cast::<u8>(), text.len),
            b"tiny"
        );
    }
}

#[test]
fn what_is_not_there_is_an_error() {
    let model = init(TINY);
    let zeroed: KilnModel = blank();
    let mut other: KilnModel = blank();
    let mut arena = [1; 5];
    let place = arena.as_mut_ptr();
    let input = [9i8, -1, 0];
    let mut output: KilnOutput = blank();
    let mut run = |model, arena, len| {
        // SAFETY: null, or there and as long as said.
        unsafe { kiln_run(model, arena, len, &mut output) }
    };
    assert_eq!(run(null(), place, 5), KilnStatus::Pointer);
    assert_eq!(run(&zeroed, place, 5), KilnStatus::Uninitialised);
    assert_eq!(run(&model, null_mut(), 5), KilnStatus::Pointer);
    assert_eq!(run(&model, null_mut(), 0), KilnStatus::Arena);
    assert_eq!(run(&model, place, 4), KilnStatus::Arena);
    assert_eq!(run(&model, place, usize::MAX), KilnStatus::Pointer);
    assert_eq!(
        run(&model, TINY.as_ptr().cast_mut(), 5),
        KilnStatus::Overlap
    );
    let own = (&raw const model).cast_mut().cast();
    assert_eq!(run(&model, own, 5), KilnStatus::Overlap);
    // SAFETY: as above.
    unsafe {
        let bytes = TINY.as_ptr();
        assert_eq!(kiln_run(&model, place, 5, null_mut()), KilnStatus::Pointer);
        let odd = (&raw mut output).byte_add(1);
        assert_eq!(kiln_run(&model, place, 5, odd), KilnStatus::Pointer);
        let mut both = [1_u64; 16];
        let both = both.as_mut_ptr();
        assert_eq!(
            kiln_run(&model, both.cast(), 128, both.add(4).cast()),
            KilnStatus::Overlap
        );
        assert_eq!(
            kiln_model_init(null_mut(), bytes, TINY.len()),
            KilnStatus::Pointer
        );
        assert_eq!(kiln_model_init(&mut other, null(), 9), KilnStatus::Pointer);
        assert_eq!(kiln_model_init(&mut other, null(), 0), KilnStatus::Format);
        assert_eq!(kiln_model_init(&mut other, bytes, 99), KilnStatus::Format);
        assert_eq!(kiln_info(&model, null_mut()), KilnStatus::Pointer);
        assert_eq!(
            kiln_info(&other, &mut KilnInfo::default()),
            KilnStatus::Uninitialised
        );
        assert_eq!(kiln_label(&model, 0, null_mut()), KilnStatus::Pointer);
        assert_eq!(
            (kiln_arena_len(null(), 99), kiln_arena_len(bytes, 9)),
            (0, 0)
        );
        for (values, len, status) in [
            (null(), 3, KilnStatus::Pointer),
            (input.as_ptr(), 2, KilnStatus::Input),
            (place.cast_const().cast(), 3, KilnStatus::Overlap),
        ] {
            assert_eq!(kiln_input_set(&model, place, 5, values, len), status);
        }
        let pixels = [0; 3];
        let taken = kiln_input_pixels(&model, place, 5, pixels.as_ptr(), 3);
        assert_eq!(taken, KilnStatus::Recipe);
        assert_eq!(kiln_scratch_len(&model, 9, 9), 0);
        assert_eq!(kiln_scratch_len(null(), 9, 9), 0);
        assert_eq!(
            kiln_logits(null(), [0.0].as_mut_ptr(), 1),
            KilnStatus::Pointer
        );
        let none: KilnOutput = KilnOutput { len: 7, ..blank() };
        assert_eq!(
            kiln_logits(&none, [0.0].as_mut_ptr(), 1),
            KilnStatus::Pointer
        );
        assert_eq!(kiln_top(&none, null_mut(), 1), KilnStatus::Pointer);
    }
    assert_eq!(arena, [1; 5], "nothing was written");
}

#[test]
fn what_is_wrong_with_a_model_is_said_and_cut_to_the_buffer() {
    let mut text = [7 as c_char; 80];
    let mut check = |bytes: &[u8], len: usize| {
        text.fill(7);
        let place = if len == 0 {
            null_mut()
        } else {
            text.as_mut_ptr()
        };
        // SAFETY: all of it is there.
        let status = unsafe { kiln_check(bytes.as_ptr(), bytes.len(), place, len) };
        // SAFETY: a 0 is within the first `len` bytes, or the text is not looked at.
        let said = (len > 0).then(|| unsafe { CStr::from_ptr(text.as_ptr()) }.to_owned());
        assert!(
            text[len..].iter().all(|&byte| byte == 7),
            "beyond the buffer"
        );
        (status, said.map(|said| said.into_string().unwrap()))
    };
    assert_eq!(check(TINY, 80), (KilnStatus::Ok, Some(String::new())));
    assert_eq!(check(TINY, 0), (KilnStatus::Ok, None));
    let (status, said) = check(&TINY[..70], 80);
    assert_eq!(status, KilnStatus::Format);
    let said = said.unwrap();
    assert!(said.starts_with("at byte 70: "), "{said}");
    assert_eq!(check(&TINY[..70], 9).1.as_deref(), Some("at byte "));
    assert_eq!(check(&TINY[..70], 1).1.as_deref(), Some(""));
    let mut flipped = TINY.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(check(&flipped, 80).0, KilnStatus::Checksum);
    // SAFETY: null is seen.
    let status = unsafe { kiln_check(null(), 5, null_mut(), 0) };
    assert_eq!(status, KilnStatus::Pointer);
}

#[test]
fn rows_as_they_come_give_the_input_of_the_whole_picture() {
    let bytes = nano();
    let model = init(&bytes);
    let info = info(&model);
    let (width, height) = (50usize, 40usize);
    let rgb: Vec<u8> = (0..width * height * 3)
        .map(|at| (at * at / 7) as u8)
        .collect();
    // SAFETY: all memory is there and as long as said.
    unsafe {
        let words = kiln_scratch_len(&model, 50, 40);
        let mut scratch = vec![0; words];
        let mut arenas = [vec![0; info.arena_len], vec![0; info.arena_len]];
        let [whole, by_rows] = arenas.each_mut().map(|arena| arena.as_mut_ptr());
        let picture = |words, width, len| {
            let (rgb, scratch) = (rgb.as_ptr(), scratch.as_ptr().cast_mut());
            kiln_input_rgb(
                &model,
                whole,
                info.arena_len,
                rgb,
                len,
                width,
                40,
                scratch,
                words,
            )
        };
        assert_eq!(picture(99, 50, rgb.len()), KilnStatus::Scratch);
        assert_eq!(picture(words, 51, rgb.len()), KilnStatus::Picture);
        assert_eq!(picture(words, 0, 0), KilnStatus::Picture);
        assert_eq!(picture(words, 50, rgb.len()), KilnStatus::Ok);

        let mut rows: KilnRows = blank();
        let (place, mut done) = (scratch.as_mut_ptr(), 7);
        let row = &rgb[..width * 3];
        let mut push = |rows: *mut KilnRows, row: &[u8]| {
            let (start, len) = (row.as_ptr(), row.len());
            let arena_len = info.arena_len;
            let status = kiln_rows_push(rows, &model, by_rows, arena_len, start, len, &mut done);
            (status, done)
        };
        assert_eq!(push(&mut rows, row), (KilnStatus::Uninitialised, 7));
        assert_eq!(kiln_rows_restart(&mut rows), KilnStatus::Uninitialised);
        assert_eq!(
            kiln_rows_init(&mut rows, &model, 50, 40, place, 99),
            KilnStatus::Scratch
        );
        assert_eq!(
            kiln_rows_init(&mut rows, &model, 50, 40, place, words),
            KilnStatus::Ok
        );
        assert_eq!(push(&mut rows, &row[1..]), (KilnStatus::Picture, 7));
        assert_eq!(push(&mut rows, row), (KilnStatus::Ok, 0));
        assert_eq!(kiln_rows_restart(&mut rows), KilnStatus::Ok);
        for (y, row) in rgb.chunks(width * 3).enumerate() {
            assert_eq!(push(&mut rows, row), (KilnStatus::Ok, u32::from(y == 39)));
        }
        assert_eq!(push(&mut rows, row).0, KilnStatus::Order);
        let inside = by_rows.add(by_rows.align_offset(4)).cast();
        assert!(info.arena_len > 4 * words + 4);
        let mut other: KilnRows = blank();
        assert_eq!(
            kiln_rows_init(&mut other, &model, 50, 40, inside, words),
            KilnStatus::Ok
        );
        assert_eq!(push(&mut other, row).0, KilnStatus::Overlap);
        // A row that a camera has put into the scratch, or into what keeps the picture.
        for row in [place.cast::<u8>(), (&raw mut rows).cast()] {
            let row = std::slice::from_raw_parts(row, width * 3);
            assert_eq!(kiln_rows_restart(&mut rows), KilnStatus::Ok);
            assert_eq!(push(&mut rows, row).0, KilnStatus::Overlap);
        }
        // What is said of a model is not written into it, nor into its bytes.
        let own = (&raw const model).cast_mut().cast::<u64>().add(1);
        let file = bytes.as_ptr().add(bytes.as_ptr().align_offset(8));
        for into in [own, file.cast_mut().cast()] {
            let arena = &mut arenas[0];
            assert_eq!(kiln_info(&model, into.cast()), KilnStatus::Overlap);
            assert_eq!(kiln_name(&model, into.cast()), KilnStatus::Overlap);
            assert_eq!(kiln_label(&model, 0, into.cast()), KilnStatus::Overlap);
            let (start, len) = (arena.as_mut_ptr(), arena.len());
            let status = kiln_run(&model, start, len, into.cast());
            assert_eq!(status, KilnStatus::Overlap);
            let (picture, pixels) = (rgb.as_ptr(), rgb.len());
            let scratch = into.cast();
            let status =
                kiln_input_rgb(&model, start, len, picture, pixels, 50, 40, scratch, words);
            assert_eq!(status, KilnStatus::Overlap);
            let status = kiln_rows_init(&mut other, &model, 50, 40, scratch, words);
            assert_eq!(status, KilnStatus::Overlap);
            let status = kiln_rows_init(into.cast(), &model, 50, 40, place, words);
            assert_eq!(status, KilnStatus::Overlap);
        }

        let logits = arenas.each_mut().map(|arena| {
            let mut output: KilnOutput = blank();
            let status = kiln_run(&model, arena.as_mut_ptr(), arena.len(), &mut output);
            assert_eq!(status, KilnStatus::Ok);
            std::slice::from_raw_parts(output.values, output.len).to_vec()
        });
        assert_eq!(logits[0], logits[1]);
        assert_ne!(logits[0][0], logits[0][1]);
    }
}

#[test]
fn every_status_has_a_text() {
    let text = |status: i32| {
        // SAFETY: a string that is never freed.
        unsafe { CStr::from_ptr(kiln_status_text(status)) }
            .to_str()
            .unwrap()
    };
    let all: Vec<&str> = (0..=14).map(text).collect();
    assert!(all.iter().all(|text| *text != "no such status"));
    assert_eq!(text(KilnStatus::Changed as i32), all[14]);
    assert_eq!([text(15), text(-1)], ["no such status"; 2]);
}
