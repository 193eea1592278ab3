//! The inner loops for the DSP extension; `portable.rs` says the same in Rust.

use core::arch::global_asm;

use super::Core;
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
global_asm!(
    include_str!("dsp.s"),
    include_str!("dsp_lanes.s"),
    include_str!("dsp_depthwise.s"),
    options(raw)
);

unsafe extern "C" {
    #[link_name = "kiln_dense"]
    pub fn dense(task: *const Task);
    #[link_name = "kiln_point"]
    pub fn point(task: *const Task);
    #[link_name = "kiln_point_bytes"]
    pub fn point_bytes(task: *const Task);
    #[link_name = "kiln_point_twos"]
    pub fn point_twos(task: *const Task);
    #[link_name = "kiln_copy"]
    pub fn copy(rows: *const Copy);
    #[link_name = "kiln_three"]
    pub fn together(rows: *const Rows);
    #[link_name = "kiln_one"]
    pub fn one(to: *mut u32, from: *const u8, fours: usize, step: usize) -> *mut u32;
    #[link_name = "kiln_lanes"]
    pub fn lanes(pixels: *const Pixels);
    #[link_name = "kiln_depthwise_pairs"]
    pub fn depthwise_pairs(row: *const Row);
    #[link_name = "kiln_depthwise"]
    pub fn depthwise(row: *const Row);
    fn kiln_row_sums(from: *const u8, pixels: usize, step: usize, sums: *mut [i32; 4]);
    #[link_name = "kiln_sum"]
    pub fn sum(sum: *const Sum);
    #[cfg(target_abi = "eabihf")]
    #[link_name = "kiln_float_sum"]
    pub fn float_sum(sum: *const Sum);
    #[cfg(target_abi = "eabihf")]
    fn kiln_fma(x: f32, y: f32, z: f32) -> f32;
}

/// A loop through all fours of channels of one column.
pub type Point = unsafe extern "C" fn(*const Task);

/// Where [`point_bytes`] reads a column: at any multiple of this.
pub const ADDRESS: usize = 1;

/// The cores that these loops are for.
pub const CORE: Core = Core::Halves;

/// Columns that are computed together.
pub const COLUMNS: usize = 3;

/// Words of lanes of a four.
pub const WORDS: usize = 2;

/// A four of int8 values as two words of two 16-bit lanes: the values (0, 2) and (1, 3).
pub fn split(four: [u8; 4]) -> [u32; WORDS] {
    let [a, b, c, d] = four.map(|value| u32::from(i16::from(value as i8) as u16));
    [c << 16 | a, d << 16 | b]
}

/// Where columns go before they get lanes: they have them.
pub const fn narrow(lanes: *mut u32, _: usize) -> *mut u32 {
    lanes
}

/// Lanes of columns, which have them already.
///
/// # Safety
///
/// None is needed.
pub const unsafe fn widen(_: *mut u32, _: usize) {}

/// `x * y + z`, rounded once.
#[cfg(target_abi = "eabihf")]
pub fn fma(x: f32, y: f32, z: f32) -> f32 {
    // SAFETY: it computes with registers alone. All cores with the DSP extension and an FPU have it.
    unsafe { kiln_fma(x, y, z) }
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

/// Adds four channels of so many pixels, `step` bytes apart.
///
/// # Safety
///
/// They are there.
pub unsafe fn row_sums(from: *const u8, pixels: usize, step: usize, sums: &mut [i32; 4]) {
    // Lanes of 16 bits hold the sums of 255.
    for first in (0..pixels).step_by(255) {
        // SAFETY: as the caller says.
        unsafe {
            kiln_row_sums(
                from.add(first * step),
                (pixels - first).min(255),
                step,
                sums,
            )
        };
    }
}
