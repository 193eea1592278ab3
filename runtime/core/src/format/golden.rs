//! Golden vectors: inputs with what every layer and the model make of them.

use crate::crc::Crc32;
use crate::layer::Layer;
use crate::tensor::Shape;

/// An input, and what the model makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Golden<'m> {
    /// i8 in NHWC, quantized.
    pub input: &'m [u8],
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

    /// Bytes of one: the input, the sums, the logits, then zeros up to a multiple of 4.
    pub(super) const fn len(input: usize, layers: usize, output: usize) -> usize {
        let sum = input.saturating_add(layers * 4).saturating_add(output);
        sum.div_ceil(4).saturating_mul(4)
    }

    /// Reads one of that length.
    pub(crate) fn parse(
        bytes: &'m [u8],
        input: usize,
        layers: usize,
        output: usize,
    ) -> Option<Self> {
        let (input, rest) = bytes.split_at_checked(input)?;
        let (sums, rest) = rest.split_at_checked(layers * 4)?;
        let logits = rest.get(..output)?;
        Some(Self {
            input,
            sums,
            logits,
        })
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
    fn a_vector_in_bytes() {
        let bytes = [1, 2, 3, 4, 0, 0, 0, 5, 6, 0, 0, 0];
        assert_eq!(Golden::len(3, 1, 2), 12);
        let golden = Golden::parse(&bytes, 3, 1, 2).unwrap();
        assert_eq!((golden.input, golden.logits), (&[1, 2, 3][..], &[5, 6][..]));
        assert!(golden.sums().eq([4]));
        assert_eq!(Golden::parse(&bytes[..8], 3, 1, 2), None);
    }
}
