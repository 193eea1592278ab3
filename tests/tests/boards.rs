//! The boards that QEMU plays: from pixels to logits the same bits as here, which are ONNX Runtime's.
//!
//! `catsdogs-nano` and `catsdogs` are in the source tree. The networks of MLPerf Tiny and the photographs lie in the
//! folder of shared data; on a machine that has none this is said, and pictures are drawn.

use std::fs;
use std::path::PathBuf;

use kiln_board::Board;
use kiln_board::boards::{EMULATED, find};
use kiln_core::format::Drawn;
use kiln_core::layer::Layer;
use kiln_core::preprocess::{resize, scratch_len};
use kiln_core::{Model, Target};
use kiln_link::Memory;
use kiln_picture::{Limits, Picture, decode_file};
use kiln_runtime::testing::Random;
use kiln_tests::boards::{compiled, host_input, host_logits, load_graph, program, shipped, start};
use kiln_tests::{draw_pictures, shared_data};

const PICTURES: usize = 100;
/// Golden vectors of most models.
const VECTORS: u16 = 2;
/// Inferences after which the arena is looked at: one alone may write the paint that was in a byte.
const LOOKS: usize = 4;
/// A bit of a weight.
const BIT: u8 = 0x40;
const NANO: &str = "catsdogs-nano";

/// Pictures from a folder of pictures, evenly.
fn pictures(count: usize) -> Vec<Picture> {
    let drawn = tempfile::tempdir().unwrap();
    let folder = match shared_data() {
        Some(data) => data.join("catsdogs/test"),
        None => {
            draw_pictures(drawn.path(), [1, 1, 50], 150);
            drawn.path().join("test")
        }
    };
    let classes = fs::read_dir(folder).unwrap().flatten();
    let mut files: Vec<PathBuf> = classes
        .flat_map(|class| fs::read_dir(class.path()).unwrap().flatten())
        .map(|file| file.path())
        .collect();
    files.sort();
    let step = files.len() / count;
    assert!(step > 0, "{} pictures", files.len());
    let chosen = files.iter().step_by(step).take(count);
    chosen
        .map(|file| decode_file(file, &Limits::default()).unwrap())
        .collect()
}

/// Pictures of many sizes: the board preprocesses what comes in rows. Most are small, since an emulated
/// line takes some 15 KB a second.
fn answers_as_here(name: &str, model: &str, count: usize) {
    let board = find(name).unwrap();
    let mut pictures = pictures(count);
    for (index, picture) in (0..).zip(&mut pictures) {
        if index % 33 != 0 {
            *picture = resized(picture, 1 + index * 7 % 71, 1 + index * 11 % 67);
        }
    }
    let model = shipped(model, board.target, VECTORS);
    let elf = program(board, &model).unwrap();
    let mut board = start(board, &elf, &[]);
    assert!(board.about().intact);
    board
        .expect(Model::new(&model).unwrap().checksum())
        .unwrap();
    let mut used = 0;
    for (index, picture) in pictures.iter().enumerate() {
        board.classify(picture, &mut |_, _| ()).unwrap();
        let expected = host_logits(&model, &host_input(&model, picture));
        assert_eq!(
            board.quantized_logits().unwrap(),
            expected,
            "picture {index}"
        );
        used = used.max(arena_used(&mut board, index));
    }
    for vector in 0..VECTORS {
        assert_eq!(
            board.verify(vector).unwrap(),
            None,
            "golden vector {vector}"
        );
    }
    let memory = arena_is_as_predicted(&mut board, used, &model);
    let most = memory.stack_reserved * 4 / 5;
    assert!(memory.stack_used <= most, "{memory:?}");
    println!("{name}: {memory:?}");
}

/// Bytes of the arena that have been written, after one of the first inferences.
fn arena_used(board: &mut Board, inference: usize) -> u32 {
    match inference < LOOKS {
        true => board.memory().unwrap().arena_used,
        false => 0,
    }
}

/// The arena is used to its last byte.
fn arena_is_as_predicted(board: &mut Board, used: u32, model: &[u8]) -> Memory {
    let memory = board.memory().unwrap();
    let predicted = Model::new(model).unwrap().arena_bytes() as u32;
    assert_eq!(memory.arena_reserved, predicted);
    assert_eq!(used, predicted);
    memory
}

fn resized(picture: &Picture, width: u32, height: u32) -> Picture {
    let mut scratch = vec![0; scratch_len(picture.width, picture.height, width, height)];
    let mut rgb = vec![0; (width * height * 3) as usize];
    let view = picture.view().unwrap();
    resize(view, width, height, &mut scratch, &mut rgb).unwrap();
    Picture { width, height, rgb }
}

#[test]
fn the_cortex_m3_answers_as_here() {
    answers_as_here("lm3s6965evb", NANO, PICTURES);
}

#[test]
fn the_cortex_m4_answers_as_here() {
    answers_as_here("mps2-an386", NANO, PICTURES);
}

#[test]
fn the_cortex_m7_answers_as_here() {
    answers_as_here("mps2-an500", NANO, PICTURES);
}

#[test]
fn the_cortex_m33_answers_as_here() {
    answers_as_here("mps2-an505", NANO, PICTURES);
}

