//! Kiln's engine for C: `include/kiln.h`, a static and a dynamic library.
//!
//! - [`status`]: what a function returns.
//! - [`model`]: bytes are checked and become a model; what it takes and gives, its labels.
//! - [`input`]: quantized values, pixels or a picture become the model's input.
//! - [`rows`]: the same of a picture's rows as a camera gives them.
//! - [`output`]: the model is run; logits and the most probable classes.
//! - `memory`: the caller's pointers, checked.
//!
//! Nothing is allocated and nothing is global. No function unwinds into C: none of them panics by its
//! own doing, and a panic in an `extern "C"` function ends the process (on a microcontroller, where
//! the firmware's linker finds that none is left, it would loop for the watchdog).

#![no_std]
#![allow(
    unsafe_code,
    reason = "C gives pointers and lengths; each block says why it holds"
)]

#[cfg(not(target_os = "none"))]
extern crate std;

pub mod input;
mod memory;
pub mod model;
pub mod output;
pub mod rows;
pub mod status;

pub use input::*;
pub use model::*;
pub use output::*;
pub use rows::*;
pub use status::*;

/// The alignment, in bytes, at which fast kernels want a model's bytes and the arena. Any other gives
/// the same bits; but on a Cortex-M an arena that does not begin at a multiple of 4 is refused.
pub const KILN_ALIGN: usize = 64;

const _: () = assert!(KILN_ALIGN == kiln_core::format::CONSTANTS_ALIGN);

/// There is nobody to tell, and nothing that panics.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
