//! What the processor and the operating system offer: CPUID and XGETBV.
#![allow(unsafe_code)]

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

/// AVX2 and FMA.
pub const AVX2: u8 = 1;
/// AVX-512 F, BW, DQ, VL, VNNI and VBMI.
pub const AVX512: u8 = 2;
/// AVX-VNNI.
pub const AVX_VNNI: u8 = 4;
/// That the others are known.
const KNOWN: u8 = 0x80;

/// CPUID takes microseconds under a hypervisor: it is asked once.
static FEATURES: AtomicU8 = AtomicU8::new(0);

/// Whether all of `features` are there.
#[inline]
pub fn has(features: u8) -> bool {
    let mut known = FEATURES.load(Ordering::Relaxed);
    if known & KNOWN == 0 {
        known = detect() | KNOWN;
        FEATURES.store(known, Ordering::Relaxed);
    }
    known & features == features
}

const fn bits(word: u32, positions: &[u32]) -> bool {
    let mut index = 0;
    while index < positions.len() {
        if word >> positions[index] & 1 == 0 {
            return false;
        }
        index += 1;
    }
    true
}

#[cold]
fn detect() -> u8 {
    // Miri has neither the instructions nor a way to ask for them.
    if cfg!(miri) || leaf(0, 0)[0] < 7 {
        return 0;
    }
    let [_, _, one_c, _] = leaf(1, 0);
    let [_, seven_b, seven_c, _] = leaf(7, 0);
    // SSE3, SSSE3, FMA, SSE4.1, SSE4.2, XSAVE by the operating system, AVX.
    if !bits(one_c, &[0, 9, 12, 19, 20, 27, 28]) {
        return 0;
    }
    // SAFETY: bit 27 above says that XGETBV is there.
    let state = unsafe { enabled() };
    let mut features = 0;
    // Vector registers of 256 bits are saved; AVX2.
    if bits(state, &[1, 2]) && bits(seven_b, &[5]) {
        features |= AVX2;
        if leaf(7, 0)[0] >= 1 && bits(leaf(7, 1)[0], &[4]) {
            features |= AVX_VNNI;
        }
        // Mask registers and vectors of 512 bits are saved.
        let saved = bits(state, &[5, 6, 7]);
        if saved && bits(seven_b, &[16, 17, 30, 31]) && bits(seven_c, &[1, 11]) {
            features |= AVX512;
        }
    }
    features
}

#[allow(unused_unsafe, reason = "safe in newer versions of Rust")]
fn leaf(number: u32, part: u32) -> [u32; 4] {
    // SAFETY: every x86-64 processor has CPUID.
    let found = unsafe {
        match part {
            0 if number == 0 => __cpuid(number),
            _ => __cpuid_count(number, part),
        }
    };
    [found.eax, found.ebx, found.ecx, found.edx]
}

/// What the operating system saves of the registers.
#[target_feature(enable = "xsave")]
fn enabled() -> u32 {
    // SAFETY: register 0 is there where XGETBV is.
    (unsafe { _xgetbv(0) }) as u32
}
