//! Every kernel of this core against the plain loop, to the byte: a table of shapes, then random ones. Ends
//! with failure at the first that differs.
#![no_std]
#![no_main]

use cortex_m_semihosting::{debug, hprintln};
use kiln_core::Aligned;
use kiln_core::tensor::{Shape, Tensor};
use panic_semihosting as _;

mod conv;
mod others;
mod placed;

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
    for case in conv::CASES {
        conv::check(BUFFERS, &mut random, case, 1);
    }
    for _ in 0..400 {
        let (case, dilation) = conv::shape(&mut random);
        conv::check(BUFFERS, &mut random, case, dilation);
    }
    for trial in 0..200 {
        others::binary(BUFFERS, &mut random, trial);
        others::pool(BUFFERS, &mut random, trial);
    }
    hprintln!("kernels equal the plain loops");
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
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
