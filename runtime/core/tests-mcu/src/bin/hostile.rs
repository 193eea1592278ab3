//! Changes bytes of the model at `KILN_MODEL` at random and gives it to an engine with the operators alone that
//! the unchanged model needs: it is refused, or runs to its end within its arena. A fault ends in a loop for ever.
#![no_std]
#![no_main]

use cortex_m_semihosting::{debug, hprintln};
use kiln_core::operators::{Operators, Set};
use kiln_core::{Aligned, Model, RunError};
use panic_semihosting as _;

const BYTES: &[u8] = include_bytes!(env!("KILN_MODEL"));
const LEN: usize = Model::arena_len(BYTES);

#[derive(Clone, Copy, Debug)]
struct Needed;

impl Operators for Needed {
    const SET: Set = Set::from_bits(match u32::from_str_radix(env!("KILN_OPERATORS"), 10) {
        Ok(bits) => bits,
        Err(_) => panic!("KILN_OPERATORS is no number"),
    });
}

/// Changed files.
const TRIALS: u32 = 3000;
/// Inferences, after which it is enough: a quarter of a minute on an emulated core.
const RUNS: u32 = 200;
/// The header and the records of layers: most changes go there.
const RECORDS: usize = 4096;
/// Bytes around the arena that nobody writes.
const GUARD: usize = 4096;
const MARK: u8 = 0xa5;

/// The arena between two guards.
struct Memory {
    before: Aligned<[u8; GUARD]>,
    arena: Aligned<[u8; LEN]>,
    behind: Aligned<[u8; GUARD]>,
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut FILE: Aligned<[u8; BYTES.len()]> = Aligned([0; BYTES.len()]);
    static mut MEMORY: Memory = Memory {
        before: Aligned([MARK; GUARD]),
        arena: Aligned([0; LEN]),
        behind: Aligned([MARK; GUARD]),
    };
    let good = run(&mut FILE.0, MEMORY);
    loop {
        debug::exit(match good {
            true => debug::EXIT_SUCCESS,
            false => debug::EXIT_FAILURE,
        });
    }
}

fn run(file: &mut [u8], memory: &mut Memory) -> bool {
    let mut random = Random(0x9e37_79b9);
    let (mut refused, mut ran, mut whole) = (0, 0, true);
    for trial in 0..TRIALS {
        file.copy_from_slice(BYTES);
        // The first is as it is.
        for _ in 0..trial.min(1 + random.below(3) as u32) {
            let within = match random.below(8) {
                0 => file.len(),
                _ => RECORDS.min(file.len()),
            };
            let at = random.below(within);
            if let Some(byte) = file.get_mut(at) {
                *byte = match random.below(2) {
                    0 => *byte ^ 1 << random.below(8),
                    _ => random.below(256) as u8,
                };
            }
        }
        match infer(file, &mut memory.arena.0) {
            Some(whole_run) => {
                ran += 1;
                whole &= whole_run;
            }
            None => refused += 1,
        }
        let guards = memory.before.0.iter().chain(&memory.behind.0);
        whole &= guards.fold(true, |whole, byte| whole & (*byte == MARK));
        if ran == RUNS || !whole {
            break;
        }
    }
    hprintln!(
        "hostile: {} refused, {} ran, guards {}",
        refused,
        ran,
        whole
    );
    whole && ran > 1 && refused > 1
}

/// Whether a file runs to its end; none where it is refused, or asks for more arena than there is.
fn infer(file: &[u8], arena: &mut [u8]) -> Option<bool> {
    let model = Model::<Needed>::with_operators(file).ok()?;
    model.input_mut(arena).ok()?.fill(0x55);
    match model.run_in_place(arena) {
        Err(RunError::Arena { .. }) => None,
        run => Some(run.is_ok()),
    }
}

/// Marsaglia, "Xorshift RNGs", 2003.
struct Random(u32);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 as usize).checked_rem(end).unwrap_or(0)
    }
}
