//! x86-64. Which instructions the processor has is found out when the program runs.
#![allow(
    clippy::needless_range_loop,
    reason = "arrays of registers are walked in step with each other"
)]

use crate::layer::{Binary, Conv, Pool, Table};

mod avx2;
mod avx512;
mod cpu;

use avx2::Avx2;
use avx512::Avx512;

/// An instruction set that the processor has.
#[derive(Clone, Copy, Debug)]
pub enum Isa {
    /// AVX-512 with VNNI and VBMI.
    Avx512(Avx512),
    /// AVX2, with AVX-VNNI where it is there.
    Avx2(Avx2),
}

/// Those that the processor has, the fastest first.
#[inline]
pub fn isas() -> impl Iterator<Item = Isa> {
    let finders: [fn() -> Option<Isa>; 3] = [
        || Avx512::new().map(Isa::Avx512),
        || Avx2::with_vnni().map(Isa::Avx2),
        || Avx2::new().map(Isa::Avx2),
    ];
    finders.into_iter().filter_map(|find| find())
}

impl Isa {
    /// Convolution.
    #[inline]
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.conv(layer, arena),
            Self::Avx2(isa) => isa.conv(layer, arena),
        }
    }

    /// Sum, difference or product.
    #[inline]
    pub fn binary(self, layer: &Binary, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.binary(layer, arena),
            Self::Avx2(_) => false,
        }
    }

    /// A table of each value.
    #[inline]
    pub fn table(self, layer: &Table<'_>, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.table(layer, arena),
            Self::Avx2(_) => false,
        }
    }

    /// Maximum or average.
    #[inline]
    pub fn pool(self, layer: &Pool, arena: &mut [u8]) -> bool {
        match self {
            Self::Avx512(isa) => isa.pool(layer, arena),
            Self::Avx2(_) => false,
        }
    }
}
