//! Why: class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization",
//! CVPR 2016), from the integers that an inference computes anyway.
//!
//! Where a network ends in a global average pool and a linear layer, a class's logit is a mean over
//! the places of the last activation. [`Maps::map`] is what each place adds to it:
//!
//! `map[y][x] = Σ_c (w[class][c] - w_zero[class]) * (activation[y][x][c] - zero)`
//!
//! ```
//! # use kiln_core::{Model, explain::Maps};
//! # fn explain(model: &Model<'_>, arena: &mut [u8], features: &mut [u8], map: &mut [i32]) {
//! if let Some(maps) = Maps::of(model) {
//!     let output = maps.run(model, arena, features).expect("buffers of the lengths that are asked for");
//!     let [best] = output.top();
//!     maps.map(features, best.index, map).expect("the same");
//! }
//! # }
//! ```

use core::fmt;

use crate::classify::Output;
use crate::engine::RunError;
use crate::layer::{Conv, Layer, Pool, PoolKind};
use crate::model::Model;
use crate::tensor::{Shape, Tensor};

/// Why there is no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainError {
    /// The engine gives no answer.
    Run(RunError),
    /// The buffer for the activation has another length.
    Features {
        /// The bytes that are needed.
        needed: usize,
    },
    /// The buffer for the map has another length.
    Map {
        /// The values that are needed.
        needed: usize,
    },
    /// There is no such class.
    Class {
        /// How many there are.
        classes: usize,
    },
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => error.fmt(f),
            Self::Features { needed } => write!(
                f,
                "the buffer for the activation has the wrong length: pass {needed} bytes"
            ),
            Self::Map { needed } => write!(
                f,
                "the buffer for the map has the wrong length: pass {needed} values"
            ),
            Self::Class { classes } => {
                write!(f, "there is no such class: pass a number below {classes}")
            }
        }
    }
}

impl core::error::Error for ExplainError {}

impl From<RunError> for ExplainError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// A model's class activation maps: where its end is as they need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maps<'m> {
    /// What the global average pool reads.
    features: Tensor,
    /// The layer that writes it last.
    writer: usize,
    /// The linear layer.
    linear: Conv<'m>,
}

impl<'m> Maps<'m> {
    /// Those of a model; none if it does not end in an average over whole rows and columns and a linear
    /// layer, or if what is averaged is the model's input.
    pub fn of(model: &Model<'m>) -> Option<Self> {
        let at = model.layer_count().checked_sub(2)?;
        let mut layers = model.unnamed_layers().skip(at);
        let (Layer::Pool(pool), Layer::Conv(linear)) = (layers.next()?, layers.next()?) else {
            return None;
        };
        let features = pool.input;
        let linked = linear.input == pool.output && linear.output == model.output();
        if !is_global_average(&pool) || !is_linear(&linear) || !linked {
            return None;
        }
        let before = model.unnamed_layers().take(at).enumerate();
        let mut writers = before.filter(|(_, layer)| layer.output() == features);
        // The last of them: of what is joined from parts, each part is written by a layer.
        let (writer, _) = writers.by_ref().last()?;
        Some(Self {
            features,
            writer,
            linear,
        })
    }

    /// Rows and columns of a map, and the channels of the activation that it is made of.
    pub const fn shape(&self) -> Shape {
        self.features.shape
    }

    /// How many classes there are: each has a map.
    pub const fn classes(&self) -> usize {
        self.linear.output.shape.channels as usize
    }

