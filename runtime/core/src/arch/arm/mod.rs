//! Cortex-M. Convolutions with weights in [`Packing::Quads`](crate::packing::Packing::Quads) and
//! [`Packing::Lanes`](crate::packing::Packing::Lanes), sums, pools.
//!
//! Outputs may lie over what of an input the plain loop is done with: each kernel has read all that a
//! pixel takes, and all pixels before it, before it writes that pixel.
#![allow(unsafe_code)]
#![cfg_attr(
    any(kiln_mve, not(all(target_arch = "arm", target_os = "none"))),
    allow(
        dead_code,
        reason = "elsewhere only the compiler asks how much scratch it takes; vectors need no lanes"
    )
)]

use core::ops::Range;

use crate::format::Target;
use crate::layer::{Binary, BinaryOp, Conv, Pool, Table};
use crate::operators::{Operator, Set};
use crate::tensor::{Shape, Tensor};
use crate::window::Window;

mod binary;
#[cfg_attr(
    kiln_mve,
    allow(dead_code, reason = "vectors make columns of their own")
)]
mod columns;
mod constants;
#[cfg_attr(
    kiln_mve,
    allow(dead_code, reason = "vectors make columns of their own")
)]
mod dense;
mod depthwise;
#[cfg(kiln_dsp)]
#[cfg_attr(
    kiln_mve,
    allow(dead_code, reason = "vectors make columns of their own")
)]
mod dsp;
#[cfg(any(kiln_v6, kiln_v7, all(kiln_dsp, not(target_abi = "eabihf"))))]
mod exact;
#[cfg(kiln_mve)]
mod mve;
#[cfg(kiln_mve)]
mod mve_depthwise;
#[cfg(kiln_mve)]
mod mve_input;
#[cfg(kiln_mve)]
mod mve_points;
mod pool;
#[cfg(not(kiln_dsp))]
#[cfg_attr(
    any(kiln_v6, kiln_v7),
    allow(dead_code, reason = "some loops are by hand")
)]
mod portable;
mod products;
#[cfg(test)]
mod tests;
#[cfg(kiln_v6)]
mod v6;
#[cfg(kiln_v7)]
mod v7;
#[cfg_attr(
    not(kiln_mve),
    allow(
        dead_code,
        reason = "elsewhere only the compiler asks how much scratch it takes"
    )
)]
mod vectors;

#[cfg(kiln_dsp)]
use dsp as loops;
#[cfg(not(any(kiln_dsp, kiln_v6, kiln_v7)))]
use portable as loops;
#[cfg(kiln_v6)]
use v6 as loops;
#[cfg(kiln_v7)]
use v7 as loops;

/// Where the arena begins: at a multiple of this.
pub const ALIGNMENT: usize = 4;

/// A core of this kind.
#[derive(Clone, Copy, Debug)]
pub struct Isa;

pub fn isas() -> impl Iterator<Item = Isa> {
    [Isa].into_iter()
}

impl Isa {
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        self.conv_of(layer, Set::EVERY, arena)
    }

    pub fn conv_of(self, layer: &Conv<'_>, set: Set, arena: &mut [u8]) -> bool {
        let has = |operators: &[Operator]| operators.iter().any(|&operator| set.has(operator));
        let one = [
            Operator::Dense,
            Operator::Point,
            Operator::Straight,
            Operator::Twos,
        ];
        has(&one) && one_group(layer, set, arena).is_some()
            || has(&[Operator::Pairs, Operator::Depthwise])
                && per_channel(layer, set, arena).is_some()
    }

    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        self.binary_of(layer, Set::EVERY, arena)
    }

    pub fn binary_of(self, layer: &Binary, set: Set, arena: &mut [u8]) -> bool {
        match layer.op {
            BinaryOp::Mul if set.has(Operator::Product) => products::run(layer, arena).is_some(),
            BinaryOp::Mul => false,
            BinaryOp::Add | BinaryOp::Sub if set.has_any(Set::BINARIES) => {
                binary::run(layer, set, arena).is_some()
            }
            BinaryOp::Add | BinaryOp::Sub => false,
        }
    }

    pub fn table(self, _: &Table<'_>, _: &mut [u8]) -> bool {
        false
    }

    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        self.pool_of(layer, Set::EVERY, arena)
    }

    pub fn pool_of(self, layer: &Pool, set: Set, arena: &mut [u8]) -> bool {
        pool::run(layer, set, arena).is_some()
    }
}

