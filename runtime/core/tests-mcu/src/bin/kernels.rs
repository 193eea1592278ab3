//! Every kernel of this core against the plain loop, to the byte: a table of shapes, then random ones. Ends
//! with failure at the first that differs.
#![no_std]
#![no_main]

use cortex_m_semihosting::{debug, hprintln};
use kiln_core::Aligned;
use kiln_core::layer::{Binary, BinaryFixed, BinaryOp, Conv, Pool, PoolKind, Rounding, Scratch};
use kiln_core::packing::{KernelShape, Packing};
use kiln_core::tensor::{Shape, Tensor};
use kiln_core::window::Window;
use kiln_core::{arch, ops};
use panic_semihosting as _;

/// Rows, columns and channels; output channels, or 0 for depthwise; kernel, stride, padding.
type Case = ([u32; 3], u32, [u16; 2], [u16; 2], [u16; 4]);

/// MLPerf Tiny's kinds of layers, smaller, and shapes at the edges of columns, fours and pairs.
const CASES: [Case; 26] = [
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

/// Bytes of each of the buffers.
const ROOM: usize = 1 << 15;
const CHANNELS: usize = 160;

/// Numbers that look random and are the same on every run.
struct Random(u32);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(self.0) * u64::from(end)) >> 32) as u32
    }

    fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most - least + 1)
    }

    fn i8(&mut self) -> i8 {
        self.below(256) as i8
    }

    /// Any, or one of the ends.
    fn value(&mut self, ends: bool) -> i8 {
        match (ends, self.i8()) {
            (true, value) => [i8::MIN, i8::MAX][usize::from(value > 0)],
            (false, value) => value,
        }
    }

    fn limits(&mut self) -> [i8; 2] {
        match self.below(2) {
            0 => [-128, 127],
            _ => [-101, 90],
        }
    }
}

/// What layers are made in.
struct Buffers {
    plain: [i8; ROOM],
    packed: Aligned<[u8; ROOM]>,
    bias: [i32; CHANNELS],
    bias_bytes: Aligned<[u8; 4 * CHANNELS]>,
    multipliers: Aligned<[u8; 4 * CHANNELS]>,
    fixed: Aligned<[u8; 4 * CHANNELS]>,
    arena: Aligned<[u8; ROOM]>,
    expected: Aligned<[u8; ROOM]>,
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut BUFFERS: Buffers = Buffers {
        plain: [0; ROOM],
        packed: Aligned([0; ROOM]),
        bias: [0; CHANNELS],
        bias_bytes: Aligned([0; 4 * CHANNELS]),
        multipliers: Aligned([0; 4 * CHANNELS]),
        fixed: Aligned([0; 4 * CHANNELS]),
        arena: Aligned([0; ROOM]),
        expected: Aligned([0; ROOM]),
    };
    let mut random = Random(1);
    for case in CASES {
        conv(BUFFERS, &mut random, case, 1);
    }
    for _ in 0..400 {
        let (case, dilation) = shape(&mut random);
        conv(BUFFERS, &mut random, case, dilation);
    }
    for trial in 0..200 {
        binary(BUFFERS, &mut random, trial);
        pool(BUFFERS, &mut random, trial);
    }
    hprintln!("kernels equal the plain loops");
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}

