//! Files that are cut short, flipped and forged, numbers that are none: an error that says what is wrong,
//! never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use kiln_runtime::calibrate::Calibration;
use kiln_runtime::compile::{Options, compile};
use kiln_runtime::engine::{EngineError, Input, LoadedModel, OfGraph};
use kiln_runtime::float_graph::FloatGraph;
use kiln_runtime::fold::fold;
use kiln_runtime::graph::Layout;
use kiln_runtime::load::load;
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::onnx_out::to_onnx;
use kiln_runtime::quantize::{self, quantize};
use kiln_runtime::quantized::load_quantized;
use kiln_runtime::testing::{Random, random_graph};
use kiln_tests::{python, script, succeed};

const FLOAT: i32 = 1;

/// A quantized file of some layers.
fn quantized_file(seed: u64) -> OnnxFile {
    let mut graph = random_graph(seed);
    graph.meta.layout = Layout::Nchw;
    to_onnx(&graph)
}

/// Small float files.
fn float_files(count: usize) -> Vec<OnnxFile> {
    let folder = tempfile::tempdir().unwrap();
    let mut make = python();
    make.arg(script("random_cnns.py"))
        .arg(folder.path())
        .arg("0")
        .arg(count.to_string());
    succeed(&mut make);
    let file = |seed: usize| OnnxFile::load(&folder.path().join(format!("{seed}.onnx"))).unwrap();
    (0..count).map(file).collect()
}

fn bytes(file: &OnnxFile) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    file.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// As far as the bytes go: loaded, folded, run in floats; read as integers, compiled, run.
fn try_all(bytes: &[u8]) -> Result<(), String> {
    // A file of a few kilobytes may ask for large activations; what is run here is small.
    const MOST: usize = 1 << 16;
    let text = |error: &dyn ToString| error.to_string();
    let file = OnnxFile::from_bytes(bytes, Path::new("bad.onnx")).map_err(|error| text(&error))?;
    let graph = load(&file).map_err(|error| text(&error))?;
    let small = graph
        .values
        .iter()
        .map(|value| value.shape.len())
        .sum::<usize>()
        < MOST;
    let folded = fold(&graph);
    let len = graph.shape(graph.input).len();
    if small {
        FloatGraph::new(&folded)
            .run(&vec![0.5; len], &mut |_, _| ())
            .map_err(|error| text(&error))?;
    }
    let quantized = load_quantized(&file).map_err(|error| text(&error))?;
    let compiled = compile(&quantized, &Options::default()).map_err(|error| text(&error))?;
    let model = LoadedModel::from_bytes(&compiled.bytes).map_err(|error| text(&error))?;
    if small {
        model
            .engine()
            .run(Input::Quantized(&vec![3; len]))
            .map_err(|error| text(&error))?;
    }
    Ok(())
}

/// One change that somebody with bad luck or bad will makes.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(7) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.choose(&[0, 1, 0x7f, 0x80, 0xff]),
        3 => {
            let len = random.within(1, 16).min(bytes.len() - at);
            bytes.drain(at..at + len);
        }
        4 => {
            let len = random.within(1, 64).min(bytes.len() - at);
            let part = bytes[at..at + len].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, part);
        }
        // A number as large as a varint can be.
        5 => {
            let end = (at + 1).min(bytes.len());
            bytes.splice(at..end, [0xff; 9].into_iter().chain([1]));
        }
        _ => {
            let end = (at + 4).min(bytes.len());
            let number = random.choose(&[f32::NAN, f32::INFINITY, 0.0, -1.0, 1e38, 1e-45]);
            bytes.splice(at..end, number.to_le_bytes());
        }
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
}

fn survives(files: &[OnnxFile], each: usize) {
    let mut random = Random::new(7);
    let (mut refused, mut panics, mut total) = (0, vec![], 0);
    for (number, file) in files.iter().enumerate() {
        let whole = bytes(file);
        for mutation in 0..each {
            let mut bytes = whole.clone();
            for _ in 0..random.within(1, 3) {
                mutate(&mut bytes, &mut random);
            }
            total += 1;
            match catch_unwind(AssertUnwindSafe(|| try_all(&bytes))) {
                Err(_) => panics.push((number, mutation)),
                Ok(Err(error)) => {
                    assert!(error.len() > 10, "{error}");
                    refused += 1;
                }
                Ok(Ok(())) => {}
            }
        }
    }
    assert!(panics.is_empty(), "{} panics: {panics:?}", panics.len());
    assert!(
        refused * 3 > total,
        "{refused} of {total}: mutations hardly change anything"
    );
}

#[test]
fn changed_float_files_are_refused_or_run() {
    survives(&float_files(12), 250);
}