/// Convolutions of one group. Vectors take all that lanes would.
fn one_group(layer: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    #[cfg(kiln_mve)]
    return mve::run(layer, set, arena);
    #[cfg(not(kiln_mve))]
    dense::run(layer, set, arena)
}

/// Depthwise convolutions. Vectors take the small kernels.
fn per_channel(layer: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    #[cfg(kiln_mve)]
    if mve_depthwise::run(layer, set, arena).is_some() {
        return Some(());
    }
    depthwise::run(layer, set, arena)
}

/// Kinds of cores, by what their kernels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Lanes of a four in one word, of two columns that go together a word for each value: Cortex-M0+.
    Products,
    /// Lanes of a four in one word: Cortex-M3.
    Bytes,
    /// In two words: Cortex-M4, M7, M33.
    Halves,
    /// Vectors, and depthwise as [`Halves`](Self::Halves): Cortex-M55.
    Vectors,
}

/// What this program is for; elsewhere the core that wants most.
pub const THIS: Core = if cfg!(kiln_mve) {
    Core::Vectors
} else if cfg!(any(
    kiln_dsp,
    not(all(target_arch = "arm", target_os = "none"))
)) {
    Core::Halves
} else {
    loops::CORE
};

impl Core {
    /// That of a target.
    pub fn of(target: Target) -> Option<Self> {
        Some(match target {
            Target::CortexM0 => Self::Products,
            Target::CortexM3 => Self::Bytes,
            Target::CortexM4 | Target::CortexM7 | Target::CortexM33 => Self::Halves,
            Target::CortexM55 => Self::Vectors,
            _ => return None,
        })
    }

    /// Words that lanes of a four take.
    const fn words(self) -> usize {
        match self {
            Self::Products | Self::Bytes => 1,
            Self::Halves | Self::Vectors => 2,
        }
    }

    /// Whether it has a loop for [`Packing::Twos`](crate::packing::Packing::Twos).
    const fn reads_twos(self) -> bool {
        matches!(self, Self::Products | Self::Halves)
    }

    /// Where a column is read as it lies: at any multiple of this.
    const fn address(self) -> u32 {
        match self {
            Self::Products => 4,
            _ => 1,
        }
    }

    /// Columns of a convolution that go together.
    const fn columns(self) -> usize {
        match self {
            Self::Products => 2,
            _ => 3,
        }
    }

    /// Words that lanes of a four of such columns take.
    const fn words_together(self) -> usize {
        match self {
            Self::Products => 4,
            _ => self.words() * self.columns(),
        }
    }
}

/// Bytes of scratch that a convolution takes on a core, its tensors where they lie; none where it is left to the
/// plain loop.
pub fn scratch_len(core: Core, conv: &Conv<'_>) -> Option<usize> {
    let dense = dense::Plan::of(conv, core, Set::EVERY).map(|plan| match core {
        Core::Vectors => vectors::scratch_len(conv, &plan),
        _ => plan.len(conv),
    });
    dense.or_else(|| Some(depthwise::Plan::of(conv, core)?.len(conv, core)))
}

/// [`scratch_len`] wherever tensors lie.
pub fn most_scratch(core: Core, conv: &Conv<'_>) -> Option<usize> {
    match dense::Plan::of(conv, core, Set::EVERY) {
        Some(plan) if core == Core::Vectors => Some(vectors::most_scratch(conv, &plan)),
        _ => scratch_len(core, conv),
    }
}

