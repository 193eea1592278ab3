//! The way of a convolution's input into scratch: some rows at a time, surrounded by what pads them,
//! so that inner loops see no borders.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "there may be no kernels")
)]

use core::ops::Range;

use crate::layer::Conv;
use crate::packing::{BLOCK, Packing};

/// What is added to each value without a carry: 128 for inner loops that multiply unsigned by signed.
const OFFSET: u8 = if cfg!(target_arch = "x86_64") {
    0x80
} else {
    0
};

/// Pixels to the right of the last one that kernels may read, whatever is there.
pub const MORE_PIXELS: usize = 16;

/// Bytes behind those.
pub const MORE_BYTES: usize = 64;

/// Bytes that a strip shall not much exceed: half of a first-level cache.
const TARGET: usize = 16 << 10;

/// How the input of a convolution is cut. A strip is `[slices][rows][width][depth]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strips {
    /// Whether each output channel reads one input channel; slices are 16 channels then.
    pub depthwise: bool,
    /// Output rows of a full strip.
    pub out_rows: usize,
    /// Rows of a full strip.
    pub rows: usize,
    /// Columns, with padding.
    pub width: usize,
    /// Channels that lie together.
    pub depth: usize,
    /// Parts into which channels fall.
    pub slices: usize,
    /// Strip rows and columns between outputs.
    pub stride: [usize; 2],
    /// Input rows and columns between the strip's: a kernel of one tap needs no others.
    skip: [usize; 2],
}

impl Strips {
    /// None where no fast kernel takes the convolution.
    pub fn of(conv: &Conv<'_>) -> Option<Self> {
        let (shape, window, input) = (conv.kernel_shape(), conv.window, conv.input.shape);
        let [out_height, out_width] = window.output(input.height, input.width)?;
        let fits = conv.packing == Packing::Blocks
            && Packing::blocks_suit(shape, &window)
            && conv.weight_zero_points.is_empty()
            && !input.is_empty()
            && !conv.output.shape.is_empty()
            && conv.output.shape.height == out_height
            && conv.output.shape.width == out_width;
        if !fits {
            return None;
        }
        let channels = input.channels.max(1) as usize;
        let depthwise = shape.groups > 1;
        let depth = if depthwise { BLOCK } else { channels };
        let slices = channels.div_ceil(depth);
        let stride = window.stride.map(usize::from);
        let [_, left, _, right] = window.padding.map(usize::from);
        let (stride, skip, width) = if window.taps() == 1 {
            ([1; 2], stride, out_width as usize)
        } else {
            (stride, [1; 2], input.width as usize + left + right)
        };
        let span = window.span()[0] as usize;
        let row = width.checked_mul(depth)?.checked_mul(slices)?;
        let out_rows = (TARGET / row.max(1)).saturating_sub(span) / stride[0].max(1) + 1;
        let out_rows = out_rows.max(4).min(out_height as usize);
        Some(Self {
            depthwise,
            out_rows,
            rows: (out_rows - 1).checked_mul(stride[0])?.checked_add(span)?,
            width,
            depth,
            slices,
            stride,
            skip,
        })
    }

    /// The same for eight channels that lie together, where there are no more.
    pub const fn narrowed(&self) -> Self {
        Self { depth: 8, ..*self }
    }

    /// Bytes of scratch.
    pub const fn len(&self) -> usize {
        let more = self.step().saturating_mul(MORE_PIXELS);
        self.slice()
            .saturating_mul(self.slices)
            .saturating_add(more)
            .saturating_add(MORE_BYTES)
    }

    /// Bytes of a row.
    pub const fn row(&self) -> usize {
        self.width.saturating_mul(self.depth)
    }

    /// Bytes of a slice.
    pub const fn slice(&self) -> usize {
        self.row().saturating_mul(self.rows)
    }

    /// Bytes between what neighbouring outputs of a row read.
    pub const fn step(&self) -> usize {
        self.depth.saturating_mul(self.stride[1])
    }

    /// Copies what the output rows `out` read from `input`, the whole activation, to `strip`.
    #[inline(always)]
    pub fn copy(&self, conv: &Conv<'_>, out: Range<usize>, input: &[u8], strip: &mut [u8]) {
        let shape = conv.input.shape;
        let (height, channels) = (shape.height as usize, shape.channels as usize);
        let top = usize::from(conv.window.padding[0]);
        let first = out.start * self.stride[0];
        let padding = conv.input.zero_point.cast_unsigned() ^ OFFSET;
        let input_row = shape.width as usize * channels;
        let slices = strip
            .chunks_exact_mut(self.slice().max(1))
            .take(self.slices);
        for (slice, strip) in slices.enumerate() {
            for (index, row) in strip.chunks_exact_mut(self.row().max(1)).enumerate() {
                let y = ((first + index) * self.skip[0]).wrapping_sub(top);
                let source = input.get(y.saturating_mul(input_row)..);
                match source.and_then(|source| source.get(..input_row)) {
                    Some(source) if y < height => {
                        self.copy_row(conv, slice * self.depth, source, row, padding);
                    }
                    _ => row.fill(padding),
                }
            }
        }
    }

    /// Channels from `from` on.
    #[inline(always)]
    fn copy_row(&self, conv: &Conv<'_>, from: usize, source: &[u8], row: &mut [u8], padding: u8) {
        let channels = conv.input.shape.channels.max(1) as usize;
        let left = usize::from(conv.window.padding[1]);
        if self.skip[1] != 1 {
            let mut at = 0_usize
                .wrapping_sub(left)
                .wrapping_mul(channels)
                .wrapping_add(from);
            for pixel in row.chunks_exact_mut(self.depth.max(1)) {
                match source.get(at..) {
                    None | Some([]) => pixel.fill(padding),
                    Some(source) => flip(pixel, source),
                }
                at = at.wrapping_add(self.skip[1] * channels);
            }
            return;
        }
        let (before, rest) = row.split_at_mut((left * self.depth).min(row.len()));
        before.fill(padding);
        let (inside, after) =
            rest.split_at_mut((source.len() / channels * self.depth).min(rest.len()));
        after.fill(padding);
        if self.depth == channels {
            flip(inside, source);
            return;
        }
        let full = from + self.depth <= channels;
        let pixels = inside.chunks_exact_mut(self.depth.max(1));
        for (pixel, source) in pixels.zip(source.chunks_exact(channels)) {
            let source = source.get(from..).unwrap_or_default();
            match (
                pixel.first_chunk_mut::<BLOCK>(),
                source.first_chunk::<BLOCK>(),
            ) {
                (Some(pixel), Some(source)) if full => *pixel = source.map(|value| value ^ OFFSET),
                _ => flip(pixel, source),
            }
        }
    }
}

#[inline(always)]
fn flip(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    let (to, to_rest) = to.split_at_mut(len).0.as_chunks_mut::<16>();
    let (from, from_rest) = from.split_at(len).0.as_chunks::<16>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.map(|value| value ^ OFFSET);
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = from ^ OFFSET;
    }
}
