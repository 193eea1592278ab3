//! The values under a window as a column of lanes: of each four int8 values two words of two 16-bit
//! lanes, the values (0, 2) and (1, 3). What lies between the words depends on how many columns go
//! together.

use super::loops;
use crate::layer::Conv;

/// Rows of fours of three columns. [`dsp.s`](super::dsp) knows the places.
#[repr(C)]
pub struct Rows {
    /// Where lanes go: of each four three first words, then three second ones.
    pub to: *mut u32,
    /// The first column's first row.
    pub from: *const u8,
    /// Bytes to the next column.
    pub next: usize,
    /// Fours of a row.
    pub fours: usize,
    /// How many rows.
    pub rows: usize,
    /// Bytes to the next row.
    pub pitch: usize,
}

/// Words between the first and the second of a four, where three columns go together.
const THREE: usize = 3;

/// Makes columns of a convolution's input.
pub struct Columns {
    input: *const u8,
    /// Behind what may be read.
    end: *const u8,
    /// A column's values, where they are gathered first; a multiple of 4.
    buffer: *mut u8,
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
    /// Whether the values of a row of the kernel are fours.
    direct: bool,
    pixels: usize,
}

impl Columns {
    /// `buffer` has room for the fours and 4 bytes more.
    pub fn new(conv: &Conv<'_>, arena: &[u8], buffer: *mut u8, fours: usize) -> Self {
        let (input, output, window) = (conv.input.shape, conv.output.shape, &conv.window);
        let channels = input.channels as usize;
        let [top, left, ..] = window.padding;
        let both = |pair: [u16; 2]| pair.map(|side| side as isize);
        let mut columns = Self {
            input: arena.as_ptr().wrapping_add(conv.input.offset as usize),
            end: arena.as_ptr_range().end,
            buffer,
            fours,
            height: input.height as isize,
            width: input.width as isize,
            channels,
            out_width: output.width as usize,
            kernel: both(window.kernel),
            stride: both(window.stride),
            dilation: both(window.dilation),
            padding: both([top, left]),
            zero: conv.input.zero_point.cast_unsigned(),
            direct: channels.is_multiple_of(4),
            pixels: output.pixels(),
        };
        // Where each output pixel reads the one below it, rows do not matter.
        if window.taps() == 1 && window.stride == [1; 2] && window.padding == [0; 4] {
            columns.width *= columns.height;
            columns.height = 1;
            columns.out_width = columns.pixels;
        }
        columns
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
    pub unsafe fn point(&self, lanes: *mut u32) {
        // SAFETY: as the caller says.
        unsafe { self.column([0; 2], lanes, 1) }
    }

    /// Lanes of up to three columns from the output pixel at `place` on, which moves behind them.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `lanes` has room for six words a four; the output has those pixels.
    pub unsafe fn some(&self, place: &mut [usize; 2], count: usize, lanes: *mut u32) {
        let [y, x] = *place;
        if count == THREE && x + THREE <= self.out_width {
            let left = x as isize * self.stride[1] - self.padding[1];
            let right = left + 2 * self.stride[1] + self.kernel[1];
            // SAFETY: as the caller says; all taps lie within the input's columns.
            let done = left >= 0 && right <= self.width && unsafe { self.three(y, left, lanes) };
            if done {
                place[1] = x + THREE;
                if place[1] == self.out_width {
                    *place = [y + 1, 0];
                }
                return;
            }
        }
        for index in 0..count {
            // SAFETY: as the caller says; each column has the words from its own first one on.
            unsafe { self.column(*place, lanes.add(index), THREE) };
            place[1] += 1;
            if place[1] == self.out_width {
                *place = [place[0] + 1, 0];
            }
        }
    }

    /// Three columns of one output row, none of which sees padding on its sides; the first begins in
    /// the input's column `left`. Whether that was possible.
    ///
    /// # Safety
    ///
    /// As of [`some`](Self::some).
    unsafe fn three(&self, y: usize, left: isize, lanes: *mut u32) -> bool {
        let [height, width] = self.kernel;
        let row_fours = match self.direct {
            true => width as usize * self.channels / 4,
            // The last four may read beyond the pixel: the weights are zeros there.
            false if height * width == 1 => self.channels.div_ceil(4),
            false => return false,
        };
        if self.dilation[1] != 1 && width != 1 {
            return false;
        }
        let top = y as isize * self.stride[0] - self.padding[0];
        let [first, behind] = self.taps(top, height, self.dilation[0], self.height);
        let from_row = top + first * self.dilation[0];
        let next = self.stride[1] as usize * self.channels;
        let from = self.at(from_row, left);
        if !self.direct && from.wrapping_add(2 * next + 4 * row_fours) > self.end {
            return false;
        }
        let row_words = 2 * THREE * row_fours;
        // SAFETY: rows of the kernel that are not within the input are filled; all others are there.
        unsafe {
            self.fill(lanes, first as usize * row_words, 1);
            let to = lanes.add(first as usize * row_words);
            if behind > first {
                loops::three(&Rows {
                    to,
                    from,
                    next,
                    fours: row_fours,
                    rows: (behind - first) as usize,
                    pitch: (self.dilation[0] * self.width) as usize * self.channels,
                });
            }
            let to = lanes.add(behind as usize * row_words);
            self.fill(to, (height - behind) as usize * row_words, 1);
        }
        true
    }

    /// One column; of its words each is `step` behind the one before.
    ///
    /// # Safety
    ///
    /// The input's bytes are there, `lanes` has room.
    unsafe fn column(&self, [y, x]: [usize; 2], lanes: *mut u32, step: usize) {
        let top = y as isize * self.stride[0] - self.padding[0];
        let left = x as isize * self.stride[1] - self.padding[1];
        let [height, width] = self.kernel;
        let [first, behind] = self.taps(left, width, self.dilation[1], self.width);
        let inner = [first, behind - first, width - behind];
        let inner = inner.map(|taps| taps as usize * self.channels);
        let whole = width as usize * self.channels;
        // Taps with others between them one by one.
        let parts = match self.dilation[1] {
            1 => 1,
            _ => (behind - first) as usize,
        };
        let apart = self.dilation[1] as usize * self.channels;
        let mut from = self.at(top, left + first * self.dilation[1]);
        let pitch = self.dilation[0] * self.width * self.channels as isize;
        let mut lanes = lanes;
        let mut bytes = self.buffer;
        let mut in_row = top;
        for _ in 0..height {
            let there = in_row >= 0 && in_row < self.height && inner[1] > 0;
            let [before, inside, after] = if there { inner } else { [0, 0, whole] };
            let part = if parts == 1 { inside } else { self.channels };
            // SAFETY: taps within the input are copied, others filled; as many as the column has.
            unsafe {
                if self.direct {
                    lanes = self.fill(lanes, before / 2, step);
                    if there {
                        for index in 0..parts {
                            let from = from.wrapping_add(index * apart);
                            lanes = loops::one(lanes, from, part / 4, 4 * step);
                        }
                    }
                    lanes = self.fill(lanes, after / 2, step);
                } else {
                    bytes = self.pad(bytes, before);
                    if there {
                        for index in 0..parts {
                            bytes = self.gather(bytes, from.wrapping_add(index * apart), part);
                        }
                    }
                    bytes = self.pad(bytes, after);
                }
            }
            in_row += self.dilation[0];
            from = from.wrapping_offset(pitch);
        }
        if !self.direct {
            // SAFETY: as above.
            unsafe { loops::one(lanes, self.buffer, self.fours, 4 * step) };
        }
    }

    /// Of `count` taps from `start` on, `step` apart, the first that lies below `end` and not below
    /// zero, and the one behind the last; none gives two equal ones.
    fn taps(&self, start: isize, count: isize, step: isize, end: isize) -> [isize; 2] {
        let (mut first, mut behind) = (0, count);
        while first < count && start + first * step < 0 {
            first += 1;
        }
        while behind > first && start + (behind - 1) * step >= end {
            behind -= 1;
        }
        [first, behind]
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
        let value = self.zero.cast_signed() as i16 as u16;
        let value = u32::from(value) << 16 | u32::from(value);
        for index in 0..count {
            // SAFETY: as the caller says.
            unsafe { lanes.add(index * step).write(value) };
        }
        lanes.wrapping_add(count * step)
    }

    /// Bytes of padding, by fours; up to three more are written. Gives the next place.
    ///
    /// # Safety
    ///
    /// There is room for three more.
    #[inline(always)]
    unsafe fn pad(&self, to: *mut u8, count: usize) -> *mut u8 {
        let mut at = 0;
        while at < count {
            // SAFETY: as the caller says.
            unsafe { to.add(at).cast::<[u8; 4]>().write([self.zero; 4]) };
            at += 4;
        }
        to.wrapping_add(count)
    }

    /// Copies bytes, by fours where they end within the arena; up to three more are written. Gives the
    /// next place.
    ///
    /// # Safety
    ///
    /// The bytes are there, and there is room for three more.
    #[inline(always)]
    unsafe fn gather(&self, to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        let by_fours = from.wrapping_add(count + 3) <= self.end;
        let mut at = 0;
        while at < count {
            // SAFETY: as the caller says.
            unsafe {
                if by_fours {
                    let four = from.add(at).cast::<[u8; 4]>().read();
                    to.add(at).cast::<[u8; 4]>().write(four);
                    at += 4;
                } else {
                    to.add(at).write(from.add(at).read());
                    at += 1;
                }
            }
        }
        to.wrapping_add(count)
    }
}
