//! The order in which a convolution's weights lie: what its inner loop wants.

use crate::window::Window;

/// A convolution's weights as a box: what [`Packing`] lays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelShape {
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the kernel.
    pub rows: usize,
    /// Columns of the kernel.
    pub columns: usize,
    /// Input channels of one group.
    pub in_channels: usize,
    /// ONNX's `group`.
    pub groups: usize,
}

/// Output channels that [`Packing::Blocks`] keeps together.
pub const BLOCK: usize = 16;

/// The order in which a convolution's weights lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// `[out_channels][kernel rows][kernel columns][in_channels / groups]`.
    #[default]
    Plain,
    /// `[out_channels / 16][kernel rows][row / 4][16][4]`, where a row is `[kernel columns]
    /// [in_channels / groups]` and zeros fill up what 16 and 4 do not divide; then, i32, one an output
    /// channel filled up to 16, the bias less 128 times the sum of the channel's weights: where
    /// accumulators start if 128 is added to each x. For convolutions of one group, and for depthwise
    /// ones, where a row is `[kernel columns]`; no dilation across.
    Blocks,
    /// `[out_channels / 4][taps / 4][4][4]`, where taps are `[kernel rows][kernel columns]
    /// [in_channels / groups]` and zeros fill up what 4 does not divide. For convolutions of one group.
    Quads,
    /// `[out_channels / 4][kernel rows][kernel columns][in_channels / groups][2][2]` as i16: of four
    /// output channels the first, third, second and fourth; zeros fill up. For depthwise convolutions.
    Lanes,
}

/// Output channels that [`Packing::Quads`] and [`Packing::Lanes`] keep together.
pub const QUAD: usize = 4;

impl Packing {
    /// All, by [`id`](Self::id).
    pub const ALL: [Self; 4] = [Self::Plain, Self::Blocks, Self::Quads, Self::Lanes];

