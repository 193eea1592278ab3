//! Convolutions: as matrix products of the windows' values, by blocks that the compiler vectorises.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::windows::each_window;
use crate::graph::Conv;

/// Output channels that one block of the product computes.
const OUTS: usize = 16;
/// Output pixels that one block of the product computes.
const PIXELS: usize = 4;
/// Pixels whose windows are gathered at once.
const GATHERED: usize = 64;

/// A convolution with weights in the order in which they are used.
#[derive(Clone, Debug)]
pub struct PackedConv {
    window: Window,
    groups: usize,
    /// Products an output.
    depth: usize,
    bias: Vec<f32>,
    /// Depthwise: `[taps][channels]`. Otherwise `[groups][blocks of OUTS][depth][OUTS]`.
    weights: Vec<f32>,
    depthwise: bool,
}

impl PackedConv {
    /// Lays out the weights of a convolution of `channels`.
    pub fn new(conv: &Conv, channels: usize) -> Self {
        let (outs, taps) = (conv.bias.len(), conv.window.taps());
        let depth = conv.weights.len() / outs;
        let depthwise = conv.groups == channels && outs == channels && channels > 1;
        let mut weights = vec![];
        if depthwise {
            for tap in 0..taps {
                weights.extend((0..outs).map(|out| conv.weights[out * taps + tap]));
            }
        } else {
            let per_group = outs / conv.groups;
            for group in 0..conv.groups {
                for block in (0..per_group).step_by(OUTS) {
                    for at in 0..depth {
                        weights.extend((block..block + OUTS).map(|out| match out < per_group {
                            true => conv.weights[(group * per_group + out) * depth + at],
                            false => 0.0,
                        }));
                    }
                }
            }
        }
        Self {
            window: conv.window,
            groups: conv.groups,
            depth,
            bias: conv.bias.clone(),
            weights,
            depthwise,
        }
    }

    /// Computes all outputs.
    pub fn run(
        &self,
        input: &[f32],
        before: Shape,
        output: &mut [f32],
        shape: Shape,
        scratch: &mut Vec<f32>,
    ) {
        if self.depthwise {
            return self.by_channel(input, before, output, shape);
        }
        let (outs, channels) = (self.bias.len(), before.channels as usize);
        let per_group = outs / self.groups;
        let direct = self.groups == 1
            && self.window == Window::default()
            && before.pixels() == shape.pixels();
        let size = per_group.div_ceil(OUTS) * OUTS * self.depth;
        for group in 0..self.groups {
            let product = Product {
                weights: &self.weights[group * size..][..size],
                bias: &self.bias[group * per_group..][..per_group],
                depth: self.depth,
                stride: outs,
            };
            let first = group * per_group;
            if direct {
                product.run(input, &mut output[first..]);
                continue;
            }
            let width = channels / self.groups;
            let mut done = 0;
            scratch.clear();
            each_window(&self.window, before, shape, |pixel, taps| {
                let start = scratch.len();
                scratch.resize(start + self.depth, 0.0);
                for (tap, from) in taps {
                    let values = &input[from * channels + group * width..][..width];
                    scratch[start + tap * width..][..width].copy_from_slice(values);
                }
                if pixel + 1 - done == GATHERED || pixel + 1 == shape.pixels() {
                    product.run(scratch, &mut output[done * outs + first..]);
                    scratch.clear();
                    done = pixel + 1;
                }
            });
        }
    }

    fn by_channel(&self, input: &[f32], before: Shape, output: &mut [f32], shape: Shape) {
        let channels = shape.channels as usize;
        each_window(&self.window, before, shape, |pixel, taps| {
            let sums = &mut output[pixel * channels..][..channels];
            sums.copy_from_slice(&self.bias);
            for (tap, from) in taps {
                let values = &input[from * channels..][..channels];
                let weights = &self.weights[tap * channels..][..channels];
                for ((sum, value), weight) in sums.iter_mut().zip(values).zip(weights) {
                    *sum += value * weight;
                }
            }
        });
    }
}

/// A matrix product with weights in blocks of [`OUTS`].
struct Product<'a> {
    weights: &'a [f32],
    bias: &'a [f32],
    depth: usize,
    /// Values from one pixel's outputs to the next's.
    stride: usize,
}

impl Product<'_> {
    /// `gathered` is `[pixels][depth]`.
    fn run(&self, gathered: &[f32], output: &mut [f32]) {
        let blocks = self.weights.chunks_exact(OUTS * self.depth);
        for (block, weights) in blocks.enumerate() {
            let pixels = gathered.len() / self.depth;
            let mut pixel = 0;
            while pixel < pixels {
                let rows = &gathered[pixel * self.depth..];
                let outputs = &mut output[pixel * self.stride..];
                if pixel + PIXELS <= pixels {
                    self.block::<PIXELS>(rows, weights, block, outputs);
                    pixel += PIXELS;
                } else {
                    self.block::<1>(rows, weights, block, outputs);
                    pixel += 1;
                }
            }
        }
    }

    fn block<const N: usize>(
        &self,
        rows: &[f32],
        weights: &[f32],
        block: usize,
        output: &mut [f32],
    ) {
        let mut sums = [[0.0f32; OUTS]; N];
        let rows: [&[f32]; N] = std::array::from_fn(|row| &rows[row * self.depth..][..self.depth]);
        let (weights, _) = weights.as_chunks::<OUTS>();
        for (at, weights) in weights.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let value = row[at];
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
        let bias = &self.bias[block * OUTS..];
        for (row, sums) in sums.iter().enumerate() {
            let output = &mut output[row * self.stride + block * OUTS..];
            for ((result, sum), bias) in output.iter_mut().zip(sums).zip(bias) {
                *result = sum + bias;
            }
        }
    }
}
