//! Sum, difference and product. QUANTIZATION.md, equations (8) to (11).

use crate::layer::{Binary, BinaryFixed, BinaryOp};
use crate::rounding::{fma, limit, quantize, quantize_shifted};
use crate::tensor::Shape;

/// Runs the layer.
pub fn run(layer: &Binary, arena: &mut [u8]) -> Option<()> {
    let Shape { channels, .. } = layer.output.shape;
    // Where b is a vector, it starts anew with every pixel.
    let b_len = layer.b.shape.len();
    let [a, b, output] = [layer.a, layer.b, layer.output].map(|tensor| tensor.offset as usize);
    if channels == 0 {
        return None;
    }
    let mut in_b = 0;
    for index in 0..layer.output.shape.len() {
        let a = *arena.get(a + index)? as i8;
        let b = *arena.get(b + in_b)? as i8;
        *arena.get_mut(output + index)? = value(layer, a, b) as u8;
        in_b += 1;
        if in_b == b_len {
            in_b = 0;
        }
    }
    Some(())
}

/// One output.
pub fn value(layer: &Binary, a: i8, b: i8) -> i8 {
    let Binary { low, high, .. } = *layer;
    let zero_point = layer.output.zero_point;
    let unsigned = |value: i8| (i32::from(value) + 128) as f32;
    let [in_a, in_b] = [a, b];
    let a = i32::from(a) - i32::from(layer.a.zero_point);
    let b = i32::from(b) - i32::from(layer.b.zero_point);
    if let Some(BinaryFixed { factors, shift }) = layer.fixed {
        let [to_a, to_b] = factors.map(i32::from);
        let sum = match layer.op {
            BinaryOp::Add => a * to_a + b * to_b,
            BinaryOp::Sub => a * to_a - b * to_b,
            BinaryOp::Mul => a * b * to_a,
        };
        let half = 1 << (shift - 1);
        let rounded = ((sum + half) >> shift) + i32::from(zero_point);
        return limit(rounded, low, high);
    }
    let [a_scale, b_scale, scale] = layer.scales;
    match layer.op {
        BinaryOp::Add => {
            let (to_a, to_b) = (a_scale / scale, b_scale / scale);
            let [a_zero, b_zero, zero] =
                [layer.a, layer.b, layer.output].map(|tensor| unsigned(tensor.zero_point));
            let start = zero - fma(to_a, a_zero, to_b * b_zero);
            let sum = fma(unsigned(in_a), to_a, fma(unsigned(in_b), to_b, start));
            quantize(sum, -128, low, high)
        }
        BinaryOp::Sub => {
            let difference = a as f32 * a_scale - b as f32 * b_scale;
            quantize(difference / scale, zero_point, low, high)
        }
        BinaryOp::Mul => {
            let factor = a_scale * b_scale / scale;
            quantize_shifted((a * b) as f32 * factor, zero_point, low, high)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::testing::{Random, every, rounded, tensor, trials};

    const SHAPE: [u32; 3] = [3, 4, 5];

    fn layer(op: BinaryOp, vector: bool, scales: [f32; 3], zero_points: [i8; 3]) -> Binary {
        let b = if vector { [1, 1, 5] } else { SHAPE };
        Binary {
            op,
            a: tensor(1, SHAPE, zero_points[0]),
            b: tensor(62, b, zero_points[1]),
            output: tensor(123, SHAPE, zero_points[2]),
            scales,
            fixed: None,
            low: -101,
            high: 120,
        }
    }

    /// By ONNX Runtime's order over unsigned values, with the standard library's fused operations.
    fn naive(layer: &Binary, a: u8, b: u8) -> i8 {
        let unsigned = |value: i8| (i32::from(value) + 128) as f32;
        let [za, zb, zc] = [layer.a, layer.b, layer.output].map(|t| unsigned(t.zero_point));
        let [sa, sb, sc] = layer.scales;
        let (a, b) = (unsigned(a as i8), unsigned(b as i8));
        match layer.op {
            BinaryOp::Add => {
                let (ra, rb) = (sa / sc, sb / sc);
                let start = zc - ra.mul_add(za, rb * zb);
                rounded(a.mul_add(ra, b.mul_add(rb, start)), -128, -101, 120)
            }
            BinaryOp::Sub => {
                let real = (a - za) * sa - (b - zb) * sb;
                rounded(real / sc, layer.output.zero_point.into(), -101, 120)
            }
            BinaryOp::Mul => {
                let factor = sa * sb / sc;
                rounded((a - za) * (b - zb) * factor + zc, -128, -101, 120)
            }
        }
    }

    const OPS: [BinaryOp; 3] = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul];

    #[test]
    fn it_equals_the_naive_computation() {
        let mut random = Random(1);
        for _ in 0..trials(500) {
            for (op, vector) in OPS.into_iter().zip([false, true, true]) {
                let scales = [0; 3].map(|_| random.scale(-6, 0));
                let layer = layer(op, vector, scales, [0; 3].map(|_| random.i8()));
                let mut arena = random.bytes(190);
                let before = arena.clone();
                assert_eq!(run(&layer, &mut arena), Some(()));
                for (index, &found) in arena[123..183].iter().enumerate() {
                    let b = if vector { index % 5 } else { index };
                    let expected = naive(&layer, before[1 + index], before[62 + b]);
                    assert_eq!(found as i8, expected, "{layer:?} {index}");
                }
                assert_eq!(arena[..123], before[..123]);
                assert_eq!(arena[183..], before[183..]);
            }
        }
    }

    /// Where ONNX Runtime's scales make them, ties go to the even unsigned output for sums and
    /// products, to the even distance from the zero point for differences.
    #[test]
    fn ties() {
        let cases = [
            (BinaryOp::Add, 1, 0, 0, 0),
            (BinaryOp::Add, 2, 1, 0, 2),
            (BinaryOp::Add, 1, 0, 1, 2),
            (BinaryOp::Add, 2, 1, 1, 2),
            (BinaryOp::Sub, 1, 0, 1, 1),
            (BinaryOp::Sub, 0, 3, 1, -1),
            (BinaryOp::Mul, 1, 1, 1, 2),
            (BinaryOp::Mul, 3, 1, 0, 2),
        ];
        for (op, a, b, zero_point, expected) in cases {
            let scales = match op {
                BinaryOp::Mul => [1.0, 1.0, 2.0],
                _ => [0.5, 0.5, 1.0],
            };
            let layer = layer(op, false, scales, [0, 0, zero_point]);
            assert_eq!(value(&layer, a, b), expected, "{op:?} {a} {b} {zero_point}");
        }
    }

    /// On scales that are multiples of a power of two of the output's, integers give the same bits but
    /// for ties, which these factors have none of.
    #[test]
    fn integers_give_the_same_bits() {
        let step = 2f32.powi(-14);
        let (to_a, to_b) = (9_001, 14_307);
        let cases = [
            (
                BinaryOp::Add,
                [to_a as f32 * step * 0.25, to_b as f32 * step * 0.25, 0.25],
                [to_a, to_b],
                14,
            ),
            (
                BinaryOp::Sub,
                [to_a as f32 * step * 0.25, to_b as f32 * step * 0.25, 0.25],
                [to_a, to_b],
                14,
            ),
            (
                BinaryOp::Mul,
                [0.5, to_a as f32 * step, 64.0],
                [to_a, 0],
                21,
            ),
        ];
        for (op, scales, factors, shift) in cases {
            let float = layer(op, false, scales, [-13, 40, 5]);
            let fixed = Some(BinaryFixed { factors, shift });
            let fixed = Binary { fixed, ..float };
            let mut ties = 0;
            for a in (i8::MIN..=i8::MAX).step_by(every(51)) {
                for b in i8::MIN..=i8::MAX {
                    let (by_float, by_fixed) = (value(&float, a, b), value(&fixed, a, b));
                    let (x, y) = (i32::from(a) + 13, i32::from(b) - 40);
                    let sum = match op {
                        BinaryOp::Add => x * i32::from(factors[0]) + y * i32::from(factors[1]),
                        BinaryOp::Sub => x * i32::from(factors[0]) - y * i32::from(factors[1]),
                        BinaryOp::Mul => x * y * i32::from(factors[0]),
                    };
                    if sum.rem_euclid(1 << shift) == 1 << (shift - 1) {
                        ties += 1;
                        continue;
                    }
                    assert_eq!(by_float, by_fixed, "{op:?} {a} {b}");
                }
            }
            assert!(ties < 2000, "{op:?} {ties}");
        }
    }

    #[test]
    fn the_largest_factors_fit() {
        let mut layer = layer(BinaryOp::Add, false, [1.0; 3], [-128, -128, 0]);
        for (op, factors) in [(BinaryOp::Add, [0x7fff; 2]), (BinaryOp::Mul, [0x3fff, 0])] {
            for shift in [1, 30] {
                layer.op = op;
                layer.fixed = Some(BinaryFixed { factors, shift });
                let sum = match op {
                    BinaryOp::Mul => 255 * 255 * 0x3fff_i64,
                    _ => 2 * 255 * 0x7fff,
                };
                let expected = ((sum + (1 << (shift - 1))) >> shift).min(120);
                assert_eq!(i64::from(value(&layer, 127, 127)), expected);
            }
        }
    }

    #[test]
    fn the_output_may_lie_over_an_input() {
        let mut random = Random(7);
        for (op, vector) in [(BinaryOp::Add, false), (BinaryOp::Mul, true)] {
            let apart = layer(op, vector, [0.5, 0.25, 0.75], [3, -5, 9]);
            let arena = random.bytes(190);
            let over = if vector { [1, 1] } else { [1, 62] };
            for offset in over {
                let mut together = apart;
                together.output.offset = offset;
                let (mut expected, mut found) = (arena.clone(), arena.clone());
                run(&apart, &mut expected).unwrap();
                run(&together, &mut found).unwrap();
                let found: Vec<u8> = found[offset as usize..][..60].to_vec();
                assert_eq!(found, expected[123..183]);
            }
        }
    }

    #[test]
    fn a_short_arena_is_refused() {
        let layer = layer(BinaryOp::Add, false, [1.0; 3], [0; 3]);
        assert_eq!(run(&layer, &mut [0; 182]), None);
    }
}
