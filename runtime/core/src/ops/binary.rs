//! Sum, difference and product. QUANTIZATION.md, equations (7) to (10).

use crate::layer::{Binary, BinaryFixed, BinaryOp};
use crate::rounding::{quantize, quantize_shifted};
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
        return rounded.clamp(low.into(), high.into()) as i8;
    }
    let [a_scale, b_scale, scale] = layer.scales;
    match layer.op {
        BinaryOp::Add => {
            let (to_a, to_b) = (a_scale / scale, b_scale / scale);
            let sum = a as f32 * to_a + b as f32 * to_b;
            quantize_shifted(sum, zero_point, low, high)
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
