//! Convolutions against the plain loop, by the loops in Rust; `tests-mcu` has those of each core.

use std::vec;
use std::vec::Vec;

use super::{Core, Isa, loops, needs, scratch_len};
use crate::layer::{Binary, BinaryFixed, BinaryOp, Conv, Rounding, Scratch};
use crate::operators::{Operator, Set};
use crate::ops;
use crate::packing::{KernelShape, Packing};
use crate::testing::{Random, floats, tensor, trials, words};
use crate::window::Window;

/// A convolution with random constants; depthwise where there are no output channels.
fn check(random: &mut Random, input: [u32; 3], out_channels: u32, window: Window) {
    let depthwise = out_channels == 0;
    let (groups, out_channels) = match depthwise {
        true => (input[2], input[2]),
        false => (1, out_channels),
    };
    let case = (input, out_channels, window);
    let packing = if depthwise {
        Packing::Lanes
    } else {
        Packing::Quads
    };
    let Some([height, width]) = window.output(input[0], input[1]) else {
        return;
    };
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
    let mut packed = vec![0; packing.len(shape)];
    let reach = (Packing::taps(shape) as f32).sqrt() * 5400.0;
    let bias: Vec<i32> = (0..out_channels)
        .map(|_| random.below(2 * reach as u64) as i32 - reach as i32)
        .collect();
    let multipliers: Vec<f32> = (0..out_channels)
        .map(|_| random.scale(-1, 2) * 60.0 / reach)
        .collect();
    // Channels with factors and without, in any order; or all with one, and no multipliers.
    let every = random.below(3) == 0;
    let fixed: Vec<i32> = multipliers
        .iter()
        .map(|m| match random.below(4) {
            0 if !every => 0,
            _ => ((m * 4e9) as i32).max(1),
        })
        .collect();
    packing.pack(shape, &plain, &bias, &mut packed);
    let words = |values: &[i32]| &*aligned(&words(values));
    let [low, high] = match random.below(2) {
        0 => [-128, 127],
        _ => [-90, 101],
    };
    let len = input.iter().product::<u32>() as usize;
    // Armv6-M reads words of the input of one pixel where it lies.
    let first = if height * width == 1 { 4 } else { 3 };
    let input = tensor(first, input, random.i8());
    let output = tensor(first + 2 + len, [height, width, out_channels], random.i8());
    let end = first + 6 + len + output.shape.len();
    let multipliers = match every {
        true => &[],
        false => &*aligned(&floats(&multipliers)),
    };
    let fixed = match random.below(4) {
        0 if !every => &[],
        _ => words(&fixed),
    };
    let mut conv = Conv {
        input,
        output,
        window,
        groups,
        packing,
        weights: aligned(&packed),
        weight_zero_points: &[],
        bias: words(&bias),
        rounding: Rounding {
            multipliers,
            fixed,
            low,
            high,
        },
        scratch: Scratch::default(),
    };
    conv.scratch.offset = end.next_multiple_of(4) as u32;
    for core in [Core::Products, Core::Bytes, Core::Halves, Core::Vectors] {
        // What a core asks for is enough for its kernels, and the least for all but those of one pixel
        // and for vectors, which gather more columns where they have room.
        let mut exact = conv;
        exact.scratch.len = scratch_len(core, &conv).unwrap() as u32;
        assert!(
            needs(core, &exact, Set::EVERY).is_some(),
            "{core:?} {case:?}"
        );
        let vectors = core == Core::Vectors && !depthwise;
        if exact.scratch.len > 0 && height * width > 1 && !vectors {
            exact.scratch.len -= 1;
            assert_eq!(needs(core, &exact, Set::EVERY), None, "{core:?} {case:?}");
        }
    }
    conv.scratch.len = scratch_len(loops::CORE, &conv).unwrap() as u32;
    // With some bytes more, which nobody writes.
    let behind = (conv.scratch.offset + conv.scratch.len) as usize;
    let arena = random.bytes(behind + 16);
    let (mut expected, found) = (arena.clone(), aligned(&arena));
    ops::conv::run(&conv, &mut expected).unwrap();
    assert!(Isa.conv(&conv, found), "left {case:?}");
    assert_eq!(found[..end], expected[..end], "{case:?}");
    assert_eq!(found[behind..], expected[behind..], "{case:?}");
    // So it is with just the kernels that it needs, and without them nothing is written.
    let set = needs(loops::CORE, &conv, Set::EVERY).unwrap();
    let found = aligned(&arena);
    assert!(Isa.conv_of(&conv, set, found), "{case:?} {set:?}");
    assert_eq!(found[..end], expected[..end], "{case:?} {set:?}");
    let found = aligned(&arena);
    assert!(!Isa.conv_of(&conv, Set::NONE, found) && *found == arena);
    // In an arena that lies elsewhere, or without scratch, it is not done and nothing is written, or it takes none.
    let mut elsewhere = conv;
    elsewhere.scratch.offset += 1;
    let mut without = conv;
    without.scratch.len = 0;
    for other in [elsewhere, without] {
        let found = aligned(&arena);
        let done = Isa.conv(&other, found);
        let wanted = if done { &expected } else { &arena };
        assert_eq!(found[..end], wanted[..end], "{case:?}");
        assert!(!done || height * width == 1, "{case:?}");
        assert_eq!(needs(loops::CORE, &other, Set::EVERY).is_some(), done);
    }
}

/// Bytes that stay, at a multiple of 4.
fn aligned(bytes: &[u8]) -> &'static mut [u8] {
    let copy = vec![0_u8; bytes.len() + 4].leak();
    let skip = copy.as_ptr().align_offset(4);
    let copy = &mut copy[skip..skip + bytes.len()];
    copy.copy_from_slice(bytes);
    copy
}

