//! What a depthwise convolution by vectors (Helium) takes in scratch: `mve_depthwise.rs` says what lies there.

use crate::arch::arm::vectors::VECTOR;
use crate::layer::Conv;

/// Rows of the lanes, bytes of each value's, and columns of a window.
pub const ROWS: usize = 4;

/// The columns in scratch.
#[derive(Clone, Copy)]
pub struct Vectors {
    /// Whether a window of four by four has two outputs of two rows: three by three taps, or less, and one step.
    pub two: bool,
    /// Columns of padding on the left.
    pub left: usize,
    /// Columns of the input that outputs read.
    pub inside: usize,
    /// Columns that outputs read, those of padding included.
    pub width: usize,
    /// Columns that windows reach.
    pub reached: usize,
    channels: usize,
}

impl Vectors {
    /// Of a convolution whose outputs read so many columns; none where it is left to lanes of fours of channels.
    pub fn of(conv: &Conv<'_>, width: usize) -> Option<Self> {
        let window = &conv.window;
        let [rows, columns] = window.kernel.map(usize::from);
        if rows > ROWS || columns > ROWS {
            return None;
        }
        let two = rows < ROWS && columns < ROWS && window.stride == [1; 2];
        let out_width = conv.output.shape.width as usize;
        let across = usize::from(window.stride[1]);
        let left = usize::from(window.padding[1]);
        let inside = (conv.input.shape.width as usize).min(width.checked_sub(left)?);
        Some(Self {
            two,
            left,
            inside,
            width,
            reached: match two {
                true => out_width.next_multiple_of(2) + 2,
                false => (out_width.next_multiple_of(4) - 1).saturating_mul(across) + ROWS,
            },
            channels: conv.input.shape.channels as usize,
        })
    }

    /// Bytes of the lanes of a column.
    pub const fn column(&self) -> usize {
        self.channels.saturating_mul(ROWS)
    }

    /// Bytes of scratch: what is read, and whole vectors of what is written, of which there is one at least.
    pub fn len(&self) -> usize {
        let left = self.left.saturating_mul(self.column());
        let inside = (self.inside * self.channels)
            .max(1)
            .next_multiple_of(VECTOR);
        let written = left.saturating_add(inside.saturating_mul(ROWS));
        written.max(self.reached.saturating_mul(self.column()))
    }
}
