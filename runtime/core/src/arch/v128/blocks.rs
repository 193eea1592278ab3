//! Convolution with weights in [`Packing::Blocks`], for any [`Dot`].
#![allow(unsafe_code)]

use core::array;
use core::ops::Range;

use super::strips::Strips;
use super::vector::{Dot, Vector};
use crate::layer::{Conv, Rounding};
use crate::packing::{BLOCK, Packing};
use crate::rounding::word;
use crate::tensor::Tensor;

/// Runs the layer, `P` pixels at a time; none where it is not one for this kernel, or the scratch is
/// too short, or input and output share bytes: then nothing is written.
pub fn conv<D: Dot, const P: usize>(isa: D, conv: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    let strips = Strips::of(conv)?;
    if strips.len() > conv.scratch.len as usize {
        return None;
    }
    let shape = conv.kernel_shape();
    let (weights, _) = conv.weights.as_chunks::<{ 4 * BLOCK }>();
    let fours = Packing::fours(shape);
    let task = Task {
        fours,
        columns: shape.columns,
        // Of a kernel with one row it may be anything.
        row: strips
            .row()
            .wrapping_mul(usize::from(conv.window.dilation[0])),
        step: strips.step(),
        channels: shape.out_channels,
    };
    let blocks = task.channels.div_ceil(BLOCK);
    let block = shape.rows * fours;
    let weights = weights.get(..blocks * block)?;
    let scratch = conv.scratch.offset as usize..conv.scratch.offset as usize + strips.len();
    let (input, output) = (range(&conv.input), range(&conv.output));
    if conv.bias.len() < 4 * task.channels || conv.rounding.multipliers.len() < 4 * task.channels {
        return None;
    }
    let parts = arena.get_disjoint_mut([input, output, scratch]);
    let [input, output, strip] = parts.ok()?;
    let (height, width) = (
        conv.output.shape.height as usize,
        conv.output.shape.width as usize,
    );
    let stride = strips.stride[0] * strips.row();
    for first in (0..height).step_by(strips.out_rows.max(1)) {
        let rows = first..height.min(first + strips.out_rows);
        strips.copy(conv, rows.clone(), input, strip);
        let line = width * task.channels;
        let output = output.get_mut(rows.start * line..rows.end * line)?;
        // Under one tap there is nothing between the rows.
        let line = if conv.window.taps() == 1 {
            output.len()
        } else {
            line
        };
        for (index, weights) in weights.chunks_exact(block.max(1)).enumerate() {
            let block = Block::of(conv, weights, index)?;
            let slice = match strips.depthwise {
                true => strip.get(index * strips.slice()..)?,
                false => &*strip,
            };
            for (y, line) in output.chunks_exact_mut(line.max(1)).enumerate() {
                let x = slice.get(y * stride..)?;
                match strips.depthwise {
                    true => task.depthwise(isa.vector(), &block, x, line)?,
                    false => task.dense::<D, P>(isa, &block, x, line)?,
                }
            }
        }
    }
    Some(())
}

/// Its bytes in the arena.
pub fn range(tensor: &Tensor) -> Range<usize> {
    let start = tensor.offset as usize;
    start..start.saturating_add(tensor.shape.len())
}

/// What all rows of a layer share.
struct Task {
    /// Fours of bytes in a row of the kernel.
    fours: usize,
    /// Columns of the kernel.
    columns: usize,
    /// Bytes between the kernel's rows in the strip.
    row: usize,
    /// Bytes between the inputs of neighbouring outputs.
    step: usize,
    /// Output channels.
    channels: usize,
}

/// The constants of 16 output channels; zeros for those that are not there.
struct Block<'m> {
    /// `[kernel rows][fours]`
    weights: &'m [[u8; 4 * BLOCK]],
    first: usize,
    bias: [i32; BLOCK],
    multipliers: [f32; BLOCK],
    zero_point: i8,
    low: i8,
    high: i8,
}

impl<'m> Block<'m> {
    fn of(conv: &Conv<'m>, weights: &'m [[u8; 4 * BLOCK]], index: usize) -> Option<Self> {
        let Rounding {
            multipliers,
            low,
            high,
            ..
        } = conv.rounding;
        let first = index * BLOCK;
        let mut block = Self {
            weights,
            first,
            bias: [0; BLOCK],
            multipliers: [0.0; BLOCK],
            zero_point: conv.output.zero_point,
            low,
            high,
        };
        let here = (conv.output.shape.channels as usize).checked_sub(first)?;
        for (index, bias) in block.bias.iter_mut().enumerate().take(here) {
            *bias = i32::from_le_bytes(word(conv.bias, first + index)?);
        }
        for (index, multiplier) in block.multipliers.iter_mut().enumerate().take(here) {
            *multiplier = f32::from_le_bytes(word(multipliers, first + index)?);
        }
        Some(block)
    }