#[test]
fn changed_quantized_files_are_refused_or_run() {
    let files: Vec<OnnxFile> = (0..12).map(quantized_file).collect();
    survives(&files, 250);
}

#[test]
fn a_compiled_file_cut_short_or_changed_is_refused() {
    let compiled = compile(&random_graph(5), &Options::default()).unwrap();
    for len in 0..compiled.bytes.len() {
        assert!(
            LoadedModel::from_bytes(&compiled.bytes[..len]).is_err(),
            "{len} bytes"
        );
    }
    for at in 0..compiled.bytes.len() {
        let mut changed = compiled.bytes.clone();
        changed[at] ^= 0x10;
        let error = LoadedModel::from_bytes(&changed).map(|_| ()).unwrap_err();
        assert!(error.to_string().len() > 20, "byte {at}: {error}");
    }
}

#[test]
fn inputs_of_a_wrong_size_or_of_no_numbers_are_refused() {
    let graph = random_graph(5);
    let mut engine = LoadedModel::of(&graph).unwrap().engine();
    let len = graph.tensors[graph.input].shape.len();
    for found in [0, len - 1, len + 1] {
        let error = engine
            .run(Input::Quantized(&vec![0; found]))
            .map(|_| ())
            .unwrap_err();
        assert!(
            error.to_string().contains(&format!("{found} values")),
            "{error}"
        );
        let values = vec![0.0; found];
        assert!(
            engine.run(Input::Tensor(&values, Layout::Nhwc)).is_err(),
            "{found}"
        );
    }
    let mut values = vec![0.0; len];
    values[len / 2] = f32::NAN;
    let error = engine
        .run(Input::Tensor(&values, Layout::Nhwc))
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(error, EngineError::Nan { index } if index == len / 2),
        "{error}"
    );
    values[len / 2] = f32::INFINITY;
    engine
        .run(Input::Tensor(&values, Layout::Nhwc))
        .expect("infinity saturates");
    assert!(
        engine.run(Input::Pixels(&vec![0; len])).is_err(),
        "a model with no recipe"
    );
}

struct Zeros(usize);

impl Calibration for Zeros {
    fn len(&self) -> usize {
        self.0
    }

    fn read(&mut self, _index: usize, input: &mut [f32]) -> Result<(), String> {
        input.fill(0.0);
        Ok(())
    }
}

/// What quantizing says.
fn quantizing(file: &OnnxFile, pictures: usize) -> Result<(), String> {
    let graph = fold(&load(file).map_err(|error| error.to_string())?);
    let options = quantize::Options::default();
    let quantized = quantize(&graph, &mut Zeros(pictures), &options, &|_| ());
    let (graph, _) = quantized.map_err(|error| error.to_string())?;
    LoadedModel::of(&graph)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn what_cannot_be_quantized_is_said() {
    let files = float_files(3);
    for (seed, file) in files.into_iter().enumerate() {
        let error = quantizing(&file, 0).unwrap_err();
        assert!(error.contains("no calibration pictures"), "{seed}: {error}");
        // All that is ever seen is black: ranges of nothing.
        quantizing(&file, 3).unwrap_or_else(|error| panic!("{seed}: {error}"));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut file = file.clone();
            let weights = &mut file.graph_mut().initializer;
            let weight = weights
                .iter_mut()
                .find(|weight| weight.data_type == FLOAT && weight.dims.len() > 2);
            let Some(weight) = weight else { continue };
            weight.raw_data[..4].copy_from_slice(&bad.to_le_bytes());
            let error = quantizing(&file, 3).unwrap_err();
            assert!(
                error.contains("finite") || error.contains("diverged"),
                "{seed}: {error}"
            );
        }
    }
}

#[test]
fn impossible_scales_are_refused() {
    for bad in [0.0, -0.5, f32::NAN, f32::INFINITY] {
        let mut file = quantized_file(3);
        let weights = &mut file.graph_mut().initializer;
        let mut scales = weights
            .iter_mut()
            .filter(|weight| weight.name.ends_with("scale"));
        let scale = scales.next().expect("a quantized file has scales");
        scale.raw_data[..4].copy_from_slice(&f32::to_le_bytes(bad));
        let error = try_all(&bytes(&file)).unwrap_err();
        assert!(error.contains("scale"), "{bad}: {error}");
    }
}

#[test]
fn weights_in_other_files_are_refused() {
    let mut file = quantized_file(3);
    file.graph_mut().initializer[0]
        .external_data
        .push(Default::default());
    let error = try_all(&bytes(&file)).unwrap_err();
    assert!(error.contains("another file"), "{error}");
}
