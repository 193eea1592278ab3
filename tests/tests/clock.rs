//! The clock of the boards that QEMU plays, by which every cost is told, beside a loop of known length.

use kiln_board::boards::EMULATED;
use kiln_tests::boards::{start, variant};

const TINY: &[u8] = include_bytes!("../../runtime/core/tests/tiny.kiln");

/// What asks firmware with the feature `fault` for the ticks of its loop, and the loop's instructions.
const LOOP: (u16, u64) = (0xfffc, 60_000_000);

/// Instructions around the loop: reading the clock, before and behind, and the interrupt each time that it
/// goes round; and those that fall into one tick.
const AROUND: u64 = 400;

/// A wrong frequency, a wrong factor of the emulator's, or a round of the counter that is lost or counted
/// twice, would be seen: on each board the loop takes more ticks than the counter has.
#[test]
fn the_clock_counts_the_instructions_of_a_loop() {
    for emulated in &EMULATED {
        let features = format!("{},fault", emulated.name);
        let elf = variant(emulated, emulated.name, &features, TINY);
        let mut board = start(emulated, &elf, &[]);
        let (layer, expected) = LOOP;
        let ticks = board.profile_layer(layer).unwrap().ticks;
        let found = board.about().instructions(ticks).unwrap();
        println!("{}: {ticks} ticks, {found} instructions", emulated.name);
        let range = expected..expected + AROUND;
        assert!(range.contains(&found), "{}: {found}", emulated.name);
    }
}
