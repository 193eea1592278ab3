//! Runs a [`Graph`] in 32-bit floats, showing every value on the way: what calibration watches and
//! what rewritten graphs are compared with.
//!
//! Quantized values are whole numbers here, those of i8.

mod conv;
mod windows;

use kiln_core::tensor::Shape;
use thiserror::Error;

use crate::graph::{Axis, Binary, Graph, Node, Op, ValueId};
use crate::pointwise::Pointwise;
use conv::PackedConv;

/// A graph that is ready to run.
#[derive(Clone, Debug)]
pub struct FloatGraph {
    shapes: Vec<Shape>,
    steps: Vec<Step>,
    input: ValueId,
    output: ValueId,
    /// By value; empty where it is not needed any more.
    buffers: Vec<Vec<f32>>,
    /// Buffers that are free.
    spare: Vec<Vec<f32>>,
    scratch: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Step {
    node: Node,
    conv: Option<PackedConv>,
    /// Values that no later step reads.
    dead: Vec<ValueId>,
}

/// The input has another number of values than the graph takes.
#[derive(Debug, Error)]
#[error("the input has {found} values, the model takes {expected}")]
pub struct InputError {
    /// Values given.
    pub found: usize,
    /// Values that the input has.
    pub expected: usize,
}

impl FloatGraph {
    /// Lays out the weights of a graph as [`load`](crate::load::load) makes it.
    pub fn new(graph: &Graph) -> Self {
        let mut last = vec![None; graph.values.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            last[node.output] = Some(index);
            for input in &node.inputs {
                last[*input] = Some(index);
            }
        }
        let step = |(index, node): (usize, &Node)| {
            let mut node = node.clone();
            let mut conv = None;
            if let Op::Conv(weights) = &mut node.op {
                let channels = graph.shape(node.inputs[0]).channels as usize;
                conv = Some(PackedConv::new(weights, channels));
                weights.weights.clear();
            }
            let mut dead = node.inputs.clone();
            dead.push(node.output);
            dead.retain(|value| last[*value] == Some(index) && *value != graph.output);
            Step { node, conv, dead }
        };
        Self {
            shapes: graph.values.iter().map(|value| value.shape).collect(),
            steps: graph.nodes.iter().enumerate().map(step).collect(),
            input: graph.input,
            output: graph.output,
            buffers: vec![vec![]; graph.values.len()],
            spare: vec![],
            scratch: vec![],
        }
    }

    /// The shape of the input.
    pub fn input_shape(&self) -> Shape {
        self.shapes[self.input]
    }

    /// Runs one input in NHWC. `observe` sees each value, the input first, in NHWC.
    ///
    /// # Errors
    /// Where the input has not as many values as the graph takes.
    pub fn run(
        &mut self,
        input: &[f32],
        observe: &mut dyn FnMut(ValueId, &[f32]),
    ) -> Result<Vec<f32>, InputError> {
        let expected = self.shapes[self.input].len();
        if input.len() != expected {
            let found = input.len();
            return Err(InputError { found, expected });
        }
        self.buffers[self.input].clear();
        self.buffers[self.input].extend_from_slice(input);
        observe(self.input, input);
        for index in 0..self.steps.len() {
            let value = self.steps[index].node.output;
            let mut output = self.spare.pop().unwrap_or_default();
            output.clear();
            output.resize(self.shapes[value].len(), 0.0);
            let mut scratch = std::mem::take(&mut self.scratch);
            self.step(index, &mut output, &mut scratch);
            self.scratch = scratch;
            observe(value, &output);
            self.buffers[value] = output;
            for dead in &self.steps[index].dead {
                let free = std::mem::take(&mut self.buffers[*dead]);
                self.spare.push(free);
            }
        }
        Ok(self.buffers[self.output].clone())
    }

