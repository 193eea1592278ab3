use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::RunningState;
use burn::tensor::{Distribution, Tensor};
use safetensors::tensor::{Dtype, View};

use super::donor::Donor;
use super::*;
use crate::model::ModelConfig;
use crate::model::config::MobilenetV2Config;

/// A small net of two stages after the stem.
pub fn config() -> MobilenetV2Config {
    MobilenetV2Config {
        width: 1.0,
        stem: (8, 2),
        stages: vec![(1, 8, 1, 1), (3, 16, 2, 2), (3, 24, 2, 2)],
        kernels: vec![3, 5, 3],
        last: 32,
        ..Default::default()
    }
}

fn spec(config: MobilenetV2Config, classes: usize) -> ModelSpec {
    let config = ModelConfig::MobilenetV2(config);
    config.spec([3, 32, 40], classes).unwrap()
}

/// A network that differs from a drawn one in all that is taken over.
pub fn trained(spec: &ModelSpec, device: &Device) -> Network {
    device.seed(7);
    let mut network = Network::new(spec, device);
    network.for_each_conv(|conv| {
        if let Some(norm) = &mut conv.norm {
            let shape = norm.gamma.val().dims();
            let draw = |low, high| Tensor::random(shape, Distribution::Uniform(low, high), device);
            norm.gamma = norm.gamma.clone().map(|_| draw(0.5, 1.5));
            norm.beta = norm.beta.clone().map(|_| draw(-0.5, 0.5));
            norm.running_mean = RunningState::new(draw(-1.0, 1.0));
            norm.running_var = RunningState::new(draw(0.001, 2.0));
        }
    });
    network
}

pub fn features(network: &Network, device: &Device) -> Vec<f32> {
    // A weight that nobody has asked for yet is drawn now, before the seed.
    let shape = network.classifier.weight.val().dims();
    device.seed(9);
    let x = Tensor::random([2, 3, 32, 40], Distribution::Default, device);
    let mut network = network.clone();
    // The last layer is not taken over: one that tells the features apart.
    let weight = Tensor::random(shape, Distribution::Default, device);
    network.classifier.weight = network.classifier.weight.map(|_| weight);
    network.classifier.bias = None;
    network.forward(x).into_data().try_to_vec().unwrap()
}

pub fn close(a: &[f32], b: &[f32]) {
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} and {b}");
    }
}

#[test]
fn a_network_of_the_same_layers_computes_the_same_features() {
    let device = Device::flex();
    let spec = spec(config(), 3);
    let donor = trained(&spec, &device);
    let (network, grafted) =
        from_network(Network::new(&spec, &device), &spec, &donor, false, &device).unwrap();
    assert_eq!(
        grafted,
        Grafted {
            taken: 16,
            narrowed: 0,
            fresh: 0,
            lost: 0
        }
    );
    close(&features(&network, &device), &features(&donor, &device));
}

#[test]
fn fewer_channels_are_the_donors_strongest() {
    let device = Device::flex();
    let donor = trained(&spec(config(), 3), &device);
    let narrow = MobilenetV2Config {
        stem: (8, 2),
        stages: vec![(1, 8, 1, 1), (2, 16, 2, 2), (3, 16, 1, 2)],
        last: 0,
        kernels: vec![3, 3, 5],
        ..config()
    };
    let spec = spec(narrow, 2);
    let (network, grafted) =
        from_network(Network::new(&spec, &device), &spec, &donor, false, &device).unwrap();
    // Both blocks of the second stage and the last, whose output narrows.
    assert_eq!(
        (grafted.taken, grafted.narrowed, grafted.fresh),
        (12, 7, 0),
        "{grafted}"
    );
    let gamma = |network: &Network, at: usize| -> Vec<f32> {
        network.norms()[at]
            .gamma
            .val()
            .into_data()
            .try_to_vec()
            .unwrap()
    };
    let last = network.norms().len() - 1;
    // Both blocks of the donor's last stage write these channels.
    let (all, second) = (gamma(&donor, last), gamma(&donor, last + 3));
    let sums: Vec<f32> = all.iter().zip(&second).map(|(a, b)| a + b).collect();
    let mut sorted = sums.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let strong = all.iter().zip(&sums).filter(|(_, sum)| **sum >= sorted[15]);
    let expected: Vec<f32> = strong.map(|(gamma, _)| *gamma).collect();
    assert_eq!(gamma(&network, last), expected);
}

