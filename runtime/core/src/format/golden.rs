//! Golden vectors: what every layer and the model make of inputs that are drawn.

use crate::crc::Crc32;
use crate::layer::Layer;
use crate::tensor::Shape;

/// What the model makes of an input that a seed stands for: a file holds no input, so none of a
/// picture that was trained with either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Golden<'m> {
    /// Of the input.
    pub seed: u32,
    /// [`output_sum`] of each layer, u32, little endian.
    pub sums: &'m [u8],
    /// i8: the output, quantized.
    pub logits: &'m [u8],
}

impl<'m> Golden<'m> {
    /// [`output_sum`] of each layer.
    pub fn sums(&self) -> impl Iterator<Item = u32> + use<'m> {
        let (sums, _) = self.sums.as_chunks();
        sums.iter().map(|&sum| u32::from_le_bytes(sum))
    }

    /// Bytes of one: the seed, the sums, the logits, then zeros up to a multiple of 4.
    pub(super) const fn len(layers: usize, output: usize) -> usize {
        let sum = ((1 + layers) * 4).saturating_add(output);
        sum.div_ceil(4).saturating_mul(4)
    }

    /// Reads one of that length.
    pub(crate) fn parse(bytes: &'m [u8], layers: usize, output: usize) -> Option<Self> {
        let (&seed, rest) = bytes.split_first_chunk()?;
        let (sums, rest) = rest.split_at_checked(layers * 4)?;
        Some(Self {
            seed: u32::from_le_bytes(seed),
            sums,
            logits: rest.get(..output)?,
        })
    }
}

/// The values of an input, i8, without end: runs of 64, each about a level of its own and as rough
/// as it may be, so that a layer sees flat parts, edges and noise.
///
/// The numbers are those of xorshift32 (G. Marsaglia, Xorshift RNGs, 2003).
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    state: u32,
    /// Values of this run that are still to come.
    left: u8,
    level: i8,
    /// By how many bits the run's noise is less than the greatest.
    calm: u8,
}

impl Drawn {
    /// Those of a seed.
    pub const fn new(seed: u32) -> Self {
        Self {
            // Not 0, which would stay 0, and far from those of the seeds beside it.
            state: (seed.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995) | 1,
            left: 0,
            level: 0,
            calm: 0,
        }
    }

    fn next_u32(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }
}

impl Iterator for Drawn {
    type Item = i8;

    fn next(&mut self) -> Option<i8> {
        if self.left == 0 {
            let [level, calm, ..] = self.next_u32().to_be_bytes();
            (self.left, self.level, self.calm) = (64, level as i8, calm % 8);
        }
        self.left -= 1;
        let [noise, ..] = self.next_u32().to_be_bytes();
        Some(self.level.saturating_add(noise as i8 >> self.calm))
    }
}

/// CRC-32 of what a layer has written, in NHWC; `output` is all of its output tensor. Of a
/// [`Copy`](crate::layer::Copy) that does not fill the rest of its output, it is the part that it
/// writes.
pub fn output_sum(layer: &Layer<'_>, output: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    match layer {
        Layer::Copy(copy) if copy.fill.is_none() => {
            let whole = copy.output.shape;
            let Shape {
                height,
                width,
                channels,
            } = copy.input.shape;
            let [row, column, channel] = copy.at.map(|at| at as usize);
            for y in 0..height as usize {
                for x in 0..width as usize {
                    let pixel = (row + y) * whole.width as usize + column + x;
                    let start = pixel * whole.channels as usize + channel;
                    let part = output.get(start..start + channels as usize);
                    crc.update(part.unwrap_or_default());
                }
            }
        }
        _ => crc.update(output),
    }
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crc::crc32;
    use crate::layer::Copy;
    use crate::testing::tensor;

    #[test]
    fn the_sum_is_of_what_is_written() {
        let copy = |fill| {
            Layer::Copy(Copy {
                input: tensor(0, [2, 1, 2], 0),
                output: tensor(0, [3, 2, 3], 0),
                at: [1, 1, 1],
                fill,
                table: &[],
            })
        };
        let output: [u8; 18] = core::array::from_fn(|index| index as u8);
        assert_eq!(output_sum(&copy(Some(0)), &output), crc32(&output));
        assert_eq!(output_sum(&copy(None), &output), crc32(&[10, 11, 16, 17]));
    }

    #[test]
    fn inputs_are_drawn_again_alike() {
        let drawn = |seed| Drawn::new(seed).take(1000).collect::<std::vec::Vec<_>>();
        assert_eq!(drawn(1)[..8], [-20, -15, -26, -28, -26, -17, -28, -14]);
        assert_ne!(drawn(0), drawn(1));
        // Smooth and rough runs, all kinds of values.
        let runs = drawn(7);
        let widths = runs.chunks_exact(64).map(|run| {
            let (least, most) = (run.iter().min().unwrap(), run.iter().max().unwrap());
            i16::from(*most) - i16::from(*least)
        });
        let widths: std::vec::Vec<_> = widths.collect();
        assert!(widths.iter().any(|&width| width < 8));
        assert!(widths.iter().any(|&width| width > 200));
        assert!(runs.contains(&i8::MIN) && runs.contains(&i8::MAX));
    }

    #[test]
    fn a_vector_in_bytes() {
        let bytes = [1, 2, 0, 0, 4, 0, 0, 0, 5, 6, 0, 0];
        assert_eq!(Golden::len(1, 2), 12);
        let golden = Golden::parse(&bytes, 1, 2).unwrap();
        assert_eq!((golden.seed, golden.logits), (513, &[5, 6][..]));
        assert!(golden.sums().eq([4]));
        assert_eq!(Golden::parse(&bytes[..8], 1, 2), None);
        assert_eq!(Golden::parse(&bytes[..3], 1, 2), None);
    }
}
