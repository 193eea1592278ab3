//! Quantization-aware training begins here: scales for a trained network's activations.

use std::collections::HashMap;

use kiln_core::preprocess::Recipe;
use kiln_runtime::calibrate::{Calibration, Method};
use kiln_runtime::fold::fold;
use kiln_runtime::load::load;
use kiln_runtime::quantize::{self, Options, Scale, WeightRange};

use crate::data::cache::Cache;
use crate::export;
use crate::inference::normalise_into;
use crate::model::Network;
use crate::run::Run;

/// Pictures that scales are chosen by.
const PICTURES: usize = 256;

/// The scales that `kiln quantize` would give a folded network by the least squared error, on validation
/// pictures: of its input, then of each layer's output in the order of computing.
pub fn scales(run: &Run, network: &Network, val: &Cache) -> anyhow::Result<Vec<Scale>> {
    let mut pictures = Pictures {
        cache: val,
        recipe: run.config.recipe(),
        step: val.len().div_ceil(PICTURES).max(1),
        buffer: Vec::new(),
    };
    scales_by(run, network, &mut pictures)
}

fn scales_by(
    run: &Run,
    network: &Network,
    pictures: &mut dyn Calibration,
) -> anyhow::Result<Vec<Scale>> {
    let file = export::document(run, network.clone())?;
    let graph = fold(&load(&file)?);
    let options = Options {
        method: Some(Method::Mse),
        equalize: Some(false),
        correct_bias: Some(false),
        weights: Some(WeightRange::Max),
        ..Options::default()
    };
    let mut scales = quantize::scales(&graph, pictures, &options, &|_| {})?;
    // The quantizer has an order of its own; the file's nodes are in the order in which the network computes.
    let nodes = file.proto.graph.iter().flat_map(|graph| &graph.node);
    let outputs = nodes
        .enumerate()
        .flat_map(|(at, node)| node.output.iter().map(move |name| (name, at + 1)));
    let order: HashMap<&String, usize> = outputs.collect();
    scales.sort_by_key(|scale| order.get(&scale.name).copied().unwrap_or(0));
    let (found, expected) = (scales.len(), network.activations());
    anyhow::ensure!(
        found == expected,
        "the quantizer has {found} activations where training has {expected}: please report this with \
         the run's run.toml"
    );
    Ok(scales)
}

/// Every few of a split's pictures.
struct Pictures<'a> {
    cache: &'a Cache,
    recipe: Recipe,
    step: usize,
    buffer: Vec<u8>,
}

