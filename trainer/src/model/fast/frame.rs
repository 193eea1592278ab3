//! Shapes of a convolution, and the zero-padded scratch picture that its windows are read from.

/// Size, stride and padding of a convolution's window, each as `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub before: [usize; 2],
    /// Zeros after the last row and column.
    pub after: [usize; 2],
}

/// Shapes of one convolution: `x[n][size][channels]` to `y[n][output()][filters]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub n: usize,
    pub size: [usize; 2],
    pub channels: usize,
    pub filters: usize,
    pub window: Window,
}

impl Shape {
    /// Height and width of the output.
    pub(super) fn output(&self) -> [usize; 2] {
        let Window {
            kernel,
            stride,
            before,
            after,
        } = self.window;
        std::array::from_fn(|d| (self.size[d] + before[d] + after[d] - kernel[d]) / stride[d] + 1)
    }

    /// Numbers in one input picture.
    pub(super) fn picture(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// The padded input, cut off where no window reaches.
    pub(super) fn frame(&self) -> Frame {
        let Window {
            kernel,
            stride,
            before,
            ..
        } = self.window;
        let output = self.output();
        Frame {
            size: std::array::from_fn(|d| (output[d] - 1) * stride[d] + kernel[d]),
            origin: before.map(|zeros| zeros as isize),
        }
    }
}

/// A scratch picture: its size and where in it the real picture's first pixel lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub size: [usize; 2],
    pub origin: [isize; 2],
}

impl Frame {
    /// An all-zero scratch picture.
    pub(super) fn zeros(&self, channels: usize) -> Vec<f32> {
        vec![0.0; self.size[0] * self.size[1] * channels]
    }

    /// What [`Frame::view`] needs for pictures of a size: a scratch picture, or nothing where they fill their frame.
    pub(super) fn scratch(&self, size: [usize; 2], channels: usize) -> Vec<f32> {
        if self.is_filled(size) {
            return Vec::new();
        }
        self.zeros(channels)
    }

    fn is_filled(&self, size: [usize; 2]) -> bool {
        self.origin == [0, 0] && self.size == size
    }

    /// The picture `[size][channels]` inside its frame. The border of `scratch` must be zero, and
    /// stays so; a picture that fills its frame is used where it lies.
    pub(super) fn view<'a>(
        &self,
        scratch: &'a mut [f32],
        picture: &'a [f32],
        size: [usize; 2],
        channels: usize,
    ) -> &'a [f32] {
        if self.is_filled(size) {
            return picture;
        }
        for (source, target, run) in self.rows(size, channels) {
            scratch[target..][..run].copy_from_slice(&picture[source..][..run]);
        }
        scratch
    }

    /// The way back: the picture out of its frame. What the frame cuts off becomes zero.
    pub(super) fn take(
        &self,
        scratch: &[f32],
        picture: &mut [f32],
        size: [usize; 2],
        channels: usize,
    ) {
        picture.fill(0.0);
        for (target, source, run) in self.rows(size, channels) {
            picture[target..][..run].copy_from_slice(&scratch[source..][..run]);
        }
    }

    /// The rows that picture and frame share: where each starts in the picture, in the frame, and
    /// how many numbers it has.
    fn rows(
        &self,
        size: [usize; 2],
        channels: usize,
    ) -> impl Iterator<Item = (usize, usize, usize)> {
        let width = self.size[1];
        let from: [usize; 2] = self.origin.map(|at| (-at).max(0) as usize);
        let to: [usize; 2] = self.origin.map(|at| at.max(0) as usize);
        let count: [usize; 2] = std::array::from_fn(|d| {
            let room = self.size[d].saturating_sub(to[d]);
            size[d].saturating_sub(from[d]).min(room)
        });
        (0..count[0]).map(move |y| {
            let picture = ((from[0] + y) * size[1] + from[1]) * channels;
            let frame = ((to[0] + y) * width + to[1]) * channels;
            (picture, frame, count[1] * channels)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_pads_and_cuts() {
        let picture: Vec<f32> = (1..=6).map(|v| v as f32).collect();
        let cases = [
            ([1, 1], [4, 4], "0000 0120 0340 0560"),
            ([-1, 0], [2, 2], "34 56"),
            ([0, 1], [2, 3], "012 034"),
            ([0, 0], [3, 2], "12 34 56"),
        ];
        for (origin, size, expected) in cases {
            let frame = Frame { size, origin };
            let mut scratch = frame.scratch([3, 2], 1);
            let seen = frame.view(&mut scratch, &picture, [3, 2], 1);
            let rows: Vec<String> = seen
                .chunks(size[1])
                .map(|row| row.iter().map(|v| v.to_string()).collect())
                .collect();
            assert_eq!(rows.join(" "), expected, "{frame:?}");

            let mut back = vec![9.0; 6];
            frame.take(seen, &mut back, [3, 2], 1);
            for (i, value) in back.iter().enumerate() {
                let kept = seen.contains(&picture[i]);
                assert_eq!(*value, if kept { picture[i] } else { 0.0 }, "{frame:?}");
            }
        }
    }
}
