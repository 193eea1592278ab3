//! The values under a window as a column of lanes: of each four int8 values the words that
//! [`loops::split`] makes of them. What lies between the words depends on how many columns go together.
//!
//! Where a row of the kernel is no fours, what an output row reads is copied to scratch first, with the
//! padding around it, and each column gathered from there.

use super::loops;
use crate::layer::Conv;
use crate::operators::{Operator, Set};

mod room;

pub use room::{Copy, Room, Rows};

/// Columns that go together: so many words lie between the first and the second of a four.
const COLUMNS: usize = loops::COLUMNS;

/// Makes columns of a convolution's input.
pub struct Columns {
    input: *const u8,
    room: Room,
    /// Rows of the input with padding, then columns' values; a multiple of 4.
    strip: *mut u8,
    /// The output row whose input lies there, if any.
    known: usize,
    fours: usize,
    height: isize,
    width: isize,
    channels: usize,
    out_width: usize,
    kernel: [isize; 2],
    stride: [isize; 2],
    dilation: [isize; 2],
    /// Above, and to the left.
    padding: [isize; 2],
    zero: u8,
    pixels: usize,
}

impl Columns {
    /// `strip` has the room for the columns that go together, or for one if there is one output pixel, and their
    /// lanes lie behind it.
    pub fn new(conv: &Conv<'_>, arena: &[u8], strip: *mut u8, fours: usize) -> Self {
        let (input, output, window) = (conv.input.shape, conv.output.shape, &conv.window);
        let [top, left, ..] = window.padding;
        let both = |[down, across]: [u16; 2]| [down as isize, across as isize];
        let mut columns = Self {
            input: arena.as_ptr().wrapping_add(conv.input.offset as usize),
            room: Room::of(conv, fours),
            strip,
            known: usize::MAX,
            fours,
            height: input.height as isize,
            width: input.width as isize,
            channels: input.channels as usize,
            out_width: output.width as usize,
            kernel: both(window.kernel),
            stride: both(window.stride),
            dilation: both(window.dilation),
            padding: both([top, left]),
            zero: conv.input.zero_point.cast_unsigned(),
            pixels: output.pixels(),
        };
        // Where each output pixel reads the one below it, rows do not matter.
        if is_flat(conv) && columns.direct() {
            columns.width *= columns.height;
            columns.height = 1;
            columns.out_width = columns.pixels;
        }
        columns
    }

    /// Whether columns come straight from the input.
    const fn direct(&self) -> bool {
        self.room.pitch == 0
    }

    /// Output pixels.
    pub const fn pixels(&self) -> usize {
        self.pixels
    }

    /// Lanes of the one output pixel.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `lanes` has room for two words a four.
    pub unsafe fn point(&mut self, set: Set, lanes: *mut u32) {
        // SAFETY: as the caller says.
        unsafe {
            if self.direct() || !set.has(Operator::Strips) {
                self.column([0; 2], lanes, 1);
            } else {
                self.gather([0; 2], 0);
                loops::one(lanes, self.gathered(0), self.fours, 4);
            }
        }
    }

    /// Lanes of up to as many columns as go together from the output pixel at `place` on, which moves behind them.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `lanes` has room for the words of each four; the output has those pixels.
    pub unsafe fn some(&mut self, set: Set, place: &mut [usize; 2], count: usize, lanes: *mut u32) {
        let [y, x] = *place;
        let direct = self.direct() || !set.has(Operator::Strips);
        if direct && count == COLUMNS && x + COLUMNS <= self.out_width {
            let left = x as isize * self.stride[1] - self.padding[1];
            let right = left + (COLUMNS as isize - 1) * self.stride[1] + self.kernel[1];
            // SAFETY: as the caller says; all taps lie within the input's columns.
            let done =
                left >= 0 && right <= self.width && unsafe { self.together(set, y, left, lanes) };
            if done {
                place[1] = x + COLUMNS;
                if place[1] == self.out_width {
                    *place = [y + 1, 0];
                }
                return;
            }
        }
        for index in 0..count {
            // SAFETY: as the caller says; each column has the words from its own first one on.
            unsafe {
                if direct && !set.has(Operator::Windows) {
                    let from = self.at(place[0] as isize, place[1] as isize);
                    loops::one(lanes.add(index), from, self.fours, 4 * COLUMNS);
                } else if direct {
                    self.column(*place, lanes.add(index), COLUMNS);
                } else {
                    self.gather(*place, index);
                }
            }
            place[1] += 1;
            if place[1] == self.out_width {
                *place = [place[0] + 1, 0];
            }
        }
        if !direct {
            // SAFETY: as the caller says; of columns that are not there the values are any.
            unsafe { self.one_row(lanes, self.gathered(0), self.room.column) };
        }
    }

