//! Sums, differences and products; maxima and averages.

use kiln_core::layer::{Binary, BinaryFixed, BinaryOp, Pool, PoolKind};
use kiln_core::window::Window;
use kiln_core::{arch, ops};

use super::{Buffers, Random, refill, tensor};

pub fn binary(buffers: &mut Buffers, random: &mut Random, trial: u32) {
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
        // What may be left: products but those with a vector, sums with one, what overflows, a few values, differences of
        // floats, a product written over its vector.
        let fixed = layer.fixed.is_some();
        let [to_a, to_b, scale] = layer.scales;
        let large = match fixed {
            true => shift > 15,
            false => op == BinaryOp::Sub || to_a + to_b > 64.0 * scale,
        };
        let vector = b.shape.len() == shape[2] as usize;
        let taken = match op {
            BinaryOp::Mul => vector && (fixed || to_a * to_b < scale) && output != second,
            _ => b.shape.len() == len && len > 3 && !large,
        };
        assert!(!taken, "{:?} is left", layer);
    }
}

pub fn pool(buffers: &mut Buffers, random: &mut Random, trial: u32) {
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