#[test]
fn what_the_weights_lack_is_said() {
    let device = Device::flex();
    let donor = trained(&spec(config(), 3), &device);
    let wider = MobilenetV2Config {
        stages: vec![(1, 8, 1, 1), (4, 16, 2, 2)],
        kernels: vec![3, 5],
        ..config()
    };
    let wide = spec(wider, 2);
    let error =
        from_network(Network::new(&wide, &device), &wide, &donor, false, &device).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("blocks.2 has 32 hidden channels, the weights have 24"),
        "{text}"
    );
    let deeper = MobilenetV2Config {
        stages: vec![(1, 8, 1, 1), (3, 16, 3, 2), (3, 24, 2, 2), (3, 32, 1, 1)],
        ..config()
    };
    let deep = spec(deeper, 2);
    let (_, grafted) =
        from_network(Network::new(&deep, &device), &deep, &donor, false, &device).unwrap();
    // A third block in a stage, a fourth stage, and the last 1×1 behind it.
    assert_eq!((grafted.taken, grafted.fresh), (15, 7), "{grafted}");
    let flat = MobilenetV2Config {
        stages: vec![(1, 8, 1, 1), (1, 16, 1, 2)],
        kernels: vec![3, 5],
        ..config()
    };
    let grey = ModelConfig::MobilenetV2(config()).spec([1, 32, 40], 2);
    for (spec, expected) in [
        (
            spec(flat, 2),
            "blocks.2 has no expansion, the weights have one",
        ),
        (
            grey.unwrap(),
            "the input has 1 channels, the weights have 3",
        ),
    ] {
        let fresh = Network::new(&spec, &device);
        let error = from_network(fresh, &spec, &donor, false, &device).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let resnet = ModelConfig::family("resnet").unwrap();
    let resnet = resnet.spec([3, 32, 32], 2).unwrap();
    let error = from_network(
        Network::new(&resnet, &device),
        &resnet,
        &donor,
        false,
        &device,
    );
    assert!(matches!(error, Err(InitError::Family)));
}

/// A tensor for safetensors' writer.
struct Written(Vec<usize>, Vec<u8>);

impl View for &Written {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&self.1).into()
    }

    fn data_len(&self) -> usize {
        self.1.len()
    }
}

type Named = BTreeMap<String, Written>;

fn put(to: &mut Named, name: String, shape: Vec<usize>, values: &[f32]) {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    to.insert(name, Written(shape, bytes));
}

fn put_layer(to: &mut Named, conv: &str, norm: &str, layer: &donor::Layer) {
    put(
        to,
        format!("{conv}.weight"),
        layer.shape.to_vec(),
        &layer.weight,
    );
    let channels = vec![layer.shape[0]];
    for (part, values) in [
        ("weight", &layer.norm.gamma),
        ("bias", &layer.norm.beta),
        ("running_mean", &layer.norm.mean),
        ("running_var", &layer.norm.variance),
    ] {
        put(to, format!("{norm}.{part}"), channels.clone(), values);
    }
}

/// The names that three libraries give to the layers of one net.
fn written(donor: &Donor, style: &str) -> Named {
    let mut to = Named::new();
    let head = donor.head.as_ref().unwrap();
    match style {
        "torchvision" => {
            put_layer(&mut to, "features.0.0", "features.0.1", &donor.stem);
            let last = format!("features.{}", donor.blocks.len() + 1);
            put_layer(&mut to, &format!("{last}.0"), &format!("{last}.1"), head);
        }
        "timm" => {
            put_layer(&mut to, "conv_stem", "bn1", &donor.stem);
            put_layer(&mut to, "conv_head", "bn2", head);
        }
        _ => {
            put_layer(&mut to, "_conv_stem", "_bn0", &donor.stem);
            put_layer(&mut to, "_conv_head", "_bn1", head);
        }
    }
    for (index, block) in donor.blocks.iter().enumerate() {
        let layers = [
            block.expand.as_ref(),
            Some(&block.depthwise),
            Some(&block.project),
        ];
        let alone = usize::from(block.expand.is_none());
        for (nth, layer) in layers.into_iter().flatten().enumerate() {
            let role = nth + alone;
            let (conv, norm) = match style {
                "torchvision" => {
                    let at = format!("features.{}.conv", index + 1);
                    match role {
                        2 => (format!("{at}.{nth}"), format!("{at}.{}", nth + 1)),
                        _ => (format!("{at}.{nth}.0"), format!("{at}.{nth}.1")),
                    }
                }
                "timm" => {
                    let at = format!("blocks.{}.{}", index / 2, index % 2);
                    let name = match (role, alone) {
                        (0, _) | (2, 1) => "conv_pw",
                        (1, _) => "conv_dw",
                        _ => "conv_pwl",
                    };
                    (format!("{at}.{name}"), format!("{at}.bn{}", nth + 1))
                }
                _ => {
                    let name = ["_expand_conv", "_depthwise_conv", "_project_conv"][role];
                    let at = format!("_blocks.{index}");
                    (format!("{at}.{name}"), format!("{at}._bn{role}"))
                }
            };
            put_layer(&mut to, &conv, &norm, layer);
        }
    }
    put(&mut to, "classifier.1.weight".into(), vec![2, 3], &[0.0; 6]);
    to
}

