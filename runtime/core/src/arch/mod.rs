//! The operators made fast, one file an instruction set: the only `unsafe` of the crate. Each equals
//! the plain loop of [`ops`](crate::ops) to the byte.
//!
//! A hook says whether it did the layer's work; if not, it has written nothing and the plain loop
//! does it.

use crate::layer::{Binary, Conv, Copy, Pool, Resize, Table};
use crate::packing::Packing;

mod arm;
mod none;
mod strips;
#[cfg(test)]
mod tests;
mod v128;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Bytes of scratch without which the fast kernels leave a convolution to the plain loop. They also
/// do that where input and output share bytes.
///
/// This goes by the weights' packing, which says for which kernels they are.
pub fn scratch_len(conv: &Conv<'_>) -> usize {
    match conv.packing {
        Packing::Plain => 0,
        Packing::Blocks => strips::Strips::of(conv).map_or(0, |strips| strips.len()),
        Packing::Quads | Packing::Lanes => arm::scratch_len(conv).unwrap_or(0),
    }
}

/// The packing for which Cortex-M has a fast kernel for a convolution; plain where there is none.
pub fn cortex_m_packing(conv: &Conv<'_>) -> Packing {
    let takes = |packing: &Packing| {
        arm::scratch_len(&Conv {
            packing: *packing,
            ..*conv
        })
        .is_some()
    };
    let packing = [Packing::Quads, Packing::Lanes].into_iter().find(takes);
    packing.unwrap_or_default()
}

/// The instruction sets with kernels that this machine has, the fastest first.
#[allow(unused_imports, reason = "only tests name the type")]
mod native {
    // What is named below comes before it.
    #[cfg(all(target_arch = "arm", target_os = "none"))]
    pub use super::arm::{Isa, isas};
    pub use super::none::*;
    #[cfg(any(
        all(
            target_arch = "aarch64",
            target_feature = "neon",
            target_endian = "little"
        ),
        all(target_arch = "wasm32", target_feature = "simd128"),
    ))]
    pub use super::v128::{Isa, isas};
    #[cfg(target_arch = "x86_64")]
    pub use super::x86::{Isa, isas};
}

#[cfg(test)]
use native::Isa;
use native::isas;

/// Convolution.
pub fn conv(layer: &Conv<'_>, arena: &mut [u8]) -> bool {
    isas().next().is_some_and(|isa| isa.conv(layer, arena))
}

/// Sum, difference or product.
pub fn binary(layer: &Binary, arena: &mut [u8]) -> bool {
    isas().next().is_some_and(|isa| isa.binary(layer, arena))
}

/// A table of each value.
pub fn table(layer: &Table<'_>, arena: &mut [u8]) -> bool {
    isas().next().is_some_and(|isa| isa.table(layer, arena))
}

/// Maximum or average.
pub fn pool(layer: &Pool, arena: &mut [u8]) -> bool {
    isas().next().is_some_and(|isa| isa.pool(layer, arena))
}

/// Writes its input into a part of its output.
pub fn copy(_layer: &Copy<'_>, _arena: &mut [u8]) -> bool {
    false
}

/// Nearest neighbour.
pub fn resize(_layer: &Resize, _arena: &mut [u8]) -> bool {
    false
}