#[test]
fn convolutions_equal_the_plain_loop() {
    let mut random = Random(7);
    for _ in 0..trials(1500) {
        let mut to = |least: u64, most: u64| least + random.below(most - least + 1);
        let kernel = match to(0, 3) {
            0 => [1, 1],
            1 => [3, 3],
            _ => [to(1, 5) as u16, to(1, 5) as u16],
        };
        let depthwise = to(0, 2) == 0;
        let dilation = if depthwise {
            [1; 2]
        } else {
            [to(1, 2) as u16, to(1, 2) as u16]
        };
        let stride = if to(0, 1) == 0 {
            [1; 2]
        } else {
            [to(1, 3) as u16, to(1, 3) as u16]
        };
        let window = Window {
            kernel,
            stride,
            dilation,
            padding: [0; 4].map(|_| to(0, 2) as u16 * to(0, 1) as u16),
        };
        let channels = match to(0, 2) {
            0 => 4 * to(1, 6),
            _ => to(1 + u64::from(depthwise), 20),
        };
        let input = [to(1, 9), to(1, 12), channels].map(|n| n as u32);
        let out_channels = if depthwise { 0 } else { to(1, 13) as u32 };
        check(&mut random, input, out_channels, window);
    }
}

/// One output pixel: fully connected, and kernels as large as their input.
#[test]
fn points_equal_the_plain_loop() {
    let mut random = Random(8);
    for input in [[1, 1, 64], [1, 1, 3], [1, 1, 130], [3, 4, 5], [2, 2, 8]] {
        for out_channels in [1, 2, 4, 7, 12, 40] {
            let window = Window {
                kernel: [input[0] as u16, input[1] as u16],
                ..Window::default()
            };
            check(&mut random, input, out_channels, window);
        }
    }
}

/// Products with one number a channel, in floats and in integers, where they lie over their operand and apart.
#[test]
fn products_equal_the_plain_loop() {
    let mut random = Random(11);
    let mut taken = 0;
    for trial in 0..trials(2000) as u32 {
        let shape = [1 + trial % 4, 1 + trial % 5, 1 + trial % 9];
        let len = shape.iter().product::<u32>() as usize;
        let second = 1 + len;
        let output = [1, second + shape[2] as usize][trial as usize % 2];
        let layer = Binary {
            op: BinaryOp::Mul,
            a: tensor(1, shape, random.i8()),
            b: tensor(second, [1, 1, shape[2]], random.i8()),
            output: tensor(output, shape, random.i8()),
            scales: match trial % 7 {
                // Ties.
                0 => [0.5, 0.25, 1.0],
                _ => [0; 3].map(|_| random.scale(-9, -1)),
            },
            fixed: (trial % 3 == 0).then(|| BinaryFixed {
                factors: [random.below(1 << 14) as u16, 0],
                shift: 1 + random.below(30) as u8,
            }),
            low: -120,
            high: 125,
        };
        let arena = random.bytes(second + 9 + len);
        let (mut expected, mut found) = (arena.clone(), arena);
        ops::binary::run(&layer, &mut expected).unwrap();
        if Isa.binary(&layer, &mut found) {
            taken += 1;
            assert_eq!(found, expected, "{layer:?}");
        } else {
            let [a, b, output] = layer.scales;
            assert!(layer.fixed.is_none() && a * b > output, "{layer:?} is left");
        }
        let without = Set::from_bits(!Set::NONE.with(Operator::Product).bits());
        assert!(!Isa.binary_of(&layer, without, &mut found));
    }
    assert!(taken > trials(2000) / 3, "{taken}");
}

/// Sums that the operator for them alone takes are done by it, whatever lies where; the others are left, or are
/// what the plain loop makes.
#[test]
fn sums_equal_the_plain_loop() {
    let alone = Set::NONE.with(Operator::Sum);
    let mut random = Random(12);
    let mut taken = 0;
    for trial in 0..trials(2000) as u32 {
        let shape = [1 + trial % 3, 1 + trial % 4, 1 + trial % 5];
        let len = shape.iter().product::<u32>() as usize;
        let second = 1 + len;
        let output = [1, second, second + len, second + 1][random.below(4) as usize];
        let layer = Binary {
            op: [BinaryOp::Add, BinaryOp::Sub][trial as usize % 7 / 5],
            a: tensor(1, shape, random.i8()),
            b: tensor(second, shape, random.i8()),
            output: tensor(output, shape, random.i8()),
            scales: [0; 3].map(|_| random.scale(-9, 3)),
            fixed: (random.below(2) == 0).then(|| BinaryFixed {
                factors: [0; 2].map(|_| random.below(1 << 14) as u16),
                shift: 1 + random.below(30) as u8,
            }),
            low: -120,
            high: 125,
        };
        let takes = super::takes_sum(&layer);
        let over = output == second + 1;
        assert!(
            !takes || len.is_multiple_of(4) && (!over || len == 1),
            "{layer:?}"
        );
        let arena = random.bytes(second + 2 * len);
        let (mut expected, mut found) = (arena.clone(), arena.clone());
        ops::binary::run(&layer, &mut expected).unwrap();
        match Isa.binary_of(&layer, alone, &mut found) {
            true => assert_eq!(found, expected, "{layer:?}"),
            false => assert!(!takes && found == arena, "{layer:?} is left"),
        }
        assert!(!Isa.binary_of(&layer, Set::NONE, &mut found));
        taken += usize::from(takes);
    }
    assert!(taken > trials(2000) / 10, "{taken}");
}
