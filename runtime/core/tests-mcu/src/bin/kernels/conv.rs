//! Convolutions.

use kiln_core::arch;
use kiln_core::layer::{Conv, Rounding, Scratch};
use kiln_core::packing::{KernelShape, Packing};
use kiln_core::window::Window;

use super::placed::{Placed, gap};
use super::{Buffers, Random, tensor};

/// Rows, columns and channels; output channels, or 0 for depthwise; kernel, stride, padding.
pub type Case = ([u32; 3], u32, [u16; 2], [u16; 2], [u16; 4]);

/// MLPerf Tiny's kinds of layers, smaller, and shapes at the edges of columns, fours and pairs.
pub const CASES: [Case; 26] = [
    ([9, 7, 3], 16, [3, 3], [1, 1], [1; 4]),
    ([10, 8, 3], 7, [3, 3], [2, 2], [0, 0, 1, 1]),
    ([9, 11, 16], 16, [3, 3], [1, 1], [1; 4]),
    ([9, 9, 16], 20, [3, 3], [2, 2], [0, 0, 1, 1]),
    ([8, 8, 16], 32, [1, 1], [2, 2], [0; 4]),
    ([5, 6, 64], 12, [3, 3], [1, 1], [1; 4]),
    ([13, 10, 1], 64, [10, 4], [2, 2], [4, 1, 5, 1]),
    ([5, 5, 64], 64, [1, 1], [1, 1], [0; 4]),
    ([7, 8, 8], 16, [1, 1], [1, 1], [0; 4]),
    ([3, 3, 20], 21, [1, 1], [1, 1], [0; 4]),
    ([4, 5, 19], 23, [1, 1], [1, 1], [0; 4]),
    ([6, 7, 5], 3, [2, 5], [3, 2], [1, 2, 0, 3]),
    ([1, 1, 64], 10, [1, 1], [1, 1], [0; 4]),
    ([1, 1, 67], 130, [1, 1], [1, 1], [0; 4]),
    ([1, 1, 3], 1, [1, 1], [1, 1], [0; 4]),
    ([1, 1, 640], 9, [1, 1], [1, 1], [0; 4]),
    ([4, 4, 7], 5, [4, 4], [1, 1], [0; 4]),
    ([12, 12, 8], 0, [3, 3], [1, 1], [1; 4]),
    ([9, 7, 8], 0, [3, 3], [1, 1], [1; 4]),
    ([12, 12, 8], 0, [3, 3], [2, 2], [0, 0, 1, 1]),
    ([11, 7, 19], 0, [3, 3], [1, 1], [1; 4]),
    ([5, 5, 64], 0, [3, 3], [1, 1], [1; 4]),
    ([3, 3, 40], 0, [3, 3], [2, 2], [1; 4]),
    ([9, 9, 17], 0, [5, 5], [1, 1], [2; 4]),
    ([1, 30, 12], 0, [1, 9], [1, 1], [0, 4, 0, 4]),
    ([6, 6, 3], 0, [3, 2], [1, 1], [1, 0, 1, 1]),
];

/// A random convolution and its dilation.
pub fn shape(random: &mut Random) -> (Case, u16) {
    let depthwise = random.below(3) == 0;
    let sides = |random: &mut Random, most| [0; 2].map(|_| random.between(1, most) as u16);
    let kernel = match random.below(4) {
        0 => [1, 1],
        1 => [3, 3],
        _ => sides(random, 5),
    };
    let stride = match random.below(2) {
        0 => [1, 1],
        _ => sides(random, 3),
    };
    let padding = [0; 4].map(|_| (random.below(3) * random.below(2)) as u16);
    let channels = match random.below(3) {
        0 => 4 * random.between(1, 6),
        _ => random.between(1 + u32::from(depthwise), 20),
    };
    let input = [random.between(1, 8), random.between(1, 12), channels];
    let out_channels = if depthwise { 0 } else { random.between(1, 13) };
    let dilation = if depthwise { 1 } else { random.between(1, 2) };
    let case = (input, out_channels, kernel, stride, padding);
    (case, dilation as u16)
}

