//! The operators made fast, one file an instruction set: the only `unsafe` of the crate. Each equals
//! the plain loop of [`ops`](crate::ops) to the byte.
//!
//! A hook says whether it did the layer's work; if not, it has written nothing and the plain loop
//! does it.

use crate::format::Target;
use crate::layer::{Binary, Conv, Pool, Table};
use crate::operators::{Operator, Set};
use crate::packing::Packing;

mod arm;
mod none;
mod strips;
#[cfg(test)]
mod tests;
mod v128;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Where the arena begins: at a multiple of this, without which the fast kernels of Cortex-M would take none of the
/// layers that they have been given scratch for.
pub const ARENA_ALIGNMENT: usize = match cfg!(all(target_arch = "arm", target_os = "none")) {
    true => arm::ALIGNMENT,
    false => 1,
};

/// Bytes of scratch without which the fast kernels of this machine leave a convolution, its tensors where they lie, to
/// the plain loop. They also do that where input and output share bytes, but for those of Cortex-M.
///
/// This goes by the weights' packing, which says for which kernels they are.
pub fn scratch_len(conv: &Conv<'_>) -> usize {
    scratch_by(conv, || arm::scratch_len(arm::THIS, conv))
}

/// [`scratch_len`] of the machine that a file is for.
pub fn scratch_len_for(target: Target, conv: &Conv<'_>) -> usize {
    scratch_by(conv, || arm::scratch_len(core_of(target), conv))
}

/// [`scratch_len_for`] wherever its tensors lie; those of a layer that gives one pixel lie apart.
pub fn most_scratch_for(target: Target, conv: &Conv<'_>) -> usize {
    scratch_by(conv, || arm::most_scratch(core_of(target), conv))
}

fn core_of(target: Target) -> arm::Core {
    arm::Core::of(target).unwrap_or(arm::THIS)
}

fn scratch_by(conv: &Conv<'_>, arm: impl Fn() -> Option<usize>) -> usize {
    match conv.packing {
        Packing::Plain => 0,
        Packing::Blocks => strips::Strips::of(conv).map_or(0, |strips| strips.len()),
        Packing::Quads | Packing::Lanes | Packing::Twos => arm().unwrap_or(0),
    }
}

/// The packing for which Cortex-M has a fast kernel for a convolution; plain where there is none.
pub fn cortex_m_packing(conv: &Conv<'_>) -> Packing {
    let takes = |packing: &Packing| {
        let packing = *packing;
        arm::scratch_len(arm::THIS, &Conv { packing, ..*conv }).is_some()
    };
    let packing = [Packing::Quads, Packing::Lanes].into_iter().find(takes);
    packing.unwrap_or_default()
}

/// Whether the kernels of this machine, or elsewhere those of a Cortex-M, take a convolution with weights
/// in [`Packing::Twos`].
pub fn takes_twos(conv: &Conv<'_>) -> bool {
    twos_by(arm::THIS, conv)
}

/// [`takes_twos`] of the machine that a file is for.
pub fn takes_twos_for(target: Target, conv: &Conv<'_>) -> bool {
    arm::Core::of(target).is_some_and(|core| twos_by(core, conv))
}

fn twos_by(core: arm::Core, conv: &Conv<'_>) -> bool {
    let packing = Packing::Twos;
    arm::scratch_len(core, &Conv { packing, ..*conv }).is_some()
}

/// The kernels of this machine, or elsewhere those of a Cortex-M, that compute a convolution; none where it is
/// left to the plain loop.
pub fn cortex_m_needs(conv: &Conv<'_>) -> Option<Set> {
    arm::needs(arm::THIS, conv, Set::EVERY)
}

/// Whether kernels of the machine that a file is for take a convolution with its scratch.
pub fn takes_for(target: Target, conv: &Conv<'_>) -> bool {
    conv_needs(target, conv) != Set::NONE.with(Operator::PlainConv)
}

/// The operators with which a file's target computes a convolution.
pub(crate) fn conv_needs(target: Target, conv: &Conv<'_>) -> Set {
    let core = arm::Core::of(target);
    let needs = core.and_then(|core| arm::needs(core, conv, Set::EVERY));
    needs.unwrap_or(Set::NONE.with(Operator::PlainConv))
}

/// The operators with which a file's target computes a pool.
pub(crate) fn pool_needs(target: Target, pool: &Pool) -> Set {
    let needs = arm::Core::of(target).and_then(|_| arm::pool_needs(pool));
    needs.unwrap_or(Set::NONE.with(Operator::PlainPool))
}

/// The operators with which a file's target computes a sum, a difference or a product.
pub(crate) fn binary_needs(target: Target, layer: &Binary) -> Set {
    let for_arm = arm::Core::of(target).is_some();
    if for_arm && arm::takes_sum(layer) {
        return Set::NONE.with(Operator::Sum);
    }
    Set::NONE
        .with(Operator::Binary)
        .with_if(for_arm && arm::takes_product(layer), Operator::Product)
}

/// Whether this program can compute a convolution: by its plain loop, or by kernels that take it.
pub(crate) fn has_conv(layer: &Conv<'_>, set: Set) -> bool {
    set.has(Operator::PlainConv)
        || cfg!(all(target_arch = "arm", target_os = "none")) && arm::has_conv(layer, set)
}

/// The same of a pool.
pub(crate) fn has_pool(layer: &Pool, set: Set) -> bool {
    set.has(Operator::PlainPool)
        || cfg!(all(target_arch = "arm", target_os = "none"))
            && arm::pool_needs(layer).is_some_and(|needs| set.has_all(needs))
}

/// The same of a sum, a difference or a product.
pub(crate) fn has_binary(layer: &Binary, set: Set) -> bool {
    set.has(Operator::Binary)
        || cfg!(all(target_arch = "arm", target_os = "none"))
            && set.has(Operator::Sum)
            && arm::takes_sum(layer)
}

/// `x * y + z`, rounded once to the nearest f32, ties to even, where the compiler may use an instruction for it.
#[inline(always)]
pub(crate) fn fma(x: f32, y: f32, z: f32) -> Option<f32> {
    #[cfg(all(kiln_dsp, target_abi = "eabihf"))]
    let sum = Some(arm::fma(x, y, z));
    #[cfg(not(all(kiln_dsp, target_abi = "eabihf")))]
    let sum = {
        let _ = (x, y, z);
        None
    };
    sum
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

/// [`conv`] with those kernels alone that are in the set.
pub fn conv_of(layer: &Conv<'_>, set: Set, arena: &mut [u8]) -> bool {
    match cfg!(all(target_arch = "arm", target_os = "none")) {
        true => arm::Isa.conv_of(layer, set, arena),
        false => conv(layer, arena),
    }
}

/// [`binary`] with those kernels alone that are in the set.
pub(crate) fn binary_of(layer: &Binary, set: Set, arena: &mut [u8]) -> bool {
    match cfg!(all(target_arch = "arm", target_os = "none")) {
        true => arm::Isa.binary_of(layer, set, arena),
        false => binary(layer, arena),
    }
}

/// [`pool`] with those kernels alone that are in the set.
pub(crate) fn pool_of(layer: &Pool, set: Set, arena: &mut [u8]) -> bool {
    match cfg!(all(target_arch = "arm", target_os = "none")) {
        true => arm::Isa.pool_of(layer, set, arena),
        false => pool(layer, arena),
    }
}
