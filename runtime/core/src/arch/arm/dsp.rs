//! The inner loops for the DSP extension; [`portable`](super::portable) says the same in Rust.

use core::arch::global_asm;

use super::binary::Sum;
use super::columns::{Copy, Rows};
use super::dense::Task;
use super::depthwise::{Pixels, Row};

#[cfg(target_abi = "eabihf")]
global_asm!(".set kiln_fpu, 1");
#[cfg(not(target_abi = "eabihf"))]
global_asm!(".set kiln_fpu, 0");
#[cfg(kiln_v8)]
global_asm!(".set kiln_v8, 1");
#[cfg(not(kiln_v8))]
global_asm!(".set kiln_v8, 0");
global_asm!(include_str!("dsp.s"), options(raw));

unsafe extern "C" {
    #[link_name = "kiln_dense"]
    pub fn dense(task: *const Task);
    #[link_name = "kiln_point"]
    pub fn point(task: *const Task);
    #[link_name = "kiln_copy"]
    pub fn copy(rows: *const Copy);
    #[link_name = "kiln_three"]
    pub fn three(rows: *const Rows);
    #[link_name = "kiln_one"]
    pub fn one(to: *mut u32, from: *const u8, fours: usize, step: usize) -> *mut u32;
    #[link_name = "kiln_lanes"]
    pub fn lanes(pixels: *const Pixels);
    #[link_name = "kiln_depthwise_pairs"]
    pub fn depthwise_pairs(row: *const Row);
    #[link_name = "kiln_depthwise"]
    pub fn depthwise(row: *const Row);
    #[link_name = "kiln_sum"]
    pub fn sum(sum: *const Sum);
    #[cfg(target_abi = "eabihf")]
    #[link_name = "kiln_float_sum"]
    pub fn float_sum(sum: *const Sum);
}

/// Whether there is a sum by floats.
pub const HAS_FLOAT_SUM: bool = cfg!(target_abi = "eabihf");

/// There is none.
///
/// # Safety
///
/// None is needed.
#[cfg(not(target_abi = "eabihf"))]
pub unsafe fn float_sum(_: *const Sum) {}

/// Rounds `count` accumulators in place, each `each` of which are a channel's, in turns of four channels.
///
/// # Safety
///
/// So many accumulators and multipliers are there.
#[cfg(not(target_abi = "eabihf"))]
#[unsafe(no_mangle)]
unsafe extern "C" fn kiln_exact(
    accs: *mut i32,
    multipliers: *const f32,
    count: usize,
    each: usize,
    zero_point: i32,
) {
    for index in 0..count {
        // SAFETY: as the caller says.
        unsafe {
            let multiplier = multipliers.add(index / each % 4).read();
            let acc = accs.add(index);
            let value =
                crate::rounding::requantize(acc.read(), multiplier, zero_point as i8, -128, 127);
            acc.write(value.into());
        }
    }
}
