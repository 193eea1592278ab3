//! One quantized model computed by several: which layer is the first that differs.

mod tract;

use std::collections::HashMap;

use kiln_core::layer::Layer;
use kiln_run::engine::{Engine, EngineError, Input};
use thiserror::Error;

pub use self::tract::{TractLayers, TractRun};
use crate::onnx::OnnxError;

/// Why models were not compared.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// tract does not run the file.
    #[error("{path}: tract: {cause}")]
    Tract {
        /// The file.
        path: std::path::PathBuf,
        /// What tract said.
        cause: String,
    },
    /// The file is not usable.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The engine does not run.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A layer whose outputs differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// ONNX's name.
    pub layer: String,
    /// Values that differ.
    pub differing: usize,
    /// All its values.
    pub values: usize,
    /// The largest difference, in steps of the quantization.
    pub steps: u8,
}

/// How many of a file's layers were compared, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// With all their values.
    pub whole: usize,
    /// With the values of the channels that were not left out for the file's target.
    pub narrowed: usize,
    /// Not at all: the reference has no such layer, since the compiler put it together otherwise, or one with
    /// channels of which nothing is known.
    pub unknown: usize,
}

/// What a comparison over one input has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The first layer whose bytes differ, if one does.
    pub first_difference: Option<Difference>,
    /// What was compared.
    pub layers: Coverage,
}

/// Runs one model compiled twice over an input, and compares the layers of `other` with those of the same name.
/// Where `other` has fewer channels, those that are left are compared: `kept` says by a layer's name which they
/// are ([`kept_channels`](crate::compile::kept_channels)).
///
/// # Errors
/// An input that the models do not take.
pub fn compare(
    reference: &mut Engine,
    other: &mut Engine,
    input: &[i8],
    kept: &HashMap<String, Vec<bool>>,
) -> Result<Compared, EngineError> {
    let mut expected = HashMap::new();
    reference.run_observed(Input::Quantized(input), |ran| {
        let (at, bytes) = written(ran.layer, ran.output);
        expected.insert((ran.name.to_owned(), at), bytes);
    })?;
    let mut compared = Compared::default();
    other.run_observed(Input::Quantized(input), |ran| {
        let Compared {
            first_difference,
            layers,
        } = &mut compared;
        let (at, found) = written(ran.layer, ran.output);
        let Some(whole) = expected.get(&(ran.name.to_owned(), at)) else {
            layers.unknown += 1;
            return;
        };
        let narrowed = kept.get(ran.name).map(|kept| narrow(whole, kept));
        let bytes = match &narrowed {
            _ if whole.len() == found.len() => {
                layers.whole += 1;
                whole
            }
            Some(bytes) if bytes.len() == found.len() => {
                layers.narrowed += 1;
                bytes
            }
            _ => {
                layers.unknown += 1;
                return;
            }
        };
        if first_difference.is_none() && *bytes != found {
            *first_difference = Some(difference(ran.name, bytes, &found));
        }
    })?;
    Ok(compared)
}

/// What a layer has written, and where that begins in its output (row, column, channel): of a copy that does not
/// fill the rest a part, else all. A joined tensor has several such copies of one name.
fn written(layer: &Layer<'_>, output: &[u8]) -> ([u32; 3], Vec<u8>) {
    let copy = match layer {
        Layer::Copy(copy) if copy.fill.is_none() => copy,
        _ => return ([0; 3], output.to_vec()),
    };
    let (whole, part) = (copy.output.shape, copy.input.shape);
    let [row, column, channel] = copy.at.map(|at| at as usize);
    let rows = (row..row + part.height as usize).map(|y| y * whole.width as usize + column);
    let pixels = rows.flat_map(|first| first..first + part.width as usize);
    let values = pixels.flat_map(|pixel| {
        let start = pixel * whole.channels as usize + channel;
        output[start..start + part.channels as usize]
            .iter()
            .copied()
    });
    (copy.at, values.collect())
}

/// The values of the channels that are kept: NHWC.
fn narrow(values: &[u8], kept: &[bool]) -> Vec<u8> {
    let values = values.iter().zip(kept.iter().cycle());
    let kept = values.filter(|(_, kept)| **kept);
    kept.map(|(&value, _)| value).collect()
}

/// How two outputs of i8 differ.
fn difference(layer: &str, expected: &[u8], found: &[u8]) -> Difference {
    let steps = expected
        .iter()
        .zip(found)
        .map(|(&a, &b)| (a as i8).abs_diff(b as i8));
    Difference {
        layer: layer.to_owned(),
        differing: steps.clone().filter(|&steps| steps > 0).count(),
        values: expected.len(),
        steps: steps.max().unwrap_or(0),
    }
}

