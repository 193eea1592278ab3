//! Maximum and average over windows. QUANTIZATION.md, equations (11) and (12).

use super::{PIXEL, first_tap, tap};
use crate::layer::{Pool, PoolKind};
use crate::rounding::{quantize_shifted, requantize, requantize_fixed};

/// Runs the layer.
pub fn run(layer: &Pool, arena: &mut [u8]) -> Option<()> {
    let output = layer.output.shape;
    let channels = output.channels as usize;
    let mut at = layer.output.offset as usize;
    let mut pixel = [0; PIXEL];
    for row in 0..output.height {
        for column in 0..output.width {
            for first in (0..channels).step_by(PIXEL) {
                let len = PIXEL.min(channels - first);
                let pixel = pixel.get_mut(..len)?;
                for (channel, value) in (first..).zip(pixel.iter_mut()) {
                    *value = match layer.kind {
                        PoolKind::Max => maximum(layer, arena, [row, column], channel)?,
                        PoolKind::Average { .. } => average(layer, arena, [row, column], channel)?,
                    } as u8;
                }
                arena.get_mut(at..)?.get_mut(..len)?.copy_from_slice(pixel);
                at += len;
            }
        }
    }
    Some(())
}

/// Goes through the values of one channel under a window, row by row, padding left out.
fn for_each(
    layer: &Pool,
    arena: &[u8],
    [row, column]: [u32; 2],
    channel: usize,
    mut f: impl FnMut(i8),
) -> Option<()> {
    let (input, window) = (layer.input, layer.window);
    let first_row = first_tap(row, window.stride[0], window.padding[0]);
    let first_column = first_tap(column, window.stride[1], window.padding[1]);
    for kernel_row in 0..window.kernel[0] {
        let y = tap(
            first_row,
            kernel_row,
            window.dilation[0],
            input.shape.height,
        );
        let Some(y) = y else { continue };
        for kernel_column in 0..window.kernel[1] {
            let x = tap(
                first_column,
                kernel_column,
                window.dilation[1],
                input.shape.width,
            );
            let Some(x) = x else { continue };
            let pixel = y * input.shape.width as usize + x;
            let at = pixel * input.shape.channels as usize + channel;
            f(*arena.get(input.offset as usize + at)? as i8);
        }
    }
    Some(())
}

fn maximum(layer: &Pool, arena: &[u8], place: [u32; 2], channel: usize) -> Option<i8> {
    let mut most = i8::MIN;
    for_each(layer, arena, place, channel, |value| most = most.max(value))?;
    Some(most.max(layer.low).min(layer.high))
}

fn average(layer: &Pool, arena: &[u8], place: [u32; 2], channel: usize) -> Option<i8> {
    let PoolKind::Average {
        scales: [in_scale, scale],
        count_include_pad,
        fixed,
    } = layer.kind
    else {
        return None;
    };
    let Pool { low, high, .. } = *layer;
    let zero_point = layer.output.zero_point;
    let in_zero = i32::from(layer.input.zero_point);
    let (mut sum, mut count) = (0i32, 0usize);
    for_each(layer, arena, place, channel, |value| {
        sum = sum.wrapping_add(i32::from(value) - in_zero);
        count += 1;
    })?;
    let taps = layer.window.taps();
    if count_include_pad {
        count = taps;
    }
    if fixed != 0 && count == taps {
        return Some(requantize_fixed(sum, fixed, zero_point, low, high));
    }
    if is_global(layer) {
        let factor = in_scale / (scale * taps as f32);
        return Some(requantize(sum, factor, zero_point, low, high));
    }
    let mut sum = 0.0;
    for_each(layer, arena, place, channel, |value| {
        sum += in_scale * (i32::from(value) - in_zero) as f32;
    })?;
    Some(quantize_shifted(
        sum / count.max(1) as f32 / scale,
        zero_point,
        low,
        high,
    ))
}

/// Whether the window is the whole input, without padding.
fn is_global(layer: &Pool) -> bool {
    let [rows, columns] = layer.window.kernel.map(u32::from);
    let whole = rows == layer.input.shape.height && columns == layer.input.shape.width;
    whole && layer.window.padding == [0; 4]
}
