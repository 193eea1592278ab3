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
    /// [`Quads`](Self::Quads), but of each two weights a, b the i16 256 a + b; then, i32, one an output
    /// channel filled up to 4, 256 times the bias less 127 times the sum of all b: where accumulators of
    /// 24 bits start. For what [`Packing::twos_hold`] says.
    Twos,
}

/// Output channels that [`Packing::Quads`], [`Packing::Lanes`] and [`Packing::Twos`] keep together.
pub const QUAD: usize = 4;

impl Packing {
    /// All, by [`id`](Self::id).
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Blocks,
        Self::Quads,
        Self::Lanes,
        Self::Twos,
    ];

    /// What stands for it in a file.
    pub const fn id(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Blocks => 1,
            Self::Quads => 2,
            Self::Lanes => 3,
            Self::Twos => 4,
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
            4 => Some(Self::Twos),
            _ => None,
        }
    }

    /// Bytes of the weights; `usize::MAX` where that many do not exist.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub const fn len(self, shape: KernelShape) -> usize {
        let taps = Self::taps(shape);
        // Output channels that lie together; their pieces, with one of where accumulators start; and bytes of a
        // piece.
        let (together, pieces, bytes) = match self {
            Self::Plain => (1, taps, 1),
            Self::Blocks => {
                let fours = shape.rows.saturating_mul(Self::fours(shape));
                (BLOCK, fours.saturating_add(1), 4 * BLOCK)
            }
            Self::Quads => (QUAD, taps.div_ceil(4), 4 * QUAD),
            Self::Twos => (QUAD, taps.div_ceil(4).saturating_add(1), 4 * QUAD),
            Self::Lanes => (QUAD, taps, 2 * QUAD),
        };
        let each = pieces.saturating_mul(bytes);
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
            Self::Quads | Self::Lanes | Self::Twos => 4,
        }
    }

    /// Whether [`Twos`](Self::Twos) holds such weights, `taps` for each output channel, and accumulators
    /// between such ends, one pair a channel.
    pub fn twos_hold(weights: &[i8], taps: usize, reach: &[(i32, i32)]) -> bool {
        const END: i32 = 1 << 23;
        let holds = |two: &[i8]| !matches!(two, &[i8::MIN, b] if b < 0);
        let mut channels = weights.chunks(taps.max(1));
        channels.all(|weights| weights.chunks(2).all(holds))
            && reach.iter().all(|&(low, high)| low >= -END && high < END)
    }

    /// Where the accumulators of [`Twos`](Self::Twos) start.
    pub const fn twos_starts(shape: KernelShape) -> usize {
        let quads = shape.out_channels.div_ceil(QUAD);
        quads.saturating_mul(Self::quad_len(shape))
    }

    /// Bytes of the weights of four output channels.
    const fn quad_len(shape: KernelShape) -> usize {
        Self::taps(shape).div_ceil(4).saturating_mul(4 * QUAD)
    }

    /// The weight at an [`index`](Self::index) of `weights`; none behind their end.
    #[inline(always)]
    pub fn weight(self, weights: &[u8], index: usize) -> Option<i8> {
        match self {
            Self::Twos => Self::of_two(weights, index),
            _ => weights.get(index).map(|byte| byte.cast_signed()),
        }
    }

    /// The first of two is the upper half, which has lent to the lower one where that is negative.
    #[inline(never)]
    fn of_two(weights: &[u8], index: usize) -> Option<i8> {
        let byte = weights.get(index ^ 1)?;
        let lent = match index % 2 {
            0 => weights.get(index)? >> 7,
            _ => 0,
        };
        Some(byte.wrapping_add(lent).cast_signed())
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
        let starts = match self {
            Self::Twos => Self::twos_starts(shape),
            _ => shape.out_channels.div_ceil(BLOCK) * Self::block_len(shape),
        };
        for (out, &bias) in bias.iter().enumerate().take(shape.out_channels) {
            let mut sum = 0_i32;
            for row in 0..shape.rows {
                for column in 0..shape.columns {
                    for input in 0..shape.in_channels {
                        let plain = Self::Plain.index(shape, out, row, column, input);
                        let weight = weights.get(plain).copied().unwrap_or(0);
                        let index = self.index(shape, out, row, column, input);
                        if self != Self::Twos || index % 2 == 1 {
                            sum = sum.wrapping_add(weight.into());
                        }
                        let bytes = i16::from(weight).to_le_bytes();
                        let width = if self == Self::Lanes { 2 } else { 1 };
                        if let Some(place) = packed.get_mut(index..index + width) {
                            place.copy_from_slice(&bytes[..width]);
                        }
                    }
                }
            }
            let start = match self {
                Self::Blocks => bias.wrapping_sub(sum.wrapping_mul(128)),
                Self::Twos => (bias << 8).wrapping_sub(sum.wrapping_mul(127)),
                _ => continue,
            };
            if let Some(bytes) = packed.get_mut(starts + 4 * out..starts + 4 * out + 4) {
                bytes.copy_from_slice(&start.to_le_bytes());
            }
        }
        if self == Self::Twos {
            let (twos, _) = packed.split_at_mut(starts.min(packed.len()));
            for two in twos.as_chunks_mut().0 {
                let [upper, lower] = *two;
                *two = [lower, upper.wrapping_sub(lower >> 7)];
            }
        }
    }

    /// Where the weight of an output channel, a row and a column of the kernel, and an input channel
    /// of its group lies, as [`weight`](Self::weight) reads it; of an i16 the first byte, which is the weight as
    /// i8. Below [`len`](Self::len) for all that are within the shape, if `len` is no longer than memory is.
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
            Self::Quads | Self::Twos => {
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

    /// All pairs of weights but those that do not fit, and what is between them and the starts.
    #[test]
    fn twos_give_each_weight_back() {
        let shape = KernelShape {
            out_channels: 2,
            rows: 1,
            columns: 1,
            in_channels: 1 << 17,
            groups: 1,
        };
        let all = || (i8::MIN..=i8::MAX).flat_map(|a| (i8::MIN..=i8::MAX).map(move |b| (a, b)));
        let mut weights = vec![0; 1 << 18];
        for (two, (a, b)) in weights.chunks_exact_mut(2).zip(all().chain(all())) {
            two.copy_from_slice(&[a, b]);
        }
        let taps = 1 << 17;
        assert!(!Packing::twos_hold(&weights, taps, &[]));
        for two in weights.chunks_exact_mut(2) {
            two[0] = two[0].max(if two[1] < 0 { -127 } else { -128 });
        }
        assert!(Packing::twos_hold(
            &weights,
            taps,
            &[(-1 << 23, (1 << 23) - 1)]
        ));
        assert!(!Packing::twos_hold(&weights, taps, &[(0, 1 << 23)]));
        assert!(!Packing::twos_hold(&weights, taps, &[(-1 - (1 << 23), 0)]));
        // Of a channel's last weight nothing is asked.
        assert!(Packing::twos_hold(&[1, 2, -128, -3, 4, 5], 3, &[]));
        let mut packed = vec![0x55; Packing::Twos.len(shape)];
        Packing::Twos.pack(shape, &weights, &[3, -70_000], &mut packed);
        for (at, &weight) in weights.iter().enumerate() {
            let index = Packing::Twos.index(shape, at / taps, 0, 0, at % taps);
            assert_eq!(Packing::Twos.weight(&packed, index), Some(weight), "{at}");
        }
        let seconds = |out: usize| {
            let all = weights[out * taps..][..taps].chunks_exact(2);
            all.map(|two| i32::from(two[1])).sum::<i32>()
        };
        let starts = Packing::twos_starts(shape);
        let expected = [
            3 * 256 - 127 * seconds(0),
            -70_000 * 256 - 127 * seconds(1),
            0,
            0,
        ];
        assert_eq!(packed[starts..], crate::testing::words(&expected));
        // Low weights are those of the words that are read as they are.
        let word = u16::from_le_bytes([packed[0], packed[1]]).cast_signed();
        assert_eq!(
            i32::from(word),
            256 * i32::from(weights[0]) + i32::from(weights[1])
        );
    }
}
