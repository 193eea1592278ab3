//! A trained network as an ONNX file that is checked against the network.

use std::collections::{HashMap, HashSet};

use burn::tensor::{Device, Tensor, TensorData};
use burn_onnx::export::{ExportError as BurnError, OnnxExporter};
use kiln_runtime::float::{FloatError, FloatModel};
use kiln_runtime::onnx::{self, NodeProto, OnnxError, OnnxFile};
use thiserror::Error;

use crate::evaluate::{largest_gap, values};
use crate::model::Network;
use crate::model::network::parameter_name;
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
    document(run, run.network(&Device::flex())?)
}

/// The same with given weights, in floats also where the network is computed as integers will be; those
/// integers' scales are then in the metadata.
pub fn document(run: &Run, network: Network) -> Result<OnnxFile, ExportError> {
    let scales = network.scales().cloned();
    let network = network.with_scales(None);
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
    linear_to_gemm(&mut file);
    name_nodes(&mut file);
    describe(&mut file, run);
    if let Some(scales) = scales {
        file.set_json(onnx::SCALES, &scales[..]);
    }
    Ok(file)
}

/// The largest absolute difference between the network's logits and the file's, run by tract, over
/// `pictures` (each `c·h·w` normalised values, NCHW).
pub fn compare(run: &Run, file: &OnnxFile, pictures: &[Vec<f32>]) -> Result<f32, ExportError> {
    let device = Device::flex();
    let network = run.network(&device)?.with_scales(None);
    let model = FloatModel::classifier(file)?;
    let [c, h, w] = run.config.input();
    let mut difference = 0.0f32;
    for picture in pictures {
        let pixels = TensorData::new(picture.clone(), [1, c, h, w]);
        let expected = network.forward(Tensor::from_data(pixels, &device));
        difference = difference.max(largest_gap(&values(expected), &model.run(picture)?));
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

/// Turns `MatMul(x, weight)` + reshaped bias, as burn-onnx writes a linear layer, into Gemm.
fn linear_to_gemm(file: &mut OnnxFile) {
    let graph = file.graph_mut();
    let weights: HashSet<String> = graph.initializer.iter().map(|w| w.name.clone()).collect();
    // Reshapes of weights, by what they give.
    let mut biases: HashMap<String, String> = HashMap::new();
    let mut nodes: Vec<NodeProto> = Vec::new();
    for mut node in std::mem::take(&mut graph.node) {
        let from_weight = node.input.first().filter(|input| weights.contains(*input));
        match (&node.op_type[..], from_weight) {
            ("Reshape", Some(weight)) => {
                biases.insert(node.output[0].clone(), weight.clone());
            }
            ("Add", _) => {
                let bias = node
                    .input
                    .iter()
                    .find_map(|input| biases.get(input))
                    .cloned();
                let product = nodes.last_mut().filter(|last| {
                    last.op_type == "MatMul" && node.input.contains(&last.output[0])
                });
                match (bias, product) {
                    (Some(bias), Some(product)) => {
                        product.op_type = "Gemm".into();
                        product.input.push(bias);
                        product.output = std::mem::take(&mut node.output);
                    }
                    _ => nodes.push(node),
                }
            }
            _ => nodes.push(node),
        }
    }
    graph.node = nodes;
    let used: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    graph
        .initializer
        .retain(|weight| used.contains(&weight.name));
}

/// Names nodes and values by the module: a node with weights by their path, any other by its block
/// and its operator.
fn name_nodes(file: &mut OnnxFile) {
    let graph = file.graph_mut();
    let mut renamed = HashMap::new();
    for weight in &mut graph.initializer {
        let name = parameter_name(&weight.name);
        renamed.insert(std::mem::replace(&mut weight.name, name.clone()), name);
    }
    if let (Some(input), Some(output)) = (graph.input.first_mut(), graph.output.first_mut()) {
        renamed.insert(
            std::mem::replace(&mut input.name, INPUT.into()),
            INPUT.to_owned(),
        );
        renamed.insert(
            std::mem::replace(&mut output.name, OUTPUT.into()),
            OUTPUT.to_owned(),
        );
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut block = String::from(INPUT);
    for node in &mut graph.node {
        let mut weights = node.input.iter().filter_map(|input| input.rsplit_once('.'));
        let own = weights.find(|(path, _)| !path.starts_with("relu6"));
        let name = match own {
            Some((path, _)) => {
                let path = parameter_name(path);
                block = path.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
                path
            }
            None => format!("{block}.{}", node.op_type.to_lowercase()),
        };
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        node.name = match *count {
            1 => name,
            n => format!("{name}.{n}"),
        };
        for input in &mut node.input {
            // What has no dot is no module's: the shape of a Reshape.
            let new = renamed
                .entry(input.clone())
                .or_insert_with(|| input.clone());
            if !new.contains('.') && new.ends_with("_shape") {
                *new = format!("{}.shape", node.name);
            }
            input.clone_from(new);
        }
        for output in &mut node.output {
            let fresh = || format!("{}.output", node.name);
            output.clone_from(renamed.entry(output.clone()).or_insert_with(fresh));
        }
    }
    for weight in &mut graph.initializer {
        if let Some(name) = renamed.get(&weight.name) {
            weight.name.clone_from(name);
        }
    }
}

fn describe(file: &mut OnnxFile, run: &Run) {
    file.proto.producer_name = "kiln".into();
    file.proto.producer_version = env!("CARGO_PKG_VERSION").into();
    file.set_json(onnx::LABELS, &run.labels);
    file.set_json(onnx::RECIPE, &run.config.recipe);
    file.set_json(onnx::SPLIT, &run.config.split_options());
    file.set(onnx::LAYOUT, "NCHW");
    file.set(onnx::VERSION, env!("CARGO_PKG_VERSION"));
    let graph = file.graph_mut();
    graph.name = "kiln".into();
    if let Some(input) = graph.input.first_mut() {
        input.doc_string =
            "[1, channels, rows, columns]: pixels by the recipe in the metadata".into();
    }
    if let Some(output) = graph.output.first_mut() {
        output.doc_string =
            "[1, classes]: logits in the order of the labels in the metadata".into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::training::checkpoint::save_network;

    /// A run with fresh weights.
    fn run(folder: &std::path::Path, model: ModelConfig) -> Run {
        let run = Run::of_model(folder, model);
        let device = Device::flex();
        device.seed(7);
        let network = Network::new(&run.spec().unwrap(), &device);
        save_network(&network, &run.weights()).unwrap();
        run
    }

    #[test]
    fn every_family_exports_and_the_file_answers_as_the_network() {
        for (family, model) in ModelConfig::examples() {
            let folder = tempfile::tempdir().unwrap();
            let run = run(folder.path(), model);
            let mut file = export(&run).unwrap();
            let picture: Vec<f32> = (0..3 * 32 * 40)
                .map(|i| ((i * 37 % 101) as f32) / 25.0 - 2.0)
                .collect();
            let difference = compare(&run, &file, &[picture]).unwrap();
            assert!(difference < 1e-4, "{family}: {difference}");
            assert_eq!(
                file.input().unwrap(),
                (INPUT.to_owned(), vec![1, 3, 32, 40])
            );
            assert_eq!(file.labels().unwrap(), run.labels);
            assert_eq!(file.recipe().unwrap(), run.config.recipe);
            let graph = file.graph_mut();
            let names: HashSet<_> = graph.node.iter().map(|node| &node.name).collect();
            assert_eq!(names.len(), graph.node.len(), "{family}: names are unique");
            for name in names {
                assert!(
                    name.starts_with("blocks.") || name == "classifier",
                    "{family}: {name}"
                );
                assert!(
                    !name.contains("Conv") && !name.contains("Chain"),
                    "{family}: {name}"
                );
            }
            let clips = graph.node.iter().any(|node| node.op_type == "Clip");
            let relu = ["cnn", "resnet", "ds-cnn"];
            assert_eq!(clips, !relu.contains(&family), "{family}");
        }
    }

    #[test]
    fn a_file_that_answers_differently_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), ModelConfig::default());
        let mut file = export(&run).unwrap();
        let bias = file
            .graph_mut()
            .initializer
            .iter_mut()
            .find(|w| w.name == "classifier.bias");
        bias.unwrap().raw_data[3] ^= 0x01;
        let error = compare(&run, &file, &[vec![0.5; 3 * 32 * 40]]).unwrap_err();
        assert!(matches!(error, ExportError::Differs { .. }), "{error}");
    }
}
