//! The inner loops for Armv6-M; [`portable`](super::portable) says the same in Rust, and has the others.

use core::arch::global_asm;

use super::Core;
use super::dense::Task;
use super::depthwise::Row;
use super::portable;

pub use super::portable::{
    COLUMNS, HAS_FLOAT_SUM, Point, WORDS, copy, float_sum, lanes, one, row_sums, split, sum,
    together,
};

/// The cores that these loops are for.
pub const CORE: Core = Core::Products;

global_asm!(include_str!("v6.s"), options(raw));

/// Where [`point_bytes`] reads a column: at any multiple of this.
pub const ADDRESS: usize = 4;

/// [`point`] of values as they are, which its lanes are too.
pub use point as point_bytes;

unsafe extern "C" {
    fn kiln_widen(lanes: *mut u32, from: *const u32, fours: usize);
    fn kiln_pair(channels: *mut Channels);
    fn kiln_points_bytes(channels: *mut Channels);
    fn kiln_points_twos(channels: *mut Channels);
    fn kiln_taps(
        sums: *mut [i32; 4],
        rows: *const *const u32,
        weights: *const i16,
        taps: usize,
        count: usize,
        from: usize,
    );
}

/// A row of depthwise outputs of three by three taps.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise_pairs(row: *const Row) {
    // SAFETY: as the caller says.
    unsafe { portable::pairs_by(&*row, taps) }
}

/// A row of depthwise outputs of any kernel.
///
/// # Safety
///
/// The row's pointers are what it says.
pub unsafe fn depthwise(row: *const Row) {
    // SAFETY: as the caller says.
    unsafe { portable::depthwise_by(&*row, taps) }
}

/// [`Taps`](portable::Taps) by hand.
///
/// # Safety
///
/// Lanes and weights are there.
unsafe fn taps(
    sums: &mut [i32; 4],
    rows: &[*const u32],
    from: usize,
    taps: usize,
    weights: *const i16,
) {
    // SAFETY: as the caller says.
    unsafe { kiln_taps(sums, rows.as_ptr(), weights, taps, rows.len(), from) };
}

/// What loops through channels take and change. `v6.s` knows the places.
#[repr(C)]
struct Channels {
    columns: *const u32,
    bias: *const i32,
    weights: *const u8,
    factors: *const i32,
    output: *mut u8,
    output_end: *mut u8,
    /// Bytes from the first column's output to the second's; 0 where that is not there.
    second: usize,
    to_multipliers: isize,
    /// Bytes of the weights of four channels.
    quad: usize,
    factor_step: usize,
    channel: usize,
    zero_point: i32,
    end: *const u32,
    /// Bytes of weights of as many fours as a round is short of.
    short: usize,
    /// Bytes of the loop up to where it is entered.
    entry: usize,
}

impl Channels {
    /// For a loop with so many bytes for each four of taps; a round has four.
    fn of(task: &Task, each: usize) -> Self {
        let short = task.fours.wrapping_neg() % 4;
        Self {
            columns: task.columns,
            bias: task.bias,
            weights: task.weights,
            factors: task.factors,
            output: task.output,
            output_end: task.output_end,
            second: task.offsets[0],
            to_multipliers: task.to_multipliers,
            quad: 16 * task.fours,
            factor_step: task.factor_step,
            channel: 0,
            zero_point: task.zero_point,
            end: task.end,
            short: 16 * short,
            entry: each * short,
        }
    }
}

/// Two columns through all channels.
///
/// # Safety
///
/// The task's pointers are what it says; its lanes have been made by [`widen`].
pub unsafe fn dense(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe {
        let mut channels = Channels::of(&*task, 46);
        channels.factor_step /= 2;
        kiln_pair(&mut channels);
    }
}

/// Where fours of columns go before they get lanes: those take twice the room.
pub fn narrow(lanes: *mut u32, fours: usize) -> *mut u32 {
    lanes.wrapping_add(COLUMNS * fours)
}

/// Lanes of two columns: of each two values one word, -(x0 + 65536 x1), so that a weight is multiplied by
/// both at once.
///
/// # Safety
///
/// There is room, and the fours lie in its second half.
pub unsafe fn widen(lanes: *mut u32, fours: usize) {
    // SAFETY: as the caller says.
    unsafe { kiln_widen(lanes, narrow(lanes, fours), fours) };
}

/// One column through all fours of channels.
///
/// # Safety
///
/// The task's pointers are what it says.
pub unsafe fn point(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe {
        kiln_points_bytes(&mut Channels::of(&*task, 132));
    }
}

/// [`point_bytes`] by weights of which two are a 16-bit value.
///
/// # Safety
///
/// The task's pointers are what it says.
pub unsafe fn point_twos(task: *const Task) {
    // SAFETY: as the caller says.
    unsafe { kiln_points_twos(&mut Channels::of(&*task, 120)) };
}
