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

    /// Back to a `[n, c, h, w]` tensor, without a copy.
    pub(super) fn into_tensor(self) -> FlexTensor {
        let layout = self.tensor.layout().permute(&[0, 3, 1, 2]);
        self.tensor.with_layout(layout)
    }
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
