//! One operator, one file: the plain loop is the meaning.
//!
//! Each goes through its output in NHWC order, and has read all that a pixel takes before it writes
//! that pixel. So an output may lie over what of an input no later pixel reads. Convolutions and pools
//! keep that for up to [`PIXEL`] output channels; the rest of a deeper pixel is computed after its
//! first part is written.
//!
//! None comes back where a layer is not one that a checked model has.

pub mod binary;
pub mod conv;
pub mod copy;
pub mod pool;
pub mod resize;
pub mod table;

/// Output channels of a pixel that are computed before the first of them is written.
pub const PIXEL: usize = 256;

/// Where a window's taps begin, in input rows or columns: those of output `at`.
pub(crate) const fn first_tap(at: u32, stride: u16, padding: u16) -> i64 {
    at as i64 * stride as i64 - padding as i64
}

/// Tap `tap` of a window that begins at `first`: the input's row or column, none where it is padding.
pub(crate) fn tap(first: i64, tap: u16, dilation: u16, side: u32) -> Option<usize> {
    let at = first + i64::from(tap) * i64::from(dilation);
    match u32::try_from(at) {
        Ok(at) if at < side => Some(at as usize),
        _ => None,
    }
}
