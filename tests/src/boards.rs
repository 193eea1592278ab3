//! Boards that QEMU plays, with Kiln's firmware around a model.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use kiln_board::client::Patience;
use kiln_board::firmware::Source;
use kiln_board::qemu::{Options, Qemu};
use kiln_board::{Board, Emulated};
use kiln_core::preprocess::{Recipe, preprocess};
use kiln_core::{Model, Target};
use kiln_picture::Picture;
use kiln_runtime::compile::{self, compile};
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::qgraph::QGraph;
use kiln_runtime::quantized::load_quantized;

use crate::models;

/// A graph as a board's file, with so many golden vectors.
///
/// # Panics
/// It does not compile.
pub fn compiled(graph: &QGraph, target: Target, name: &str, golden: u16) -> Vec<u8> {
    let options = compile::Options {
        target,
        name: Some(name),
        golden,
        ..compile::Options::default()
    };
    let compiled = compile(graph, &options);
    compiled
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .bytes
}

/// One of the models in `models/`, as a board's file, with so many golden vectors.
///
/// # Panics
/// There is none of this name.
pub fn shipped(name: &str, target: Target, golden: u16) -> Vec<u8> {
    let graph = load_graph(&models().join(name).join("model.int8.onnx"));
    compiled(&graph, target, name, golden)
}

/// A quantized ONNX file's graph.
///
/// # Panics
/// It is not one.
pub fn load_graph(path: &Path) -> QGraph {
    let file = OnnxFile::load(path).unwrap_or_else(|error| panic!("{error}"));
    load_quantized(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A board's program around a model.
///
/// # Errors
/// The model does not fit the board, in words.
pub fn program(board: &Emulated, model: &[u8]) -> Result<PathBuf, String> {
    let source = Source::find().map_err(|error| error.to_string())?;
    let built = source.program(board, model, &mut || ());
    built.map_err(|error| error.to_string())
}

/// Another of the firmware's programs around a model, for a board's core.
///
/// # Panics
/// It does not build.
pub fn variant(board: &Emulated, bin: &str, features: &str, model: &[u8]) -> PathBuf {
    let source = Source::find().expect("the source tree");
    let built = source.variant(board, bin, features, model, &mut || ());
    built.unwrap_or_else(|error| panic!("{bin}: {error}"))
}

/// Starts the board with a program.
///
/// # Panics
/// QEMU is missing (`cargo xtask setup` installs it), or the board does not answer.
pub fn start(board: &Emulated, elf: &Path, extra: &[&str]) -> Board {
    let options = Options {
        extra: extra.iter().map(OsString::from).collect(),
        ..Options::default()
    };
    let (qemu, port) = Qemu::start(board, elf, &options)
        .unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask setup", board.name));
    let patience = Patience::default();
    Board::greet(port, Some(qemu), patience)
        .unwrap_or_else(|error| panic!("{}: {error}", board.name))
}

/// The engine's quantized logits here, by the same file.
///
/// # Panics
/// The input is none of the model's.
pub fn host_logits(model: &[u8], input: &[i8]) -> Vec<i8> {
    let model = Model::new(model).expect("a model");
    let mut arena = vec![0; model.arena_bytes()];
    let output = model.run(&mut arena, input).expect("it runs");
    output.tensor().map(|byte| byte as i8).collect()
}

/// The quantized input that a picture becomes here.
///
/// # Panics
/// The model takes no pictures.
pub fn host_input(model: &[u8], picture: &Picture) -> Vec<i8> {
    let model = Model::new(model).expect("a model");
    let recipe: Recipe = model.recipe().expect("a recipe");
    let mut arena = vec![0; model.arena_bytes()];
    let mut scratch = vec![0; recipe.scratch_len(picture.width, picture.height)];
    let input = model.input_mut(&mut arena).expect("an arena");
    let view = picture.view().expect("a picture");
    preprocess(view, &recipe, &mut scratch, input).expect("it fits");
    model.quantize_pixels(&mut arena).expect("a recipe");
    let input = model.input_mut(&mut arena).expect("an arena");
    input.iter().map(|&byte| byte as i8).collect()
}
