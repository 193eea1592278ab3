//! Every kernel that this machine has, against the plain loops.

use std::vec;
use std::vec::Vec;

use super::{Isa, isas, scratch_len};
use crate::layer::{
    Binary, BinaryFixed, BinaryOp, Conv, Layer as Any, Pool, PoolKind, Rounding, Scratch, Table,
};
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

/// AVX2 leaves all else to the plain loops.
fn does_convolutions_alone(isa: Isa) -> bool {
    std::format!("{isa:?}").starts_with("Avx2")
}

/// Runs a layer both ways over the same arena.
fn compare(isa: Isa, layer: &Any<'_>, arena: &[u8]) {
    let (mut expected, mut found) = (arena.to_vec(), arena.to_vec());
    let (plain, done) = match layer {
        Any::Binary(layer) => (
            ops::binary::run(layer, &mut expected),
            isa.binary(layer, &mut found),
        ),
        Any::Table(layer) => (
            ops::table::run(layer, &mut expected),
            isa.table(layer, &mut found),
        ),
        Any::Pool(layer) => (
            ops::pool::run(layer, &mut expected),
            isa.pool(layer, &mut found),
        ),
        _ => unreachable!(),
    };
    assert!(plain.is_some());
    if does_convolutions_alone(isa) {
        expected = arena.to_vec();
    }
    assert_eq!(done, !does_convolutions_alone(isa), "{isa:?} {layer:?}");
    assert_eq!(found, expected, "{isa:?} {layer:?}");
}

fn limits(random: &mut Random) -> [i8; 2] {
    let limits = [random.i8(), random.i8()];
    match random.below(2) {
        0 => [-128, 127],
        _ => [limits[0].min(limits[1]), limits[0].max(limits[1])],
    }
}

#[test]
fn binaries_equal_the_plain_loop() {
    let shapes = [[1, 1, 1], [3, 5, 7], [2, 4, 64], [5, 5, 13], [2, 3, 130]];
    for isa in isas() {
        let mut random = Random(3);
        for trial in 0..trials(600) {
            let shape = shapes[trial % shapes.len()];
            let len = shape.iter().product::<u32>() as usize;
            let op = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul][trial % 3];
            let b = if random.below(3) == 0 {
                [1, 1, shape[2]]
            } else {
                shape
            };
            let zero_points = [0; 3].map(|_| random.i8());
            let b = tensor(len + 3, b, zero_points[1]);
            // Apart, over `a`, or over a `b` of the same shape.
            let output = match random.below(3) {
                0 => 1,
                1 if b.shape.len() == len => len + 3,
                _ => 2 * len + 4,
            };
            let [low, high] = limits(&mut random);
            let mut factor = || random.below(1 << 14) as u16;
            let factors = [factor(), if op == BinaryOp::Mul { 0 } else { factor() }];
            let shift = 1 + random.below(30) as u8;
            let scales = [0; 3].map(|_| random.scale(-9, 3));
            let fixed = (random.below(2) == 0).then_some(BinaryFixed { factors, shift });
            let layer = Binary {
                op,
                a: tensor(1, shape, zero_points[0]),
                b,
                output: tensor(output, shape, zero_points[2]),
                scales,
                fixed,
                low,
                high,
            };
            let arena = random.bytes(3 * len + 9);
            compare(isa, &Any::Binary(layer), &arena);
        }
        // Ties, and sums far outside of the limits.
        for scale in [0.5, 1.0, 2.0, 1e30] {
            let shape = [1, 256, 256];
            let layer = Binary {
                op: BinaryOp::Add,
                a: tensor(0, shape, -3),
                b: tensor(1 << 16, shape, 100),
                output: tensor(2 << 16, shape, 7),
                scales: [scale, 0.5, 1.0],
                fixed: None,
                low: -128,
                high: 127,
            };
            let mut arena = vec![0; 3 << 16];
            for index in 0..1 << 16 {
                arena[index] = index as u8;
                arena[(1 << 16) + index] = (index >> 8) as u8;
            }
            for op in [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul] {
                compare(isa, &Any::Binary(Binary { op, ..layer }), &arena);
            }
        }
    }
}

#[test]
fn tables_and_pools_equal_the_plain_loop() {
    let maxima = [
        ([6, 8, 3], window([2, 2], [2, 2], [0; 4])),
        ([7, 5, 64], window([3, 3], [2, 2], [1; 4])),
        ([5, 7, 70], window([3, 2], [1, 1], [1, 0, 1, 1])),
        ([3, 4, 2], window([2, 2], [1, 3], [3, 2, 2, 3])),
    ];
    let averages = [[1, 1, 1], [8, 8, 64], [3, 3, 256], [25, 5, 64], [7, 2, 37]];
    for isa in isas() {
        let mut random = Random(5);
        for (input, window) in maxima {
            let [rows, columns] = window.output(input[0], input[1]).unwrap();
            let [low, high] = limits(&mut random);
            let input = tensor(3, input, 5);
            let end = 3 + input.shape.len();
            let layer = Pool {
                kind: PoolKind::Max,
                input,
                output: tensor(end, [rows, columns, input.shape.channels], 5),
                window,
                low,
                high,
            };
            let arena = random.bytes(end + layer.output.shape.len() + 1);
            compare(isa, &Any::Pool(layer), &arena);
        }
        for (input, fixed) in averages.into_iter().flat_map(|i| [(i, 0), (i, 1 << 25)]) {
            let [low, high] = limits(&mut random);
            let kernel = [input[0] as u16, input[1] as u16];
            let input = tensor(3, input, random.i8());
            let end = 3 + input.shape.len();
            let layer = Pool {
                kind: PoolKind::Average {
                    scales: [random.scale(-6, 0), random.scale(-8, -2)],
                    count_include_pad: false,
                    fixed,
                },
                input,
                output: tensor(end, [1, 1, input.shape.channels], random.i8()),
                window: window(kernel, [1, 1], [0; 4]),
                low,
                high,
            };
            let arena = random.bytes(end + layer.output.shape.len() + 1);
            compare(isa, &Any::Pool(layer), &arena);
        }
        for shape in [[1, 1, 1], [3, 5, 7], [2, 4, 64], [1, 256, 1]] {
            let table = random.bytes(256);
            let input = tensor(1, shape, 0);
            for output in [1, 2 + input.shape.len()] {
                let layer = Table {
                    input,
                    output: tensor(output, shape, 0),
                    table: &table,
                };
                let mut arena = random.bytes(2 * input.shape.len() + 5);
                for (index, value) in arena[1..].iter_mut().enumerate() {
                    *value = index as u8;
                }
                compare(isa, &Any::Table(layer), &arena);
            }
        }
    }
}
