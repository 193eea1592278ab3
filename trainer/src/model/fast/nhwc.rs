//! Burn's `[n, c, h, w]` tensors seen as NHWC memory.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

/// A `[n, c, h, w]` tensor of 32-bit floats whose memory is `[n][h][w][c]`, without gaps.
#[derive(Clone, Debug)]
pub(super) struct Nhwc {
    /// `[n, h, w, c]`, contiguous.
    tensor: FlexTensor,
}

impl Nhwc {
    /// Takes the tensor as it lies if it is channels-last already, else copies it.
    pub(super) fn new(tensor: FlexTensor) -> Self {
        let [n, c, h, w] = tensor.layout().shape().dims();
        if c > 1
            && h * w > 1
            && let Some((start, end)) = tensor.layout().contiguous_offsets()
        {
            let values = interleave(&tensor.storage()[start..end], [c, h * w]);
            return Self::from_vec(values, [n, h, w, c]);
        }
        let layout = tensor.layout().permute(&[0, 2, 3, 1]);
        Self {
            tensor: tensor.with_layout(layout).to_contiguous(),
        }
    }

    /// From the memory of `[n][h][w][c]`.
    pub(super) fn from_vec(values: Vec<f32>, shape: [usize; 4]) -> Self {
        Self {
            tensor: flat(values, &shape),
        }
    }

    /// `[n, h, w, c]`
    pub(super) fn shape(&self) -> [usize; 4] {
        self.tensor.layout().shape().dims()
    }

    /// The numbers, `[n][h][w][c]`.
    pub(super) fn values(&self) -> &[f32] {
        self.tensor.storage()
    }

    /// The numbers as a buffer to write results over: the memory itself where nothing else uses it,
    /// else a copy.
    pub(super) fn into_vec(self) -> Vec<f32> {
        if !self.tensor.is_unique() {
            return self.values().to_vec();
        }
        let data = self.tensor.into_data();
        data.try_into_vec().expect("Nhwc holds 32-bit floats")
    }

    /// A buffer as large as this, of any contents: the memory itself where nothing else uses it.
    pub(super) fn into_buffer(self) -> Vec<f32> {
        if self.tensor.is_unique() {
            self.into_vec()
        } else {
            zeros(self.values().len())
        }
    }

    /// The sum with another of the same shape, written over this one's memory where nothing else
    /// uses it.
    pub(super) fn plus(self, other: &Self) -> Self {
        const BLOCK: usize = 1 << 14;
        let shape = self.shape();
        let mut sum = self.into_vec();
        let blocks = sum.par_chunks_mut(BLOCK);
        blocks
            .zip(other.values().par_chunks(BLOCK))
            .for_each(|(sum, other)| {
                for (sum, other) in sum.iter_mut().zip(other) {
                    *sum += other;
                }
            });
        Self::from_vec(sum, shape)
    }

    /// Back to a `[n, c, h, w]` tensor, without a copy.
    pub(super) fn into_tensor(self) -> FlexTensor {
        let layout = self.tensor.layout().permute(&[0, 3, 1, 2]);
        self.tensor.with_layout(layout)
    }
}

/// `[n][pixels][channels]` from `[n][channels][pixels]`, by all threads.
fn interleave(planes: &[f32], [channels, pixels]: [usize; 2]) -> Vec<f32> {
    let mut values = zeros(planes.len());
    let pictures = values.par_chunks_mut(channels * pixels);
    pictures
        .zip(planes.par_chunks(channels * pixels))
        .for_each(|(picture, planes)| {
            for (channel, plane) in planes.chunks_exact(pixels).enumerate() {
                let values = picture[channel..].iter_mut().step_by(channels);
                values.zip(plane).for_each(|(value, from)| *value = *from);
            }
        });
    values
}

/// `len` zeros, written by all threads.
pub(super) fn zeros(len: usize) -> Vec<f32> {
    const BLOCK: usize = 1024;
    let blocks = (0..len.div_ceil(BLOCK)).into_par_iter().with_min_len(64);
    let blocks: Vec<[f32; BLOCK]> = blocks.map(|_| [0.0; BLOCK]).collect();
    let mut zeros = blocks.into_flattened();
    zeros.truncate(len);
    zeros
}

/// A contiguous tensor.
pub(super) fn flat(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    let shape = Shape::from(shape.to_vec());
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}
