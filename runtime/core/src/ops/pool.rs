//! Maximum and average over windows. QUANTIZATION.md, equations (12) to (15).

use super::{Axis, PIXEL};
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
    place: [u32; 2],
    channel: usize,
    mut f: impl FnMut(i8),
) -> Option<()> {
    let (input, window) = (layer.input, layer.window);
    let [down, across] = Axis::both(&window, input.shape, place);
    for kernel_row in 0..window.kernel[0] {
        let Some(y) = down.tap(kernel_row) else {
            continue;
        };
        for kernel_column in 0..window.kernel[1] {
            let Some(x) = across.tap(kernel_column) else {
                continue;
            };
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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::testing::{Random, rounded, tensor};
    use crate::window::Window;

    const fn window(
        kernel: [u16; 2],
        stride: [u16; 2],
        dilation: [u16; 2],
        padding: [u16; 4],
    ) -> Window {
        Window {
            kernel,
            stride,
            dilation,
            padding,
        }
    }

    const CASES: [([u32; 3], Window); 9] = [
        ([6, 8, 3], window([2, 2], [2, 2], [1, 1], [0; 4])),
        ([7, 5, 2], window([3, 3], [2, 2], [1, 1], [1; 4])),
        ([5, 7, 4], window([3, 2], [1, 1], [1, 1], [1, 0, 1, 1])),
        ([9, 6, 3], window([2, 3], [1, 2], [3, 2], [0; 4])),
        // Windows of nothing but padding.
        ([3, 4, 2], window([2, 2], [1, 3], [1, 1], [3, 2, 2, 3])),
        ([1, 16, 3], window([1, 4], [1, 4], [1, 1], [0; 4])),
        ([5, 4, 6], window([5, 4], [1, 1], [1, 1], [0; 4])),
        ([1, 1, 5], window([1, 1], [1, 1], [1, 1], [0; 4])),
        ([3, 2, 300], window([2, 2], [1, 1], [1, 1], [0, 1, 0, 0])),
    ];

    const SCALES: [f32; 2] = [0.037, 0.0291];

    fn layer(input: [u32; 3], window: Window, kind: PoolKind) -> Pool {
        let [rows, columns] = window.output(input[0], input[1]).unwrap();
        let input = tensor(2, input, -9);
        Pool {
            kind,
            input,
            output: tensor(
                2 + input.shape.len() + 3,
                [rows, columns, input.shape.channels],
                4,
            ),
            window,
            low: -110,
            high: 101,
        }
    }

    /// The values under a window: every input value asks whether it is under one of the taps.
    fn under(layer: &Pool, input: &[u8], row: u32, column: u32, channel: u32) -> Vec<i32> {
        let shape = layer.input.shape;
        let hit = |axis: usize, output: u32, at: u32| {
            let window = layer.window;
            (0..window.kernel[axis]).any(|tap| {
                output * u32::from(window.stride[axis]) + u32::from(tap * window.dilation[axis])
                    == at + u32::from(window.padding[axis])
            })
        };
        let mut values = Vec::new();
        for y in 0..shape.height {
            for x in 0..shape.width {
                if hit(0, row, y) && hit(1, column, x) {
                    let at = (y * shape.width + x) * shape.channels + channel;
                    values.push(i32::from(input[at as usize] as i8));
                }
            }
        }
        values
    }

    fn naive(layer: &Pool, input: &[u8]) -> Vec<u8> {
        let shape = layer.output.shape;
        let mut output = Vec::new();
        for row in 0..shape.height {
            for column in 0..shape.width {
                for channel in 0..shape.channels {
                    let values = under(layer, input, row, column, channel);
                    let reals = values.iter().map(|&x| SCALES[0] * (x + 9) as f32);
                    let sum: i32 = values.iter().map(|x| x + 9).sum();
                    let taps = layer.window.taps();
                    let value = match layer.kind {
                        PoolKind::Max => {
                            let most = values.iter().copied().max().unwrap_or(-128);
                            most.clamp(-110, 101) as i8
                        }
                        PoolKind::Average { fixed, .. } if fixed != 0 && values.len() == taps => {
                            let exact = f64::from(sum) * f64::from(fixed) / 2f64.powi(32);
                            (((exact + 0.5).floor() as i32) + 4).clamp(-110, 101) as i8
                        }
                        PoolKind::Average { .. } if shape.pixels() == 1 => {
                            let factor = SCALES[0] / (SCALES[1] * values.len() as f32);
                            rounded(sum as f32 * factor, 4, -110, 101)
                        }
                        PoolKind::Average {
                            count_include_pad, ..
                        } => {
                            let count = if count_include_pad {
                                taps
                            } else {
                                values.len().max(1)
                            };
                            let mean = reals.fold(0.0, |sum, x| sum + x) / count as f32;
                            rounded(mean / SCALES[1] + 132.0, -128, -110, 101)
                        }
                    };
                    output.push(value as u8);
                }
            }
        }
        output
    }

    #[test]
    fn it_equals_the_naive_computation() {
        let mut random = Random(1);
        let average = |count_include_pad, fixed| PoolKind::Average {
            scales: SCALES,
            count_include_pad,
            fixed,
        };
        for (input, window) in CASES {
            let taps = window.taps() as f64;
            let fixed = f64::from(SCALES[0] / SCALES[1]) / taps * 2f64.powi(32);
            let kinds = [
                PoolKind::Max,
                average(false, 0),
                average(true, 0),
                average(false, fixed.min(2e9) as i32),
            ];
            for kind in kinds {
                let layer = layer(input, window, kind);
                let (from, to) = (layer.input.offset as usize, layer.output.offset as usize);
                let end = to + layer.output.shape.len();
                let mut arena = random.bytes(end + 3);
                let before = arena.clone();
                let expected = naive(&layer, &arena[from..from + layer.input.shape.len()]);
                assert_eq!(run(&layer, &mut arena), Some(()));
                assert_eq!(arena[to..end], expected, "{input:?} {window:?} {kind:?}");
                assert_eq!(arena[..to], before[..to]);
                assert_eq!(arena[end..], before[end..]);
            }
        }
    }

    /// `(x, y)` pairs by hand: means that are ties go to the even unsigned output.
    #[test]
    fn ties_of_an_average_go_to_even() {
        let kind = PoolKind::Average {
            scales: [1.0, 1.0],
            count_include_pad: false,
            fixed: 0,
        };
        let window = window([1, 2], [1, 2], [1, 1], [0; 4]);
        let mut layer = layer([1, 6, 1], window, kind);
        layer.input.zero_point = 0;
        layer.output.zero_point = 0;
        let mut arena = std::vec![0, 0, 0, 1, 1, 2, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0];
        run(&layer, &mut arena).unwrap();
        let output = layer.output.offset as usize;
        assert_eq!(arena[output..output + 3], [0, 2, 0xfe]);
        // With an odd zero point, too, the output is even.
        layer.output.zero_point = 1;
        run(&layer, &mut arena).unwrap();
        assert_eq!(arena[output..output + 3], [2, 2, 0]);
    }

    #[test]
    fn a_pool_may_lie_over_its_input() {
        let mut random = Random(3);
        for (input, window) in [CASES[0], CASES[5], CASES[6]] {
            let mut layer = layer(input, window, PoolKind::Max);
            layer.output.offset = layer.input.offset;
            let mut arena = random.bytes(2 + layer.input.shape.len());
            let expected = naive(&layer, &arena[2..]);
            run(&layer, &mut arena).unwrap();
            assert_eq!(arena[2..2 + expected.len()], expected);
        }
    }
}
