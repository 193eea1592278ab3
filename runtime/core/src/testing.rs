//! What tests share.

use std::vec::Vec;

pub(crate) use crate::preprocess::reference::Random;
use crate::tensor::{Shape, Tensor};

/// So many cases, fewer under Miri, which is some hundred times slower.
pub(crate) const fn trials(count: usize) -> usize {
    if cfg!(miri) {
        count.div_ceil(500)
    } else {
        count
    }
}

impl Random {
    /// 0..count.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        (self.next() >> 11) % count
    }

    pub(crate) fn i8(&mut self) -> i8 {
        (self.next() >> 24) as i8
    }

    /// i8 values, as an arena holds them.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.i8() as u8).collect()
    }

    /// A float above zero, its logarithm even over `2^low..2^high`.
    pub(crate) fn scale(&mut self, low: i32, high: i32) -> f32 {
        let exponent = low + self.below((high - low) as u64) as i32;
        let mantissa = 1.0 + self.below(1 << 23) as f64 / f64::from(1 << 23);
        (mantissa * 2f64.powi(exponent)) as f32
    }
}

/// A tensor of `[height, width, channels]`.
pub(crate) fn tensor(offset: usize, [height, width, channels]: [u32; 3], zero_point: i8) -> Tensor {
    Tensor {
        offset: offset as u32,
        shape: Shape::new(height, width, channels),
        zero_point,
    }
}

/// Words as a file holds them.
pub(crate) fn words(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Floats as a file holds them.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// `clamp(round_half_even(value) + zero_point, low, high)` by the standard library's rounding.
pub(crate) fn rounded(value: f32, zero_point: i32, low: i8, high: i8) -> i8 {
    let sum = f64::from(value).round_ties_even() + f64::from(zero_point);
    sum.clamp(low.into(), high.into()) as i8
}