/// The first layer at which the engine differs from tract by more than `allowed` steps. tract computes
/// in floats, whose last bits decide ties, and such a difference goes on through later layers.
///
/// # Errors
/// An input that the model does not take.
pub fn first_difference_from_tract(
    engine: &mut Engine,
    input: &[i8],
    tract: &TractRun,
    allowed: u8,
) -> Result<Option<Difference>, EngineError> {
    let expected: HashMap<&str, &[u8]> = tract
        .layers
        .iter()
        .map(|(name, bytes)| (&name[..], &bytes[..]))
        .collect();
    let mut first = None;
    engine.run_observed(Input::Quantized(input), |ran| {
        if let (None, Some(bytes)) = (&first, expected.get(ran.name))
            && bytes.len() == ran.output.len()
        {
            // Of a Concat each copy has written its part alone.
            let [(_, expected), (_, found)] =
                [bytes, ran.output].map(|bytes| written(ran.layer, bytes));
            let found = difference(ran.name, &expected, &found);
            if found.steps > allowed {
                first = Some(found);
            }
        }
    })?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use kiln_core::Target;

    use super::*;
    use crate::compile::{Options, compile, kept_channels};
    use crate::engine::LoadedModel;
    use crate::load::testing::{I, Is, Model};
    use crate::qgraph::{QGraph, QOp};
    use crate::quantized::load_quantized;
    use crate::testing::{Random, random_graph};

    #[test]
    fn differences_are_counted_in_steps() {
        let expected = [0x80, 0xff, 0x00, 0x7f];
        let found = difference("conv", &expected, &[0x80, 0x00, 0x00, 0x7d]);
        assert_eq!(found.layer, "conv");
        assert_eq!((found.differing, found.values, found.steps), (2, 4, 2));
    }

    #[test]
    fn parts_of_a_concat_are_compared_as_they_are_written() {
        let file = Model::new(13, &[1, 2, 2, 2])
            .scalar("s", 0.05)
            .u8("z", &[], &[128])
            .node("QuantizeLinear", "x s z", "a", &[])
            .node("DequantizeLinear", "a s z", "b", &[])
            .node("MaxPool", "b", "c", &[("kernel_shape", Is(&[1, 1]))])
            .node("QuantizeLinear", "c s z", "d", &[])
            .node("DequantizeLinear", "d s z", "e", &[])
            .node("Concat", "b e", "f", &[("axis", I(1))])
            .node("QuantizeLinear", "f s z", "g", &[])
            .node("DequantizeLinear", "g s z", "h", &[])
            .node("MaxPool", "h", "i", &[("kernel_shape", Is(&[2, 2]))])
            .node("QuantizeLinear", "i s z", "j", &[])
            .node("DequantizeLinear", "j s z", "y", &[])
            .file();
        let graph = load_quantized(&file).unwrap_or_else(|error| panic!("{error}"));
        let tract = TractLayers::new(&file, &graph).unwrap_or_else(|error| panic!("{error}"));
        let input = [1i8, -2, 3, 4, 5, 6, -7, 8];
        // NHWC here, NCHW there.
        let real = [0, 2, 4, 6, 1, 3, 5, 7].map(|at| f32::from(input[at]) * 0.05);
        let mut ran = tract.run(&real).unwrap_or_else(|error| panic!("{error}"));
        let mut engine = engine(&graph, Target::Generic);
        let mut first =
            |ran: &TractRun| first_difference_from_tract(&mut engine, &input, ran, 0).unwrap();
        assert_eq!(first(&ran), None);
        let (_, joined) = ran.layers.iter_mut().find(|layer| layer.0 == "f").unwrap();
        joined[3] ^= 1;
        let found = first(&ran).unwrap();
        assert_eq!(
            (&found.layer[..], found.differing, found.values),
            ("f", 1, 8)
        );
    }

    /// A random graph some of whose filters are nothing but their bias, so that there is something to leave out.
    fn graph(seed: u64) -> QGraph {
        let mut graph = random_graph(seed);
        for layer in &mut graph.layers {
            if let QOp::Conv(conv) = &mut layer.op {
                let len = conv.weights.len() / conv.bias.len().max(1);
                for channel in (0..conv.bias.len()).step_by(2) {
                    conv.weights[channel * len..][..len].fill(conv.zero_points[channel]);
                    if channel % 4 == 0 {
                        conv.bias[channel] = 0;
                    }
                }
            }
        }
        graph
    }

    fn engine(graph: &QGraph, target: Target) -> Engine {
        let options = Options {
            target,
            ..Options::default()
        };
        let compiled = compile(graph, &options).unwrap();
        LoadedModel::from_bytes(&compiled.bytes).unwrap().engine()
    }

    #[test]
    fn narrowed_layers_are_compared_by_what_is_left_of_them() {
        let mut all = Coverage::default();
        let mut found = 0;
        for seed in 0..300 {
            let graph = graph(seed);
            let len = graph.tensors[graph.input].shape.len();
            let input = Random::new(seed).bytes(len);
            let mut reference = engine(&graph, Target::Generic);
            let mut other = engine(&graph, Target::CortexM4);
            let count = other.model().layer_count();
            let kept = kept_channels(&graph).unwrap();
            let mut by = |kept: &HashMap<String, Vec<bool>>| {
                compare(&mut reference, &mut other, &input, kept).unwrap()
            };
            let Compared {
                first_difference,
                layers,
            } = by(&kept);
            assert_eq!(first_difference, None, "{seed}");
            assert_eq!(layers.whole + layers.narrowed + layers.unknown, count);
            all.whole += layers.whole;
            all.narrowed += layers.narrowed;
            // Without what is known of the channels, they count as not compared.
            let without = by(&HashMap::new()).layers;
            let unknown = layers.unknown + layers.narrowed;
            assert_eq!((without.whole, without.unknown), (layers.whole, unknown));
            // By other channels than those that are left, they differ.
            let mut turned = kept.clone();
            turned.values_mut().for_each(|kept| kept.rotate_right(1));
            found += usize::from(by(&turned).first_difference.is_some());
        }
        assert!(all.whole > 300 && all.narrowed > 20, "{all:?}");
        assert!(found > 5, "{found} were noticed");
    }
}
