//! The window that convolution and pooling slide over rows and columns.

/// Kernel, stride, dilation and padding; each down, then across.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [u16; 2],
    /// Steps between outputs.
    pub stride: [u16; 2],
    /// Steps between the kernel's taps.
    pub dilation: [u16; 2],
    /// Rows and columns outside the input: top, left, bottom, right.
    pub padding: [u16; 4],
}

/// What is down and what is across, as sizes: in a loop over the two the compiler sees more.
pub(crate) const fn sizes([down, across]: [u16; 2]) -> [usize; 2] {
    [down as usize, across as usize]
}

impl Default for Window {
    /// One tap, moved by one, nothing around.
    fn default() -> Self {
        Self {
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            padding: [0; 4],
        }
    }
}

impl Window {
    /// Taps: kernel rows times columns.
    pub const fn taps(&self) -> usize {
        self.kernel[0] as usize * self.kernel[1] as usize
    }

    /// Rows and columns that the kernel spans, dilation included.
    pub const fn span(&self) -> [u32; 2] {
        [
            (self.kernel[0] as u32).saturating_sub(1) * self.dilation[0] as u32 + 1,
            (self.kernel[1] as u32).saturating_sub(1) * self.dilation[1] as u32 + 1,
        ]
    }

    /// Rows and columns of the output over `height * width` inputs (ONNX, `ceil_mode` 0); none where
    /// the kernel does not fit or a stride is zero.
    pub const fn output(&self, height: u32, width: u32) -> Option<[u32; 2]> {
        let [span_y, span_x] = self.span();
        let [top, left, bottom, right] = self.padding;
        let rows = height.saturating_add(top as u32 + bottom as u32);
        let columns = width.saturating_add(left as u32 + right as u32);
        let [stride_y, stride_x] = self.stride;
        if rows < span_y || columns < span_x || stride_y == 0 || stride_x == 0 {
            return None;
        }
        Some([
            (rows - span_y) / stride_y as u32 + 1,
            (columns - span_x) / stride_x as u32 + 1,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_onnx() {
        let window = |kernel, stride, dilation, padding| Window {
            kernel: [kernel, kernel + 1],
            stride: [stride, stride],
            dilation: [dilation, 1],
            padding,
        };
        let cases = [
            (window(3, 1, 1, [1, 1, 1, 2]), 7, 5, Some([7, 5])),
            (window(3, 2, 1, [0, 0, 1, 1]), 8, 6, Some([4, 2])),
            (window(3, 1, 2, [0, 0, 0, 0]), 7, 5, Some([3, 2])),
            (window(3, 1, 1, [0, 0, 0, 0]), 2, 9, None),
            (window(1, 0, 1, [0, 0, 0, 0]), 9, 9, None),
        ];
        for (window, height, width, expected) in cases {
            assert_eq!(window.output(height, width), expected, "{window:?}");
        }
    }
}
