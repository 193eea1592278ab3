//! Quantization of single values, and the tables of 256 that come of it.
//!
//! A table's entry is what ONNX Runtime computes in float for that input: DequantizeLinear, the
//! function, QuantizeLinear, each rounded to f32. The function itself is computed in f64.

use kiln_core::rounding;

use crate::graph::Quant;
use crate::pointwise::Pointwise;

/// QuantizeLinear: `saturate(round_half_even(value / scale) + zero_point)`, in f32.
pub fn quantize(value: f32, quant: Quant) -> i8 {
    rounding::quantize(value / quant.scale, quant.zero_point, i8::MIN, i8::MAX)
}

/// DequantizeLinear: `(value - zero_point) * scale`, in f32.
pub fn dequantize(value: i8, quant: Quant) -> f32 {
    (i32::from(value) - i32::from(quant.zero_point)) as f32 * quant.scale
}

/// For each i8 from -128 on, what a function makes of it.
pub(super) fn table(from: Quant, to: Quant, function: impl Fn(f32) -> f32) -> Vec<u8> {
    let entry = |value: i8| quantize(function(dequantize(value, from)), to) as u8;
    (i8::MIN..=i8::MAX).map(entry).collect()
}

/// The table of a pointwise function.
pub(super) fn pointwise(function: Pointwise, from: Quant, to: Quant) -> Vec<u8> {
    table(from, to, |x| function.eval(x.into()) as f32)
}

/// The table from one quantization to another; none where they are the same.
pub(super) fn requantize(from: Quant, to: Quant) -> Option<Vec<u8>> {
    let same = from.scale == to.scale && from.zero_point == to.zero_point;
    (!same).then(|| table(from, to, |x| x))
}

/// The tables of PRelu, one a channel; one alone where all are the same.
pub(super) fn prelu(slopes: &[f32], from: Quant, to: Quant) -> Vec<u8> {
    let tables = slopes
        .iter()
        .map(|slope| table(from, to, |x| if x < 0.0 { slope * x } else { x }));
    let mut tables: Vec<Vec<u8>> = tables.collect();
    if tables.iter().all(|table| *table == tables[0]) {
        tables.truncate(1);
    }
    tables.concat()
}

/// The least and greatest output under a fused clamp. Quantizing never falls, so clamping before it
/// is clamping after it.
pub(super) fn limits(clamp: Option<(f32, f32)>, quant: Quant) -> [i8; 2] {
    let (low, high) = clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    [quantize(low, quant), quantize(high, quant)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quant(scale: f32, zero_point: i8) -> Quant {
        Quant {
            scale,
            zero_point,
            unsigned: true,
        }
    }

    #[test]
    fn values_round_half_to_even_and_saturate() {
        let cases = [
            (0.5, 3, 1.25, 5),
            (0.5, 3, 1.75, 7),
            (0.5, 3, -0.25, 3),
            (0.5, -128, -1.0, -128),
            (0.5, 127, 1e30, 127),
            (0.5, 0, f32::INFINITY, 127),
            (0.5, 0, f32::NEG_INFINITY, -128),
        ];
        for (scale, zero_point, value, expected) in cases {
            let found = quantize(value, quant(scale, zero_point));
            assert_eq!(found, expected, "{value} {scale} {zero_point}");
        }
        assert_eq!(dequantize(-128, quant(0.5, 127)), -127.5);
    }

    #[test]
    fn tables_of_functions() {
        let (from, to) = (quant(0.05, 10), quant(1.0 / 256.0, -128));
        let sigmoid = pointwise(Pointwise::Sigmoid, from, to);
        // 10 stands for 0, of which the sigmoid is 1/2.
        assert_eq!((sigmoid.len(), sigmoid[128 + 10] as i8), (256, 0));
        assert_eq!(sigmoid[0] as i8, -128);
        assert!(
            sigmoid
                .windows(2)
                .all(|pair| pair[0] as i8 <= pair[1] as i8)
        );
        assert_eq!(requantize(from, from), None);
        let double = requantize(quant(1.0, 0), quant(0.5, 0)).unwrap();
        assert_eq!(double[128 + 40] as i8, 80);
        assert_eq!(double[0] as i8, -128);
        let slopes = prelu(&[0.5, 0.25], from, from);
        assert_eq!(slopes.len(), 512);
        assert_eq!((slopes[128 - 10] as i8, slopes[384 - 10] as i8), (0, 5));
        assert_eq!(prelu(&[0.5, 0.5], from, from).len(), 256);
    }

    #[test]
    fn clamps_become_limits() {
        let quant = quant(0.1, -20);
        assert_eq!(limits(None, quant), [-128, 127]);
        assert_eq!(limits(Some((0.0, f32::INFINITY)), quant), [-20, 127]);
        assert_eq!(limits(Some((0.0, 6.0)), quant), [-20, 40]);
    }
}
