//! One operator, one file: the plain loop is the meaning.
//!
//! Each goes through its output in NHWC order, and has read all that a pixel takes before it writes
//! that pixel. So an output may lie over what of an input no later pixel reads. Convolutions and pools
//! keep that for up to [`PIXEL`] output channels; the rest of a deeper pixel is computed after its
//! first part is written. A resize reads a pixel while it writes it.
//!
//! None comes back where a layer is not one that a checked model has.

pub mod binary;
pub mod conv;
pub mod copy;
pub mod pool;
pub mod resize;
pub mod table;

use crate::tensor::Shape;
use crate::window::Window;

/// Output channels of a pixel that are computed before the first of them is written.
pub const PIXEL: usize = 256;

/// One window's taps along an axis of the input.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    first: i64,
    dilation: i64,
    side: u32,
}

impl Axis {
    /// Of the window of the output at `[row, column]`: down and across.
    pub(crate) fn both(window: &Window, input: Shape, output: [u32; 2]) -> [Self; 2] {
        let [row, column] = output.map(i64::from);
        let [stride_y, stride_x] = window.stride.map(i64::from);
        let [top, left, ..] = window.padding.map(i64::from);
        let [dilation_y, dilation_x] = window.dilation.map(i64::from);
        let down = Self {
            first: row * stride_y - top,
            dilation: dilation_y,
            side: input.height,
        };
        let across = Self {
            first: column * stride_x - left,
            dilation: dilation_x,
            side: input.width,
        };
        [down, across]
    }

    /// The input's row or column under a tap; none where that is padding.
    pub(crate) fn tap(self, tap: u16) -> Option<usize> {
        match u32::try_from(self.first + i64::from(tap) * self.dilation) {
            Ok(at) if at < self.side => Some(at as usize),
            _ => None,
        }
    }
}