    /// Runs the model over the input that is at its place in the arena, and copies the activation of
    /// which all maps are made to `features`, i8 in NHWC: as many bytes as [`shape`](Self::shape) has
    /// values. The model is the one that the maps are [`of`](Self::of).
    ///
    /// # Errors
    ///
    /// [`ExplainError::Features`] for a buffer of another length, [`RunError::Arena`] if the arena is
    /// too small.
    pub fn run<'a>(
        &self,
        model: &Model<'m>,
        arena: &'a mut [u8],
        features: &mut [u8],
    ) -> Result<Output<'a>, ExplainError> {
        let needed = self.features.shape.len();
        if features.len() != needed {
            return Err(ExplainError::Features { needed });
        }
        let mut copied = false;
        let mut observe = |index: usize, _: &Layer<'m>, output: &[u8]| {
            if index == self.writer && output.len() == features.len() {
                features.copy_from_slice(output);
                copied = true;
            }
        };
        let output = model.run_with(arena, &mut observe)?;
        if copied {
            Ok(output)
        } else {
            Err(RunError::Model.into())
        }
    }

    /// Writes the map of a class, row by row, from what [`run`](Self::run) has copied: above 0 where the
    /// picture speaks for the class, below where against it. What i32 does not hold is its end.
    ///
    /// # Errors
    ///
    /// [`ExplainError::Class`], and [`ExplainError::Features`] and [`ExplainError::Map`] for buffers of
    /// another length.
    pub fn map(&self, features: &[u8], class: usize, map: &mut [i32]) -> Result<(), ExplainError> {
        let shape = self.features.shape;
        let needed = shape.len();
        if features.len() != needed {
            return Err(ExplainError::Features { needed });
        }
        let needed = shape.pixels();
        if map.len() != needed {
            return Err(ExplainError::Map { needed });
        }
        let classes = self.classes();
        if class >= classes {
            return Err(ExplainError::Class { classes });
        }
        let zero = i32::from(self.features.zero_point);
        let channels = shape.channels as usize;
        for (value, pixel) in map.iter_mut().zip(features.chunks_exact(channels.max(1))) {
            *value = 0;
            for (channel, &feature) in pixel.iter().enumerate() {
                let weight = self.weight(class, channel).ok_or(RunError::Model)?;
                // Each factor is of 9 bits.
                let part = weight * (i32::from(feature as i8) - zero);
                *value = value.saturating_add(part);
            }
        }
        Ok(())
    }

    /// `w[class][channel] - w_zero[class]`, in whatever order the weights lie.
    fn weight(&self, class: usize, channel: usize) -> Option<i32> {
        let linear = &self.linear;
        let shape = linear.kernel_shape();
        let at = linear.packing.index(shape, class, 0, 0, channel);
        let zero = match linear.weight_zero_points {
            [] => 0,
            zeros => *zeros.get(class)? as i8,
        };
        let weight = *linear.weights.get(at)? as i8;
        Some(i32::from(weight) - i32::from(zero))
    }
}

/// Whether one window without padding is the whole input, and its values are averaged.
fn is_global_average(pool: &Pool) -> bool {
    let Shape { height, width, .. } = pool.input.shape;
    let whole = pool.window.kernel.map(u32::from) == [height, width];
    let average = matches!(pool.kind, PoolKind::Average { .. });
    average && whole && pool.window.padding == [0; 4]
}

