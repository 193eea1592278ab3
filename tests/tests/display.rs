//! What a board's display shows: QEMU's own picture of the OLED beside what embedded-graphics' simulator
//! draws, with what speaks for the answer, and what is seen and told of a crash.

use std::thread;
use std::time::{Duration, Instant};

use embedded_graphics::geometry::Size;
use embedded_graphics::image::ImageDrawable;
use embedded_graphics::pixelcolor::{Gray4, GrayColor};
use embedded_graphics::prelude::{OriginDimensions, Point};
use embedded_graphics_simulator::SimulatorDisplay;
use kiln_board::Board;
use kiln_board::boards::{EMULATED, find};
use kiln_core::Model;
use kiln_core::explain::Maps;
use kiln_core::preprocess::preprocess;
use kiln_firmware::ssd0323::Frame;
use kiln_firmware::ui::thumbnail::Pixels;
use kiln_firmware::ui::{Cost, Guess, Heat, Screen, Thumbnail, draw, explain};
use kiln_link::{Call, Request, frame};
use kiln_picture::Picture;
use kiln_tests::boards::{host_input, program, shipped, start, variant};

const TINY: &[u8] = include_bytes!("../../runtime/core/tests/tiny.kiln");

/// The simulator's display as grey levels, 0 to 255: heat is laid over what is in a frame buffer.
fn simulated(screens: &[Screen<'_>], heat: Option<Heat<'_>>) -> Vec<u8> {
    let mut frame = Frame::new();
    for screen in screens {
        let Ok(()) = draw(screen, &mut frame);
    }
    if let Some(heat) = heat {
        let Ok(()) = explain(&heat, &mut frame);
    }
    let mut display = SimulatorDisplay::<Gray4>::new(Size::new(128, 64));
    let Ok(()) = frame.as_image().draw(&mut display);
    let size = display.size();
    let rows = 0..size.height as i32;
    let points = rows.flat_map(|y| (0..size.width as i32).map(move |x| Point::new(x, y)));
    points.map(|at| display.get_pixel(at).luma() * 17).collect()
}

/// QEMU's picture of the OLED as grey levels.
fn dumped(board: &mut Board) -> Vec<u8> {
    let picture = board.screendump().unwrap().expect("an OLED");
    assert_eq!((picture.width, picture.height), (128, 64));
    let (pixels, _) = picture.rgb.as_chunks::<3>();
    let levels = pixels.iter().map(|&[red, green, blue]| {
        assert!(red == green && green == blue);
        red
    });
    levels.collect()
}

/// What each place of a picture says for a class, by the engine on this machine: 255 where most.
fn levels(model: &Model<'_>, input: &[i8], class: usize) -> Vec<u8> {
    let maps = Maps::of(model).expect("it ends in a global average and a linear layer");
    let mut arena = vec![0; model.arena_bytes()];
    let place = model.input_mut(&mut arena).unwrap();
    for (place, &value) in place.iter_mut().zip(input) {
        *place = value as u8;
    }
    let mut features = vec![0; maps.shape().len()];
    maps.run(model, &mut arena, &mut features).unwrap();
    let mut map = vec![0; maps.shape().pixels()];
    maps.map(&features, class, &mut map).unwrap();
    let most = map.iter().copied().max().unwrap_or(0);
    assert!((1..1 << 20).contains(&most), "{map:?}");
    let level = |&value: &i32| (value.max(0) * 255 / most) as u8;
    map.iter().map(level).collect()
}

/// How probable it is that an input is of no class, if the model says so.
fn unknown(model: &Model<'_>, input: &[i8]) -> Option<f32> {
    let mut arena = vec![0; model.arena_bytes()];
    let output = model.run(&mut arena, input).unwrap();
    output.unknown()
}

fn picture() -> Picture {
    let (width, height) = (90, 70);
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        [(x * 2) as u8, (y * 3) as u8, (x + y) as u8 / 2 + 60]
    };
    Picture {
        width,
        height,
        rgb: (0..width * height).flat_map(pixel).collect(),
    }
}

