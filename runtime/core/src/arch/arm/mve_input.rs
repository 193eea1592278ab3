//! What columns for vectors (Helium) are made from.

use super::columns::taps;
use crate::layer::Conv;

unsafe extern "C" {
    fn kiln_vector_gather(windows: *const Windows);
    pub fn kiln_vector_fill(to: *mut u8, value: u8, bytes: usize);
}

/// Rows of windows that are copied. `mve.s` knows the places.
#[repr(C)]
struct Windows {
    to: *mut u8,
    from: *const u8,
    /// Bytes of a row, some.
    bytes: usize,
    /// Rows, some.
    rows: usize,
    /// Bytes from behind a row's last sixteen to the next row.
    next_row: usize,
    /// The same of where they go.
    to_next_row: usize,
    /// Windows, some.
    count: usize,
    /// Bytes from where a window goes to where the next does.
    to_next: usize,
    /// Bytes from a window to the next.
    next: usize,
}

/// What columns are made from.
pub struct Input {
    bytes: *const u8,
    height: isize,
    width: isize,
    channels: usize,
    kernel: [isize; 2],
    stride: [isize; 2],
    dilation: [isize; 2],
    /// Above, and to the left.
    padding: [isize; 2],
    zero: u8,
    out_width: isize,
}

impl Input {
    pub fn of(conv: &Conv<'_>, bytes: *const u8) -> Self {
        let (shape, window) = (conv.input.shape, &conv.window);
        let [top, left, ..] = window.padding;
        let both = |pair: [u16; 2]| pair.map(|side| side as isize);
        Self {
            bytes,
            height: shape.height as isize,
            width: shape.width as isize,
            channels: shape.channels as usize,
            kernel: both(window.kernel),
            stride: both(window.stride),
            dilation: both(window.dilation),
            padding: both([top, left]),
            zero: conv.input.zero_point.cast_unsigned(),
            out_width: conv.output.shape.width as isize,
        }
    }

    /// The values under the windows of some output pixels from `place` on, row and column, one behind the other,
    /// `apart` bytes from each to the next; `place` goes on.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `to` has the room.
    pub unsafe fn gather(&self, place: &mut [usize; 2], count: usize, to: *mut u8, apart: usize) {
        let (mut to, mut count) = (to, count);
        while count > 0 {
            let [y, x] = place.map(|place| place as isize);
            let left = x * self.stride[1] - self.padding[1];
            let span = (self.kernel[1] - 1) * self.dilation[1];
            let most = count.min((self.out_width - x) as usize);
            // Windows that reach beyond no side go together.
            let last = self.width - 1 - span - left;
            let some = match last.checked_div(self.stride[1]) {
                Some(more) if left >= 0 && last >= 0 => most.min(more as usize + 1),
                _ => 1,
            };
            // SAFETY: as the caller says.
            unsafe {
                self.windows(
                    [y * self.stride[0] - self.padding[0], left],
                    some,
                    to,
                    apart,
                )
            };
            to = to.wrapping_add(some * apart);
            count -= some;
            place[1] += some;
            if place[1] == self.out_width as usize {
                *place = [place[0] + 1, 0];
            }
        }
    }

    /// The values of one window at a row and a column of the input, or of more that reach beyond no side.
    ///
    /// # Safety
    ///
    /// As of [`gather`](Self::gather).
    unsafe fn windows(&self, [top, left]: [isize; 2], count: usize, to: *mut u8, apart: usize) {
        let [height, width] = self.kernel;
        let [first, behind] = taps(top, height, self.dilation[0], self.height);
        let [start, end] = taps(left, width, self.dilation[1], self.width);
        let whole = [first, behind, start, end] == [0, height, 0, width];
        let row = width as usize * self.channels;
        // Taps with others between them one by one.
        let parts = if self.dilation[1] == 1 {
            1
        } else {
            end - start
        };
        let bytes = self.channels * if parts == 1 { end - start } else { 1 } as usize;
        // SAFETY: as the caller says; what is not within the input is filled.
        unsafe {
            if !whole {
                kiln_vector_fill(to, self.zero, (count - 1) * apart + height as usize * row);
            }
            if behind <= first || end <= start {
                return;
            }
            for part in start..start + parts {
                let tap = first as usize * width as usize + part as usize;
                let sixteens = bytes.next_multiple_of(16);
                kiln_vector_gather(&Windows {
                    to: to.wrapping_add(tap * self.channels),
                    from: self.at(
                        top + first * self.dilation[0],
                        left + part * self.dilation[1],
                    ),
                    bytes,
                    rows: (behind - first) as usize,
                    next_row: ((self.dilation[0] * self.width) as usize * self.channels)
                        .wrapping_sub(sixteens),
                    to_next_row: row.wrapping_sub(sixteens),
                    count,
                    to_next: apart,
                    next: self.stride[1] as usize * self.channels,
                });
            }
        }
    }

    /// A pixel of the input.
    const fn at(&self, y: isize, x: isize) -> *const u8 {
        let pixel = y.wrapping_mul(self.width).wrapping_add(x);
        self.bytes
            .wrapping_offset(pixel.wrapping_mul(self.channels as isize))
    }
}