/// Those of the kernels of a set that take a convolution on a core; none where it is left to the plain loop.
pub fn needs(core: Core, conv: &Conv<'_>, set: Set) -> Option<Set> {
    let set = match dense::Plan::of(conv, core, set) {
        Some(plan) => plan.needs(conv)?,
        None => depthwise::Plan::of(conv, core)?.needs(conv, core)?,
    };
    let narrow = (conv.rounding.low, conv.rounding.high) != (i8::MIN, i8::MAX);
    Some(set.with_if(narrow, Operator::Clamp))
}

/// Whether this program's kernels, those of the set, take a convolution.
pub fn has_conv(conv: &Conv<'_>, set: Set) -> bool {
    needs(THIS, conv, set).is_some_and(|needs| set.has_all(needs))
        && constants::Constants::of(conv).is_some()
}

pub use binary::takes as takes_sum;
#[cfg(all(kiln_dsp, target_abi = "eabihf"))]
pub use dsp::fma;
pub use pool::needs as pool_needs;
pub use products::takes as takes_product;

/// Whether a window makes some outputs of some inputs.
#[cfg_attr(target_os = "none", inline(never))]
fn makes(window: &Window, input: &Shape, output: &Shape) -> bool {
    let found = window.output(input.height, input.width);
    let [height, width] = found.unwrap_or_default();
    let same = (height, width) == (output.height, output.width);
    same && !input.is_empty() && !output.is_empty()
}

/// A tensor's first byte, if all of its bytes are within the arena.
#[inline(never)]
fn start(tensor: &Tensor, arena: &[u8]) -> Option<usize> {
    let start = tensor.offset as usize;
    let end = start.checked_add(tensor.shape.len())?;
    (end <= arena.len()).then_some(start)
}

/// A tensor's bytes, if they are within the arena.
fn range(tensor: &Tensor, arena: &[u8]) -> Option<Range<usize>> {
    let start = start(tensor, arena)?;
    Some(start..start + tensor.shape.len())
}

/// Behind a tensor's last byte.
const fn end(tensor: &Tensor) -> usize {
    tensor.offset as usize + tensor.shape.len()
}

/// Whether no output lies over the input.
const fn apart(conv: &Conv<'_>) -> bool {
    let (input, output) = (&conv.input, &conv.output);
    end(output) <= input.offset as usize || end(input) <= output.offset as usize
}

/// Bytes of scratch that kernels can use: words lie at multiples of 4, and what is copied lies elsewhere.
#[inline(never)]
fn room(conv: &Conv<'_>) -> usize {
    let (start, len) = (conv.scratch.offset as usize, conv.scratch.len as usize);
    let apart =
        start.saturating_add(len) <= conv.input.offset as usize || end(&conv.input) <= start;
    match apart && start.is_multiple_of(ALIGNMENT) {
        true => len,
        false => 0,
    }
}

/// The scratch, if `len` bytes are there, from a multiple of 4 on.
#[inline(never)]
fn scratch(conv: &Conv<'_>, arena: &mut [u8], len: usize) -> Option<*mut u8> {
    let bytes = arena.get_mut(conv.scratch.offset as usize..)?;
    let place = bytes.get_mut(..len)?.as_mut_ptr();
    let there = len <= room(conv) && place.addr().is_multiple_of(ALIGNMENT);
    there.then_some(place)
}

/// Clamps a layer's whole output, where that is narrower than i8.
#[inline(never)]
fn clamp(conv: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    let (low, high) = (conv.rounding.low, conv.rounding.high);
    if set.has(Operator::Clamp) && (low, high) != (i8::MIN, i8::MAX) {
        let output = range(&conv.output, arena)?;
        for value in arena.get_mut(output)? {
            *value = crate::rounding::limit((*value as i8).into(), low, high) as u8;
        }
    }
    Some(())
}
