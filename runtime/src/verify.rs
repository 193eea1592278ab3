//! One quantized model computed by several: which layer is the first that differs.

use std::collections::HashMap;

use kiln_core::format::output_sum;
use kiln_core::tensor::Shape;
use kiln_run::engine::{Engine, EngineError, Input};
use kiln_run::layout::{Layout, reorder};
use thiserror::Error;
use tract_onnx::prelude::*;

use crate::onnx::{OnnxError, OnnxFile};
use crate::qgraph::QGraph;

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

/// Runs one model compiled twice over an input: the first layer whose bytes differ, if one does.
/// Layers that only one of them has, since the other joined them, are passed over, as are those with
/// channels left out in one of them.
///
/// # Errors
/// An input that the models do not take.
pub fn first_difference(
    reference: &mut Engine,
    other: &mut Engine,
    input: &[i8],
) -> Result<Option<Difference>, EngineError> {
    let mut expected: HashMap<String, (u32, Vec<u8>)> = HashMap::new();
    reference.run_observed(Input::Quantized(input), |ran| {
        let sum = output_sum(ran.layer, ran.output);
        expected.insert(ran.name.to_owned(), (sum, ran.output.to_vec()));
    })?;
    let mut first = None;
    other.run_observed(Input::Quantized(input), |ran| {
        let Some((sum, bytes)) = expected.get(ran.name) else {
            return;
        };
        let alike = bytes.len() == ran.output.len();
        if first.is_none() && alike && *sum != output_sum(ran.layer, ran.output) {
            first = Some(difference(ran.name, bytes, ran.output));
        }
    })?;
    Ok(first)
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

/// A quantized ONNX file run by tract, as floats between QuantizeLinear and DequantizeLinear, with
/// the integers of each layer to be seen.
pub struct TractLayers {
    plan: Arc<TypedRunnableModel>,
    /// For each output of the plan but the first: the layer, and its output's shape.
    layers: Vec<(String, Shape)>,
    input: Vec<usize>,
    layout: Layout,
    path: std::path::PathBuf,
}

/// What tract gave for an input.
pub struct TractRun {
    /// The logits.
    pub logits: Vec<f32>,
    /// For each layer its output: i8 in NHWC.
    pub layers: Vec<(String, Vec<u8>)>,
}

impl TractLayers {
    /// Loads the file that `graph` was read from.
    ///
    /// # Errors
    /// tract refuses the file.
    pub fn new(file: &OnnxFile, graph: &QGraph) -> Result<Self, VerifyError> {
        let (_, input) = file.input()?;
        let tract = |error: TractError| VerifyError::Tract {
            path: file.path.clone(),
            cause: format!("{error:#}"),
        };
        let mut layers = Vec::new();
        let mut outputs = Vec::new();
        let nodes = file.proto.graph.iter().flat_map(|graph| &graph.node);
        for node in nodes.filter(|node| node.op_type == "QuantizeLinear") {
            let written =
                |name: &String| node.input.first() == Some(name) || node.output.contains(name);
            let layer = graph
                .layers
                .iter()
                .find(|layer| written(&graph.tensors[layer.output].name));
            if let (Some(layer), Some(output)) = (layer, node.output.first()) {
                layers.push((layer.name.clone(), graph.tensors[layer.output].shape));
                outputs.push(output.clone());
            }
        }
        let build = || -> TractResult<Arc<TypedRunnableModel>> {
            let mut model = tract_onnx::onnx()
                .model_for_proto_model(&file.proto)?
                .with_input_fact(0, f32::fact(&input).into())?;
            let mut all = model.outputs.clone();
            for output in &outputs {
                let outlet = model
                    .find_outlet_label(output)
                    .or_else(|| model.node_id_by_name(output).ok().map(|id| id.into()))
                    .ok_or_else(|| TractError::msg(format!("no value {output}")))?;
                all.push(outlet);
            }
            model.select_output_outlets(&all)?;
            model.into_typed()?.into_runnable()
        };
        Ok(Self {
            plan: build().map_err(tract)?,
            layers,
            input,
            layout: graph.meta.layout,
            path: file.path.clone(),
        })
    }

    /// The order of the input's axes.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Runs an input, its axes as the file has them.
    ///
    /// # Errors
    /// tract does not run it.
    pub fn run(&self, input: &[f32]) -> Result<TractRun, VerifyError> {
        let run = || -> TractResult<TractRun> {
            let tensor = Tensor::from_shape(&self.input, input)?;
            let outputs = self.plan.run(tvec!(tensor.into()))?;
            let mut outputs = outputs.into_iter();
            let none = || TractError::msg("the graph has no output");
            let logits = outputs.next().ok_or_else(none)?;
            let logits = logits.cast_to::<f32>()?;
            let logits = logits
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect();
            let mut layers = Vec::new();
            for ((name, shape), output) in self.layers.iter().zip(outputs) {
                // Unsigned ones are 128 more.
                let offset = if output.datum_type().unquantized() == DatumType::U8 {
                    128.0
                } else {
                    0.0
                };
                let values = output.cast_to::<f32>()?;
                let values: Vec<f32> = values
                    .to_plain_array_view::<f32>()?
                    .iter()
                    .copied()
                    .collect();
                let values = match shape.pixels() {
                    1 => values,
                    _ => reorder(&values, *shape, Layout::Nchw),
                };
                let bytes = values.iter().map(|value| (value - offset) as i8 as u8);
                layers.push((name.clone(), bytes.collect()));
            }
            Ok(TractRun { logits, layers })
        };
        run().map_err(|error| VerifyError::Tract {
            path: self.path.clone(),
            cause: format!("{error:#}"),
        })
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
            let found = difference(ran.name, bytes, ran.output);
            if found.steps > allowed {
                first = Some(found);
            }
        }
    })?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_in_steps() {
        let expected = [0x80, 0xff, 0x00, 0x7f];
        let found = difference("conv", &expected, &[0x80, 0x00, 0x00, 0x7d]);
        assert_eq!(found.layer, "conv");
        assert_eq!((found.differing, found.values, found.steps), (2, 4, 2));
    }
}
