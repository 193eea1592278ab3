//! The watchdog of Arm's CMSDK, which is also that of the LM3S parts. It counts down twice: at the first
//! zero it asks for an interrupt, at the second it resets.

use super::register::Block;

const LOAD: usize = 0x0;
const CONTROL: usize = 0x8;
const INTERRUPT_CLEAR: usize = 0xc;
const LOCK: usize = 0xc00;

/// What opens the lock.
const KEY: u32 = 0x1acc_e551;
/// Counts, and asks for an interrupt.
const COUNTS: u32 = 1;
/// Resets.
const RESETS: u32 = 2;

/// A watchdog.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// Its registers.
    pub registers: Block,
    /// What it counts in a second.
    pub frequency: u32,
}

impl Watchdog {
    /// Starts it: after twice these milliseconds with no [`feed`](Self::feed) it resets.
    pub fn start(self, milliseconds: u32) {
        self.registers.write::<LOCK>(KEY);
        let load = u64::from(self.frequency) * u64::from(milliseconds) / 1000;
        self.registers.write::<LOAD>(load as u32);
        self.registers.write::<INTERRUPT_CLEAR>(1);
        self.registers.write::<CONTROL>(COUNTS | RESETS);
    }

    /// Starts the time again.
    pub fn feed(self) {
        self.registers.write::<INTERRUPT_CLEAR>(1);
    }
}
