//! AVX-512 with VNNI and VBMI: Ice Lake, Zen 4 and later.
//!
//! A vector holds 16 output channels; `vpdpbusd` multiplies four unsigned activations by four signed
//! weights in each and adds all to an i32, exactly.
#![allow(unsafe_code)]

use core::arch::x86_64::*;
use core::ops::Range;

use super::cpu;
use crate::arch::strips::Strips;
use crate::layer::{Binary, Conv, Pool, Table};
use crate::packing::{BLOCK, Packing};
use crate::tensor::Tensor;
use crate::window::Window;

mod binary;
mod dense;
mod depthwise;
mod others;
mod round;
mod tile;

use round::Rounder;

/// The proof that the instructions are there.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

/// A convolution's constants.
struct Constants<'m> {
    /// Output channels.
    channels: usize,
    /// Kernel rows.
    rows: usize,
    /// Fours of weights in a kernel row.
    fours: usize,
    /// Bytes of the weights of 16 output channels.
    block: usize,
    /// `[blocks][rows][fours][16][4]`.
    weights: &'m [u8],
    /// `[blocks][16]` i32: where accumulators start.
    starts: &'m [u8],
    /// `[channels]` f32.
    multipliers: &'m [u8],
    rounder: Rounder,
}

impl Avx512 {
    /// None where the processor has them not.
    #[inline]
    pub fn new() -> Option<Self> {
        cpu::has(cpu::AVX512).then_some(Self(()))
    }

    /// Convolution: whether it is done.
    #[inline]
    pub fn conv(self, conv: &Conv<'_>, arena: &mut [u8]) -> bool {
        // SAFETY: the instructions are there, as `self` says.
        unsafe { run(conv, arena) }.is_some()
    }

    /// Sum, difference or product: whether it is done.
    #[inline]
    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        // SAFETY: the instructions are there, as `self` says.
        unsafe { binary::run(layer, arena) }.is_some()
    }

    /// A table of each value: whether it is done.
    #[inline]
    pub fn table(self, layer: &Table<'_>, arena: &mut [u8]) -> bool {
        // SAFETY: the instructions are there, as `self` says.
        unsafe { others::table(layer, arena) }.is_some()
    }

    /// Maximum or average: whether it is done.
    #[inline]
    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        // SAFETY: the instructions are there, as `self` says.
        unsafe { others::pool(layer, arena) }.is_some()
    }
}

impl<'m> Constants<'m> {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn of(conv: &Conv<'m>) -> Option<Self> {
        let shape = conv.kernel_shape();
        let blocks = shape.out_channels.div_ceil(BLOCK);
        let block = Packing::block_len(shape);
        let (weights, rest) = conv.weights.split_at_checked(block.checked_mul(blocks)?)?;
        Some(Self {
            channels: shape.out_channels,
            rows: shape.rows,
            fours: Packing::fours(shape),
            block,
            weights,
            starts: rest.get(..4 * BLOCK * blocks)?,
            multipliers: conv.rounding.multipliers.get(..4 * shape.out_channels)?,
            rounder: Rounder::of(conv),
        })
    }

    fn blocks(&self) -> usize {
        self.starts.len() / (4 * BLOCK)
    }

    /// Which of the channels of a block exist.
    #[inline]
    fn mask(&self, block: usize) -> __mmask16 {
        match self.channels.saturating_sub(block * BLOCK) {
            left @ 0..BLOCK => (1 << left) - 1,
            _ => 0xffff,
        }
    }

    /// Where the accumulators of a block start.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn start(&self, block: usize) -> __m512i {
        debug_assert!(block < self.blocks());
        // SAFETY: there are 64 bytes for each block, and callers pass blocks that exist.
        unsafe { _mm512_loadu_si512(self.starts.as_ptr().add(block * 4 * BLOCK).cast()) }
    }

    /// The multipliers of a block; 0 for channels that do not exist.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn multipliers(&self, block: usize) -> __m512 {
        let first = self.multipliers.as_ptr().wrapping_add(block * 4 * BLOCK);
        // SAFETY: there are 4 bytes for each channel, and the mask has none but those that exist.
        unsafe { _mm512_maskz_loadu_ps(self.mask(block), first.cast()) }
    }
}

fn range(tensor: &Tensor) -> Range<usize> {
    let first = tensor.offset as usize;
    first..first.saturating_add(tensor.shape.len())
}

/// None where the layer is not one for these kernels: then nothing is written.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn run(conv: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    if conv.packing != Packing::Blocks {
        return None;
    }
    let (input, output) = (range(&conv.input), range(&conv.output));
    if conv.input.shape.pixels() == 1 && conv.window == Window::default() && conv.groups == 1 {
        let constants = Constants::of(conv)?;
        let parts = arena.get_disjoint_mut([input, output]);
        let [input, output] = parts.ok()?;
        let fits = input.len().div_ceil(4) == constants.fours
            && output.len() == constants.channels
            && conv.weight_zero_points.is_empty();
        return fits.then(|| dense::run(&constants, input, output));
    }
    let mut strips = Strips::of(conv)?;
    let constants = Constants::of(conv)?;
    let first = conv.scratch.offset as usize;
    let scratch = first..first.checked_add(strips.len())?;
    if (conv.scratch.len as usize) < strips.len() {
        return None;
    }
    if depthwise::is_narrow(conv) {
        strips = strips.narrowed();
    }
    let parts = arena.get_disjoint_mut([input, output, scratch]);
    let [input, output, strip] = parts.ok()?;
    let height = conv.output.shape.height as usize;
    let line = conv.output.shape.width as usize * constants.channels;
    for first in (0..height).step_by(strips.out_rows) {
        let rows = first..height.min(first + strips.out_rows);
        let output = output.get_mut(rows.start * line..rows.end * line)?;
        strips.copy(conv, rows, input, strip);
        if strips.depthwise {
            depthwise::run(&constants, &strips, conv, strip, output);
        } else {
            tile::run(&constants, &strips, conv, strip, output);
        }
    }
    Some(())
}
