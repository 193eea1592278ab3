//! What one layer of a model is: where it reads and writes, its geometry, and its constants, which
//! stay in the model's bytes.
//!
//! `runtime/core/QUANTIZATION.md` says what each computes, to the bit. Arrays of numbers are little
//! endian, one an output channel unless it says otherwise.

use crate::packing::{KernelShape, Packing};
use crate::tensor::Tensor;
use crate::window::Window;

/// A part of the arena that a layer may use while it runs, with whatever is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// The first byte in the arena.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer<'m> {
    /// Convolution: also depthwise, grouped and fully connected.
    Conv(Conv<'m>),
    /// Sum, difference or product of two activations.
    Binary(Binary),
    /// A table of each value.
    Table(Table<'m>),
    /// Maximum or average over windows.
    Pool(Pool),
    /// Writes its input into a part of its output.
    Copy(Copy<'m>),
    /// Nearest neighbour by whole factors.
    Resize(Resize),
}

/// Convolution. With `acc = bias[o] + Σ x * w` over the taps, where padded taps have x = the input's
/// zero point, the output is [`Rounding`] of `acc`. The bias holds what the zero point adds, so that
/// x is the stored integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv<'m> {
    /// What it reads.
    pub input: Tensor,
    /// What it writes.
    pub output: Tensor,
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// ONNX's `group`.
    pub groups: u32,
    /// The order of the weights.
    pub packing: Packing,
    /// i8 in the order of `packing`.
    pub weights: &'m [u8],
    /// i8, or empty: for weights that are not symmetric, `acc` loses `weight_zero_points[o] * Σ x`,
    /// the sum over the same taps.
    pub weight_zero_points: &'m [u8],
    /// i32.
    pub bias: &'m [u8],
    /// From accumulator to output.
    pub rounding: Rounding<'m>,
    /// What fast kernels need beside the arena's tensors.
    pub scratch: Scratch,
}

/// From an i32 accumulator to an i8 output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding<'m> {
    /// f32: `clamp(round_half_even(f32(acc) * m) + zero_point, low, high)`; empty where each channel has an
    /// entry in `fixed`.
    pub multipliers: &'m [u8],
    /// i32, or empty. Where an entry `M` is not 0, `clamp((acc * M + 2^31 >> 32) + zero_point, low,
    /// high)` in 64 bits is the same for all accumulators that can occur, and takes fewer steps.
    pub fixed: &'m [u8],
    /// The least output.
    pub low: i8,
    /// The greatest output.
    pub high: i8,
}

/// Which operation two activations go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
}

/// Sum, difference or product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binary {
    /// Which.
    pub op: BinaryOp,
    /// The first; of the output's shape.
    pub a: Tensor,
    /// The second; of the output's shape, or a vector with one value a channel.
    pub b: Tensor,
    /// What it writes; may lie where `a` or `b` of the same shape lies.
    pub output: Tensor,
    /// Of `a`, `b` and the output.
    pub scales: [f32; 3],
    /// The same bits in integers, where there are such.
    pub fixed: Option<BinaryFixed>,
    /// The least output.
    pub low: i8,
    /// The greatest output.
    pub high: i8,
}

/// Factors with which integers give [`Binary`]'s output for all values that can occur: of a sum
/// `(a - a_zero) * factors[0] + (b - b_zero) * factors[1]`, of a difference the same with a minus, of
/// a product `(a - a_zero) * (b - b_zero) * factors[0]`; then `clamp((that + 2^(shift - 1) >> shift)
/// + zero_point, low, high)`, in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryFixed {
    /// Below 2^15; of a product the first below 2^14 and the second 0.
    pub factors: [u16; 2],
    /// 1 to 30.
    pub shift: u8,
}

/// `y = table[c][x + 128]`: activations, PRelu, requantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table<'m> {
    /// What it reads.
    pub input: Tensor,
    /// What it writes, of the same shape; may lie where the input lies.
    pub output: Tensor,
    /// i8: 256 entries for all channels, or 256 a channel.
    pub table: &'m [u8],
}

/// Maximum or average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// How the values of a window become one.
    pub kind: PoolKind,
    /// What it reads.
    pub input: Tensor,
    /// What it writes.
    pub output: Tensor,
    /// Kernel, stride, dilation, padding. Padded positions are left out of a maximum. A
    /// window of nothing but padding gives the least output, or the zero point for an average.
    pub window: Window,
    /// The least output.
    pub low: i8,
    /// The greatest output.
    pub high: i8,
}

/// How the values of a window become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PoolKind {
    /// The greatest; input and output have one quantization.
    Max,
    /// The mean, from the input's scale to the output's.
    Average {
        /// Of the input and the output.
        scales: [f32; 2],
        /// Whether padded positions count among those that are averaged.
        count_include_pad: bool,
        /// Where this is not 0, `clamp((Σ (x - zero) * fixed + 2^31 >> 32) + zero_point, low, high)` in
        /// 64 bits is the same for all windows that count all their taps.
        fixed: i32,
    },
}

/// Writes its input, through a table if there is one, into a part of its output: Concat is one for
/// each of its inputs, Pad is one that fills the rest first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copy<'m> {
    /// What it reads.
    pub input: Tensor,
    /// The whole of what is written.
    pub output: Tensor,
    /// Row, column and channel of the output at which the input's first value goes.
    pub at: [u32; 3],
    /// What the rest of the output is filled with, if this layer fills it.
    pub fill: Option<i8>,
    /// i8: 256 entries, or empty.
    pub table: &'m [u8],
}

/// Nearest neighbour by whole factors: `y[r][c] = x[r / factors[0]][c / factors[1]]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// What it reads.
    pub input: Tensor,
    /// What it writes.
    pub output: Tensor,
    /// Down, across.
    pub factors: [u32; 2],
}

impl Conv<'_> {
    /// The shape of the weights; no input channels where there are no groups.
    pub const fn kernel_shape(&self) -> KernelShape {
        KernelShape {
            out_channels: self.output.shape.channels as usize,
            rows: self.window.kernel[0] as usize,
            columns: self.window.kernel[1] as usize,
            in_channels: match self.input.shape.channels.checked_div(self.groups) {
                Some(channels) => channels as usize,
                None => 0,
            },
            groups: self.groups as usize,
        }
    }

    /// Multiply-accumulates, those with padding included.
    pub const fn macs(&self) -> u64 {
        let shape = self.kernel_shape();
        (self.output.shape.len() as u64)
            .saturating_mul(self.window.taps() as u64)
            .saturating_mul(shape.in_channels as u64)
    }
}

impl Layer<'_> {
    /// What the layer writes.
    pub const fn output(&self) -> Tensor {
        match self {
            Self::Conv(layer) => layer.output,
            Self::Binary(layer) => layer.output,
            Self::Table(layer) => layer.output,
            Self::Pool(layer) => layer.output,
            Self::Copy(layer) => layer.output,
            Self::Resize(layer) => layer.output,
        }
    }

    /// Multiply-accumulates.
    pub const fn macs(&self) -> u64 {
        match self {
            Self::Conv(conv) => conv.macs(),
            _ => 0,
        }
    }
}
