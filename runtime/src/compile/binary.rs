//! A sum's, difference's or product's factors in integers.

use kiln_core::layer::{Binary, BinaryFixed, BinaryOp};
use kiln_core::ops::binary::value;

/// The factors with which integers give the same for all values within the ranges of the operands;
/// none where the ones nearest to the scales do not.
pub(super) fn fixed(layer: &Binary, ranges: [[i8; 2]; 2]) -> Option<BinaryFixed> {
    let [a, b, output] = layer.scales.map(f64::from);
    let (factors, bits) = match layer.op {
        BinaryOp::Add | BinaryOp::Sub => ([a / output, b / output], 15),
        BinaryOp::Mul => ([a * b / output, 0.0], 14),
    };
    let largest = factors[0].max(factors[1]);
    // Below 2^bits, with as many bits as there are.
    let shift = (1..=30)
        .rev()
        .find(|&shift| scaled(largest, shift) < f64::from(1 << bits))?;
    let fixed = BinaryFixed {
        factors: factors.map(|factor| scaled(factor, shift) as u16),
        shift,
    };
    let exact = Binary {
        fixed: None,
        ..*layer
    };
    let integers = Binary {
        fixed: Some(fixed),
        ..*layer
    };
    let [[a_low, a_high], [b_low, b_high]] = ranges;
    let same = |a: i8| (b_low..=b_high).all(|b| value(&exact, a, b) == value(&integers, a, b));
    (fixed.factors[0] != 0 && (a_low..=a_high).all(same)).then_some(fixed)
}

fn scaled(factor: f64, shift: u8) -> f64 {
    (factor * f64::from(1u32 << shift)).round()
}

#[cfg(test)]
mod tests {
    use kiln_core::tensor::{Shape, Tensor};

    use super::*;

    fn layer(op: BinaryOp, scales: [f32; 3], zero_points: [i8; 3]) -> Binary {
        let [a, b, output] = zero_points.map(|zero_point| Tensor {
            offset: 0,
            shape: Shape::vector(1),
            zero_point,
        });
        Binary {
            op,
            a,
            b,
            output,
            scales,
            fixed: None,
            low: -128,
            high: 127,
        }
    }

    #[test]
    fn factors_where_all_pairs_agree() {
        let all = [[-128, 127]; 2];
        // Ratios of 3 / 4 and 5 / 16, never half-way: 12 a + 5 b = 8 mod 16 has no solution for b
        // even; with b odd it has, so this one has ties.
        let ties = layer(BinaryOp::Add, [0.75, 0.3125, 1.0], [3, -7, 5]);
        assert_eq!(fixed(&ties, all), None);
        // Of a sum of equal scales nothing is rounded.
        let sum = layer(BinaryOp::Add, [0.1, 0.1, 0.1], [3, -7, 5]);
        let found = fixed(&sum, all).unwrap();
        assert_eq!(
            found,
            BinaryFixed {
                factors: [1 << 14; 2],
                shift: 14
            }
        );
        // A third is never half-way.
        let product = layer(BinaryOp::Mul, [0.5, 0.5, 0.75], [-3, 9, -128]);
        assert!(fixed(&product, all).is_some_and(|fixed| fixed.factors[1] == 0));
        let difference = layer(BinaryOp::Sub, [0.3, 0.3, 0.3], [0, 1, 0]);
        assert!(fixed(&difference, all).is_some());
        // Ties are out of reach where one operand has one value.
        assert!(fixed(&ties, [[3, 3], [-7, -7]]).is_some());
    }
}
