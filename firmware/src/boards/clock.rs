//! SysTick, made 32 bits long.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::interrupt;
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;

const BITS: u32 = 24;
const RELOAD: u32 = (1 << BITS) - 1;

/// How often the counter has gone round.
static ROUNDS: AtomicU32 = AtomicU32::new(0);

/// Starts it, from 0. It also ends a sleep each time it goes round.
pub fn start(mut syst: SYST) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(RELOAD);
    syst.clear_current();
    syst.enable_interrupt();
    syst.enable_counter();
}

/// Ticks of the core's clock since the start. They wrap.
pub fn ticks() -> u32 {
    interrupt::free(|_| {
        let left = SYST::get_current();
        let (rounds, left) = if SCB::is_pendst_pending() {
            (1, SYST::get_current())
        } else {
            (0, left)
        };
        let rounds = ROUNDS.load(Ordering::Relaxed).wrapping_add(rounds);
        // It counts down; 0 is where a round ends.
        (rounds << BITS).wrapping_add((RELOAD + 1 - left) & RELOAD)
    })
}

#[exception]
fn SysTick() {
    ROUNDS.fetch_add(1, Ordering::Relaxed);
}
