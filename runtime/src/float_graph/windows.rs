//! Pools.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

/// Calls `each` with every output pixel's index and the pixels of the input under its window, as
/// indices; padded positions are left out.
pub fn each_window(
    window: &Window,
    before: Shape,
    shape: Shape,
    mut each: impl FnMut(usize, &mut dyn Iterator<Item = (usize, usize)>),
) {
    let columns = window.kernel[1] as usize;
    let (height, width) = (i64::from(before.height), i64::from(before.width));
    for index in 0..shape.pixels() {
        let (y, x) = (index / shape.width as usize, index % shape.width as usize);
        let start = |at: usize, axis: usize| {
            at as i64 * i64::from(window.stride[axis]) - i64::from(window.padding[axis])
        };
        let (top, left) = (start(y, 0), start(x, 1));
        let mut taps = (0..window.taps()).filter_map(|tap| {
            let row = top + (tap / columns) as i64 * i64::from(window.dilation[0]);
            let column = left + (tap % columns) as i64 * i64::from(window.dilation[1]);
            let inside = (0..height).contains(&row) && (0..width).contains(&column);
            inside.then_some((tap, (row * width + column) as usize))
        });
        each(index, &mut taps);
    }
}

/// MaxPool.
pub fn max(window: &Window, input: &[f32], before: Shape, output: &mut [f32], shape: Shape) {
    let channels = shape.channels as usize;
    each_window(window, before, shape, |index, taps| {
        let result = &mut output[index * channels..][..channels];
        result.fill(f32::NEG_INFINITY);
        for (_, pixel) in taps {
            for (best, value) in result.iter_mut().zip(&input[pixel * channels..]) {
                *best = best.max(*value);
            }
        }
    });
}

/// AveragePool.
pub fn average(
    window: &Window,
    count_include_pad: bool,
    input: &[f32],
    before: Shape,
    output: &mut [f32],
    shape: Shape,
) {
    let channels = shape.channels as usize;
    each_window(window, before, shape, |index, taps| {
        let result = &mut output[index * channels..][..channels];
        let mut count = 0;
        for (_, pixel) in taps {
            count += 1;
            for (sum, value) in result.iter_mut().zip(&input[pixel * channels..]) {
                *sum += value;
            }
        }
        if count_include_pad {
            count = window.taps();
        }
        let count = count.max(1) as f32;
        result.iter_mut().for_each(|sum| *sum /= count);
    });
}
