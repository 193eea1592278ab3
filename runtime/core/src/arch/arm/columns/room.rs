//! What makes columns: its place in scratch, and what its loops take.

use crate::layer::Conv;

/// Rows of fours of the columns that go together. `dsp_lanes.s` knows the places.
#[repr(C)]
pub struct Rows {
    /// Where lanes go: of each four the columns' first words, then their second ones if there are such.
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

/// Rows of bytes that are copied by fours, in order: up to three bytes behind each are read and written
/// too. `dsp_lanes.s` knows the places.
#[repr(C)]
pub struct Copy {
    /// Where the first row goes.
    pub to: *mut u8,
    /// The first row.
    pub from: *const u8,
    /// Bytes of a row, some.
    pub bytes: usize,
    /// How many rows, some.
    pub rows: usize,
    /// Bytes from a row to the next.
    pub pitch: usize,
    /// The same of where they go.
    pub to_pitch: usize,
}

/// What a convolution's columns take in scratch.
#[derive(Clone, Copy)]
pub struct Room {
    /// Bytes of a row of the input with padding; 0 where columns come straight from the input.
    pub pitch: usize,
    /// Rows of that.
    pub rows: usize,
    /// Bytes of a gathered column.
    pub column: usize,
}

impl Room {
    /// Of a convolution with so many fours of taps.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn of(conv: &Conv<'_>, fours: usize) -> Self {
        let (input, window) = (conv.input.shape, &conv.window);
        let [_, left, _, right] = window.padding;
        let channels = input.channels as usize;
        if channels.is_multiple_of(4) {
            return Self {
                pitch: 0,
                rows: 0,
                column: 0,
            };
        }
        Self {
            pitch: (usize::from(left) + input.width as usize + usize::from(right))
                .saturating_mul(channels),
            rows: window.span()[0] as usize,
            column: 4 * fours,
        }
    }

    /// Bytes, with those that are read and written beyond.
    pub const fn len(&self, columns: usize) -> usize {
        if self.pitch == 0 {
            return 0;
        }
        let strip = self.strip();
        strip
            .saturating_add(columns.saturating_mul(self.column))
            .saturating_add(4)
    }

    /// Bytes of the rows, a multiple of 4.
    pub const fn strip(&self) -> usize {
        self.pitch.saturating_mul(self.rows).saturating_add(3) / 4 * 4 + 4
    }
}
