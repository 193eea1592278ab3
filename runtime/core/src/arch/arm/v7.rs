//! The inner loops for Armv7-M without the DSP extension; [`portable`](super::portable) says the same in
//! Rust, and has the others.

use core::arch::global_asm;

pub use super::portable::{
    ADDRESS, COLUMNS, CORE, HAS_FLOAT_SUM, WORDS, copy, float_sum, lanes, narrow, one, row_sums,
    split, sum, together, widen,
};

use super::dense::Task;
use super::depthwise::Row;

global_asm!(
    include_str!("v7.s"),
    include_str!("v7_depthwise.s"),
    options(raw)
);

/// A loop through all fours of channels of one column.
pub type Point = unsafe extern "C" fn(*const Task);

/// [`point`] of values as they are, which its lanes are too. Weights are not read two at a time.
pub use point as point_bytes;
pub use point as point_twos;

unsafe extern "C" {
    #[link_name = "kiln_dense"]
    pub fn dense(task: *const Task);
    #[link_name = "kiln_point"]
    pub fn point(task: *const Task);
    #[link_name = "kiln_depthwise_pairs"]
    pub fn depthwise_pairs(row: *const Row);
    #[link_name = "kiln_depthwise"]
    pub fn depthwise(row: *const Row);
}
