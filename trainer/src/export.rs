//! A trained network as an ONNX file that is checked against the network.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use burn_onnx::export::{ExportError as BurnError, OnnxExporter};
use kiln_runtime::float::{FloatError, FloatModel};
use kiln_runtime::onnx::{self, OnnxError, OnnxFile};
use thiserror::Error;

use crate::model::Network;
use crate::model::spec::Activation;
use crate::run::{Run, RunError};

/// The exported file's input.
pub const INPUT: &str = "input";
/// The exported file's output.
pub const OUTPUT: &str = "logits";
/// The largest difference between the network's logits and the file's.
pub const TOLERANCE: f32 = 1e-3;

/// Why a run was not exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The run is not usable.
    #[error(transparent)]
    Run(#[from] RunError),
    /// burn's exporter refused the network.
    #[error("export: {0}")]
    Burn(#[from] BurnError),
    /// The file is not usable.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The file does not run.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// The file answers differently.
    #[error(
        "export: the file's logits differ from the network's by {difference:e} (at most {TOLERANCE:e} \
         is allowed), so it was not written; please report this with the run's run.toml"
    )]
    Differs {
        /// The largest absolute difference.
        difference: f32,
    },
}

/// Exports the run's best weights to a document with input `[1, c, h, w]` named `input` and output
/// `[1, classes]` named `logits`, labels and recipe in its metadata, softmax outside.
pub fn export(run: &Run) -> Result<OnnxFile, ExportError> {
    let network = run.network(&Device::flex())?;
    let [c, h, w] = run.config.input();
    let sample = Tensor::<4>::zeros([1, c, h, w], &Device::flex());
    // burn-onnx has no lowering for clamp: ReLU6 leaves as ReLU and becomes Clip in the document.
    let activation = network.activation();
    let plain = network.with_activation(Activation::Relu);
    let exported = OnnxExporter::new().export(&plain, sample, Network::forward)?;
    let mut file = OnnxFile::from_bytes(exported.as_bytes(), &run.onnx())?;
    if activation == Activation::Relu6 {
        clip_to_six(&mut file);
    }
    name_nodes(&mut file);
    describe(&mut file, run);
    Ok(file)
}

/// The largest absolute difference between the network's logits and the file's, run by tract, over
/// `pictures` (each `c·h·w` normalised values, NCHW).
pub fn compare(run: &Run, file: &OnnxFile, pictures: &[Vec<f32>]) -> Result<f32, ExportError> {
    let device = Device::flex();
    let network = run.network(&device)?;
    let model = FloatModel::new(file)?;
    let [c, h, w] = run.config.input();
    let mut difference = 0.0f32;
    for picture in pictures {
        let pixels = TensorData::new(picture.clone(), [1, c, h, w]);
        let expected = network.forward(Tensor::from_data(pixels, &device));
        let expected = expected.into_data();
        for (expected, found) in expected.iter::<f32>().zip(model.run(picture)?) {
            let gap = (expected - found).abs();
            // A NaN is as different as can be.
            difference = difference.max(if gap.is_nan() { f32::INFINITY } else { gap });
        }
    }
    if difference > TOLERANCE {
        return Err(ExportError::Differs { difference });
    }
    Ok(difference)
}

/// Turns each Relu into Clip between 0 and 6.
fn clip_to_six(file: &mut OnnxFile) {
    let graph = file.graph_mut();
    for (name, value) in [("relu6.min", 0.0), ("relu6.max", 6.0)] {
        graph.initializer.push(onnx::scalar(name, value));
    }
    for node in graph.node.iter_mut().filter(|node| node.op_type == "Relu") {
        node.op_type = "Clip".into();
        node.input.extend(["relu6.min".into(), "relu6.max".into()]);
    }
}

/// Names nodes and values by the module: a node with weights by their path, any other by the path
/// before it and its operator.
fn name_nodes(file: &mut OnnxFile) {
    let graph = file.graph_mut();
    let weights: HashMap<String, String> = graph
        .initializer
        .iter()
        .filter_map(|weight| {
            let (module, _) = weight.name.rsplit_once('.')?;
            Some((weight.name.clone(), module.to_owned()))
        })
        .filter(|(weight, _)| !weight.starts_with("relu6."))
        .collect();
    let mut renamed = HashMap::new();
    if let (Some(input), Some(output)) = (graph.input.first_mut(), graph.output.first_mut()) {
        renamed.insert(std::mem::replace(&mut input.name, INPUT.into()), INPUT.to_owned());
        renamed.insert(std::mem::replace(&mut output.name, OUTPUT.into()), OUTPUT.to_owned());
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut module = String::from(INPUT);
    for node in &mut graph.node {
        let own = node.input.iter().find_map(|input| weights.get(input));
        let name = match own {
            Some(path) => {
                module.clone_from(path);
                path.clone()
            }
            None => format!("{module}.{}", node.op_type.to_lowercase()),
        };
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        node.name = match *count {
            1 => name,
            n => format!("{name}.{n}"),
        };
        for input in &mut node.input {
            if let Some(new) = renamed.get(input) {
                input.clone_from(new);
            }
        }
        for output in &mut node.output {
            let new = renamed.entry(output.clone()).or_insert_with(|| format!("{}.output", node.name));
            output.clone_from(new);
        }
    }
}

fn describe(file: &mut OnnxFile, run: &Run) {
    file.proto.producer_name = "kiln".into();
    file.proto.producer_version = env!("CARGO_PKG_VERSION").into();
    file.set_json(onnx::LABELS, &run.labels);
    file.set_json(onnx::RECIPE, &run.config.recipe);
    file.set(onnx::LAYOUT, "NCHW");
    file.set(onnx::VERSION, env!("CARGO_PKG_VERSION"));
    let graph = file.graph_mut();
    graph.name = "kiln".into();
    if let Some(input) = graph.input.first_mut() {
        input.doc_string = "[1, channels, rows, columns]: pixels by the recipe in the metadata".into();
    }
    if let Some(output) = graph.output.first_mut() {
        output.doc_string = "[1, classes]: logits in the order of the labels in the metadata".into();
    }
}