#[test]
fn the_oled_shows_what_the_simulator_draws() {
    let emulated = find("lm3s6965evb").unwrap();
    let bytes = shipped("catsdogs-nano", emulated.target, 0);
    let model = Model::new(&bytes).unwrap();
    let mut board = start(emulated, &program(emulated, &bytes).unwrap(), &[]);
    let waiting = Screen::Waiting {
        board: "lm3s6965evb",
        model: "catsdogs-nano",
    };
    assert!(dumped(&mut board) == simulated(&[waiting], None));

    let picture = picture();
    let inferred = board.classify(&picture, &mut |_, _| ()).unwrap();
    let recipe = model.recipe().unwrap();
    let mut pixels = vec![0; recipe.len()];
    let mut scratch = vec![0; recipe.scratch_len(picture.width, picture.height)];
    preprocess(picture.view().unwrap(), &recipe, &mut scratch, &mut pixels).unwrap();
    let shape = model.input().shape;
    let thinking = Screen::Thinking {
        picture: Some(Thumbnail {
            width: shape.width,
            height: shape.height,
            channels: shape.channels,
            pixels: Pixels::Bytes(&pixels),
        }),
    };
    let guess = |index: usize| Guess {
        label: model.label(inferred.top[index].class.into()).unwrap(),
        probability: inferred.top[index].probability,
    };
    let instructions = board.about().instructions(inferred.infer_ticks);
    let input = host_input(&bytes, &picture);
    let (best, second) = match unknown(&model, &input).filter(|&unknown| unknown > 0.5) {
        Some(probability) => {
            let label = "unknown";
            (Guess { label, probability }, guess(0))
        }
        None => (guess(0), guess(1)),
    };
    let answer = Screen::Answer {
        best,
        second: Some(second),
        cost: Cost::Instructions(instructions.unwrap()),
    };
    let class = usize::from(inferred.top[0].class);
    let levels = levels(&model, &input, class);
    let maps = Maps::of(&model).unwrap().shape();
    let heat = Heat {
        width: shape.width,
        height: shape.height,
        columns: maps.width,
        rows: maps.height,
        levels: &levels,
    };
    let shown = dumped(&mut board);
    assert!(shown == simulated(&[thinking, answer], Some(heat)));
    assert!(shown != simulated(&[thinking, answer], None));
}

/// Asks for a layer that makes the board crash, and waits until it greets again.
fn crash(board: &mut Board, how: u16) -> String {
    // There is no answer to it; what comes is the restarted board's greeting.
    let request = Request {
        number: how,
        call: Call::Profile { layer: how },
    };
    let mut buffer = [0; frame::MAX_FRAME];
    let bytes = frame::encode(&request, &mut buffer).unwrap();
    let soon = Instant::now() + Duration::from_secs(5);
    board.port().send(bytes, soon).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        thread::sleep(Duration::from_millis(200));
        if let Ok(about) = board.hello()
            && let Some(fault) = about.last_fault
        {
            return fault;
        }
        assert!(Instant::now() < deadline, "the board did not start again");
    }
}

/// A panic, a fault and a loop without end: the watchdog resets, and the board says what it was.
#[test]
fn a_crash_is_told_after_the_reset() {
    for emulated in &EMULATED {
        let features = format!("{},fault", emulated.name);
        let elf = variant(emulated, emulated.name, &features, TINY);
        let mut board = start(emulated, &elf, &[]);
        for (how, word) in [
            (0xffff, "panic"),
            (0xfffe, "hard fault"),
            (0xfffd, "no progress"),
        ] {
            let told = crash(&mut board, how);
            println!("{}: {told}", emulated.name);
            assert!(told.contains(word), "{}: {told}", emulated.name);
            if emulated.zoom.is_some() {
                let screen = Screen::Fault {
                    title: "restarted",
                    text: &told,
                };
                assert!(dumped(&mut board) == simulated(&[screen], None), "{told}");
            }
        }
    }
}
