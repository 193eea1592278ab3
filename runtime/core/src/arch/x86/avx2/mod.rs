//! AVX2, and AVX-VNNI where the processor has it: vectors of 256 bits.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::cpu;
use crate::layer::Conv;

mod conv;
mod dot;

use dot::{Dot, Vnni, Widening};

/// The proof that the instructions are there.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Avx2,
    AvxVnni,
    /// The same instruction as that of AVX-VNNI, which has another encoding with AVX-512.
    Avx512Vl,
}

impl Avx2 {
    /// Multiplies in 16 bits.
    pub fn new() -> Option<Self> {
        cpu::has(cpu::AVX2).then_some(Self(Kind::Avx2))
    }

    /// With `vpdpbusd`.
    pub fn with_vnni() -> Option<Self> {
        if cpu::has(cpu::AVX2 | cpu::AVX_VNNI) {
            Some(Self(Kind::AvxVnni))
        } else {
            cpu::has(cpu::AVX2 | cpu::AVX512).then_some(Self(Kind::Avx512Vl))
        }
    }

    /// Convolution: whether it is done.
    pub fn conv(self, layer: &Conv<'_>, arena: &mut [u8]) -> bool {
        // SAFETY: the instructions are there, as `self` says.
        let done = unsafe {
            match self.0 {
                Kind::Avx2 => avx2(layer, arena),
                Kind::AvxVnni => avx_vnni(layer, arena),
                Kind::Avx512Vl => avx512_vl(layer, arena),
            }
        };
        done.is_some()
    }
}

#[target_feature(enable = "avx2,fma")]
fn avx2(layer: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    // SAFETY: these are the instructions of this function.
    unsafe { conv::run::<Widening, 3>(layer, arena) }
}

#[target_feature(enable = "avx2,fma,avxvnni")]
fn avx_vnni(layer: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    // SAFETY: these are the instructions of this function.
    unsafe { conv::run::<Vnni<false>, 5>(layer, arena) }
}

#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512vnni")]
fn avx512_vl(layer: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    // SAFETY: these are the instructions of this function.
    unsafe { conv::run::<Vnni<true>, 5>(layer, arena) }
}
