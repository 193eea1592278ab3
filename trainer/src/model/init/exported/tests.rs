//! Starting from what `kiln export` wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Distribution, Tensor};
use kiln_runtime::load::Floats;

use super::{EPSILON, normalise_squeezes};
use crate::evaluate::values;
use crate::export;
use crate::model::config::MobilenetV2Config;
use crate::model::init::tests::{close, config, features, trained};
use crate::model::init::{from_exported, from_network};
use crate::model::network::{Block, ConvNorm};
use crate::model::{ModelConfig, Network};
use crate::run::Run;
use crate::training::checkpoint::save_network;

/// A run of a network with weights, and its ONNX file.
fn exported(folder: &Path, model: ModelConfig, device: &Device) -> (Run, PathBuf) {
    let run = Run::of_model(folder, model);
    let network = trained(&run.spec().unwrap(), device);
    save_network(&network, &run.weights()).unwrap();
    let path = run.onnx();
    export::export(&run).unwrap().save(&path).unwrap();
    (run, path)
}

fn family(name: &str) -> ModelConfig {
    ModelConfig::family(name).unwrap()
}

fn logits(network: &Network, device: &Device) -> Vec<f32> {
    device.seed(9);
    let x = Tensor::random([2, 3, 32, 40], Distribution::Default, device);
    values(network.forward(x))
}

#[test]
fn every_family_goes_on_from_its_file_with_the_same_answers() {
    let device = Device::flex();
    for (family, model) in ModelConfig::examples() {
        let folder = tempfile::tempdir().unwrap();
        let (run, path) = exported(folder.path(), model, &device);
        let spec = run.spec().unwrap();
        device.seed(8);
        let fresh = Network::new(&spec, &device);
        let (found, grafted) = from_exported(fresh, &spec, &run.labels, &path, &device).unwrap();
        assert_eq!((grafted.narrowed, grafted.fresh), (0, 0), "{family}");
        assert_eq!(grafted.taken, found.convs().len(), "{family}");
        let expected = run.network(&device).unwrap();
        assert_eq!(
            logits(&found, &device),
            logits(&expected, &device),
            "{family}"
        );
    }
}

#[test]
fn every_family_goes_on_from_a_run_of_another_size_and_other_classes() {
    let device = Device::flex();
    for name in ModelConfig::FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::of_model(folder.path(), family(name));
        let donor = trained(&run.spec().unwrap(), &device);
        let spec = run.config.model.spec([3, 48, 40], 5).unwrap();
        let fresh = Network::new(&spec, &device);
        let (found, grafted) = from_network(fresh, &spec, &donor, false, &device).unwrap();
        assert_eq!((grafted.narrowed, grafted.fresh), (0, 0), "{name}");
        assert_eq!(found.classifier.weight.dims()[1], 5, "{name}");
        for (found, expected) in found.convs().iter().zip(donor.convs()) {
            let weight = |conv: &ConvNorm| conv.conv.weight.val().into_data();
            assert_eq!(weight(found), weight(expected), "{name}");
        }
    }
}

#[test]
fn other_classes_get_a_last_layer_of_their_own() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = exported(folder.path(), family("mobilenet-v2"), &device);
    let expected = run.network(&device).unwrap();
    let weight = |network: &Network| network.classifier.weight.val().into_data();
    for labels in [vec!["c", "b", "a"], vec!["a", "b"]] {
        let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
        let spec = run.config.model.spec([3, 32, 40], labels.len()).unwrap();
        let fresh = Network::new(&spec, &device);
        let own = weight(&fresh);
        let (found, _) = from_exported(fresh, &spec, &labels, &path, &device).unwrap();
        assert_eq!(weight(&found), own);
        let stem = |network: &Network| network.convs()[0].conv.weight.val().into_data();
        assert_eq!(stem(&found), stem(&expected));
        let mean = |network: &Network| values(network.norms()[3].running_mean.value_sync());
        assert_eq!(mean(&found), mean(&expected));
    }
}

#[test]
fn fewer_channels_are_those_that_a_run_gives() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = exported(folder.path(), family("efficientnet-lite"), &device);
    let ModelConfig::MobilenetV2(mut narrow) = run.config.model.clone() else {
        panic!("another family: {:?}", run.config.model);
    };
    for (expansion, ..) in &mut narrow.stages {
        *expansion = (*expansion).min(4);
    }
    let narrow = ModelConfig::MobilenetV2(narrow);
    let spec = narrow.spec([3, 32, 40], 3).unwrap();
    let fresh = || Network::new(&spec, &device);
    let donor = run.network(&device).unwrap();
    let (expected, of_run) = from_network(fresh(), &spec, &donor, false, &device).unwrap();
    let (found, grafted) = from_exported(fresh(), &spec, &run.labels, &path, &device).unwrap();
    assert!(grafted.narrowed > 0 && grafted.fresh == 0, "{grafted}");
    assert_eq!(grafted, of_run);
    assert_eq!(features(&found, &device), features(&expected, &device));
}

