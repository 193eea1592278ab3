//! Cortex-M. Convolutions with weights in [`Packing::Quads`](crate::packing::Packing::Quads) and
//! [`Packing::Lanes`](crate::packing::Packing::Lanes), sums, pools.
//!
//! Outputs may lie over what of an input the plain loop is done with: each kernel has read all that a
//! pixel takes, and all pixels before it, before it writes that pixel.
#![allow(unsafe_code)]
#![cfg_attr(
    not(all(target_arch = "arm", target_os = "none")),
    allow(
        dead_code,
        reason = "elsewhere only the compiler asks how much scratch it takes"
    )
)]

use core::ops::Range;

use crate::layer::{Binary, Conv, Pool, Table};
use crate::tensor::Tensor;

mod binary;
mod columns;
mod constants;
mod dense;
mod depthwise;
#[cfg(kiln_dsp)]
mod dsp;
#[cfg(any(kiln_v7, all(kiln_dsp, not(target_abi = "eabihf"))))]
mod exact;
#[cfg(kiln_mve)]
mod mve;
mod pool;
#[cfg(not(kiln_dsp))]
#[cfg_attr(
    any(kiln_v6, kiln_v7),
    allow(dead_code, reason = "some loops are by hand")
)]
mod portable;
#[cfg(test)]
mod tests;
#[cfg(kiln_v6)]
mod v6;
#[cfg(kiln_v7)]
mod v7;

#[cfg(kiln_dsp)]
use dsp as loops;
#[cfg(not(any(kiln_dsp, kiln_v6, kiln_v7)))]
use portable as loops;
#[cfg(kiln_v6)]
use v6 as loops;
#[cfg(kiln_v7)]
use v7 as loops;

/// A core of this kind.
#[derive(Clone, Copy, Debug)]
pub struct Isa;

pub fn isas() -> impl Iterator<Item = Isa> {
    [Isa].into_iter()
}

impl Isa {
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        #[cfg(kiln_mve)]
        if mve::run(layer, arena).is_some() {
            return true;
        }
        dense::run(layer, arena)
            .or_else(|| depthwise::run(layer, arena))
            .is_some()
    }

    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        binary::run(layer, arena).is_some()
    }

    pub fn table(self, _: &Table<'_>, _: &mut [u8]) -> bool {
        false
    }

    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        pool::run(layer, arena).is_some()
    }
}

/// Bytes of scratch that a convolution takes here; none where it is left to the plain loop.
///
/// What the core that wants most takes: the others run the same file.
pub fn scratch_len(conv: &Conv<'_>) -> Option<usize> {
    const MOST_WORDS: usize = 2;
    let dense = dense::Plan::of(conv, MOST_WORDS).map(|plan| plan.len());
    let depthwise = || depthwise::Plan::of(conv, MOST_WORDS).map(|plan| plan.len());
    dense.or_else(depthwise)
}

/// A tensor's bytes, if they are within the arena.
fn range(tensor: &Tensor, arena: &[u8]) -> Option<Range<usize>> {
    let start = tensor.offset as usize;
    let end = start.checked_add(tensor.shape.len())?;
    (end <= arena.len()).then_some(start..end)
}

/// The scratch from its first multiple of 4 on, if `len` bytes are there.
fn scratch(conv: &Conv<'_>, arena: &mut [u8], len: usize) -> Option<*mut u8> {
    let start = conv.scratch.offset as usize;
    let room = (conv.scratch.len as usize).min(arena.len().checked_sub(start)?);
    let bytes = arena.get_mut(start..start + room)?;
    let skip = bytes.as_ptr().align_offset(4);
    let bytes = bytes.get_mut(skip..)?;
    (bytes.len() >= len).then_some(bytes.as_mut_ptr())
}

/// Clamps a layer's whole output, where that is narrower than i8.
fn clamp(conv: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    let (low, high) = (conv.rounding.low, conv.rounding.high);
    if (low, high) != (i8::MIN, i8::MAX) {
        let output = range(&conv.output, arena)?;
        for value in arena.get_mut(output)? {
            *value = crate::rounding::limit((*value as i8).into(), low, high) as u8;
        }
    }
    Some(())
}
