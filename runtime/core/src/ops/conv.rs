//! Convolution: also depthwise, grouped and fully connected. QUANTIZATION.md, equation (6).

use super::{Axis, PIXEL};
use crate::layer::Conv;
use crate::packing::{KernelShape, Packing};
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

/// One output's accumulator. Equation (6).
fn accumulate(layer: &Conv<'_>, arena: &[u8], place: [u32; 2], out: usize) -> Option<i32> {
    let (input, window, shape) = (layer.input, layer.window, layer.kernel_shape());
    let group = out.checked_div(shape.out_channels.checked_div(shape.groups)?)?;
    let [down, across] = Axis::both(&window, input.shape, place);
    let mut acc = i32::from_le_bytes(word(layer.bias, out)?);
    for kernel_row in 0..window.kernel[0] {
        let y = down.tap(kernel_row);
        for kernel_column in 0..window.kernel[1] {
            let values = match y.zip(across.tap(kernel_column)) {
                Some((y, x)) => {
                    let pixel = y * input.shape.width as usize + x;
                    let start = pixel * input.shape.channels as usize + group * shape.in_channels;
                    let values = arena.get(input.offset as usize + start..)?;
                    Some(values.get(..shape.in_channels)?)
                }
                None => None,
            };
            let tap = [out, kernel_row.into(), kernel_column.into()];
            acc = acc.wrapping_add(under_tap(layer, shape, tap, values)?);
        }
    }
    Some(acc)
}

