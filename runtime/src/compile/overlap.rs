//! How far before its input an output may start, so that nothing is written over before it is read.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::target::BLOCK;

/// The least bytes between the starts of the output and the input of a window over an input.
///
/// Pixel by pixel of the output, in blocks of [`BLOCK`] of a row: what is written up to the end of
/// a block must end before what this block and all after it still read.
pub(super) fn gap(window: &Window, input: Shape, output: Shape) -> usize {
    let first = |at: u32, stride: u16, padding: u16, len: u32| {
        let at = u64::from(at) * u64::from(stride);
        let tap = at.saturating_sub(padding.into());
        tap.min(u64::from(len).saturating_sub(1)) as usize
    };
    let [stride_y, stride_x] = window.stride;
    let [top, left, ..] = window.padding;
    let column = |x: u32| first(x, stride_x, left, input.width);
    gap_of(input, output, |y, x| {
        let row = first(y, stride_y, top, input.height);
        row * input.width as usize + column(x)
    })
}

/// The same for a resize by whole factors.
pub(super) fn resize_gap(factors: [u32; 2], input: Shape, output: Shape) -> usize {
    let [down, across] = factors.map(|factor| factor.max(1));
    gap_of(input, output, |y, x| {
        (y / down) as usize * input.width as usize + (x / across) as usize
    })
}

/// `first` is the first pixel of the input that an output pixel reads.
fn gap_of(input: Shape, output: Shape, first: impl Fn(u32, u32) -> usize) -> usize {
    let (from, to) = (input.channels as usize, output.channels as usize);
    let mut gap = 0;
    // The first pixel that is still read: going backwards, the least so far.
    let mut still = usize::MAX;
    for y in (0..output.height).rev() {
        for x in (0..output.width).rev() {
            still = still.min(first(y, x));
            let block_end = (x as usize / BLOCK * BLOCK + BLOCK).min(output.width as usize);
            let written = (y as usize * output.width as usize + block_end) * to;
            gap = gap.max(written.saturating_sub(still * from));
        }
    }
    gap
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes and reads as a kernel does, block by block; whether every read is before the write.
    fn holds(window: &Window, input: Shape, output: Shape, gap: usize) -> bool {
        let mut arena = vec![true; gap + input.len() + output.len()];
        let (from, to) = (input.channels as usize, output.channels as usize);
        let tap = |at: u32, k: u16, axis: usize, len: u32| {
            let at = i64::from(at) * i64::from(window.stride[axis]);
            let at = at + i64::from(k) * i64::from(window.dilation[axis]);
            let at = at - i64::from(window.padding[axis]);
            (0 <= at && at < i64::from(len)).then_some(at as usize)
        };
        for y in 0..output.height {
            for block in (0..output.width).step_by(BLOCK) {
                let block = block..(block + BLOCK as u32).min(output.width);
                // The worst order: all is written, then all is read.
                for x in block.clone() {
                    let pixel = (y * output.width + x) as usize;
                    arena[pixel * to..(pixel + 1) * to].fill(false);
                }
                for x in block {
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
            let output = Shape::new(height, width, random(1, 5).into());
            let gap = gap(&window, input, output);
            assert!(
                holds(&window, input, output, gap),
                "{window:?} {input:?} {output:?} {gap}"
            );
            total += 1;
            tight += usize::from(gap == 0 || !holds(&window, input, output, gap - 1));
        }
        // Taps in the padding are taken for the first within, which may ask for more than needed.
        assert!(total > 150 && tight > total / 2, "{tight} of {total}");
    }

    #[test]
    fn same_padding_needs_a_row_and_a_block() {
        let shape = Shape::new(32, 32, 16);
        let window = Window {
            kernel: [3; 2],
            padding: [1; 4],
            ..Window::default()
        };
        assert_eq!(gap(&window, shape, shape), (32 + 1 + 4) * 16);
        assert_eq!(gap(&Window::default(), shape, shape), 4 * 16);
        let double = Shape::new(64, 64, 16);
        // The last block of the output still reads the last two pixels of the input.
        assert_eq!(
            resize_gap([2, 2], shape, double),
            (64 * 64 - (31 * 32 + 30)) * 16
        );
    }
}
