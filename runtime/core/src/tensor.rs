//! Where an activation lies and what shape it has.

/// Rows, columns and channels of an activation, in NHWC with a batch of 1: the value at row `y`,
/// column `x` and channel `c` is number `(y * width + x) * channels + c`.
///
/// A 1-D activation has one row; a vector has one row and one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Channels.
    pub channels: u32,
}

impl Shape {
    /// Rows, columns, channels.
    pub const fn new(height: u32, width: u32, channels: u32) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }

    /// A vector of `channels` values.
    pub const fn vector(channels: u32) -> Self {
        Self::new(1, 1, channels)
    }

    /// Values, which are bytes for int8; `usize::MAX` where that many do not exist.
    #[cfg_attr(target_os = "none", inline(never))]
    pub const fn len(&self) -> usize {
        (self.height as usize)
            .saturating_mul(self.width as usize)
            .saturating_mul(self.channels as usize)
    }

    /// Whether there are no values.
    pub const fn is_empty(&self) -> bool {
        self.height == 0 || self.width == 0 || self.channels == 0
    }

    /// Pixels: rows times columns.
    pub const fn pixels(&self) -> usize {
        (self.height as usize).saturating_mul(self.width as usize)
    }
}

/// An int8 activation in the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tensor {
    /// The first byte in the arena.
    pub offset: u32,
    /// Its shape.
    pub shape: Shape,
    /// The integer that stands for 0.
    pub zero_point: i8,
}
