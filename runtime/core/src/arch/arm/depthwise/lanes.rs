//! The rows of a depthwise convolution that lie in scratch.

use super::{Plan, loops};
use crate::operators::{Operator, Set};
use crate::packing::QUAD;

/// Pixels whose fours of channels become lanes. `dsp_lanes.s` knows the places.
#[repr(C)]
pub struct Pixels {
    /// Where the first pixel's first lanes go; those of the next pixel follow.
    pub to: *mut u32,
    /// The first pixel.
    pub from: *const u8,
    /// How many, some.
    pub pixels: usize,
    /// Fours of channels of each, some.
    pub groups: usize,
    /// Bytes of a pixel behind those.
    pub rest: usize,
    /// Bytes from the lanes of four channels to those of the next four.
    pub apart: usize,
}

/// The rows in scratch.
pub struct Lanes {
    pub plan: Plan,
    pub lanes: *mut u32,
    pub input: *const u8,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub left: usize,
    pub zero: [u8; 4],
}

impl Lanes {
    /// A row of four channels, by its number.
    pub fn row(&self, group: usize, row: usize) -> *mut u32 {
        // There is a row: `Plan::of` has seen to that.
        let turn = row.checked_rem(self.plan.rows).unwrap_or(0);
        let bytes = group * self.plan.group() + turn * self.plan.row();
        self.lanes.wrapping_byte_add(bytes)
    }

    /// Fills what is no padding on the sides of a row of all channels from the input's row `y`, or with
    /// padding where that is not there.
    ///
    /// # Safety
    ///
    /// Lanes and input are there.
    pub unsafe fn fill(&self, set: Set, row: usize, y: usize) {
        let plan = self.plan;
        let before = self.left.min(plan.width);
        let inside = self.width.min(plan.width - before);
        let to = self.row(0, row).wrapping_byte_add(plan.column * before);
        let whole = self.channels / QUAD;
        // SAFETY: as the caller says.
        unsafe {
            if y >= self.height {
                for group in 0..plan.groups {
                    pad(
                        to.wrapping_byte_add(group * plan.group()),
                        self.zero,
                        inside,
                    );
                }
                return;
            }
            let from = self.input.add(y * self.width * self.channels);
            if whole > 0 && inside > 0 {
                loops::lanes(&Pixels {
                    to,
                    from,
                    pixels: inside,
                    groups: whole,
                    rest: self.channels - whole * QUAD,
                    apart: plan.group(),
                });
            }
            if set.has(Operator::Rest) && whole < plan.groups {
                let to = to.wrapping_byte_add(whole * plan.group());
                let left = self.channels - whole * QUAD;
                self.few(to, from.add(whole * QUAD), inside, left);
            }
        }
    }

    /// Lanes of less than four channels.
    ///
    /// # Safety
    ///
    /// As of [`fill`](Self::fill).
    unsafe fn few(&self, to: *mut u32, from: *const u8, count: usize, channels: usize) {
        for column in 0..count {
            let mut four = [0; QUAD];
            for (channel, value) in four.iter_mut().enumerate().take(channels) {
                // SAFETY: as the caller says.
                *value = unsafe { from.add(column * self.channels + channel).read() };
            }
            // SAFETY: as the caller says.
            unsafe { pad(to.byte_add(self.plan.column * column), four, 1) };
        }
    }
}

/// Lanes of a four, so many times.
///
/// # Safety
///
/// There is room.
pub unsafe fn pad(to: *mut u32, four: [u8; 4], count: usize) {
    let words = loops::split(four);
    for index in 0..count {
        for (word, value) in words.iter().enumerate() {
            // SAFETY: as the caller says.
            unsafe { to.add(loops::WORDS * index + word).write(*value) };
        }
    }
}
