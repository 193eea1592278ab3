//! The four networks of MLPerf Tiny, as TensorFlow's converter quantized them: read, compiled for every
//! target, run, and compared with ONNX Runtime.
//!
//! The files lie in `models/mlperf-tiny` of the folder of shared data. On a machine that has none this
//! is said, and nothing is tested.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_runtime::engine::{Input, LoadedModel, OfGraph};
use kiln_runtime::float::FloatModel;
use kiln_runtime::float_graph::FloatGraph;
use kiln_runtime::fold::fold;
use kiln_runtime::graph::{Layout, Quant};
use kiln_runtime::load::load;
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::onnx_out::to_onnx;
use kiln_runtime::qgraph::QGraph;
use kiln_runtime::quantized::load_quantized;
use kiln_runtime::testing::Random;
use kiln_tests::conformance::{Batch, logits, same_on_all_targets, same_when_read_again};
use kiln_tests::npy::Array;
use kiln_tests::{python, script, shared_data, succeed};

const NETWORKS: [&str; 4] = ["ic", "vww", "kws", "ad"];
const INPUTS: usize = 8;

fn models() -> Option<PathBuf> {
    let folder = shared_data()?.parent()?.join("models/mlperf-tiny");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "no models at {} (KILN_SHARED sets another place)",
        folder.display()
    );
    None
}

fn open(folder: &Path, network: &str, kind: &str) -> OnnxFile {
    OnnxFile::load(&folder.join(format!("{network}.{kind}.onnx"))).unwrap()
}

fn quantized(folder: &Path, network: &str) -> QGraph {
    load_quantized(&open(folder, network, "int8-qdq")).unwrap_or_else(|error| panic!("{error}"))
}

/// Integers for the network's input; the networks take NHWC.
fn integers(graph: &QGraph, seed: u64) -> Vec<Vec<i8>> {
    assert_eq!(graph.meta.layout, Layout::Nhwc);
    let mut random = Random::new(seed);
    let len = graph.tensors[graph.input].shape.len();
    (0..INPUTS).map(|_| random.bytes(len)).collect()
}

fn reals(graph: &QGraph, integers: &[Vec<i8>]) -> Vec<Vec<f32>> {
    let quant = graph.quant(graph.input);
    let real = |&q: &i8| f32::from(i16::from(q) - i16::from(quant.zero_point)) * quant.scale;
    integers
        .iter()
        .map(|input| input.iter().map(real).collect())
        .collect()
}

/// With u8 activations, as Kiln writes files, ONNX Runtime has integers for all layers.
#[test]
fn written_by_kiln_they_give_onnx_runtimes_bytes() {
    let Some(folder) = models() else { return };
    let mut batch = Batch::new();
    for network in NETWORKS {
        let mut graph = quantized(&folder, network);
        graph
            .tensors
            .iter_mut()
            .for_each(|tensor| tensor.quant.unsigned = true);
        let inputs = reals(&graph, &integers(&graph, 1));
        let model = LoadedModel::of(&graph).unwrap();
        let found = logits(&model, &inputs, Layout::Nhwc);
        same_on_all_targets(&graph, &inputs[..2], &found[..2]);
        let file = to_onnx(&graph);
        same_when_read_again(&file, &inputs, &found);
        batch.add(network, &file, &inputs, &found);
    }
    batch.check(&[], |network| {
        format!("cargo xtask test mlperf_tiny: {network}")
    });
}