/// A random convolution and its dilation.
fn shape(random: &mut Random) -> (Case, u16) {
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

fn tensor(offset: usize, [height, width, channels]: [u32; 3], zero_point: i8) -> Tensor {
    Tensor {
        offset: offset as u32,
        shape: Shape::new(height, width, channels),
        zero_point,
    }
}

/// Fills the arena with random bytes, and what is expected with the same.
fn refill(buffers: &mut Buffers, random: &mut Random, len: usize) {
    for byte in &mut buffers.arena.0[..len] {
        *byte = random.i8() as u8;
    }
    buffers.expected.0[..len].copy_from_slice(&buffers.arena.0[..len]);
}

fn conv(buffers: &mut Buffers, random: &mut Random, case: Case, dilation: u16) {
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
    // which is taken; one of four quads has none.
    let reach = 5400 * (Packing::taps(shape) as u32).isqrt();
    let factors = random.below(4) != 0;
    let mut without = false;
    for channel in 0..shape.out_channels {
        let at = 4 * channel..4 * channel + 4;
        let bias = random.below(2 * reach) as i32 - reach as i32;
        let multiplier = (40 + random.below(80)) as f32 / reach as f32;
        if channel % 4 == 0 {
            without = random.below(4) == 0;
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
            multipliers: &buffers.multipliers.0,
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
    let end = start + values + output.shape.len();
    conv.scratch.offset = end as u32;
    conv.scratch.len = arch::scratch_len(&conv) as u32;
    // With some bytes more, which nobody writes.
    let behind = end + conv.scratch.len as usize;
    let len = behind + 16;
    for byte in &mut buffers.arena.0[..len] {
        *byte = random.value(ends) as u8;
    }
    buffers.expected.0[..len].copy_from_slice(&buffers.arena.0[..len]);
    let (found, expected) = (&mut buffers.arena.0[..len], &mut buffers.expected.0[..len]);
    assert!(ops::conv::run(&conv, expected).is_some());
    assert!(
        arch::conv(&conv, found),
        "{:?} is left to the plain loop",
        case
    );
    assert!(
        found[..end] == expected[..end],
        "{:?} dilation {}",
        case,
        dilation
    );
    assert!(found[behind..] == expected[behind..], "{:?}", case);
    // So it is with just the kernels that it needs.
    found[start + values..end].fill(0x5a);
    let needs = arch::cortex_m_needs(&conv).unwrap();
    assert!(arch::conv_of(&conv, needs, found), "{:?} {:?}", case, needs);
    assert!(found[..end] == expected[..end], "{:?} {:?}", case, needs);
    // Without scratch it is, and nothing is written; or it takes none.
    conv.scratch.len = 0;
    let before = found[0];
    let done = arch::conv(&conv, found);
    assert!(found[0] == before && (!done || height * width == 1));
    assert!(!done || found[..end] == expected[..end]);
}

fn binary(buffers: &mut Buffers, random: &mut Random, trial: u32) {
    let shape = [
        random.between(1, 5),
        random.between(1, 5),
        random.between(1, 40),
    ];
    let len = shape.iter().product::<u32>() as usize;
    let op = [BinaryOp::Add, BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul][trial as usize % 4];
    let b = if random.below(4) == 0 {
        [1, 1, shape[2]]
    } else {
        shape
    };
    let start = random.below(4) as usize;
    let second = start + len + random.below(4) as usize;
    let b = tensor(second, b, random.i8());
    // Apart, over `a`, or over a `b` of the same shape.
    let output = match random.below(3) {
        0 => start,
        1 if b.shape.len() == len => second,
        _ => second + len,
    };
    let factors = [
        random.between(1, 1 << 14) as u16 - 1,
        match op {
            BinaryOp::Mul => 0,
            _ => random.below(1 << 14) as u16,
        },
    ];
    let shift = random.between(1, 30) as u8;
    let [low, high] = random.limits();
    let scales = match random.below(4) {
        // Ties.
        0 => [0.5, 0.25, 1.0],
        _ => [0; 3].map(|_| (1 + random.below(4000)) as f32 / 4096.0),
    };
    let layer = Binary {
        op,
        a: tensor(start, shape, random.i8()),
        b,
        output: tensor(output, shape, random.i8()),
        scales,
        fixed: (random.below(2) == 0).then_some(BinaryFixed { factors, shift }),
        low,
        high,
    };
    let room = second + 2 * len + 4;
    refill(buffers, random, room);
    let (found, expected) = (
        &mut buffers.arena.0[..room],
        &mut buffers.expected.0[..room],
    );
    assert!(ops::binary::run(&layer, expected).is_some());
    if arch::binary(&layer, found) {
        assert!(found == expected, "{:?}", layer);
    } else {
        // What may be left: products, vectors, what overflows, a few values, differences of floats.
        let fixed = layer.fixed.is_some();
        let [to_a, to_b, scale] = layer.scales;
        let large = match fixed {
            true => shift > 15,
            false => op == BinaryOp::Sub || to_a + to_b > 64.0 * scale,
        };
        let taken = op != BinaryOp::Mul && b.shape.len() == len && len > 3 && !large;
        assert!(!taken, "{:?} is left", layer);
    }
}

fn pool(buffers: &mut Buffers, random: &mut Random, trial: u32) {
    let input = [
        random.between(1, 6),
        random.between(1, 6),
        random.between(1, 40),
    ];
    let kernel = match trial % 2 {
        0 => [input[0] as u16, input[1] as u16],
        _ => [random.between(1, 3) as u16, random.between(1, 3) as u16],
    };
    let window = Window {
        kernel,
        stride: [random.between(1, 2) as u16, random.between(1, 2) as u16],
        padding: if trial % 4 == 1 { [1; 4] } else { [0; 4] },
        ..Window::default()
    };
    let Some([height, width]) = window.output(input[0], input[1]) else {
        return;
    };
    let kind = match random.below(3) {
        0 => PoolKind::Max,
        _ => PoolKind::Average {
            scales: [0.02 + random.below(100) as f32 / 1000.0, 0.03],
            count_include_pad: random.below(2) == 0,
            fixed: (random.below(2) << 24) as i32,
        },
    };
    let [low, high] = random.limits();
    let input = tensor(random.below(4) as usize, input, random.i8());
    let end = input.offset as usize + input.shape.len();
    let layer = Pool {
        kind,
        input,
        output: tensor(end, [height, width, input.shape.channels], random.i8()),
        window,
        low,
        high,
    };
    let len = end + layer.output.shape.len();
    refill(buffers, random, len);
    let (found, expected) = (&mut buffers.arena.0[..len], &mut buffers.expected.0[..len]);
    assert!(ops::pool::run(&layer, expected).is_some());
    if arch::pool(&layer, found) {
        assert!(found == expected, "{:?}", layer);
    }
}
