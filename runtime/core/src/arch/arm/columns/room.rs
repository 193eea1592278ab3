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

/// What a convolution's columns take in scratch before their lanes.
#[derive(Clone, Copy, Default)]
pub struct Room {
    /// Bytes of a row of the input with padding; 0 where columns come straight from the input.
    pub pitch: usize,
    /// Rows of that.
    pub rows: usize,
    /// Bytes of the rows, up to a multiple of 4.
    pub strip: usize,
    /// Bytes of a gathered column. What is written behind the last one gets lanes later.
    pub column: usize,
}

impl Room {
    /// Of a convolution with so many fours of taps.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn of(conv: &Conv<'_>, fours: usize) -> Self {
        let (input, window) = (conv.input.shape, &conv.window);
        let [_, left, _, right] = window.padding;
        let (left, right) = (usize::from(left), usize::from(right));
        let channels = input.channels as usize;
        if channels.is_multiple_of(4) {
            return Self::default();
        }
        let pitch = (left + input.width as usize + right).saturating_mul(channels);
        let rows = window.span()[0] as usize;
        let strip = pitch.saturating_mul(rows).saturating_add(3);
        Self {
            pitch,
            rows,
            strip: strip / 4 * 4,
            column: 4 * fours,
        }
    }

    /// Bytes.
    pub const fn len(&self, columns: usize) -> usize {
        let gathered = columns.saturating_mul(self.column);
        self.strip.saturating_add(gathered)
    }
}
