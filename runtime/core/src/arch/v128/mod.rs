//! Kernels of 128-bit vectors, written once for the instruction sets that have them.

#![cfg(any(
    all(
        target_arch = "aarch64",
        target_feature = "neon",
        target_endian = "little"
    ),
    all(target_arch = "wasm32", target_feature = "simd128"),
))]

use super::strips;

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod blocks;
mod others;
mod sums;
mod vector;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{Isa, isas};
#[cfg(target_arch = "wasm32")]
pub use wasm::{Isa, isas};