    /// Columns of one output row that go together, none of which sees padding on its sides; the first begins in
    /// the input's column `left`. Whether that was possible.
    ///
    /// # Safety
    ///
    /// As of [`some`](Self::some).
    unsafe fn together(&self, set: Set, y: usize, left: isize, lanes: *mut u32) -> bool {
        if !set.has(Operator::Windows) {
            let from = self.at(y as isize, left);
            // SAFETY: as the caller says; a column is a pixel.
            unsafe { self.one_row(lanes, from, self.channels) };
            return true;
        }
        let [height, width] = self.kernel;
        if self.dilation[1] != 1 && width != 1 {
            return false;
        }
        let fours = width as usize * self.channels / 4;
        let top = y as isize * self.stride[0] - self.padding[0];
        let whole = top >= 0 && top + (height - 1) * self.dilation[0] < self.height;
        let [first, behind] = match whole {
            true => [0, height],
            false => taps(top, height, self.dilation[0], self.height),
        };
        let words = loops::WORDS * COLUMNS * fours;
        // SAFETY: rows of the kernel that are not within the input are filled; all others are there.
        unsafe {
            if !whole {
                self.fill(lanes, first as usize * words, 1);
                let to = lanes.add(behind as usize * words);
                self.fill(to, (height - behind) as usize * words, 1);
            }
            if behind > first {
                loops::together(&Rows {
                    to: lanes.add(first as usize * words),
                    from: self.at(top + first * self.dilation[0], left),
                    next: self.stride[1] as usize * self.channels,
                    fours,
                    rows: (behind - first) as usize,
                    pitch: (self.dilation[0] * self.width) as usize * self.channels,
                });
            }
        }
        true
    }

    /// Columns whose values lie one behind the other.
    ///
    /// # Safety
    ///
    /// As of [`some`](Self::some), and the values are there.
    unsafe fn one_row(&self, lanes: *mut u32, from: *const u8, next: usize) {
        let rows = Rows {
            to: lanes,
            from,
            next,
            fours: self.fours,
            rows: 1,
            pitch: 0,
        };
        // SAFETY: as the caller says.
        unsafe { loops::together(&rows) };
    }

    /// One column straight from the input; of its words each is `step` behind the one before.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `lanes` has room.
    unsafe fn column(&self, [y, x]: [usize; 2], lanes: *mut u32, step: usize) {
        let top = y as isize * self.stride[0] - self.padding[0];
        let left = x as isize * self.stride[1] - self.padding[1];
        let [height, width] = self.kernel;
        let [first, behind] = taps(left, width, self.dilation[1], self.width);
        // Taps with others between them one by one.
        let parts = if self.dilation[1] == 1 {
            1
        } else {
            behind - first
        };
        let words = loops::WORDS * self.channels / 4;
        let mut lanes = lanes;
        for row in 0..height {
            let in_row = top + row * self.dilation[0];
            // SAFETY: taps within the input are copied, others filled; as many as the column has.
            unsafe {
                if in_row < 0 || in_row >= self.height || behind == first {
                    lanes = self.fill(lanes, width as usize * words, step);
                    continue;
                }
                lanes = self.fill(lanes, first as usize * words, step);
                for part in 0..parts {
                    let from = self.at(in_row, left + (first + part) * self.dilation[1]);
                    let taps = if parts == 1 { behind - first } else { 1 };
                    lanes = loops::one(lanes, from, taps as usize * self.channels / 4, 4 * step);
                }
                lanes = self.fill(lanes, (width - behind) as usize * words, step);
            }
        }
    }

