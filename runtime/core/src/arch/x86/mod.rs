//! x86-64. Which instructions the processor has is found out when the program runs.
#![allow(
    clippy::needless_range_loop,
    reason = "arrays of registers are walked in step with each other"
)]

use crate::layer::{Binary, Conv, Pool, Table};

mod avx512;
mod cpu;

use avx512::Avx512;

/// An instruction set that the processor has.
#[derive(Clone, Copy, Debug)]
pub enum Isa {
    /// AVX-512 with VNNI and VBMI.
    Avx512(Avx512),
}

/// Those that the processor has, the fastest first.
#[inline]
pub fn isas() -> impl Iterator<Item = Isa> {
    Avx512::new().map(Isa::Avx512).into_iter()
}

impl Isa {
    /// Convolution.
    #[inline]
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.conv(layer, arena),
        }
    }

    /// Sum, difference or product.
    #[inline]
    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.binary(layer, arena),
        }
    }

    /// A table of each value.
    #[inline]
    pub fn table(self, layer: &Table<'_>, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.table(layer, arena),
        }
    }

    /// Maximum or average.
    #[inline]
    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.pool(layer, arena),
        }
    }
}
