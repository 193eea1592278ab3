//! Records of layers: what kind, which tensors, geometry, and where the constants are. Their bytes are in
//! [`bytes`].
//!
//! Constants are named by their first byte in the constants' section; how long they are follows
//! from the shapes.

mod bytes;

use crate::layer::{BinaryFixed, BinaryOp, PoolKind, Scratch};
use crate::packing::Packing;
use crate::window::Window;

/// The longest record's bytes.
pub const MAX_RECORD_LEN: usize = ConvRecord::LEN;

/// A layer as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LayerRecord {
    /// Convolution.
    Conv(ConvRecord),
    /// Sum, difference or product.
    Binary(BinaryRecord),
    /// A table of each value.
    Table(TableRecord),
    /// Maximum or average.
    Pool(PoolRecord),
    /// Writes its input into a part of its output.
    Copy(CopyRecord),
    /// Nearest neighbour.
    Resize(ResizeRecord),
}

/// [`Conv`](crate::layer::Conv).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvRecord {
    /// The tensor that it reads.
    pub input: u16,
    /// The tensor that it writes.
    pub output: u16,
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// ONNX's `group`.
    pub groups: u32,
    /// The order of the weights.
    pub packing: Packing,
    /// Least and greatest output.
    pub limits: [i8; 2],
    /// Constants: i8.
    pub weights: u32,
    /// Constants: i8 an output channel, or [`NONE`](super::NONE).
    pub weight_zero_points: u32,
    /// Constants: i32 an output channel.
    pub bias: u32,
    /// Constants: f32 an output channel.
    pub multipliers: u32,
    /// Constants: i32 an output channel, or [`NONE`](super::NONE).
    pub fixed: u32,
    /// What fast kernels need.
    pub scratch: Scratch,
}

/// [`Binary`](crate::layer::Binary).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryRecord {
    /// Which.
    pub op: BinaryOp,
    /// The first tensor that it reads.
    pub a: u16,
    /// The second.
    pub b: u16,
    /// The tensor that it writes.
    pub output: u16,
    /// Of `a`, `b` and the output.
    pub scales: [f32; 3],
    /// The same bits in integers.
    pub fixed: Option<BinaryFixed>,
    /// Least and greatest output.
    pub limits: [i8; 2],
}

/// [`Table`](crate::layer::Table).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableRecord {
    /// The tensor that it reads.
    pub input: u16,
    /// The tensor that it writes.
    pub output: u16,
    /// Constants: 256 i8, or 256 a channel.
    pub table: u32,
    /// Whether there are 256 a channel.
    pub per_channel: bool,
}

/// [`Pool`](crate::layer::Pool).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolRecord {
    /// How the values of a window become one.
    pub kind: PoolKind,
    /// The tensor that it reads.
    pub input: u16,
    /// The tensor that it writes.
    pub output: u16,
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// Least and greatest output.
    pub limits: [i8; 2],
}

/// [`Copy`](crate::layer::Copy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyRecord {
    /// The tensor that it reads.
    pub input: u16,
    /// The tensor into which it writes.
    pub output: u16,
    /// Row, column and channel of the output at which the input's first value goes.
    pub at: [u32; 3],
    /// What the rest of the output is filled with, if this layer fills it.
    pub fill: Option<i8>,
    /// Constants: 256 i8, or [`NONE`](super::NONE).
    pub table: u32,
}

/// [`Resize`](crate::layer::Resize).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizeRecord {
    /// The tensor that it reads.
    pub input: u16,
    /// The tensor that it writes.
    pub output: u16,
    /// Down, across.
    pub factors: [u32; 2],
}
