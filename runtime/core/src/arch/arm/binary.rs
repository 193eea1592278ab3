//! Sums and differences of tensors of one shape. QUANTIZATION.md, equations (8) and (11).

use core::ops::Range;

use super::{loops, range};
use crate::layer::{Binary, BinaryFixed, BinaryOp};
use crate::operators::{Operator, Set};
use crate::ops::binary::value;
use crate::rounding::{fma, limit};
use crate::tensor::Tensor;

/// What the loops take. `dsp_lanes.s` knows the places.
#[repr(C)]
pub struct Sum {
    /// The first operand.
    pub a: *const u8,
    /// The second.
    pub b: *const u8,
    /// The output.
    pub output: *mut u8,
    /// Fours of values, some.
    pub fours: usize,
    /// Of [`loops::sum`]: by what the operands are multiplied, in 16 bits each, and what is added. Of
    /// [`loops::float_sum`] f32 bits: by what they are, counted from -128 on, and what is added.
    pub terms: [u32; 3],
    /// Of [`loops::sum`]: by what the sum is shifted.
    pub shift: u32,
}

/// Whether [`run`] needs nothing but [`Operator::Sum`] for a layer.
pub fn takes(layer: &Binary) -> bool {
    let len = layer.output.shape.len();
    let [a, b, output] = [&layer.a, &layer.b, &layer.output].map(|tensor: &Tensor| {
        let start = tensor.offset as usize;
        (start..start.saturating_add(len), tensor.shape.len() == len)
    });
    let apart = |operand| is_over_or_apart(operand, &output.0);
    len > 0
        && len.is_multiple_of(4)
        && a.1
        && b.1
        && apart(&a.0)
        && apart(&b.0)
        && match layer.fixed {
            Some(fixed) => layer.op != BinaryOp::Mul && integers(layer, fixed).is_some(),
            None if layer.op != BinaryOp::Add => false,
            None => loops::HAS_FLOAT_SUM || fraction_bits(&floats(layer)).is_some(),
        }
}

/// Runs the layer; none where it is left to the plain loop, and nothing is written.
pub fn run(layer: &Binary, set: Set, arena: &mut [u8]) -> Option<()> {
    let len = layer.output.shape.len();
    let tensors = [layer.a, layer.b, layer.output];
    if tensors.iter().any(|tensor| tensor.shape.len() != len) {
        return None;
    }
    let [a, b, output] = tensors.map(|tensor| range(&tensor, arena));
    let (a, b, output) = (a?, b?, output?);
    if !is_over_or_apart(&a, &output) || !is_over_or_apart(&b, &output) {
        return None;
    }
    let bytes = arena.as_mut_ptr();
    let mut sum = Sum {
        a: bytes.wrapping_add(a.start),
        b: bytes.wrapping_add(b.start),
        output: bytes.wrapping_add(output.start),
        fours: len / 4,
        terms: [0; 3],
        shift: 0,
    };
    let fours = len / 4 * 4;
    if fours == 0 || fours < len && !set.has(Operator::Binary) {
        return None;
    }
    match layer.fixed {
        Some(fixed) => {
            (sum.terms, sum.shift) = integers(layer, fixed)?;
            // SAFETY: `range` has looked at the lengths.
            unsafe { loops::sum(&sum) };
        }
        None if layer.op == BinaryOp::Add && loops::HAS_FLOAT_SUM => {
            sum.terms = floats(layer).map(f32::to_bits);
            // SAFETY: as above.
            unsafe { loops::float_sum(&sum) };
        }
        None if loops::HAS_FLOAT_SUM => return None,
        None => near(layer, arena, [a.start, b.start, output.start], fours)?,
    }
    // Else there is no rest, and the program has no code for one.
    if set.has(Operator::Binary) {
        for index in fours..len {
            let [a, b] = [a.start, b.start].map(|start| arena.get(start + index).copied());
            *arena.get_mut(output.start + index)? = value(layer, a? as i8, b? as i8) as u8;
        }
    }
    keep_to(layer, arena.get_mut(output)?);
    Some(())
}