#[test]
fn gates_begin_with_the_answers_of_a_network_without() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let plain = ModelConfig::MobilenetV2(config());
    let (run, path) = exported(folder.path(), plain.clone(), &device);
    let gates = ModelConfig::MobilenetV2(MobilenetV2Config {
        squeeze: vec![0, 4, 6],
        ..config()
    });
    let gated = gates.spec([3, 32, 40], 3).unwrap();
    let donor = run.network(&device).unwrap();
    let fresh = || Network::new(&gated, &device);
    let (of_file, grafted) = from_exported(fresh(), &gated, &run.labels, &path, &device).unwrap();
    // Four blocks have a gate of two layers.
    assert_eq!((grafted.taken, grafted.fresh), (16, 8));
    close(&logits(&of_file, &device), &logits(&donor, &device));
    let (of_run, of_network) = from_network(fresh(), &gated, &donor, false, &device).unwrap();
    assert_eq!(grafted, of_network);
    close(&features(&of_run, &device), &features(&donor, &device));
    // A gate that does something changes the answers.
    let mut trained = of_file;
    for block in &mut trained.blocks {
        if let Block::Chain(chain) = block
            && let Some(gate) = &mut chain.gate
        {
            let weight = &mut gate.excite.conv.weight;
            *weight = Initializer::Normal {
                mean: 0.0,
                std: 1.0,
            }
            .init(weight.dims(), &device);
        }
    }
    let distant = logits(&trained, &device);
    let moved = distant.iter().zip(logits(&donor, &device));
    assert!(moved.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) > 1e-2);
    let other = tempfile::tempdir().unwrap();
    let run = Run::of_model(other.path(), gates);
    save_network(&trained, &run.weights()).unwrap();
    export::export(&run).unwrap().save(&run.onnx()).unwrap();
    // It goes along where the last layer is another, so that the rest is taken over layer by layer.
    let (same, grafted) = from_network(fresh(), &gated, &trained, false, &device).unwrap();
    assert_eq!((grafted.taken, grafted.fresh, grafted.lost), (24, 0, 0));
    assert_eq!(features(&same, &device), features(&trained, &device));
    // With fewer hidden channels it has those of its channels that are left.
    let narrow = ModelConfig::MobilenetV2(MobilenetV2Config {
        stages: vec![(1, 8, 1, 1), (2, 16, 2, 2), (3, 24, 2, 2)],
        squeeze: vec![0, 4, 5],
        ..config()
    });
    let narrow = narrow.spec([3, 32, 40], 3).unwrap();
    let fewer = Network::new(&narrow, &device);
    let (_, grafted) = from_exported(fewer, &narrow, &run.labels, &run.onnx(), &device).unwrap();
    // Two gates with four squeezed channels, narrowed; two with five and not six, drawn.
    assert_eq!((grafted.taken, grafted.fresh, grafted.lost), (20, 4, 0));
    // It is not lost in silence.
    let plain = plain.spec([3, 32, 40], 3).unwrap();
    let without = || Network::new(&plain, &device);
    let (_, grafted) = from_exported(without(), &plain, &run.labels, &run.onnx(), &device).unwrap();
    assert_eq!((grafted.taken, grafted.fresh, grafted.lost), (16, 0, 4));
    assert!(
        grafted
            .to_string()
            .ends_with(", 4 squeeze-and-excite left out")
    );
    let (_, of_run) = from_network(without(), &plain, &trained, false, &device).unwrap();
    assert_eq!(of_run, grafted);
}

