//! How far before its input an output may start, so that nothing is written over before it is read.

use kiln_core::ops::PIXEL;
use kiln_core::tensor::Shape;
use kiln_core::window::Window;

/// The least bytes between the starts of the output and the input of a window over an input.
///
/// Pixel by pixel of the output: what is written of it must end before what all after it still read. If it is not
/// `held`, or has more than [`PIXEL`] channels, it still reads itself when its first ones are written.
pub(super) fn gap(window: &Window, input: Shape, output: Shape, held: bool) -> usize {
    let first = |at: u32, stride: u16, padding: u16, len: u32| {
        let at = u64::from(at) * u64::from(stride);
        let tap = at.saturating_sub(padding.into());
        tap.min(u64::from(len).saturating_sub(1)) as usize
    };
    let [stride_y, stride_x] = window.stride;
    let [top, left, ..] = window.padding;
    let column = |x: u32| first(x, stride_x, left, input.width);
    let held = held && output.channels as usize <= PIXEL;
    gap_of(input, output, held, |y, x| {
        let row = first(y, stride_y, top, input.height);
        row * input.width as usize + column(x)
    })
}

/// The same for a resize by whole factors, which reads a pixel while it writes it.
pub(super) fn resize_gap(factors: [u32; 2], input: Shape, output: Shape) -> usize {
    let [down, across] = factors.map(|factor| factor.max(1));
    gap_of(input, output, false, |y, x| {
        (y / down) as usize * input.width as usize + (x / across) as usize
    })
}

/// `held` says whether all that a pixel takes is read before any of it is written, `first` is the first pixel of the
/// input that an output pixel reads.
fn gap_of(input: Shape, output: Shape, held: bool, first: impl Fn(u32, u32) -> usize) -> usize {
    let (from, to) = (input.channels as usize, output.channels as usize);
    let mut gap = 0;
    // The first pixel that is still read: going backwards, the least so far.
    let mut still = input.pixels();
    for y in (0..output.height).rev() {
        for x in (0..output.width).rev() {
            let before = still;
            still = still.min(first(y, x));
            let written = (y as usize * output.width as usize + x as usize + 1) * to;
            let read = if held { before } else { still };
            gap = gap.max(written.saturating_sub(read * from));
        }
    }
    gap
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes and reads as a kernel does, so many channels of a pixel at a time; whether every read is before the
    /// write.
    fn holds(window: &Window, input: Shape, output: Shape, gap: usize, held: usize) -> bool {
        let mut arena = vec![true; gap + input.len() + output.len()];
        let (from, to) = (input.channels as usize, output.channels as usize);
        let tap = |at: u32, k: u16, axis: usize, len: u32| {
            let at = i64::from(at) * i64::from(window.stride[axis]);
            let at = at + i64::from(k) * i64::from(window.dilation[axis]);
            let at = at - i64::from(window.padding[axis]);
            (0 <= at && at < i64::from(len)).then_some(at as usize)
        };
        for y in 0..output.height {
            for x in 0..output.width {
                for part in (0..to).step_by(held) {
                    for ky in 0..window.kernel[0] {
                        for kx in 0..window.kernel[1] {
                            let row = tap(y, ky, 0, input.height);
                            let column = tap(x, kx, 1, input.width);
                            let (Some(row), Some(column)) = (row, column) else {
                                continue;
                            };
                            let pixel = row * input.width as usize + column;
                            let at = gap + pixel * from;
                            if !arena[at..at + from].iter().all(|&whole| whole) {
                                return false;
                            }
                        }
                    }
                    let pixel = (y * output.width + x) as usize;
                    let written = pixel * to + part..pixel * to + to.min(part + held);
                    arena[written].fill(false);
                }
            }
        }
        true
    }

    #[test]
    fn what_is_still_read_is_not_written_over() {
        let mut state = 5_u64;
        let mut random = |low: u64, high: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (low + state % (high - low + 1)) as u16
        };
        let (mut tight, mut total) = (0, 0);
        for _ in 0..300 {
            let input = Shape::new(
                random(1, 9).into(),
                random(1, 11).into(),
                random(1, 5).into(),
            );
            let window = Window {
                kernel: [random(1, 4), random(1, 4)],
                stride: [random(1, 3), random(1, 3)],
                dilation: [random(1, 2), random(1, 2)],
                padding: [random(0, 2), random(0, 2), random(0, 2), random(0, 2)],
            };
            let Some([height, width]) = window.output(input.height, input.width) else {
                continue;
            };
            let channels = [1, 1, 128][usize::from(random(0, 2))] * u32::from(random(1, 5));
            let output = Shape::new(height, width, channels);
            for held in [1, PIXEL] {
                let gap = gap(&window, input, output, held > 1);
                assert!(
                    holds(&window, input, output, gap, held),
                    "{window:?} {input:?} {output:?} {gap} {held}"
                );
                // A pixel still reads itself until its last part is written.
                let last = (channels as usize - 1) % held + 1;
                let more = if channels as usize > held {
                    last + 1
                } else {
                    1
                };
                total += 1;
                let less = gap.checked_sub(more);
                tight +=
                    usize::from(less.is_none_or(|less| !holds(&window, input, output, less, held)));
            }
        }
        // Taps in the padding are taken for the first within, which may ask for more than needed.
        assert!(total > 300 && tight > total / 2, "{tight} of {total}");
    }

    #[test]
    fn same_padding_needs_a_row_and_a_pixel() {
        let shape = Shape::new(32, 32, 16);
        let window = Window {
            kernel: [3; 2],
            padding: [1; 4],
            ..Window::default()
        };
        assert_eq!(gap(&window, shape, shape, true), (32 + 1) * 16);
        assert_eq!(gap(&Window::default(), shape, shape, true), 0);
        assert_eq!(gap(&Window::default(), shape, shape, false), 16);
        // What is held of a pixel is not all of it.
        let deep = Shape::new(32, 32, PIXEL as u32 + 4);
        assert_eq!(gap(&Window::default(), deep, deep, true), PIXEL + 4);
        let double = Shape::new(64, 64, 16);
        // The last pixel of the output still reads the last one of the input.
        assert_eq!(
            resize_gap([2, 2], shape, double),
            (64 * 64 - (32 * 32 - 1)) * 16
        );
    }
}