    fn step(&self, index: usize, output: &mut [f32], scratch: &mut Vec<f32>) {
        let Step { node, conv, .. } = &self.steps[index];
        let (from, shape) = (node.inputs[0], self.shapes[node.output]);
        let (input, before) = (&self.buffers[from][..], self.shapes[from]);
        let channels = shape.channels as usize;
        match &node.op {
            Op::Conv(_) => {
                if let Some(conv) = conv {
                    conv.run(input, before, output, shape, scratch);
                }
            }
            Op::Affine { scale, shift } => {
                for (values, sums) in rows(input, channels).zip(rows_mut(output, channels)) {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = values[c] * scale[c] + shift[c];
                    }
                }
            }
            Op::Binary(op) => {
                let second = &self.buffers[node.inputs[1]];
                let vector = second.len() != input.len();
                for (index, values) in rows_mut(output, channels).enumerate() {
                    let start = index * channels;
                    let b = if vector { second } else { &second[start..] };
                    binary(*op, &input[start..], b, values);
                }
            }
            Op::Pointwise(function) => pointwise(*function, input, output),
            Op::PRelu(slopes) => {
                for (values, results) in rows(input, channels).zip(rows_mut(output, channels)) {
                    for (c, result) in results.iter_mut().enumerate() {
                        *result = values[c].max(0.0) + slopes[c] * values[c].min(0.0);
                    }
                }
            }
            Op::MaxPool(window) => windows::max(window, input, before, output, shape),
            Op::AveragePool {
                window,
                count_include_pad,
            } => windows::average(window, *count_include_pad, input, before, output, shape),
            Op::Concat(axis) => {
                let mut at = [0; 3];
                for value in &node.inputs {
                    let part = self.shapes[*value];
                    place(&self.buffers[*value], part, at, output, shape);
                    match axis {
                        Axis::Rows => at[0] += part.height as usize,
                        Axis::Columns => at[1] += part.width as usize,
                        Axis::Channels => at[2] += part.channels as usize,
                    }
                }
            }
            Op::Pad { padding, value } => {
                output.fill(*value);
                let at = [padding[0] as usize, padding[1] as usize, 0];
                place(input, before, at, output, shape);
            }
            Op::Resize([down, across]) => {
                for (index, pixel) in rows_mut(output, channels).enumerate() {
                    let (y, x) = (index / shape.width as usize, index % shape.width as usize);
                    let from = y / *down as usize * before.width as usize + x / *across as usize;
                    pixel.copy_from_slice(&input[from * channels..][..channels]);
                }
            }
            Op::Gather(from) => {
                let inputs = rows(input, before.channels as usize);
                for (values, results) in inputs.zip(rows_mut(output, channels)) {
                    for (from, result) in from.iter().zip(results) {
                        *result = values[*from as usize];
                    }
                }
            }
            Op::Quantize(quant) => {
                for (value, result) in input.iter().zip(output) {
                    *result = quant.integer(*value);
                }
            }
            Op::Dequantize(quant) => {
                for (value, result) in input.iter().zip(output) {
                    *result = (value - f32::from(quant.zero_point)) * quant.scale;
                }
            }
        }
    }
}

fn binary(op: Binary, a: &[f32], b: &[f32], output: &mut [f32]) {
    let pairs = a.iter().zip(b).zip(output);
    match op {
        Binary::Add => pairs.for_each(|((a, b), result)| *result = a + b),
        Binary::Sub => pairs.for_each(|((a, b), result)| *result = a - b),
        Binary::Mul => pairs.for_each(|((a, b), result)| *result = a * b),
    }
}

fn pointwise(function: Pointwise, input: &[f32], output: &mut [f32]) {
    let pairs = input.iter().zip(output);
    match function.clamp() {
        Some((min, max)) => pairs.for_each(|(value, result)| *result = value.max(min).min(max)),
        None => pairs.for_each(|(value, result)| *result = function.eval((*value).into()) as f32),
    }
}

/// Writes an activation into a larger one, its first value at a row, column and channel.
fn place(input: &[f32], part: Shape, at: [usize; 3], output: &mut [f32], whole: Shape) {
    let (width, channels) = (part.width as usize, part.channels as usize);
    for (index, pixel) in rows(input, channels).enumerate() {
        let (y, x) = (at[0] + index / width, at[1] + index % width);
        let start = (y * whole.width as usize + x) * whole.channels as usize + at[2];
        output[start..][..channels].copy_from_slice(pixel);
    }
}

fn rows(values: &[f32], channels: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact(channels)
}

fn rows_mut(values: &mut [f32], channels: usize) -> impl Iterator<Item = &mut [f32]> {
    values.chunks_exact_mut(channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;
    use crate::load::testing::*;

    #[test]
    fn every_value_is_seen_once_and_in_order() {
        let model = Model::new(13, &[1, 2, 2, 1])
            .node("Relu", "x", "r", &[])
            .node("GlobalAveragePool", "r", "g", &[])
            .node("Add", "r g", "y", &[]);
        let graph = load(&model.file()).unwrap();
        let mut float = FloatGraph::new(&graph);
        for input in [[1.0, -1.0, 3.0, 5.0], [0.0, 2.0, -4.0, 2.0]] {
            let mut seen = vec![];
            let output = float.run(&input, &mut |value, data| {
                seen.push((graph.values[value].name.clone(), data.to_vec()));
            });
            let positive = input.map(|value: f32| value.max(0.0));
            let mean = [0, 1].map(|c| (positive[c] + positive[c + 2]) / 2.0);
            let sums: Vec<f32> = (0..4)
                .map(|index| positive[index] + mean[index % 2])
                .collect();
            assert_eq!(output.unwrap(), sums);
            let expected = [
                ("x".into(), input.to_vec()),
                ("r".into(), positive.to_vec()),
                ("g".into(), mean.to_vec()),
                ("y".into(), sums),
            ];
            assert_eq!(seen, expected);
        }
        let error = float.run(&[0.0; 3], &mut |_, _| {}).unwrap_err();
        assert_eq!((error.found, error.expected), (3, 4));
    }
}
