//! Every kernel that this machine has, against the plain loops.

use std::vec;
use std::vec::Vec;

use super::{Isa, isas, scratch_len};
use crate::layer::{Conv, Rounding, Scratch};
use crate::ops;
use crate::packing::{KernelShape, Packing};
use crate::testing::{Random, floats, tensor, trials, words};
use crate::window::Window;

/// Rows, columns, channels; output channels, or 0 for depthwise.
type Case = ([u32; 3], u32, Window);

const fn window(kernel: [u16; 2], stride: [u16; 2], padding: [u16; 4]) -> Window {
    Window {
        kernel,
        stride,
        dilation: [1; 2],
        padding,
    }
}

/// MLPerf Tiny's kinds of layers, smaller, and shapes at the edges of tiles, blocks and fours.
const CASES: [Case; 30] = [
    ([12, 9, 3], 16, window([3, 3], [1, 1], [1; 4])),
    ([12, 10, 3], 8, window([3, 3], [2, 2], [0, 0, 1, 1])),
    ([9, 33, 16], 16, window([3, 3], [1, 1], [1; 4])),
    ([9, 25, 16], 32, window([3, 3], [2, 2], [0, 0, 1, 1])),
    ([8, 8, 16], 32, window([1, 1], [2, 2], [0; 4])),
    ([7, 9, 16], 32, window([1, 1], [2, 3], [1, 0, 2, 1])),
    ([7, 8, 64], 64, window([3, 3], [1, 1], [1; 4])),
    ([13, 10, 1], 64, window([10, 4], [2, 2], [4, 1, 5, 1])),
    ([5, 5, 64], 64, window([1, 1], [1, 1], [0; 4])),
    ([3, 3, 20], 200, window([1, 1], [1, 1], [0; 4])),
    ([6, 7, 5], 33, window([2, 5], [3, 2], [1, 2, 0, 3])),
    ([1, 40, 6], 17, window([1, 7], [1, 1], [0, 3, 0, 3])),
    ([9, 1, 7], 50, window([4, 1], [1, 1], [2, 0, 1, 0])),
    ([1, 1, 64], 10, window([1, 1], [1, 1], [0; 4])),
    ([1, 1, 67], 130, window([1, 1], [1, 1], [0; 4])),
    ([1, 1, 3], 1, window([1, 1], [1, 1], [0; 4])),
    ([1, 1, 640], 128, window([1, 1], [1, 1], [0; 4])),
    ([4, 4, 7], 5, window([4, 4], [1, 1], [0; 4])),
    ([12, 12, 8], 0, window([3, 3], [1, 1], [1; 4])),
    ([9, 7, 8], 0, window([3, 3], [1, 1], [1; 4])),
    ([12, 12, 8], 0, window([3, 3], [2, 2], [0, 0, 1, 1])),
    ([11, 7, 16], 0, window([3, 3], [1, 1], [1; 4])),
    ([12, 9, 32], 0, window([3, 3], [2, 2], [0, 0, 1, 1])),
    ([5, 5, 64], 0, window([3, 3], [1, 1], [1; 4])),
    ([3, 3, 40], 0, window([3, 3], [1, 1], [1; 4])),
    ([9, 9, 24], 0, window([5, 5], [1, 1], [2; 4])),
    ([9, 9, 17], 0, window([7, 7], [2, 2], [3; 4])),
    ([1, 30, 12], 0, window([1, 9], [1, 1], [0, 4, 0, 4])),
    ([6, 6, 3], 0, window([3, 2], [1, 1], [1, 0, 1, 1])),
    ([6, 6, 130], 0, window([1, 1], [1, 1], [0; 4])),
];

struct Layer {
    conv: Conv<'static>,
    arena: Vec<u8>,
}

