//! Convolution: also depthwise, grouped and fully connected. QUANTIZATION.md, equations (5) and (6).

use super::{PIXEL, first_tap, tap};
use crate::layer::Conv;
use crate::rounding::word;

/// Runs the layer.
pub fn run(layer: &Conv<'_>, arena: &mut [u8]) -> Option<()> {
    let output = layer.output.shape;
    let channels = output.channels as usize;
    let mut at = layer.output.offset as usize;
    let mut pixel = [0; PIXEL];
    for row in 0..output.height {
        for column in 0..output.width {
            for first in (0..channels).step_by(PIXEL) {
                let len = PIXEL.min(channels - first);
                let pixel = pixel.get_mut(..len)?;
                for (out, value) in (first..).zip(pixel.iter_mut()) {
                    let acc = accumulate(layer, arena, [row, column], out)?;
                    let zero_point = layer.output.zero_point;
                    *value = layer.rounding.apply(acc, out, zero_point)? as u8;
                }
                arena.get_mut(at..)?.get_mut(..len)?.copy_from_slice(pixel);
                at += len;
            }
        }
    }
    Some(())
}

/// One output's accumulator. Equation (5).
fn accumulate(layer: &Conv<'_>, arena: &[u8], [row, column]: [u32; 2], out: usize) -> Option<i32> {
    let (input, window) = (layer.input, layer.window);
    let shape = layer.kernel_shape();
    let group = out / (shape.out_channels / shape.groups);
    let first_row = first_tap(row, window.stride[0], window.padding[0]);
    let first_column = first_tap(column, window.stride[1], window.padding[1]);
    let weight_zero_point = match layer.weight_zero_points {
        [] => 0,
        zero_points => i32::from(*zero_points.get(out)? as i8),
    };
    let mut acc = i32::from_le_bytes(word(layer.bias, out)?);
    for kernel_row in 0..window.kernel[0] {
        let y = tap(
            first_row,
            kernel_row,
            window.dilation[0],
            input.shape.height,
        );
        for kernel_column in 0..window.kernel[1] {
            let x = tap(
                first_column,
                kernel_column,
                window.dilation[1],
                input.shape.width,
            );
            let values = match (y, x) {
                (Some(y), Some(x)) => {
                    let pixel = y * input.shape.width as usize + x;
                    let start = pixel * input.shape.channels as usize + group * shape.in_channels;
                    let values = arena.get(input.offset as usize + start..)?;
                    Some(values.get(..shape.in_channels)?)
                }
                _ => None,
            };
            let value = |index: usize| match values {
                Some(values) => values.get(index).map_or(0, |&x| i32::from(x as i8)),
                None => i32::from(input.zero_point),
            };
            let (row, column) = (kernel_row.into(), kernel_column.into());
            for index in 0..shape.in_channels {
                let at = layer.packing.index(shape, out, row, column, index);
                let weight = i32::from(*layer.weights.get(at)? as i8);
                acc = acc.wrapping_add(value(index) * (weight - weight_zero_point));
            }
        }
    }
    Some(acc)
}