/// Whether the output lies over an operand of its size as a whole, or apart.
pub(super) fn is_over_or_apart(operand: &Range<usize>, output: &Range<usize>) -> bool {
    operand.start == output.start || operand.start.abs_diff(output.start) >= output.len()
}

/// Keeps outputs to the layer's least and greatest.
pub(super) fn keep_to(layer: &Binary, output: &mut [u8]) {
    let whole = (layer.low, layer.high) == (i8::MIN, i8::MAX);
    if !whole {
        for value in output {
            *value = limit((*value as i8).into(), layer.low, layer.high) as u8;
        }
    }
}

/// More than what a sum in integers loses of an output in floats, in units of the sum. Factors lose 2 for each unit
/// of an operand by rounding, floats 2^-24 of no more than 2^30, three times.
pub(super) const ERROR: u32 = 2048;

/// `clamp(a * factors[0] + b * factors[1] + c >> shift)` is equation (11), if that fits in 32 bits.
fn integers(layer: &Binary, fixed: BinaryFixed) -> Option<([u32; 3], u32)> {
    let [a, b] = fixed.factors.map(i32::from);
    let b = if layer.op == BinaryOp::Sub { -b } else { b };
    let shift = u32::from(fixed.shift);
    let zero = |zero_point: i8| i64::from(zero_point);
    let (a_zero, b_zero) = (zero(layer.a.zero_point), zero(layer.b.zero_point));
    let start = (1 << (shift - 1)) + (zero(layer.output.zero_point) << shift);
    let constant = start - a_zero * i64::from(a) - b_zero * i64::from(b);
    let reach = 255 * (i64::from(a) + i64::from(b).abs()) + start.abs();
    let constant = i32::try_from(constant).ok()?;
    (reach <= i32::MAX.into()).then_some(([a as u32, b as u32, constant as u32], shift))
}

/// Ratios of the scales, and what the sum of equation (8) starts with.
fn floats(layer: &Binary) -> [f32; 3] {
    let [a_scale, b_scale, scale] = layer.scales;
    let (to_a, to_b) = (a_scale / scale, b_scale / scale);
    let [a_zero, b_zero, zero] =
        [layer.a, layer.b, layer.output].map(|tensor| (i32::from(tensor.zero_point) + 128) as f32);
    let start = zero - fma(to_a, a_zero, to_b * b_zero);
    [to_a, to_b, start]
}

/// As many as keep a sum of [`near`] below 2^30.
fn fraction_bits(terms: &[f32; 3]) -> Option<u32> {
    let most = 256.0 * (terms[0] + terms[1]) + terms[2].abs() + 1.0;
    (14..=22)
        .rev()
        .find(|&bits| most * (1 << bits) as f32 <= (1 << 30) as f32)
}

/// Equation (8) in integers, to within some error; where that leaves two outputs, by the plain
/// computation. None where the ratios do not allow for it.
fn near(layer: &Binary, arena: &mut [u8], starts: [usize; 3], len: usize) -> Option<()> {
    if layer.op != BinaryOp::Add {
        return None;
    }
    let terms = floats(layer);
    let bits = fraction_bits(&terms)?;
    let [to_a, to_b, start] = terms.map(|term| (term * (1 << bits) as f32) as i32);
    let start = start + (1 << (bits - 1));
    let mask = (1_u32 << bits) - 1;
    let bytes = arena.as_mut_ptr();
    let [a, b, output] = starts.map(|start| bytes.wrapping_add(start));
    for index in 0..len {
        // SAFETY: the caller has looked at the lengths.
        unsafe {
            let [a, b] = [a, b].map(|from| from.add(index).read());
            let [ua, ub] = [a, b].map(|value| i32::from(value ^ 0x80));
            let sum = ua * to_a + ub * to_b + start;
            let fraction = sum as u32 & mask;
            let value = if fraction.wrapping_sub(ERROR) < mask - 2 * ERROR {
                (sum >> bits).clamp(0, 255) as u8 ^ 0x80
            } else {
                value(layer, a as i8, b as i8) as u8
            };
            output.add(index).write(value);
        }
    }
    Some(())
}
