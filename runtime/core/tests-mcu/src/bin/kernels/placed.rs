//! A convolution whose tensors and scratch have their places.

use kiln_core::layer::Conv;
use kiln_core::tensor::Tensor;
use kiln_core::{arch, ops};

use super::conv::Case;

/// It, and where it is computed.
pub struct Placed<'a> {
    /// What it is, in messages: with its dilation.
    pub name: (Case, u16),
    pub conv: Conv<'a>,
    pub found: &'a mut [u8],
    pub expected: &'a mut [u8],
    /// Bytes of the arena.
    pub len: usize,
}

impl Placed<'_> {
    /// Gives it the scratch that its kernel wants behind its tensors, and an arena with some bytes more; where scratch
    /// ends.
    fn with_scratch(&mut self, more: usize) -> usize {
        let conv = &mut self.conv;
        let behind = end(&conv.input).max(end(&conv.output));
        // What lies behind the input is copied with it: not the scratch.
        conv.scratch.offset = (behind + 3).next_multiple_of(4) as u32;
        conv.scratch.len = arch::scratch_len(conv) as u32;
        let behind = (conv.scratch.offset + conv.scratch.len) as usize;
        self.len = behind + more;
        behind
    }

    fn arena(&mut self) -> &mut [u8] {
        &mut self.found[..self.len]
    }

    /// Its kernel writes every byte of the scratch that it has been given; where columns of vectors are no words, the
    /// last one. Each time the input is what is expected to be there.
    fn takes_all_scratch(&mut self) {
        let (name, conv) = (self.name, self.conv);
        let first = conv.scratch.offset as usize;
        let scratch = first..first + conv.scratch.len as usize;
        let input = conv.input.offset as usize..end(&conv.input);
        let paints = [0x5a, 0xa5];
        for paint in paints {
            self.found[input.clone()].copy_from_slice(&self.expected[input.clone()]);
            self.found[scratch.clone()].fill(paint);
            assert!(arch::conv(&conv, self.arena()));
            // Nothing is expected of scratch: what the first run has left is kept there.
            if paint == paints[0] {
                let left = &self.found[scratch.clone()];
                self.expected[scratch.clone()].copy_from_slice(left);
            }
        }
        let left = [&self.expected[scratch.clone()], &self.found[scratch]];
        let written = |index: usize| left[0][index] != paints[0] || left[1][index] != paints[1];
        let last = left[0].len().saturating_sub(1);
        let words = cfg!(vectors) && conv.kernel_shape().in_channels % 4 > 0;
        let first = if words { last } else { 0 };
        let all = left[0].is_empty() || (first..=last).all(written);
        // Of two pixels alone the third column is read whatever it holds.
        let two = conv.output.shape.pixels() == 2;
        assert!(all || two, "{:?} {:?}", name, conv.scratch);
    }

    /// The output behind the input.
    pub fn apart(&mut self, value: impl FnMut() -> i8) {
        // With some bytes more, which nobody writes.
        let behind = self.with_scratch(16);
        self.fill(self.len, value);
        let (name, mut conv) = (self.name, self.conv);
        let (output, end) = (conv.output.offset as usize, end(&conv.output));
        assert!(ops::conv::run(&conv, self.expected).is_some());
        assert!(arch::conv(&conv, self.arena()), "{:?} is left", name);
        self.is_same(0, end);
        self.is_same(behind, self.len);
        // So it is with just the kernels that it needs.
        self.found[output..end].fill(0x5a);
        let needs = arch::cortex_m_needs(&conv).unwrap();
        let done = arch::conv_of(&conv, needs, self.arena());
        assert!(done, "{:?} {:?}", name, needs);
        self.is_same(0, end);
        self.takes_all_scratch();
        self.is_same(behind, self.len);
        // Without scratch, or where words cannot lie, it is left, and nothing is written; or it takes none.
        let (scratch, pixels) = (conv.scratch, conv.output.shape.pixels());
        for (offset, len) in [(0, 0), (1, scratch.len)] {
            conv.scratch.offset = scratch.offset + offset;
            conv.scratch.len = len;
            self.found[output..end].fill(0x5a);
            let done = arch::conv(&conv, self.arena());
            let needs = arch::cortex_m_needs(&conv);
            assert!(done == needs.is_some(), "{:?} {:?}", name, needs);
            assert!(!done || scratch.len == 0 || pixels == 1, "{:?}", name);
            self.is_same(0, if done { end } else { output });
            let mut left = self.found[output..end].iter();
            assert!(done || left.all(|&byte| byte == 0x5a), "{:?}", name);
        }
    }

    /// The output over as much of the input as the planner lets it.
    pub fn overlapping(&mut self, value: impl FnMut() -> i8) {
        let behind = self.with_scratch(0);
        let (name, conv) = (self.name, self.conv);
        let (place, len) = (conv.output.offset as usize, conv.output.shape.len());
        self.fill(behind + len, value);
        let output = Tensor {
            offset: behind as u32,
            ..conv.output
        };
        assert!(ops::conv::run(&Conv { output, ..conv }, self.expected).is_some());
        assert!(arch::conv(&conv, self.arena()), "{:?} is left", name);
        let expected = &self.expected[behind..behind + len];
        assert!(self.found[place..place + len] == *expected, "{:?}", name);
        self.takes_all_scratch();
    }

    /// Fills so many bytes that are expected, and the arena with the same.
    fn fill(&mut self, expected: usize, mut value: impl FnMut() -> i8) {
        self.expected[..expected].fill_with(|| value() as u8);
        let same = &self.expected[..self.len];
        self.found[..self.len].copy_from_slice(same);
    }

    fn is_same(&self, from: usize, to: usize) {
        let same = self.found[from..to] == self.expected[from..to];
        assert!(same, "{:?} from {} to {}", self.name, from, to);
    }
}

fn end(tensor: &Tensor) -> usize {
    tensor.offset as usize + tensor.shape.len()
}

/// The least bytes from an output to its input with which no pixel is written over what pixels after it read; of one
/// pixel alone all of it.
pub fn gap(conv: &Conv<'_>) -> usize {
    let (input, output, window) = (conv.input.shape, conv.output.shape, &conv.window);
    let (height, width) = (output.height as usize, output.width as usize);
    let first = |at: usize, stride: u16, padding: u16, len: u32| {
        let tap = (at * usize::from(stride)).saturating_sub(padding.into());
        tap.min(len as usize - 1)
    };
    let (mut still, mut gap) = (input.pixels(), 0);
    for pixel in (0..height * width).rev() {
        let written = (pixel + 1) * output.channels as usize;
        gap = gap.max(written.saturating_sub(still * input.channels as usize));
        let row = first(
            pixel / width,
            window.stride[0],
            window.padding[0],
            input.height,
        );
        let column = first(
            pixel % width,
            window.stride[1],
            window.padding[1],
            input.width,
        );
        still = still.min(row * input.width as usize + column);
    }
    match height * width {
        1 => output.len(),
        _ => gap,
    }
}
