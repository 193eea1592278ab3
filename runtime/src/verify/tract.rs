//! A quantized file as tract computes it.

use std::sync::Arc;

use kiln_core::tensor::Shape;
use kiln_run::layout::{Layout, reorder};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::*;

use super::VerifyError;
use crate::float::guarded;
use crate::graph::Quant;
use crate::onnx::{OnnxFile, without_softmax};
use crate::qgraph::QGraph;

/// A quantized ONNX file run by tract, as floats between QuantizeLinear and DequantizeLinear, with
/// the integers of each layer to be seen.
pub struct TractLayers {
    plan: Arc<TypedRunnableModel>,
    /// For each output of the plan but the first: the layer, and its output's shape.
    layers: Vec<(String, Shape)>,
    input: Vec<usize>,
    /// Of the file's input, where that is of integers.
    integers: Option<Quant>,
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
        let quant = graph.quant(graph.input);
        let integers = Some(quant).filter(|_| is_integer_input(file));
        let fact = match integers {
            None => f32::fact(&input),
            Some(quant) if quant.unsigned => u8::fact(&input),
            Some(_) => i8::fact(&input),
        };
        let tract = |cause| VerifyError::Tract {
            path: file.path.clone(),
            cause,
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
                .model_for_proto_model(&without_softmax(&file.proto))?
                .with_input_fact(0, fact.clone().into())?;
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
            plan: guarded(build).map_err(tract)?,
            layers,
            input,
            integers,
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
            let tensor = match self.integers {
                None => Tensor::from_shape(&self.input, input)?,
                Some(quant) => quantized(quant, &self.input, input)?,
            };
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
        guarded(run).map_err(|cause| VerifyError::Tract {
            path: self.path.clone(),
            cause,
        })
    }
}

/// Whether a file's input is of 8-bit integers.
fn is_integer_input(file: &OnnxFile) -> bool {
    matches!(file.input_type(), Ok(DataType::Int8 | DataType::Uint8))
}

/// Real values as the integers that a file takes.
fn quantized(quant: Quant, shape: &[usize], values: &[f32]) -> TractResult<Tensor> {
    let integers = values.iter().map(|value| quant.integer(*value) as i8);
    match quant.unsigned {
        true => {
            let unsigned: Vec<u8> = integers.map(|value| value.cast_unsigned() ^ 0x80).collect();
            Tensor::from_shape(shape, &unsigned)
        }
        false => Tensor::from_shape(shape, &integers.collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::{Is, Model};
    use crate::quantized::load_quantized;

    #[test]
    fn tract_takes_integers_where_the_file_does() {
        for (kind, zero) in [(DataType::Int8, -3i8), (DataType::Uint8, 0)] {
            let model = Model::new(13, &[1, 3, 1, 1]).scalar("s", 0.05);
            let mut model = match kind {
                DataType::Int8 => model.i8("z", &[], &[zero]),
                _ => model.u8("z", &[], &[125]),
            };
            let window = [("kernel_shape", Is(&[1, 1]))];
            model = model
                .node("DequantizeLinear", "x s z", "b", &[])
                .node("MaxPool", "b", "c", &window)
                .node("QuantizeLinear", "c s z", "d", &[])
                .node("DequantizeLinear", "d s z", "y", &[]);
            model.graph().input = Model::typed(13, &[1, 3, 1, 1], kind).graph().input.clone();
            let file = model.file();
            let graph = load_quantized(&file).unwrap_or_else(|error| panic!("{error}"));
            let tract = TractLayers::new(&file, &graph).unwrap_or_else(|error| panic!("{error}"));
            let ran = tract.run(&[1.0, -2.0, 0.26]).unwrap();
            for (found, expected) in ran.logits.iter().zip([1.0f32, -2.0, 0.25]) {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{kind:?}: {:?}",
                    ran.logits
                );
            }
        }
    }
}