#[test]
fn a_gate_that_is_the_same_for_all_pictures_is_folded_where_there_is_no_place_for_it() {
    let device = Device::flex();
    let gates = |squeeze: Vec<usize>| {
        let config = ModelConfig::MobilenetV2(MobilenetV2Config {
            squeeze,
            ..config()
        });
        config.spec([3, 32, 40], 3).unwrap()
    };
    let mut donor = trained(&gates(vec![0, 4, 6]), &device);
    for block in &mut donor.blocks {
        if let Block::Chain(chain) = block
            && let Some(gate) = &mut chain.gate
        {
            let bias = gate.excite.conv.bias.as_mut().unwrap();
            *bias = Param::from_tensor(Tensor::random(
                bias.dims(),
                Distribution::Uniform(-2.0, 2.0),
                &device,
            ));
        }
    }
    // None, others, and some as they were.
    for (squeeze, taken, fresh, lost) in [
        (vec![], 16, 0, 4),
        (vec![0, 3, 5], 16, 8, 0),
        (vec![0, 4, 0], 20, 0, 2),
    ] {
        let spec = gates(squeeze);
        let network = Network::new(&spec, &device);
        let (found, grafted) = from_network(network, &spec, &donor, false, &device).unwrap();
        assert_eq!(
            (grafted.taken, grafted.fresh, grafted.lost),
            (taken, fresh, lost)
        );
        close(&features(&found, &device), &features(&donor, &device));
    }
}

#[test]
fn a_deeper_network_begins_with_the_answers_of_its_file() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let of = |stages| ModelConfig::MobilenetV2(MobilenetV2Config { stages, ..config() });
    let (run, path) = exported(folder.path(), ModelConfig::MobilenetV2(config()), &device);
    let expected = logits(&run.network(&device).unwrap(), &device);
    let deeper = of(vec![(1, 8, 1, 1), (3, 16, 3, 2), (3, 24, 4, 2)]);
    let spec = deeper.spec([3, 32, 40], 3).unwrap();
    let fresh = Network::new(&spec, &device);
    let (mut found, grafted) = from_exported(fresh, &spec, &run.labels, &path, &device).unwrap();
    assert_eq!((grafted.taken, grafted.fresh), (16, 9));
    close(&logits(&found, &device), &expected);
    let fresh = Network::new(&spec, &device);
    let donor = run.network(&device).unwrap();
    let (of_run, same) = from_network(fresh, &spec, &donor, true, &device).unwrap();
    assert_eq!(same, grafted);
    close(&logits(&of_run, &device), &expected);
    // What its new blocks add counts as soon as they are trained.
    let mut silent = 0;
    found.for_each_conv(|conv| {
        let norm = conv.norm.as_mut().unwrap();
        if values(norm.gamma.val()).iter().all(|&gamma| gamma == 0.0) {
            norm.gamma = Initializer::Ones.init(norm.gamma.dims(), &device);
            silent += 1;
        }
    });
    assert_eq!(silent, 3);
    let distant = logits(&found, &device);
    let moved = distant.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    assert!(moved.fold(0.0, f32::max) > 1e-2);
}

#[test]
fn files_that_are_no_such_network_are_errors() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = exported(folder.path(), family("cnn"), &device);
    let refused = |name: &str, path: &Path| {
        let spec = family(name).spec([3, 32, 40], 3).unwrap();
        let fresh = Network::new(&spec, &device);
        let error = from_exported(fresh, &spec, &run.labels, path, &device).unwrap_err();
        error.to_string()
    };
    let text = refused("mobilenet-v2", &path);
    assert!(text.contains("depthwise separable"), "{text}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused("cnn", &path).contains("model.onnx"));
    assert!(refused("cnn", &folder.path().join("none.onnx")).contains("none.onnx"));
}

#[test]
fn a_squeeze_with_a_bias_alone_gets_a_normalisation_that_does_the_same() {
    let bias = Floats {
        shape: vec![2],
        values: vec![0.5, -2.0],
    };
    let kept = ("blocks.2.gate.excite.conv.bias".to_owned(), bias.clone());
    let before = ("blocks.2.gate.squeeze.conv.bias".to_owned(), bias.clone());
    let mut tensors = BTreeMap::from([kept.clone(), before]);
    normalise_squeezes(&mut tensors);
    assert_eq!(tensors.remove(&kept.0), Some(kept.1));
    let mut norm = |part: &str| {
        let found = tensors.remove(&format!("blocks.2.gate.squeeze.norm.{part}"));
        let found = found.unwrap();
        assert_eq!(found.shape, [2]);
        found.values
    };
    let [gamma, beta, mean, variance] =
        ["gamma", "beta", "running_mean", "running_var"].map(&mut norm);
    for (channel, bias) in bias.values.iter().enumerate() {
        let of = |x: f32| {
            (x - mean[channel]) / (variance[channel] + EPSILON).sqrt() * gamma[channel]
                + beta[channel]
        };
        for x in [-3.0, 0.0, 7.5] {
            assert!((of(x) - (x + bias)).abs() < 1e-5, "{x}: {}", of(x));
        }
    }
    assert!(tensors.is_empty(), "{tensors:?}");
}
