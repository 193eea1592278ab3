//! The order in which a convolution's weights lie: what its inner loop wants.

/// A convolution's weights as a box: what [`Packing`] lays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelShape {
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the kernel.
    pub rows: usize,
    /// Columns of the kernel.
    pub columns: usize,
    /// Input channels of one group.
    pub in_channels: usize,
    /// ONNX's `group`.
    pub groups: usize,
}

/// The order in which a convolution's weights lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// `[out_channels][kernel rows][kernel columns][in_channels / groups]`.
    #[default]
    Plain,
}

impl Packing {
    /// All, by [`id`](Self::id).
    pub const ALL: [Self; 1] = [Self::Plain];

    /// What stands for it in a file.
    pub const fn id(self) -> u8 {
        match self {
            Self::Plain => 0,
        }
    }

    /// The packing that a file means.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Bytes of the weights; `usize::MAX` where that many do not exist.
    pub const fn len(self, shape: KernelShape) -> usize {
        match self {
            Self::Plain => shape
                .out_channels
                .saturating_mul(shape.rows)
                .saturating_mul(shape.columns)
                .saturating_mul(shape.in_channels),
        }
    }

    /// Where the weight of an output channel, a row and a column of the kernel, and an input channel
    /// of its group lies. Below [`len`](Self::len) for all that are within the shape, if `len` is no
    /// longer than memory is.
    pub const fn index(
        self,
        shape: KernelShape,
        out: usize,
        row: usize,
        column: usize,
        input: usize,
    ) -> usize {
        match self {
            Self::Plain => {
                ((out * shape.rows + row) * shape.columns + column) * shape.in_channels + input
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn each_weight_has_a_place_of_its_own() {
        let shapes = [(5, 3, 2, 7, 1), (6, 1, 1, 4, 2), (9, 3, 4, 1, 9)];
        for (out_channels, rows, columns, in_channels, groups) in shapes {
            let shape = KernelShape {
                out_channels,
                rows,
                columns,
                in_channels,
                groups,
            };
            for packing in Packing::ALL {
                assert_eq!(Packing::from_id(packing.id()), Some(packing));
                let mut taken = vec![false; packing.len(shape)];
                for out in 0..out_channels {
                    for row in 0..rows {
                        for column in 0..columns {
                            for input in 0..in_channels {
                                let index = packing.index(shape, out, row, column, input);
                                assert!(!taken[index], "{packing:?} {shape:?}");
                                taken[index] = true;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(Packing::from_id(Packing::ALL.len() as u8), None);
    }
}