/// What the input channels under one tap of the kernel add; `values` is none for padding.
fn under_tap(
    layer: &Conv<'_>,
    shape: KernelShape,
    [out, row, column]: [usize; 3],
    values: Option<&[u8]>,
) -> Option<i32> {
    let zero_point = match layer.weight_zero_points {
        [] => 0,
        zero_points => i32::from(*zero_points.get(out)? as i8),
    };
    let padding = layer.input.zero_point as u8;
    let term = |x: u8, w: i8| i32::from(x as i8) * (i32::from(w) - zero_point);
    let mut sum = 0i32;
    if layer.packing == Packing::Plain {
        let start = layer.packing.index(shape, out, row, column, 0);
        let weights = layer.weights.get(start..)?.get(..shape.in_channels)?;
        if let Some(values) = values {
            for (&x, &w) in values.iter().zip(weights) {
                sum = sum.wrapping_add(term(x, w as i8));
            }
        } else {
            for &w in weights {
                sum = sum.wrapping_add(term(padding, w as i8));
            }
        }
        return Some(sum);
    }
    for input in 0..shape.in_channels {
        let x = values.map_or(Some(padding), |values| values.get(input).copied())?;
        let index = layer.packing.index(shape, out, row, column, input);
        sum = sum.wrapping_add(term(x, layer.packing.weight(layer.weights, index)?));
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::layer::{Rounding, Scratch};
    use crate::rounding::requantize_fixed;
    use crate::testing::{Random, floats, rounded, tensor, words};
    use crate::window::Window;

    struct Case {
        input: [u32; 3],
        out_channels: u32,
        window: Window,
        groups: u32,
    }

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

    const fn case(input: [u32; 3], out_channels: u32, groups: u32, window: Window) -> Case {
        Case {
            input,
            out_channels,
            window,
            groups,
        }
    }

    const CASES: [Case; 17] = [
        case([4, 6, 3], 5, 1, window([1, 1], [1, 1], [1, 1], [0; 4])),
        case([7, 5, 3], 4, 1, window([3, 3], [1, 1], [1, 1], [1; 4])),
        case(
            [7, 5, 3],
            4,
            1,
            window([3, 3], [2, 2], [1, 1], [0, 0, 1, 1]),
        ),
        case(
            [8, 9, 2],
            5,
            1,
            window([3, 2], [2, 3], [1, 1], [2, 0, 1, 3]),
        ),
        case(
            [9, 8, 2],
            3,
            1,
            window([3, 3], [1, 1], [2, 3], [2, 3, 2, 3]),
        ),
        // Padding wider than the kernel; a kernel wider than the input.
        case(
            [3, 2, 4],
            3,
            1,
            window([2, 2], [1, 2], [1, 1], [3, 4, 5, 6]),
        ),
        case(
            [2, 3, 5],
            2,
            1,
            window([4, 5], [1, 1], [1, 1], [2, 1, 2, 3]),
        ),
        // Depthwise, with a multiplier, in groups.
        case([6, 5, 7], 7, 7, window([3, 3], [1, 1], [1, 1], [1; 4])),
        case(
            [6, 7, 4],
            8,
            4,
            window([3, 1], [2, 1], [1, 1], [1, 0, 0, 0]),
        ),
        case(
            [5, 4, 6],
            9,
            3,
            window([3, 3], [1, 2], [1, 1], [1, 1, 1, 0]),
        ),
        case(
            [5, 6, 8],
            4,
            2,
            window([1, 2], [1, 1], [1, 2], [0, 1, 0, 0]),
        ),
        // 1-D, fully connected, one value.
        case(
            [1, 20, 3],
            4,
            1,
            window([1, 5], [1, 2], [1, 1], [0, 2, 0, 2]),
        ),
        case([1, 1, 37], 11, 1, window([1, 1], [1, 1], [1, 1], [0; 4])),
        case([3, 4, 2], 6, 1, window([3, 4], [1, 1], [1, 1], [0; 4])),
        case([1, 1, 1], 1, 1, window([1, 1], [1, 1], [1, 1], [0; 4])),
        // More channels than are held back.
        case(
            [2, 3, 5],
            300,
            1,
            window([2, 1], [1, 1], [1, 1], [1, 0, 0, 0]),
        ),
        case(
            [2, 3, 515],
            515,
            515,
            window([1, 2], [1, 1], [1, 1], [0, 0, 0, 1]),
        ),
    ];

    /// Constants of a layer.
    struct Constants {
        weights: Vec<u8>,
        zero_points: Vec<u8>,
        bias: Vec<u8>,
        multipliers: Vec<u8>,
        fixed: Vec<u8>,
    }

    impl Constants {
        fn random(case: &Case, random: &mut Random) -> Self {
            let out = case.out_channels as usize;
            let taps = case.window.taps() * (case.input[2] / case.groups) as usize;
            let scale = 15.0 / (5000.0 * (taps as f32).sqrt());
            let multipliers: Vec<f32> = (0..out).map(|_| random.scale(-1, 1) * scale).collect();
            // Every third channel by its factor.
            let fixed = |index: usize| match index % 3 {
                0 => (f64::from(multipliers[index]) * 2f64.powi(32)) as i32,
                _ => 0,
            };
            Self {
                weights: random.bytes(out * taps),
                zero_points: random.bytes(out),
                bias: words(
                    &(0..out)
                        .map(|_| random.next() as i16 as i32)
                        .collect::<Vec<_>>(),
                ),
                fixed: words(&(0..out).map(fixed).collect::<Vec<_>>()),
                multipliers: floats(&multipliers),
            }
        }
    }

    fn layer<'m>(case: &Case, constants: &'m Constants, kind: usize) -> Conv<'m> {
        let [height, width, channels] = case.input;
        let [rows, columns] = case.window.output(height, width).unwrap();
        let input = tensor(3, [height, width, channels], -7);
        let output = [rows, columns, case.out_channels];
        Conv {
            input,
            output: tensor(3 + input.shape.len() + 5, output, 11),
            window: case.window,
            groups: case.groups,
            packing: Packing::Plain,
            weights: &constants.weights,
            weight_zero_points: if kind == 1 {
                &constants.zero_points
            } else {
                &[]
            },
            bias: &constants.bias,
            rounding: Rounding {
                multipliers: &constants.multipliers,
                fixed: if kind == 2 { &constants.fixed } else { &[] },
                low: -100,
                high: 120,
            },
            scratch: Scratch::default(),
        }
    }

    /// By an input that is padded for real, in 64 bits.
    fn naive(layer: &Conv<'_>, input: &[u8]) -> Vec<u8> {
        let Window {
            kernel,
            stride,
            dilation,
            padding,
        } = layer.window;
        let [top, left, bottom, right] = padding.map(usize::from);
        let shape = layer.input.shape;
        let (height, width) = (shape.height as usize, shape.width as usize);
        let channels = shape.channels as usize;
        let wide = left + width + right;
        let mut padded =
            vec![i64::from(layer.input.zero_point); (top + height + bottom) * wide * channels];
        for y in 0..height {
            for x in 0..width * channels {
                padded[((y + top) * wide + left) * channels + x] =
                    i64::from(input[y * width * channels + x] as i8);
            }
        }
        let in_channels = channels / layer.groups as usize;
        let out_channels = layer.output.shape.channels as usize;
        let mut output = Vec::new();
        for row in 0..layer.output.shape.height as usize {
            for column in 0..layer.output.shape.width as usize {
                for out in 0..out_channels {
                    let group = out * layer.groups as usize / out_channels;
                    let zero = layer
                        .weight_zero_points
                        .get(out)
                        .map_or(0, |&z| i64::from(z as i8));
                    let number =
                        |bytes: &[u8]| <[u8; 4]>::try_from(&bytes[out * 4..][..4]).unwrap();
                    let mut acc = i64::from(i32::from_le_bytes(number(layer.bias)));
                    let mut weights =
                        layer.weights[out * in_channels * layer.window.taps()..].iter();
                    for y in 0..usize::from(kernel[0]) {
                        for x in 0..usize::from(kernel[1]) {
                            let y = row * usize::from(stride[0]) + y * usize::from(dilation[0]);
                            let x = column * usize::from(stride[1]) + x * usize::from(dilation[1]);
                            for input in 0..in_channels {
                                let at = (y * wide + x) * channels + group * in_channels + input;
                                let weight = i64::from(*weights.next().unwrap() as i8);
                                acc += padded[at] * (weight - zero);
                            }
                        }
                    }
                    let acc = i32::try_from(acc).unwrap();
                    let multiplier = f32::from_le_bytes(number(layer.rounding.multipliers));
                    let value = match layer.rounding.fixed {
                        [] => rounded(acc as f32 * multiplier, 11, -100, 120),
                        fixed => match i32::from_le_bytes(number(fixed)) {
                            0 => rounded(acc as f32 * multiplier, 11, -100, 120),
                            factor => requantize_fixed(acc, factor, 11, -100, 120),
                        },
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
        for case in CASES {
            let constants = Constants::random(&case, &mut random);
            for kind in 0..3 {
                let layer = layer(&case, &constants, kind);
                let (from, to) = (layer.input.offset as usize, layer.output.offset as usize);
                let end = to + layer.output.shape.len();
                let mut arena = random.bytes(end + 4);
                let before = arena.clone();
                let expected = naive(&layer, &arena[from..from + layer.input.shape.len()]);
                assert_eq!(run(&layer, &mut arena), Some(()));
                let shape = (case.input, case.window, kind);
                assert_eq!(arena[to..end], expected, "{shape:?}");
                assert_eq!(arena[..to], before[..to], "{shape:?}");
                assert_eq!(arena[end..], before[end..], "{shape:?}");
                let inside = expected
                    .iter()
                    .filter(|&&v| (-99..120).contains(&(v as i8)));
                assert!(
                    2 * inside.count() + 1 >= expected.len(),
                    "{shape:?} says little"
                );
            }
        }
    }

    /// A pixel is read before it is written: a 1×1 convolution may lie over its input, and a 3×3 one
    /// over what no later row reads.
    #[test]
    fn an_output_may_lie_over_what_is_no_longer_read() {
        let mut random = Random(2);
        // Which case, and how many bytes the output begins before the input.
        let row = 5 * 3;
        let overlaps = [
            (case([4, 6, 5], 5, 1, Window::default()), 0),
            (case([4, 6, 5], 4, 1, Window::default()), 0),
            (
                case([7, 5, 3], 3, 1, window([3, 3], [1, 1], [1, 1], [1; 4])),
                row + 3,
            ),
            (
                case([7, 5, 3], 3, 3, window([3, 3], [2, 2], [1, 1], [1; 4])),
                row + 3,
            ),
        ];
        for (case, before) in overlaps {
            let constants = Constants::random(&case, &mut random);
            let mut layer = layer(&case, &constants, 0);
            layer.input.offset = 100;
            layer.output.offset = 100 - before as u32;
            let mut arena = random.bytes(100 + layer.input.shape.len() + 100);
            let expected = naive(&layer, &arena[100..100 + layer.input.shape.len()]);
            run(&layer, &mut arena).unwrap();
            let output = &arena[100 - before..][..expected.len()];
            assert_eq!(output, expected, "{:?}", case.window);
        }
    }

    #[test]
    fn accumulators_wrap() {
        let case = case([1, 1, 2], 1, 1, Window::default());
        let constants = Constants {
            weights: vec![0x80, 0x80],
            zero_points: vec![],
            bias: words(&[i32::MAX]),
            multipliers: floats(&[2f32.powi(-30)]),
            fixed: vec![],
        };
        let layer = layer(&case, &constants, 0);
        let mut arena = vec![0x80; 16];
        run(&layer, &mut arena).unwrap();
        // 2^31 - 1 + 2 * 2^14 is -2^31 + 2^15 - 1, which is -2 of 2^30.
        assert_eq!(arena[layer.output.offset as usize] as i8, 11 - 2);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let case = case([2, 2, 2], 2, 1, Window::default());
        let constants = Constants::random(&case, &mut Random(4));
        let good = layer(&case, &constants, 1);
        let mut arena = vec![0; 100];
        assert_eq!(run(&good, &mut arena), Some(()));
        assert_eq!(
            run(&good, &mut arena[..good.output.offset as usize + 1]),
            None
        );
        let mut bad = [good; 4];
        bad[0].weights = &constants.weights[1..];
        bad[1].bias = &constants.bias[1..];
        bad[2].rounding.multipliers = &[];
        bad[3].weight_zero_points = &constants.zero_points[1..];
        for bad in bad {
            assert_eq!(run(&bad, &mut arena), None);
        }
    }
}
