//! Starting from what `kiln export` wrote.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Distribution, Tensor};

use crate::evaluate::values;
use crate::export;
use crate::model::init::tests::{features, trained};
use crate::model::init::{from_exported, from_network};
use crate::model::{ModelConfig, Network};
use crate::run::Run;
use crate::training::checkpoint::save_network;

/// A run of a family's default network with weights, and its ONNX file.
fn exported(folder: &Path, family: &str, device: &Device) -> (Run, PathBuf) {
    let run = Run::of_family(folder, family);
    let network = trained(&run.spec().unwrap(), device);
    save_network(&network, &run.weights()).unwrap();
    let path = run.onnx();
    export::export(&run).unwrap().save(&path).unwrap();
    (run, path)
}

fn logits(network: &Network, device: &Device) -> Vec<f32> {
    device.seed(9);
    let x = Tensor::random([2, 3, 32, 40], Distribution::Default, device);
    values(network.forward(x))
}

#[test]
fn every_family_goes_on_from_its_file_with_the_same_answers() {
    let device = Device::flex();
    for family in ModelConfig::FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let (run, path) = exported(folder.path(), family, &device);
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
fn other_classes_get_a_last_layer_of_their_own() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = exported(folder.path(), "mobilenet-v2", &device);
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
    let (run, path) = exported(folder.path(), "efficientnet-lite", &device);
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
    let (expected, of_run) = from_network(fresh(), &spec, &donor, &device).unwrap();
    let (found, grafted) = from_exported(fresh(), &spec, &run.labels, &path, &device).unwrap();
    assert!(grafted.narrowed > 0 && grafted.fresh == 0, "{grafted}");
    assert_eq!(grafted, of_run);
    assert_eq!(features(&found, &device), features(&expected, &device));
}

#[test]
fn files_that_are_no_such_network_are_errors() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = exported(folder.path(), "cnn", &device);
    let refused = |family: &str, path: &Path| {
        let spec = ModelConfig::family(family)
            .unwrap()
            .spec([3, 32, 40], 3)
            .unwrap();
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