fn donor_of(network: &Network) -> Donor {
    Exported::of_network(network, true).donor().unwrap()
}

fn save(folder: &tempfile::TempDir, tensors: &Named) -> PathBuf {
    let path = folder.path().join("weights.safetensors");
    let bytes = safetensors::serialize(tensors.iter(), None).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn files_named_as_three_libraries_do_give_the_same_network() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(config(), 3);
    let network = trained(&spec, &device);
    let donor = donor_of(&network);
    for style in ["torchvision", "timm", "efficientnet"] {
        let path = save(&folder, &written(&donor, style));
        let fresh = Network::new(&spec, &device);
        let (taken, grafted) = from_file(fresh, &spec, &path, 1e-5, &device).unwrap();
        assert_eq!(
            (grafted.taken, grafted.fresh),
            (16, 0),
            "{style}: {grafted}"
        );
        close(&features(&taken, &device), &features(&network, &device));
    }
}

#[test]
fn another_epsilon_changes_no_feature() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(config(), 3);
    let mut donor = donor_of(&trained(&spec, &device));
    let path = save(&folder, &written(&donor, "timm"));
    let load = |epsilon| {
        let fresh = Network::new(&spec, &device);
        from_file(fresh, &spec, &path, epsilon, &device).unwrap().0
    };
    // What the file's own library would compute: the same variances with 1e-3 more.
    let tensors = |donor: &mut Donor| {
        let mut layers = vec![&mut donor.stem];
        for block in &mut donor.blocks {
            layers.extend(block.expand.as_mut());
            layers.extend([&mut block.depthwise, &mut block.project]);
        }
        layers.extend(donor.head.as_mut());
        for layer in layers {
            for variance in &mut layer.norm.variance {
                *variance += 1e-3 - 1e-5;
            }
        }
    };
    let with = load(1e-3);
    tensors(&mut donor);
    let shifted = save(&folder, &written(&donor, "timm"));
    let fresh = Network::new(&spec, &device);
    let (expected, _) = from_file(fresh, &spec, &shifted, 1e-5, &device).unwrap();
    close(&features(&with, &device), &features(&expected, &device));
}

#[test]
fn broken_and_foreign_files_are_errors() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(config(), 3);
    let donor = donor_of(&trained(&spec, &device));
    let whole = written(&donor, "timm");
    let refused = |path: &Path| {
        let fresh = Network::new(&spec, &device);
        let error = from_file(fresh, &spec, path, 1e-5, &device).err();
        error.map(|error| error.to_string())
    };
    for gone in [
        "conv_stem.weight",
        "blocks.0.0.bn1.running_var",
        "blocks.1.0.conv_dw.weight",
    ] {
        let mut tensors = written(&donor, "timm");
        tensors.remove(gone).unwrap();
        let text = refused(&save(&folder, &tensors)).unwrap_or_else(|| panic!("{gone} is missed"));
        assert!(text.starts_with("--init: ") && text.len() > 40, "{text}");
    }
    let mut squeezed = written(&donor, "timm");
    let conv = vec![4, 8, 1, 1];
    put(
        &mut squeezed,
        "blocks.0.0.se.conv_reduce.weight".into(),
        conv,
        &[0.0; 32],
    );
    assert!(refused(&save(&folder, &squeezed)).is_some());

    let path = save(&folder, &whole);
    let bytes = std::fs::read(&path).unwrap();
    for end in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..end]).unwrap();
        assert!(refused(&path).is_some(), "cut at {end}");
        let torch = folder.path().join("weights.pth");
        std::fs::write(&torch, &bytes[..end]).unwrap();
        assert!(
            refused(&torch).is_some(),
            "no file of PyTorch's, {end} bytes"
        );
    }
    assert!(refused(&folder.path().join("none.pth")).is_some());
}
