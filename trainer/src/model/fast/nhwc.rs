//! Burn's `[n, c, h, w]` tensors seen as NHWC memory.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

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

    /// Back to a `[n, c, h, w]` tensor, without a copy.
    pub(super) fn into_tensor(self) -> FlexTensor {
        let layout = self.tensor.layout().permute(&[0, 3, 1, 2]);
        self.tensor.with_layout(layout)
    }
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
