//! Boards with a Cortex-M: start, registers, interrupts, faults. Each is a machine of QEMU, but for
//! `rp2350`, which is a real one: built, but never run so far.
//!
//! | bin and feature | core | target | `-C target-cpu=` |
//! |---|---|---|---|
//! | `lm3s6965evb` | M3 | `thumbv7m-none-eabi` | |
//! | `mps2-an386` | M4F | `thumbv7em-none-eabihf` | |
//! | `mps2-an500` | M7 | `thumbv7em-none-eabihf` | |
//! | `mps2-an505` | M33 | `thumbv8m.main-none-eabihf` | |
//! | `mps3-an547` | M55 | `thumbv8m.main-none-eabihf` | `cortex-m55` |
//! | `rp2350` | M33 | `thumbv8m.main-none-eabihf` | `cortex-m33` |
//!
//! A board is built from the workspace with its model, the whole path of a `.kiln` file:
//!
//! ```text
//! KILN_MODEL=/path/model.kiln cargo build -p kiln-firmware --profile firmware \
//!     --bin lm3s6965evb --features lm3s6965evb --target thumbv7m-none-eabi
//! ```
//!
//! and run with its line on a socket, 16 ns an instruction:
//!
//! ```text
//! qemu-system-arm -M lm3s6965evb -icount shift=4 -display none -monitor none \
//!     -serial unix:/path/socket,server=on,wait=off -kernel target/thumbv7m-none-eabi/firmware/lm3s6965evb
//! ```
//!
//! The build script asks [`Set::of`](kiln_core::operators::Set::of) which operators the model needs, and the
//! program has no others: [`model::Needed`](crate::model::Needed). A model that needs another one is refused,
//! as a damaged one is. With the engine at `opt-level = "s"` that halves the engine's flash. On a Cortex-M3, whose
//! loops are in part Rust, networks then take up to 6% more instructions, so that `kiln device` adds
//! `--config profile.firmware.package.kiln-core.opt-level=3` there.
//!
//! The feature `fault` adds calls that go wrong, for tests: [`Profile`](kiln_link::Call::Profile) of layer
//! 0xffff panics, 0xfffe runs into what is no instruction, 0xfffd never ends; 0xfffc tells the ticks of a loop of
//! 60,000,000 instructions.
//!
//! The watchdog is fed between bytes and between layers. Where it is not for eight seconds, the reason is kept in
//! RAM and shown, and a second and a half later the board resets; so it does after a panic or a fault. RP2350's
//! gives no warning: without progress it resets after sixteen seconds, with no reason kept.

#![allow(
    unsafe_code,
    reason = "registers, and what the linker and an interrupt give; each block says why it holds"
)]

mod clock;
#[cfg(not(any(feature = "lm3s6965evb", feature = "rp2350")))]
mod cmsdk;
mod fault;
mod frame;
mod interrupt;
mod machine;
mod memory;
mod receive;
#[cfg(not(feature = "rp2350"))]
mod register;
#[cfg(not(feature = "rp2350"))]
mod watchdog;

#[cfg(feature = "lm3s6965evb")]
mod lm3s6965evb;
#[cfg(feature = "mps2-an386")]
mod mps2_an386;
#[cfg(feature = "mps2-an500")]
mod mps2_an500;
#[cfg(feature = "mps2-an505")]
mod mps2_an505;
#[cfg(feature = "mps3-an547")]
mod mps3_an547;
#[cfg(feature = "rp2350")]
mod rp2350;

#[cfg(feature = "lm3s6965evb")]
use lm3s6965evb as board;
#[cfg(feature = "mps2-an386")]
use mps2_an386 as board;
#[cfg(feature = "mps2-an500")]
use mps2_an500 as board;
#[cfg(feature = "mps2-an505")]
use mps2_an505 as board;
#[cfg(feature = "mps3-an547")]
use mps3_an547 as board;
#[cfg(feature = "rp2350")]
use rp2350 as board;

use crate::app;
use crate::model::{self, Statics};
use machine::Machine;
pub use receive::Bytes;

/// That of `-icount shift=4`; 0 where time is counted, not instructions.
const NANOSECONDS_PER_INSTRUCTION: u16 = if cfg!(feature = "rp2350") { 0 } else { 16 };

/// Interrupts in the vector table: up to the last that is let through.
#[cfg(feature = "emulated")]
pub(crate) const INTERRUPTS: u16 = {
    let line = board::LINE_INTERRUPT.0;
    match board::WATCHDOG_INTERRUPT {
        Some(watchdog) if watchdog.0 > line => watchdog.0 + 1,
        _ => line + 1,
    }
};

/// Half of the milliseconds without progress after which the watchdog resets. It is fed between layers, so one must
/// be done in that time: half a billion instructions on the emulated boards.
const WATCHDOG: u32 = 8000;

/// Starts the board and serves for ever.
pub fn run(bytes: &'static mut Bytes, statics: &'static mut Statics) -> ! {
    let last_fault = fault::take();
    if let (Some(peripherals), Some(frame)) = (cortex_m::Peripherals::take(), frame::take()) {
        clock::start(peripherals.SYST);
        board::start(frame);
        board::WATCHDOG.start(WATCHDOG);
        if let Some(interrupt) = board::WATCHDOG_INTERRUPT {
            interrupt.allow();
        }
        let machine = Machine {
            receiver: receive::Receiver::start(bytes),
            frame,
            last_fault,
        };
        app::run(machine, model::bytes(), statics.buffers());
    }
    // Nobody calls this twice, and only tests have a line that ends.
    cortex_m::peripheral::SCB::sys_reset()
}
