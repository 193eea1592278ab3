//! The operators made fast, one file an instruction set: the only `unsafe` of the crate. Each equals
//! the plain loop of [`ops`](crate::ops) to the byte.
//!
//! A hook says whether it did the layer's work; if not, it has written nothing and the plain loop
//! does it.

use crate::layer::{Binary, Conv, Copy, Pool, Resize, Table};

/// Convolution.
pub fn conv(_layer: &Conv<'_>, _arena: &mut [u8]) -> bool {
    false
}

/// Sum, difference or product.
pub fn binary(_layer: &Binary, _arena: &mut [u8]) -> bool {
    false
}

/// A table of each value.
pub fn table(_layer: &Table<'_>, _arena: &mut [u8]) -> bool {
    false
}

/// Maximum or average.
pub fn pool(_layer: &Pool, _arena: &mut [u8]) -> bool {
    false
}

/// Writes its input into a part of its output.
pub fn copy(_layer: &Copy<'_>, _arena: &mut [u8]) -> bool {
    false
}

/// Nearest neighbour.
pub fn resize(_layer: &Resize, _arena: &mut [u8]) -> bool {
    false
}