/// The files have i8 activations, for which ONNX Runtime takes floats where a tensor has two readers:
/// results may be a step apart at ties, and over ResNet-8's layers, with noise for a picture, a
/// few steps in a logit.
#[test]
fn as_they_are_they_come_near_onnx_runtime() {
    let Some(folder) = models() else { return };
    for network in NETWORKS {
        let graph = quantized(&folder, network);
        let integers = integers(&graph, 2);
        let model = LoadedModel::of(&graph).unwrap();
        let found = logits(&model, &reals(&graph, &integers), Layout::Nhwc).concat();
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let shape = graph.tensors[graph.input].shape;
        let axes = [shape.height, shape.width, shape.channels].map(|axis| axis as usize);
        let axes = if network == "ad" {
            &axes[2..]
        } else {
            &axes[..]
        };
        let values: Vec<Vec<f32>> = integers
            .iter()
            .map(|input| input.iter().map(|&q| f32::from(q)).collect())
            .collect();
        Array::stack(axes, &values).write(&at("inputs.npy"));
        let mut run = python();
        run.arg(script("onnx_values.py"))
            .arg(folder.join(format!("{network}.int8-qdq.onnx")));
        run.arg(&graph.tensors[graph.output].name)
            .arg(at("inputs.npy"))
            .arg(at("values.npy"));
        succeed(&mut run);
        let expected = Array::read(&at("values.npy"));
        // The file's output is quantized, but where a Softmax is behind the logits.
        let Quant {
            scale, zero_point, ..
        } = graph.quant(graph.output);
        let real = |value: f32| {
            if network == "ad" {
                (value - f32::from(zero_point)) * scale
            } else {
                value
            }
        };
        let pairs = found.into_iter().zip(expected.values.iter().copied());
        let steps: Vec<f32> = pairs
            .map(|(found, expected)| ((found - real(expected)) / scale).abs().round())
            .collect();
        assert_eq!(steps.len(), expected.values.len(), "{network}");
        let differing = steps.iter().filter(|steps| **steps != 0.0).count();
        let most = steps.iter().copied().fold(0.0, f32::max);
        eprintln!(
            "{network}: {differing} of {} logits differ, by {most} at most",
            steps.len()
        );
        assert!(
            most <= 4.0 && differing * 4 <= steps.len(),
            "{network}: {differing}, {most}"
        );
    }
}

/// The pictures as the networks take them, 0 to 255 in NHWC, with their classes.
fn cifar(path: &Path) -> Vec<(usize, Vec<f32>)> {
    let bytes = fs::read(path).unwrap();
    let records = bytes.chunks_exact(1 + 3 * 1024);
    let picture = |record: &[u8]| {
        let value = |index: usize| f32::from(record[1 + index % 3 * 1024 + index / 3]);
        (usize::from(record[0]), (0..3 * 1024).map(value).collect())
    };
    records.map(picture).collect()
}

fn best(logits: &[f32]) -> usize {
    let order = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a));
    (0..logits.len()).max_by(order).unwrap_or(0)
}

/// The .tflite is right in 87.4% of these pictures (1,050 or 1,051 of 1,202).
#[test]
fn resnet_8_is_as_accurate_as_its_tflite() {
    let Some(folder) = models() else { return };
    let Some(data) = shared_data() else { return };
    let pictures = cifar(&data.join("cifar10-test-lossless.bin"));
    assert_eq!(pictures.len(), 1202);
    let graph = quantized(&folder, "ic");
    let mut engine = LoadedModel::of(&graph).unwrap().engine();
    let right = pictures.iter().filter(|(class, picture)| {
        best(&engine.logits(Input::Tensor(picture, Layout::Nhwc)).unwrap()) == *class
    });
    let right = right.count();
    let percent = 100.0 * right as f64 / pictures.len() as f64;
    eprintln!(
        "ResNet-8 in int8: {right} of {}, {percent:.2}%",
        pictures.len()
    );
    assert!((87.1..=87.7).contains(&percent), "{percent}");
}

#[test]
fn float_networks_are_run_as_tract_runs_them() {
    let Some(folder) = models() else { return };
    for network in NETWORKS {
        let file = open(&folder, network, "float");
        let folded = fold(&load(&file).unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(folded.layout, Layout::Nhwc, "{network}");
        let tract = FloatModel::new(&file).unwrap();
        let mut random = Random::new(3);
        let input: Vec<f32> = (0..folded.shape(folded.input).len())
            .map(|_| random.real(-1.0, 3.0))
            .collect();
        let found = FloatGraph::new(&folded)
            .run(&input, &mut |_, _| ())
            .unwrap();
        let expected = tract.run(&input).unwrap();
        assert_eq!(found.len(), expected.len());
        let most = expected
            .iter()
            .fold(1.0f32, |most, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-4 * most,
                "{network}: {found}, not {expected}"
            );
        }
    }
}