/// Compares a convolution with the plain loop, its tensors apart and one over the other.
pub fn check(buffers: &mut Buffers, random: &mut Random, case: Case, dilation: u16) {
    let (input, out_channels, kernel, stride, padding) = case;
    let window = Window {
        kernel,
        stride,
        dilation: [dilation; 2],
        padding,
    };
    let Some([height, width]) = window.output(input[0], input[1]) else {
        return;
    };
    let depthwise = out_channels == 0;
    let out_channels = if depthwise { input[2] } else { out_channels };
    let groups = if depthwise { input[2] } else { 1 };
    let shape = KernelShape {
        out_channels: out_channels as usize,
        rows: kernel[0].into(),
        columns: kernel[1].into(),
        in_channels: (input[2] / groups) as usize,
        groups: groups as usize,
    };
    let len = Packing::Plain.len(shape);
    let plain = &mut buffers.plain[..len];
    // Sums of a few products are then as far from 0 as they can be.
    let ends = random.below(4) == 0;
    plain.fill_with(|| random.value(ends));
    // Accumulators reach the limits and beyond. Factors are not quite the multipliers, so that it shows
    // which is taken; one of four quads has none. Or all have one, and there are no multipliers.
    let reach = 5400 * (Packing::taps(shape) as u32).isqrt();
    let factors = random.below(4) != 0;
    let every = factors && random.below(3) == 0;
    let mut without = false;
    for channel in 0..shape.out_channels {
        let at = 4 * channel..4 * channel + 4;
        let bias = random.below(2 * reach) as i32 - reach as i32;
        let multiplier = (40 + random.below(80)) as f32 / reach as f32;
        if channel % 4 == 0 {
            without = !every && random.below(4) == 0;
        }
        let factor = if without {
            0
        } else {
            (multiplier * 4.0e9) as i32
        };
        buffers.bias[channel] = bias;
        buffers.bias_bytes.0[at.clone()].copy_from_slice(&bias.to_le_bytes());
        buffers.multipliers.0[at.clone()].copy_from_slice(&multiplier.to_le_bytes());
        buffers.fixed.0[at].copy_from_slice(&factor.to_le_bytes());
    }
    let [low, high] = random.limits();
    let values = input.iter().product::<u32>() as usize;
    // Armv6-M reads words; where the one column is read as it lies, that is at a multiple of 4.
    let start = match height * width {
        1 => 4,
        _ => random.below(4) as usize,
    };
    let input = tensor(start, input, random.i8());
    let output = tensor(start + values, [height, width, out_channels], random.i8());
    let mut conv = Conv {
        input,
        output,
        window,
        groups,
        packing: Packing::Plain,
        weights: &[],
        weight_zero_points: &[],
        bias: &buffers.bias_bytes.0,
        rounding: Rounding {
            multipliers: if every { &[] } else { &buffers.multipliers.0 },
            fixed: if factors { &buffers.fixed.0 } else { &[] },
            low,
            high,
        },
        scratch: Scratch::default(),
    };
    conv.packing = match arch::takes_twos(&conv) && random.below(4) > 0 {
        true => Packing::Twos,
        false => arch::cortex_m_packing(&conv),
    };
    if conv.packing == Packing::Twos {
        let plain = &mut buffers.plain[..len];
        for two in plain
            .chunks_mut(Packing::taps(shape))
            .flat_map(|w| w.chunks_mut(2))
        {
            two[0] = two[0].max(-i8::MAX);
        }
        assert!(Packing::twos_hold(plain, Packing::taps(shape), &[]));
    }
    let packed = &mut buffers.packed.0[..conv.packing.len(shape)];
    conv.packing.pack(
        shape,
        &buffers.plain[..len],
        &buffers.bias[..shape.out_channels],
        packed,
    );
    conv.weights = packed;
    let mut test = Placed {
        name: (case, dilation),
        conv,
        found: &mut buffers.arena.0,
        expected: &mut buffers.expected.0,
        len: 0,
    };
    test.apart(|| random.value(ends));
    test.conv.output.offset = start as u32;
    test.conv.input.offset = (start + gap(&conv)) as u32;
    if height * width == 1 {
        test.conv.input.offset = test.conv.input.offset.next_multiple_of(4);
    }
    test.overlapping(|| random.value(ends));
}
