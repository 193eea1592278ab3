//! Random small CNNs in float, loaded, folded and quantized: the engine's logits beside ONNX Runtime's,
//! byte for byte.
//!
//! `KILN_SEEDS=FIRST..END` runs other seeds, `KILN_KEEP=FOLDER` keeps the files of what failed.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use kiln_runtime::calibrate::Calibration;
use kiln_runtime::engine::{LoadedModel, OfGraph};
use kiln_runtime::float_graph::FloatGraph;
use kiln_runtime::fold::fold;
use kiln_runtime::graph::{Graph, Layout};
use kiln_runtime::load::load;
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::onnx_out::to_onnx;
use kiln_runtime::quantize::{self, quantize};
use kiln_runtime::quantized::meta;
use kiln_runtime::report::Report;
use kiln_tests::conformance::{
    Batch, FLOAT, logits, repeat, same_on_all_targets, same_when_read_again, seeds,
};
use kiln_tests::npy::Array;
use kiln_tests::{python, script, succeed};

/// Inputs in NCHW as the graph takes them: NHWC.
struct Inputs<'a> {
    rows: &'a [Vec<f32>],
    graph: &'a Graph,
}

impl Calibration for Inputs<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
        input.copy_from_slice(&nhwc(&self.rows[index], self.graph));
        Ok(())
    }
}

fn nhwc(values: &[f32], graph: &Graph) -> Vec<f32> {
    if graph.layout == Layout::Nhwc {
        return values.to_vec();
    }
    let shape = graph.shape(graph.input);
    let (pixels, channels) = (shape.pixels(), shape.channels as usize);
    let at = |index: usize| index % channels * pixels + index / channels;
    (0..values.len()).map(|index| values[at(index)]).collect()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Asserts that the graph gives ONNX Runtime's floats, but for rounding.
fn near(graph: &Graph, inputs: &[Vec<f32>], expected: &Array, what: &str) {
    let mut float = FloatGraph::new(graph);
    for (input, expected) in inputs.iter().zip(expected.rows()) {
        let mut found = float
            .run(&nhwc(input, graph), &mut |_, _| ())
            .expect("it runs");
        if graph.softmax {
            found = softmax(&found);
        }
        assert_eq!(found.len(), expected.len());
        let most = expected
            .iter()
            .fold(1.0f32, |most, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            assert!(difference <= 2e-4 * most, "{what}: {found}, not {expected}");
        }
    }
}

/// How often the quantizer found scales that obey its rules: what does not costs exactness on other
/// machines or instructions, never bytes here.
#[derive(Debug, Default)]
struct Rules {
    channels: usize,
    obeying: usize,
    layers: usize,
    unsettled: usize,
}

impl Rules {
    fn add(&mut self, report: &Report) {
        self.channels += report.channels;
        self.obeying += report.channels_obeying;
        self.layers += report.layers.len();
        self.unsettled += report.unsettled.len();
    }

    fn check(&self) {
        assert!(self.obeying * 1000 >= self.channels * 998, "{self:?}");
        assert!(self.unsettled * 100 <= 3 * self.layers, "{self:?}");
    }
}

/// One seed's network from the float file to logits of the engine.
fn quantize_and_run(folder: &Path, seed: u64, batch: &mut Batch, rules: &mut Rules) {
    const CALIBRATION: usize = 16;
    let at = |ending: &str| folder.join(format!("{seed}{ending}"));
    let file = OnnxFile::load(&at(".onnx")).expect("it is a file");
    let mut inputs: Vec<Vec<f32>> = Array::read(&at(".inputs.npy"))
        .rows()
        .map(<[f32]>::to_vec)
        .collect();
    let expected = Array::read(&at(".expected.npy"));

    let loaded = load(&file).unwrap_or_else(|error| panic!("{error}"));
    near(&loaded, &inputs, &expected, "as loaded");
    let folded = fold(&loaded);
    near(&folded, &inputs, &expected, "folded");

    let mut calibration = Inputs {
        rows: &inputs[..CALIBRATION],
        graph: &folded,
    };
    let options = quantize::Options {
        meta: meta(&file, &folded),
        ..quantize::Options::default()
    };
    let quantized = quantize(&folded, &mut calibration, &options, &|_| ());
    let (graph, report) = quantized.unwrap_or_else(|error| panic!("{error}"));
    rules.add(&report);

    // Those that it has not seen, and some that are far out of range.
    inputs.drain(..CALIBRATION);
    let far = inputs
        .iter()
        .take(3)
        .map(|input| input.iter().map(|value| value * 9.0).collect());
    let far: Vec<Vec<f32>> = far.collect();
    inputs.extend(far);
    let written = to_onnx(&graph);
    let model = LoadedModel::of(&graph).unwrap_or_else(|error| panic!("{error}"));
    let found = logits(&model, &inputs, graph.meta.layout);
    same_on_all_targets(&graph, &inputs[..2], &found[..2]);
    same_when_read_again(&written, &inputs, &found);
    batch.add(&seed.to_string(), &written, &inputs, &found);
}

fn float_networks(test: &str, usual: Range<u64>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seeds = seeds(usual);
    let mut make = python();
    make.arg(script("random_cnns.py")).arg(folder.path());
    make.args([seeds.start, seeds.end - seeds.start].map(|number| number.to_string()));
    succeed(&mut make);
    let (mut batch, mut rules) = (Batch::new(), Rules::default());
    let failed: Vec<u64> = seeds
        .filter(|&seed| {
            let run = || quantize_and_run(folder.path(), seed, &mut batch, &mut rules);
            catch_unwind(AssertUnwindSafe(run)).is_err()
        })
        .collect();
    for seed in &failed {
        eprintln!("failed: {}", repeat(test, &seed.to_string()));
    }
    batch.check(&FLOAT, |seed| repeat(test, seed));
    assert!(failed.is_empty(), "seeds {failed:?}");
    eprintln!("{rules:?}");
    rules.check();
}

// In four parts, so that they run beside each other.

#[test]
fn random_networks_give_onnx_runtimes_bytes_part_1() {
    float_networks("random_networks_give_onnx_runtimes_bytes_part_1", 0..125);
}

#[test]
fn random_networks_give_onnx_runtimes_bytes_part_2() {
    float_networks("random_networks_give_onnx_runtimes_bytes_part_2", 125..250);
}

#[test]
fn random_networks_give_onnx_runtimes_bytes_part_3() {
    float_networks("random_networks_give_onnx_runtimes_bytes_part_3", 250..375);
}

#[test]
fn random_networks_give_onnx_runtimes_bytes_part_4() {
    float_networks("random_networks_give_onnx_runtimes_bytes_part_4", 375..500);
}
