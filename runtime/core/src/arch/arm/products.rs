//! Products with one number a channel, as squeeze-and-excite's. QUANTIZATION.md, equations (10) and (11).

use super::binary::{ERROR, is_over_or_apart, keep_to};
use super::range;
use crate::layer::{Binary, BinaryOp};
use crate::ops::binary::value;

/// Whether [`run`] takes a layer that lies as most do: over its first operand, or apart.
pub fn takes(layer: &Binary) -> bool {
    Scale::of(layer).is_some()
}

/// Outputs of products of integers: `(product * factor >> shift) + zero`, `factor` rounded once a channel.
struct Scale {
    factor: f32,
    shift: u32,
    /// That is so where the part that is shifted out, `margin` taken off, is below `settled`; elsewhere what floats
    /// lose could make another.
    margin: i32,
    settled: u32,
}

impl Scale {
    /// None where the layer is another.
    fn of(layer: &Binary) -> Option<Self> {
        let [a, b, output] = [&layer.a, &layer.b, &layer.output].map(|tensor| tensor.shape);
        if layer.op != BinaryOp::Mul
            || b.len() != output.channels as usize
            || a.len() != output.len()
        {
            return None;
        }
        let (factor, shift, margin) = match layer.fixed {
            // Below 2^14, so that floats have its products with integers of 8 bits exactly.
            Some(fixed) => (fixed.factors[0].into(), fixed.shift.into(), 0),
            None => {
                let [a_scale, b_scale, scale] = layer.scales;
                let ratio = a_scale * b_scale / scale;
                // As many bits as leave sums below 2^30.
                let fits =
                    |bits: &u32| (65_025.0 * ratio + 1.0) * (1 << bits) as f32 <= (1 << 30) as f32;
                let bits = (14..=21).rev().find(fits)?;
                (ratio * (1 << bits) as f32, bits, ERROR as i32)
            }
        };
        Some(Self {
            factor,
            shift,
            margin,
            settled: (1 << shift) - 2 * margin as u32,
        })
    }
}

/// Runs the layer; none where it is left to the plain loop, and nothing is written.
#[inline(never)]
pub fn run(layer: &Binary, arena: &mut [u8]) -> Option<()> {
    let [a, b, output] = [layer.a, layer.b, layer.output].map(|tensor| range(&tensor, arena));
    let (a, b, output) = (a?, b?, output?);
    let over_b = b.start < output.end && output.start < b.end;
    if over_b || !is_over_or_apart(&a, &output) {
        return None;
    }
    let scale = Scale::of(layer)?;
    let [a_zero, b_zero, zero] =
        [layer.a, layer.b, layer.output].map(|tensor| i32::from(tensor.zero_point));
    let (len, channels) = (output.len(), b.len());
    let bytes = arena.as_mut_ptr();
    let mut channel = Channel {
        input: bytes.wrapping_add(a.start),
        output: bytes.wrapping_add(output.start),
        end: len,
        step: channels,
        factor: 0,
        start: 0,
        shift: scale.shift,
        mask: (1 << scale.shift) - 1,
        settled: scale.settled,
        zero,
    };
    for first in 0..channels {
        // SAFETY: `range` has looked at the lengths.
        unsafe {
            let in_b = bytes.add(b.start + first).read() as i8;
            channel.factor = ((i32::from(in_b) - b_zero) as f32 * scale.factor) as i32;
            let half = 1 << (scale.shift - 1);
            channel.start = half - a_zero * channel.factor - scale.margin;
            let mut place = first;
            loop {
                place = channel.settle(place);
                if place >= len {
                    break;
                }
                let in_a = channel.input.add(place).read() as i8;
                let exact = value(layer, in_a, in_b) as u8;
                channel.output.add(place).write(exact);
                place += channels;
            }
        }
    }
    keep_to(layer, arena.get_mut(output)?);
    Some(())
}

/// A channel of all pixels.
struct Channel {
    input: *const u8,
    output: *mut u8,
    /// Behind the last place.
    end: usize,
    /// From a pixel's place to the next one's.
    step: usize,
    factor: i32,
    /// What a value's product is added to.
    start: i32,
    shift: u32,
    mask: u32,
    settled: u32,
    zero: i32,
}

impl Channel {
    /// Writes outputs from a place on, up to the first that is not settled: where that is, or behind the last.
    ///
    /// # Safety
    ///
    /// Input and output have all places.
    #[inline(never)]
    unsafe fn settle(&self, mut place: usize) -> usize {
        let Self {
            input,
            output,
            end,
            step,
            factor,
            start,
            shift,
            mask,
            settled,
            zero,
        } = *self;
        while place < end {
            // SAFETY: as the caller says.
            unsafe {
                let value = i32::from(input.add(place).read() as i8);
                let sum = value * factor + start;
                if sum as u32 & mask >= settled {
                    break;
                }
                let result = ((sum >> shift) + zero).clamp(-128, 127) as u8;
                output.add(place).write(result);
            }
            place += step;
        }
        place
    }
}