    /// Copies a column's values, from the input with padding.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, and the room.
    unsafe fn gather(&mut self, [y, x]: [usize; 2], index: usize) {
        if self.known != y {
            // SAFETY: as the caller says.
            unsafe { self.fill_strip(y) };
            self.known = y;
        }
        let (height, width) = (self.kernel[0] as usize, self.kernel[1] as usize);
        let (down, across) = (self.dilation[0] as usize, self.dilation[1] as usize);
        let from = self
            .strip
            .wrapping_add(x * self.stride[1] as usize * self.channels);
        let to = self.gathered(index);
        // SAFETY: as the caller says; a column is of words, of which the last may not be all written below.
        unsafe { to.add(self.room.column - 4).cast::<u32>().write(0) };
        // Taps with others between them one by one.
        let (calls, bytes, rows, pitch) = match across {
            1 => (1, width * self.channels, height, down * self.room.pitch),
            _ => (height, self.channels, width, across * self.channels),
        };
        for call in 0..calls {
            // SAFETY: the strip has all taps and up to three bytes more, a column too.
            unsafe {
                loops::copy(&Copy {
                    to: to.wrapping_add(call * bytes * rows),
                    from: from.wrapping_add(call * down * self.room.pitch),
                    bytes,
                    rows,
                    pitch,
                    to_pitch: bytes,
                });
            }
        }
    }

    /// Copies what an output row reads, with the padding around it.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, and the room.
    unsafe fn fill_strip(&self, y: usize) {
        let Room {
            pitch, rows, strip, ..
        } = self.room;
        let top = y as isize * self.stride[0] - self.padding[0];
        let line = self.width as usize * self.channels;
        let left = self.padding[1] as usize * self.channels;
        let inside = taps(top, rows as isize, 1, self.height);
        let [first, behind] = inside.map(|row| row as usize);
        let to = self.strip.wrapping_add(first * pitch + left);
        let from = self.at(top + first as isize, 0);
        // SAFETY: as the caller says; scratch and input lie apart, `room` has seen to that.
        unsafe {
            // What pads rows on their sides stays.
            if self.known == usize::MAX || behind - first < rows {
                self.strip.write_bytes(self.zero, strip);
            }
            if line < 4 {
                for row in 0..behind - first {
                    let to = to.add(row * pitch);
                    to.copy_from_nonoverlapping(from.add(row * line), line);
                }
            } else if behind > first {
                // By words at any address, and then the last one, which may lie over another.
                let mut words = Copy {
                    to,
                    from,
                    bytes: line - 4,
                    rows: behind - first,
                    pitch: line,
                    to_pitch: pitch,
                };
                loops::copy(&words);
                words.to = to.add(line - 4);
                words.from = from.add(line - 4);
                words.bytes = 4;
                loops::copy(&words);
            }
        }
    }

    /// Where a column's values are gathered.
    const fn gathered(&self, index: usize) -> *mut u8 {
        self.strip
            .wrapping_add(self.room.strip + index * self.room.column)
    }

    /// A pixel of the input.
    const fn at(&self, y: isize, x: isize) -> *const u8 {
        let pixel = y.wrapping_mul(self.width).wrapping_add(x);
        self.input
            .wrapping_offset(pixel.wrapping_mul(self.channels as isize))
    }

    /// Lanes of padding, `count` words; gives the next place.
    ///
    /// # Safety
    ///
    /// There is room.
    unsafe fn fill(&self, lanes: *mut u32, count: usize, step: usize) -> *mut u32 {
        let [value, ..] = loops::split([self.zero; 4]);
        for index in 0..count {
            // SAFETY: as the caller says.
            unsafe { lanes.add(index * step).write(value) };
        }
        lanes.wrapping_add(count * step)
    }
}

/// Whether each output pixel reads the one below it.
pub fn is_flat(conv: &Conv<'_>) -> bool {
    let window = &conv.window;
    window.taps() == 1 && window.stride == [1; 2] && window.padding == [0; 4]
}

/// Of `count` taps from `start` on, `step` apart, the first that lies below `end` and not below zero,
/// and the one behind the last; none gives two equal ones.
#[cfg_attr(target_os = "none", inline(never))]
pub const fn taps(start: isize, count: isize, step: isize, end: isize) -> [isize; 2] {
    let (mut first, mut behind) = (0, count);
    while first < count && start + first * step < 0 {
        first += 1;
    }
    while behind > first && start + (behind - 1) * step >= end {
        behind -= 1;
    }
    [first, behind]
}