/// Whether it is a matrix times a vector.
fn is_linear(conv: &Conv<'_>) -> bool {
    conv.groups == 1
        && conv.window.kernel == [1; 2]
        && conv.input.shape.pixels() == 1
        && conv.output.shape.pixels() == 1
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::format::{LayerRecord, NONE, PoolRecord};
    use crate::packing::Packing;
    use crate::testing::{Parts, Random};
    use crate::window::Window;

    /// Weights of 21 classes and 9 channels, and their zero points.
    fn linear() -> [Vec<u8>; 2] {
        [Random(4).bytes(21 * 9), Random(5).bytes(21)]
    }

    /// The parts of a model whose activation of 3×3 pixels and 9 channels, put together from two, is
    /// averaged and goes to a linear layer with weights in such an order.
    fn parts(packing: Packing, zero_points: bool) -> Parts {
        let mut parts = Parts::every_layer();
        parts.golden.clear();
        parts.labels.clear();
        // All up to the concatenation.
        let last = parts.layers.iter().rposition(|(name, _)| *name == "concat");
        parts.layers.truncate(last.unwrap() + 1);
        let Some((_, LayerRecord::Copy(copy))) = parts.layers.last() else {
            panic!("a copy");
        };
        let features = copy.output;
        let pooled = parts.tensor([1, 1, 9], -7);
        let pool = PoolRecord {
            kind: PoolKind::Average {
                scales: [0.05, 0.02],
                count_include_pad: false,
                fixed: 0,
            },
            input: features,
            output: pooled,
            window: Window {
                kernel: [3, 3],
                ..Window::default()
            },
            limits: [-128, 127],
        };
        parts.layers.push(("pool", LayerRecord::Pool(pool)));
        parts.output = parts.conv(&mut Random(3), pooled, 21, Window::default(), 1);
        parts.arena += 16;
        let [weights, zeros] = linear();
        let weights: Vec<i8> = weights.iter().map(|&weight| weight as i8).collect();
        let bias: Vec<i32> = (0..21).collect();
        let Some((_, LayerRecord::Conv(mut linear))) = parts.layers.last().copied() else {
            panic!("a convolution");
        };
        let shape = crate::packing::KernelShape {
            out_channels: 21,
            rows: 1,
            columns: 1,
            in_channels: 9,
            groups: 1,
        };
        let mut packed = vec![0; packing.len(shape)];
        packing.pack(shape, &weights, &bias, &mut packed);
        linear.packing = packing;
        linear.weights = parts.constant(&packed);
        linear.bias = parts.constant(&crate::testing::words(&bias));
        linear.weight_zero_points = if zero_points {
            parts.constant(&zeros)
        } else {
            NONE
        };
        let at = parts.layers.len() - 1;
        parts.layers[at].1 = LayerRecord::Conv(linear);
        parts
    }

    /// Brute force: the activation from the plain tensors that a run shows, the weights as they were
    /// before they were packed.
    #[test]
    fn maps_are_the_sum_over_channels_in_every_packing() {
        let [weights, zeros] = linear();
        for (packing, zero_points) in [
            (Packing::Plain, true),
            (Packing::Plain, false),
            (Packing::Blocks, false),
            (Packing::Quads, false),
        ] {
            let parts = parts(packing, zero_points);
            let bytes = parts.bytes();
            let model = Model::new(&bytes).unwrap();
            let maps = Maps::of(&model).unwrap();
            assert_eq!((maps.shape(), maps.classes()), (Shape::new(3, 3, 9), 21));
            let mut arena = vec![0x5a; model.arena_bytes()];
            let input = Random(9).bytes(model.input().shape.len());
            model.input_mut(&mut arena).unwrap().copy_from_slice(&input);
            let mut features = vec![0; 81];
            let output = maps.run(&model, &mut arena, &mut features).unwrap();
            let logits = output.values().to_vec();

            let mut again = vec![0x33; model.arena_bytes()];
            model.input_mut(&mut again).unwrap().copy_from_slice(&input);
            let mut seen = Vec::new();
            let concat = model.layer_count() - 3;
            let mut observe = |index: usize, _: &Layer<'_>, output: &[u8]| {
                if index == concat {
                    seen.extend_from_slice(output);
                }
            };
            let output = model.run_with(&mut again, &mut observe).unwrap();
            assert_eq!(output.values(), logits);
            assert_eq!(features, seen);

            for class in 0..21 {
                let mut map = [77; 9];
                maps.map(&features, class, &mut map).unwrap();
                for (pixel, &value) in map.iter().enumerate() {
                    let mut sum = 0;
                    for channel in 0..9 {
                        let mut weight = i32::from(weights[class * 9 + channel] as i8);
                        if zero_points {
                            weight -= i32::from(zeros[class] as i8);
                        }
                        sum += weight * (i32::from(seen[pixel * 9 + channel] as i8) - 3);
                    }
                    assert_eq!(value, sum, "{packing:?} class {class} pixel {pixel}");
                }
            }
        }
    }

    #[test]
    fn other_ends_have_no_maps() {
        let every = Parts::every_layer();
        assert_eq!(Maps::of(&Model::new(&every.bytes()).unwrap()), None);
        let mut parts = parts(Packing::Plain, false);
        let has_maps = |parts: &Parts| Maps::of(&Model::new(&parts.bytes()).unwrap()).is_some();
        assert!(has_maps(&parts));
        let at = parts.layers.len() - 2;
        let good = parts.clone();
        if let LayerRecord::Pool(pool) = &mut parts.layers[at].1 {
            pool.kind = PoolKind::Max;
        }
        assert!(!has_maps(&parts));
        let mut parts = good.clone();
        parts.conv(&mut Random(6), good.output, 2, Window::default(), 1);
        assert!(!has_maps(&parts));
        parts.output += 1;
        assert!(!has_maps(&parts));
        // A file of one layer.
        let tiny: &[u8] = include_bytes!("../tests/tiny.kiln");
        assert_eq!(Maps::of(&Model::new(tiny).unwrap()), None);
    }

    #[test]
    fn buffers_of_another_length_and_classes_that_are_none_are_refused() {
        let bytes = parts(Packing::Quads, false).bytes();
        let model = Model::new(&bytes).unwrap();
        let maps = Maps::of(&model).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        let needed = 81;
        for len in [0, 80, 82] {
            let error = maps.run(&model, &mut arena, &mut vec![0; len]);
            assert_eq!(error, Err(ExplainError::Features { needed }));
            let error = maps.map(&vec![0; len], 0, &mut [0; 9]);
            assert_eq!(error, Err(ExplainError::Features { needed }));
        }
        let error = maps.map(&[0; 81], 0, &mut [0; 8]).unwrap_err();
        assert_eq!(error, ExplainError::Map { needed: 9 });
        let error = maps.map(&[0; 81], 21, &mut [0; 9]).unwrap_err();
        assert_eq!(error, ExplainError::Class { classes: 21 });
        assert!(error.to_string().contains("below 21"));
        let error = maps.run(&model, &mut arena[1..], &mut [0; 81]);
        let needed = model.arena_bytes();
        assert_eq!(error, Err(RunError::Arena { needed }.into()));
    }
}