#[test]
fn the_cortex_m55_answers_as_here() {
    answers_as_here("mps3-an547", NANO, PICTURES);
}

/// The file's scratch is another core's: what the kernels here do not take goes by plain loops.
#[test]
fn a_file_for_another_core_answers_as_here() {
    for (name, target) in [
        ("mps2-an386", Target::CortexM3),
        ("mps2-an386", Target::CortexM55),
        ("mps3-an547", Target::CortexM4),
        ("lm3s6965evb", Target::CortexM0),
    ] {
        let board = find(name).unwrap();
        let model = shipped(NANO, target, 1);
        let mut running = start(board, &program(board, &model).unwrap(), &[]);
        assert!(running.about().intact, "{name}, {target:?}");
        assert_eq!(running.verify(0).unwrap(), None, "{name}, {target:?}");
    }
}

#[test]
fn catsdogs_on_the_cortex_m4_answers_as_here() {
    answers_as_here("mps2-an386", "catsdogs", 10);
}

#[test]
fn catsdogs_on_the_cortex_m55_answers_as_here() {
    answers_as_here("mps3-an547", "catsdogs", 10);
}

/// MLPerf Tiny on a board: `refused` are the networks that do not fit it. Where they are small, inputs go
/// over the line; VWW's are golden vectors. Of those every layer is compared.
fn mlperf_tiny(name: &str, refused: &[&str]) {
    let Some(folder) = shared_data().map(|data| data.join("../models/mlperf-tiny")) else {
        return;
    };
    let board = find(name).unwrap();
    for network in ["ic", "vww", "kws", "ad"] {
        let graph = load_graph(&folder.join(format!("{network}.int8-qdq.onnx")));
        let len = graph.tensors[graph.input].shape.len();
        let mut random = Random::new(9);
        let (sent, drawn) = match network {
            "vww" => (1, PICTURES as u16),
            _ => (PICTURES, VECTORS),
        };
        let inputs: Vec<Vec<i8>> = (0..sent).map(|_| random.bytes(len)).collect();
        let model = compiled(&graph, board.target, network, drawn);
        let elf = program(board, &model);
        if refused.contains(&network) {
            let error = elf.unwrap_err();
            assert!(error.contains("too much"), "{network}: {error}");
            continue;
        }
        let mut board = start(board, &elf.unwrap(), &[]);
        let mut used = 0;
        for (round, input) in inputs.iter().enumerate() {
            board.run(input, &mut |_, _| ()).unwrap();
            let found = board.quantized_logits().unwrap();
            assert_eq!(found, host_logits(&model, input), "{network} {round}");
            used = used.max(arena_used(&mut board, round));
        }
        for vector in 0..drawn {
            let differs = board.verify(vector).unwrap();
            assert_eq!(differs, None, "{network} {vector}");
            used = used.max(arena_used(&mut board, vector.into()));
        }
        arena_is_as_predicted(&mut board, used, &model);
    }
}

#[test]
fn mlperf_tiny_on_the_cortex_m3() {
    mlperf_tiny("lm3s6965evb", &["ad"]);
}

#[test]
fn mlperf_tiny_on_the_cortex_m4() {
    mlperf_tiny("mps2-an386", &[]);
}

#[test]
fn mlperf_tiny_on_the_cortex_m7() {
    mlperf_tiny("mps2-an500", &[]);
}

#[test]
fn mlperf_tiny_on_the_cortex_m33() {
    mlperf_tiny("mps2-an505", &[]);
}

#[test]
fn mlperf_tiny_on_the_cortex_m55() {
    mlperf_tiny("mps3-an547", &[]);
}

/// A bit of a weight that changes in flash is found, and the layer named.
#[test]
fn a_changed_weight_is_found_with_its_layer() {
    for board in &EMULATED {
        let model = shipped(NANO, board.target, 1);
        let parsed = Model::new(&model).unwrap();
        let seed = parsed.golden().next().unwrap().seed;
        let input: Vec<i8> = Drawn::new(seed).take(parsed.input().shape.len()).collect();
        let (name, first) = parsed
            .layers()
            .filter_map(|(name, layer)| match layer {
                Layer::Conv(conv) => Some((name, conv.weights)),
                _ => None,
            })
            .map(|(name, weights)| (name, weights.as_ptr().addr() - model.as_ptr().addr()))
            .nth(4)
            .unwrap();
        // Not every weight counts for every input.
        let logits = host_logits(&model, &input);
        let counts = |at: &usize| {
            let mut changed = model.clone();
            changed[*at] ^= BIT;
            host_logits(&changed, &input) != logits
        };
        let at = (first..first + 100)
            .find(counts)
            .expect("a weight that counts");
        let elf = fs::read(program(board, &model).unwrap()).unwrap();
        let start_of = elf
            .windows(model.len())
            .position(|part| part == model)
            .expect("the program holds the model");
        let mut changed = elf;
        changed[start_of + at] ^= BIT;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed.elf");
        fs::write(&path, changed).unwrap();
        let mut emulated = start(board, &path, &[]);
        assert!(!emulated.about().intact, "{}", board.name);
        let found = emulated.verify(0).unwrap().expect("a difference");
        assert_eq!(found.name, name, "{}", board.name);
    }
}