impl Calibration for Pictures<'_> {
    fn len(&self) -> usize {
        self.cache.len().div_ceil(self.step)
    }

    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
        let picture = self.cache.picture(index * self.step, &mut self.buffer);
        let picture = picture.map_err(|error| error.to_string())?;
        normalise_into(picture.bytes, &self.recipe, input)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleMapper, Param, RunningState};
    use burn::tensor::{Device, Distribution, Tensor, TensorData};
    use kiln_run::engine::{Input, LoadedModel};
    use kiln_run::layout::Layout;
    use kiln_runtime::engine::OfGraph;
    use kiln_runtime::onnx;
    use kiln_runtime::quantize::quantize;

    use super::*;
    use crate::evaluate::values;
    use crate::model::ModelConfig;
    use crate::training::checkpoint::save_network;

    /// Inputs of `[3, 32, 40]`, NCHW.
    struct Inputs(Vec<Vec<f32>>);

    impl Inputs {
        fn draw(count: usize, device: &Device) -> Self {
            let draw = |_| {
                let input = Tensor::<1>::random([3 * 32 * 40], Distribution::Default, device);
                let numbers = input.into_data().try_to_vec::<f32>().unwrap();
                // Pixels, by the default recipe.
                numbers
                    .iter()
                    .map(|x| ((x * 255.0).round() / 255.0 - 0.5) / 0.25)
                    .collect()
            };
            Self((0..count).map(draw).collect())
        }

        fn tensor(&self) -> Tensor<4> {
            let data = TensorData::new(self.0.concat(), [self.0.len(), 3, 32, 40]);
            Tensor::from_data(data, &Device::flex())
        }
    }

    impl Calibration for Inputs {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
            for (at, value) in input.iter_mut().enumerate() {
                *value = self.0[index][at % 3 * (32 * 40) + at / 3];
            }
            Ok(())
        }
    }

    /// Makes what is the same for all channels of a fresh network differ.
    struct Vary;

    impl ModuleMapper for Vary {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let noise = Distribution::Normal(1.0, 0.2);
                let noise = Tensor::random(tensor.dims(), noise, &tensor.device());
                tensor * noise + 0.01
            })
        }
    }

    /// The root of the mean squared difference.
    fn distance(left: &[f32], right: &[f32]) -> f32 {
        assert_eq!(left.len(), right.len());
        let squares = left
            .iter()
            .zip(right)
            .map(|(left, right)| (left - right).powi(2));
        (squares.sum::<f32>() / left.len() as f32).sqrt()
    }

    #[test]
    fn rounded_networks_answer_as_the_engine_does() {
        let device = Device::flex();
        for (family, model) in ModelConfig::examples() {
            let folder = tempfile::tempdir().unwrap();
            let mut run = Run::of_model(folder.path(), model);
            device.seed(5);
            let mut network = Network::new(&run.spec().unwrap(), &device).map(&mut Vary);
            network.for_each_conv(|conv| {
                if let Some(norm) = &mut conv.norm {
                    let channels = norm.gamma.dims()[0];
                    let shape = [channels];
                    let mean = Tensor::random(shape, Distribution::Normal(0.0, 0.3), &device);
                    norm.running_mean = RunningState::new(mean);
                    let variance = Tensor::random(shape, Distribution::Uniform(0.5, 2.0), &device);
                    norm.running_var = RunningState::new(variance);
                }
            });
            let mut inputs = Inputs::draw(24, &device);
            let floats = values(network.forward(inputs.tensor()));
            let folded = network.folded(&device);
            let kept = distance(&floats, &values(folded.forward(inputs.tensor())));
            assert!(
                kept < 1e-3,
                "{family}: folding changes the logits by {kept}"
            );

            let scales = scales_by(&run, &folded, &mut inputs).unwrap();
            assert_eq!(scales.len(), folded.activations(), "{family}");
            run.config.training.qat = true;
            run.write_scales(&scales).unwrap();
            save_network(&folded, &run.weights()).unwrap();
            let rounded = run.network(&device).unwrap();
            let rounded = values(rounded.forward(inputs.tensor()));

            let file = export::export(&run).unwrap();
            let options = Options {
                scales: file.get_json(onnx::SCALES).unwrap(),
                ..Options::default()
            };
            let graph = fold(&load(&file).unwrap());
            let (quantized, report) = quantize(&graph, &mut inputs, &options, &|_| {}).unwrap();
            assert_eq!(report.method, "trained", "{family}");
            let step = quantized.tensors[quantized.output].quant.scale;
            let mut engine = LoadedModel::of(&quantized).unwrap().engine();
            let integers: Vec<f32> = inputs
                .0
                .iter()
                .flat_map(|input| engine.logits(Input::Tensor(input, Layout::Nchw)).unwrap())
                .collect();
            let (near, far) = (distance(&rounded, &integers), distance(&floats, &integers));
            // The engine's scales of weights are a little coarser, which in deep networks of random weights
            // moves as much as rounding does; a scale in a wrong place would move the logits by their whole
            // range.
            let deep = !["cnn", "resnet"].contains(&family);
            assert!(
                near < if deep { 2.0 * far } else { far } && near < 2.0 * step,
                "{family}: rounding is {near} from the integers, floats are {far}, a step is {step}"
            );
        }
    }
}