    /// What stands for it in a file.
    pub const fn id(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Blocks => 1,
            Self::Quads => 2,
            Self::Lanes => 3,
        }
    }

    /// The packing that a file means.
    pub fn from_id(id: u8) -> Option<Self> {
        // In the order of `id`, of which the compiler makes no table.
        match id {
            0 => Some(Self::Plain),
            1 => Some(Self::Blocks),
            2 => Some(Self::Quads),
            3 => Some(Self::Lanes),
            _ => None,
        }
    }

    /// Bytes of the weights; `usize::MAX` where that many do not exist.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub const fn len(self, shape: KernelShape) -> usize {
        let (together, each) = match self {
            Self::Plain => (1, Self::taps(shape)),
            Self::Blocks => (BLOCK, Self::block_len(shape).saturating_add(4 * BLOCK)),
            Self::Quads => (QUAD, Self::taps(shape).div_ceil(4).saturating_mul(4 * QUAD)),
            Self::Lanes => (QUAD, Self::taps(shape).saturating_mul(2 * QUAD)),
        };
        shape.out_channels.div_ceil(together).saturating_mul(each)
    }

    /// Weights of an output channel.
    #[cfg_attr(target_os = "none", inline(never))]
    pub const fn taps(shape: KernelShape) -> usize {
        shape
            .rows
            .saturating_mul(shape.columns)
            .saturating_mul(shape.in_channels)
    }

    /// Whether [`Blocks`](Self::Blocks) can hold the weights of such a convolution.
    pub const fn blocks_suit(shape: KernelShape, window: &Window) -> bool {
        let depthwise = shape.in_channels == 1 && shape.groups == shape.out_channels;
        (shape.groups == 1 || depthwise) && (window.dilation[1] == 1 || shape.columns == 1)
    }

    /// Where the array of weights begins, in a file whose bytes begin at such an address too.
    pub const fn alignment(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Blocks => 64,
            Self::Quads | Self::Lanes => 4,
        }
    }

    /// [`Blocks`](Self::Blocks): fours of weights in a row of the kernel.
    pub const fn fours(shape: KernelShape) -> usize {
        shape.columns.saturating_mul(shape.in_channels).div_ceil(4)
    }

    /// [`Blocks`](Self::Blocks): bytes of the weights of 16 output channels.
    pub const fn block_len(shape: KernelShape) -> usize {
        shape
            .rows
            .saturating_mul(Self::fours(shape))
            .saturating_mul(4 * BLOCK)
    }

    /// Lays out `weights`, which are [`Plain`](Self::Plain), and what the packing takes of `bias`, one
    /// an output channel. `packed` is of length [`len`](Self::len) and is written as a whole; what does
    /// not fit is left out.
    pub fn pack(self, shape: KernelShape, weights: &[i8], bias: &[i32], packed: &mut [u8]) {
        packed.fill(0);
        let starts = shape.out_channels.div_ceil(BLOCK) * Self::block_len(shape);
        for (out, &bias) in bias.iter().enumerate().take(shape.out_channels) {
            let mut sum = 0_i32;
            for row in 0..shape.rows {
                for column in 0..shape.columns {
                    for input in 0..shape.in_channels {
                        let plain = Self::Plain.index(shape, out, row, column, input);
                        let weight = weights.get(plain).copied().unwrap_or(0);
                        sum = sum.wrapping_add(weight.into());
                        let index = self.index(shape, out, row, column, input);
                        let bytes = i16::from(weight).to_le_bytes();
                        let width = if self == Self::Lanes { 2 } else { 1 };
                        if let Some(place) = packed.get_mut(index..index + width) {
                            place.copy_from_slice(&bytes[..width]);
                        }
                    }
                }
            }
            if self == Self::Blocks {
                let start = bias.wrapping_sub(sum.wrapping_mul(128)).to_le_bytes();
                if let Some(bytes) = packed.get_mut(starts + 4 * out..starts + 4 * out + 4) {
                    bytes.copy_from_slice(&start);
                }
            }
        }
    }

    /// Where the weight of an output channel, a row and a column of the kernel, and an input channel
    /// of its group lies; of an i16 the first byte, which is the weight as i8. Below [`len`](Self::len) for all that are within the shape, if `len` is no
    /// longer than memory is.
    pub const fn index(
        self,
        shape: KernelShape,
        out: usize,
        row: usize,
        column: usize,
        input: usize,
    ) -> usize {
        match self {
            Self::Plain => {
                ((out * shape.rows + row) * shape.columns + column) * shape.in_channels + input
            }
            Self::Blocks => {
                let along = column * shape.in_channels + input;
                let four = row * Self::fours(shape) + along / 4;
                out / BLOCK * Self::block_len(shape) + (four * BLOCK + out % BLOCK) * 4 + along % 4
            }
            Self::Quads => {
                let tap = (row * shape.columns + column) * shape.in_channels + input;
                let four = out / QUAD * Self::taps(shape).div_ceil(4) + tap / 4;
                (four * QUAD + out % QUAD) * 4 + tap % 4
            }
            Self::Lanes => {
                let tap = (row * shape.columns + column) * shape.in_channels + input;
                let lane = out % 2 * 2 + out % QUAD / 2;
                ((out / QUAD * Self::taps(shape) + tap) * QUAD + lane) * 2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn each_weight_has_a_place_of_its_own() {
        let shapes = [(5, 3, 2, 7, 1), (6, 1, 1, 4, 2), (9, 3, 4, 1, 9)];
        for (out_channels, rows, columns, in_channels, groups) in shapes {
            let shape = KernelShape {
                out_channels,
                rows,
                columns,
                in_channels,
                groups,
            };
            for packing in Packing::ALL {
                assert_eq!(Packing::from_id(packing.id()), Some(packing));
                let mut taken = vec![false; packing.len(shape)];
                for out in 0..out_channels {
                    for row in 0..rows {
                        for column in 0..columns {
                            for input in 0..in_channels {
                                let index = packing.index(shape, out, row, column, input);
                                assert!(!taken[index], "{packing:?} {shape:?}");
                                taken[index] = true;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(Packing::from_id(Packing::ALL.len() as u8), None);
    }
}
