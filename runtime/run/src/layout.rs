//! The order of an input's axes in an ONNX file.

use kiln_core::tensor::Shape;

/// The order of the axes of a file's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[1, channels, rows, columns]`, or `[1, channels, length]`.
    #[default]
    Nchw,
    /// `[1, rows, columns, channels]`, or a flat `[1, features]`.
    Nhwc,
}

impl Layout {
    /// ONNX's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nchw => "NCHW",
            Self::Nhwc => "NHWC",
        }
    }

    /// The axes of an input of `shape` in this order.
    pub const fn axes(self, shape: Shape) -> [u32; 3] {
        let Shape {
            height,
            width,
            channels,
        } = shape;
        match self {
            Self::Nchw => [channels, height, width],
            Self::Nhwc => [height, width, channels],
        }
    }

    /// For each value in NHWC, where it lies in a tensor with its axes in this order.
    pub fn indices(self, shape: Shape) -> impl Iterator<Item = usize> {
        let (pixels, channels) = (shape.pixels(), shape.channels as usize);
        (0..pixels).flat_map(move |pixel| {
            (0..channels).map(move |channel| match self {
                Self::Nhwc => pixel * channels + channel,
                Self::Nchw => channel * pixels + pixel,
            })
        })
    }
}

/// `values` with its axes in the order `from`, in the other order. There are `shape.len()` of them.
pub fn reorder(values: &[f32], shape: Shape, from: Layout) -> Vec<f32> {
    let indices = Layout::Nchw.indices(shape).enumerate();
    let mut other = vec![0.0; values.len()];
    for (nhwc, nchw) in indices {
        match from {
            Layout::Nchw => other[nhwc] = values[nchw],
            Layout::Nhwc => other[nchw] = values[nhwc],
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        // Two rows of three columns of two channels: the value says where it is.
        let shape = Shape::new(2, 3, 2);
        let nhwc = [
            0., 100., 1., 101., 2., 102., 10., 110., 11., 111., 12., 112.,
        ];
        let nchw = [
            0., 1., 2., 10., 11., 12., 100., 101., 102., 110., 111., 112.,
        ];
        assert_eq!(reorder(&nhwc, shape, Layout::Nhwc), nchw);
        assert_eq!(reorder(&nchw, shape, Layout::Nchw), nhwc);
    }
}