    /// From accumulators without bias to outputs. Equation (3).
    #[inline(always)]
    fn round<V: Vector>(&self, isa: V, sums: [V::Words; 4]) -> [u8; BLOCK] {
        let (bias, _) = self.bias.as_chunks();
        let (multipliers, _) = self.multipliers.as_chunks();
        let rounded = array::from_fn(|part| {
            let acc = isa.add(sums[part], isa.words(&bias[part]));
            isa.to_words(isa.mul_floats(isa.to_floats(acc), isa.floats(&multipliers[part])))
        });
        let bytes = isa.narrow(rounded, self.zero_point.into());
        let bytes = isa.min(isa.max(bytes, isa.byte(self.low)), isa.byte(self.high));
        isa.to_array(bytes)
    }

    /// Writes a pixel's part.
    #[inline(always)]
    fn write(&self, bytes: [u8; BLOCK], pixel: &mut [u8]) {
        if let Some(pixel) = pixel.get_mut(self.first..) {
            match pixel.first_chunk_mut() {
                Some(pixel) => *pixel = bytes,
                None => pixel
                    .iter_mut()
                    .zip(bytes)
                    .for_each(|(to, byte)| *to = byte),
            }
        }
    }
}

/// Pixels of a depthwise convolution at a time.
const PIXELS: usize = 4;

impl Task {
    /// Whether all that `width` outputs of a row read lies in `x`, if each tap's row has `bytes`.
    fn fits(&self, x: &[u8], rows: usize, bytes: usize, width: usize) -> bool {
        width > 0 && (width - 1) * self.step + rows.saturating_sub(1) * self.row + bytes <= x.len()
    }

    /// Channels and fours, which are not 0: here the compiler can see it, and that nothing panics.
    fn divisors(&self) -> (usize, usize) {
        (self.channels.max(1), self.fours.max(1))
    }

    /// A row of outputs, each of all input channels.
    fn dense<D: Dot, const P: usize>(
        &self,
        isa: D,
        block: &Block<'_>,
        x: &[u8],
        out: &mut [u8],
    ) -> Option<()> {
        let (channels, fours) = self.divisors();
        let width = out.len() / channels;
        let rows = block.weights.len() / fours;
        if !self.fits(x, rows, 4 * self.fours, width) {
            return None;
        }
        let pixels = out.chunks_mut(P.saturating_mul(channels)).enumerate();
        for (tile, out) in pixels {
            let last = out.len() / channels - 1;
            // Where pixels are left over, the last is computed more than once.
            let at: [usize; P] = array::from_fn(|p| (tile * P + p.min(last)) * self.step);
            let mut sums = [isa.zero(); P];
            for (row, weights) in block.weights.chunks_exact(fours).enumerate() {
                // SAFETY: `at` is at most `width - 1` steps, so the offset and the bytes that are
                // read from there on are within `x`: `fits`.
                unsafe {
                    let x = at.map(|at| x.as_ptr().add(at + row * self.row));
                    isa.dot(&mut sums, weights, x);
                }
            }
            for (sums, out) in sums.into_iter().zip(out.chunks_exact_mut(channels)) {
                block.write(block.round(isa.vector(), isa.finish(sums)), out);
            }
        }
        Some(())
    }

    /// A row of outputs, each of its own input channel; `x` holds 16 channels.
    fn depthwise<V: Vector>(
        &self,
        isa: V,
        block: &Block<'_>,
        x: &[u8],
        out: &mut [u8],
    ) -> Option<()> {
        let (channels, fours) = self.divisors();
        let width = out.len() / channels;
        let rows = block.weights.len() / fours;
        if !self.fits(x, rows, self.columns * BLOCK, width) {
            return None;
        }
        let (x, _) = x.as_chunks::<BLOCK>();
        let (row, step) = (self.row / BLOCK, self.step / BLOCK);
        for (tile, out) in out.chunks_mut(PIXELS.saturating_mul(channels)).enumerate() {
            let last = out.len() / channels - 1;
            let at: [usize; PIXELS] = array::from_fn(|p| (tile * PIXELS + p.min(last)) * step);
            let mut sums = [[isa.word(0); 4]; PIXELS];
            for (index, weights) in block.weights.iter().enumerate() {
                let (down, along) = (index / fours, index % fours * 4);
                let taps = isa.taps(weights);
                for (tap, weights) in taps.into_iter().enumerate().take(self.columns - along) {
                    let weights = isa.widen(weights);
                    let offset = down * row + along + tap;
                    for (sums, at) in sums.iter_mut().zip(at) {
                        // SAFETY: as in `dense`, in units of 16 bytes.
                        let x = unsafe { x.get_unchecked(at + offset) };
                        *sums = isa.multiply_add(*sums, isa.widen(isa.bytes(x)), weights);
                    }
                }
            }
            for (sums, out) in sums.into_iter().zip(out.chunks_exact_mut(channels)) {
                block.write(block.round(isa, sums), out);
            }
        }
        Some(())
    }
}