/// A layer of a case with random constants, whose accumulators reach the limits and beyond.
fn layer(random: &mut Random, (input, out_channels, window): Case) -> Layer {
    let groups = if out_channels == 0 { input[2] } else { 1 };
    let out_channels = if out_channels == 0 {
        input[2]
    } else {
        out_channels
    };
    let [height, width] = window.output(input[0], input[1]).unwrap();
    let shape = KernelShape {
        out_channels: out_channels as usize,
        rows: window.kernel[0].into(),
        columns: window.kernel[1].into(),
        in_channels: (input[2] / groups) as usize,
        groups: groups as usize,
    };
    let plain: Vec<i8> = (0..Packing::Plain.len(shape))
        .map(|_| random.i8())
        .collect();
    let extreme = random.below(4) == 0;
    let reach = ((plain.len() / shape.out_channels) as f32).sqrt() * 5400.0;
    let bias: Vec<i32> = (0..out_channels)
        .map(|_| match extreme {
            true => (random.next() >> 32) as i32 >> random.below(12),
            false => random.below(2 * reach as u64) as i32 - reach as i32,
        })
        .collect();
    let multipliers: Vec<f32> = (0..out_channels)
        .map(|_| match extreme {
            true => random.scale(-40, 20),
            false => random.scale(-1, 2) * 60.0 / reach,
        })
        .collect();
    let mut packed = vec![0; Packing::Blocks.len(shape)];
    Packing::Blocks.pack(shape, &plain, &bias, &mut packed);
    let limits = [random.i8(), random.i8()];
    let [low, high] = if random.below(2) == 0 {
        [-128, 127]
    } else {
        limits
    };
    let len = input.iter().product::<u32>() as usize;
    let input = tensor(3, input, random.i8());
    let output = tensor(3 + len + 2, [height, width, out_channels], random.i8());
    let end = 3 + len + 2 + output.shape.len() + 5;
    let mut conv = Conv {
        input,
        output,
        window,
        groups,
        packing: Packing::Blocks,
        weights: packed.leak(),
        weight_zero_points: &[],
        bias: words(&bias).leak(),
        rounding: Rounding {
            multipliers: floats(&multipliers).leak(),
            fixed: &[],
            low: low.min(high),
            high: low.max(high),
        },
        scratch: Scratch::default(),
    };
    conv.scratch.offset = end as u32;
    conv.scratch.len = scratch_len(&conv) as u32;
    let arena = random.bytes(end + conv.scratch.len as usize);
    Layer { conv, arena }
}

/// Every byte outside of the scratch is as after the plain loop.
fn check(isa: Isa, random: &mut Random, case: Case) {
    let Layer { conv, arena } = layer(random, case);
    let scratch = conv.scratch.offset as usize;
    let mut expected = arena.clone();
    ops::conv::run(&conv, &mut expected).unwrap();
    let mut found = arena.clone();
    assert!(isa.conv(&conv, &mut found), "{isa:?} left {case:?}");
    assert_eq!(found[..scratch], expected[..scratch], "{isa:?} {case:?}");
    // With too little scratch, where some is needed, or an output over the input, it is not done and nothing is written.
    if conv.input.shape.pixels() > 1 {
        let mut less = conv;
        less.scratch.len -= 1;
        let mut found = arena.clone();
        assert!(!isa.conv(&less, &mut found) && found == arena);
    }
    let mut over = conv;
    over.output.offset = conv.input.offset + 1;
    let mut found = arena.clone();
    assert!(!isa.conv(&over, &mut found) && found == arena);
}

#[test]
fn convolutions_equal_the_plain_loop() {
    for isa in isas() {
        let mut random = Random(7);
        for case in CASES {
            check(isa, &mut random, case);
        }
        for _ in 0..trials(400) {
            let mut to = |least: u64, most: u64| least + random.below(most - least + 1);
            let kernel = [to(1, 5) as u16, to(1, 5) as u16];
            let window = Window {
                kernel,
                stride: [to(1, 3) as u16, to(1, 3) as u16],
                dilation: [to(1, 2) as u16, 1],
                padding: [0; 4].map(|_| to(0, 2) as u16),
            };
            let depthwise = to(0, 2) == 0;
            let input = [to(9, 14), to(5, 20), to(1 + u64::from(depthwise), 50)].map(|n| n as u32);
            let out_channels = if depthwise { 0 } else { to(1, 80) as u32 };
            check(isa, &mut random, (input, out_channels, window));
        }
    }
}
