//! Which of a convolution's columns vectors (Helium) read where they lie.

use super::{LEAST, TOGETHER, VECTOR, is_unpadded_point};
use crate::arch::arm::end;
use crate::layer::Conv;

/// Output pixels that are computed together.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Row and column of the first.
    pub place: [usize; 2],
    /// Its number.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Where in the arena the first one's column lies; none where columns are gathered.
    pub from: Option<usize>,
}

/// All output pixels of a convolution by points.
pub struct Runs {
    next: Run,
    pixels: usize,
    /// Columns that are gathered at once.
    gathered: usize,
    /// Whether columns are pixels of the input, and those of all rows follow one another.
    point: bool,
    joined: bool,
    input: usize,
    output: usize,
    /// Behind both.
    end: usize,
    /// Output pixels of a row, and bytes of each.
    width: usize,
    channels: usize,
    /// Bytes from a column to the next.
    pitch: usize,
    /// Bytes from a row of columns to the next.
    row: usize,
    /// Bytes that are read of a column.
    read: usize,
}

impl Runs {
    /// Where so many columns can be gathered at once.
    pub fn of(conv: &Conv<'_>, gathered: usize) -> Self {
        let (input, output) = (conv.input.shape, conv.output.shape);
        let [down, across] = conv.window.stride.map(usize::from);
        let channels = input.channels as usize;
        let point = is_unpadded_point(conv);
        Self {
            next: Run {
                place: [0; 2],
                first: 0,
                count: 0,
                from: None,
            },
            pixels: output.pixels(),
            gathered: gathered.max(1),
            point,
            joined: point && [down, across] == [1; 2],
            input: conv.input.offset as usize,
            output: conv.output.offset as usize,
            end: end(&conv.input).max(end(&conv.output)),
            width: output.width as usize,
            channels: output.channels as usize,
            // What wraps is not used: there is then one column or one row.
            pitch: across.wrapping_mul(channels),
            row: down.wrapping_mul(input.width as usize * channels),
            read: channels.next_multiple_of(VECTOR),
        }
    }

    /// Bytes from a column that is read where it lies to the next.
    #[cfg(kiln_mve)]
    pub const fn pitch(&self) -> usize {
        self.pitch
    }

    /// How many columns of `left` from a place on can be read where they lie: no output is written over them, and
    /// there are whole fours of them and whole vectors of each.
    fn straight(&self, from: usize, output: usize, left: usize) -> usize {
        let free = match from.checked_sub(output) {
            Some(bytes) => bytes.checked_div(self.channels),
            None => (output - from).checked_div(self.pitch),
        };
        let behind_first = self.end.saturating_sub(from).checked_sub(self.read);
        let readable = behind_first.and_then(|bytes| Some(bytes.checked_div(self.pitch)? + 1));
        let readable = readable.unwrap_or(0) / TOGETHER * TOGETHER;
        match left.min(free.unwrap_or(0)).min(readable) {
            all if all == left => all,
            some if some >= LEAST => some / TOGETHER * TOGETHER,
            _ => 0,
        }
    }
}

impl Iterator for Runs {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let Run { place, first, .. } = self.next;
        let [y, x] = place;
        let more = self.pixels.checked_sub(first).filter(|&more| more > 0)?;
        let from = self
            .point
            .then(|| self.input + y * self.row + x * self.pitch);
        let straight = from.map_or(0, |from| {
            let left = if self.joined { more } else { self.width - x };
            self.straight(from, self.output + first * self.channels, left)
        });
        let count = match straight {
            0 => self.gathered.min(more),
            some => some,
        };
        let [y, x] = &mut self.next.place;
        *x += count;
        while *x >= self.width {
            (*y, *x) = (*y + 1, *x - self.width);
        }
        self.next.first += count;
        Some(Run {
            place,
            first,
            count,
            from: from.filter(|_| straight > 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::any;
    use super::*;
    use crate::testing::{Random, trials};

    /// Every pixel is computed once, in order. What is read where it lies is within the tensors, and no output of the
    /// same run is written over it.
    #[test]
    fn runs_go_through_all_pixels() {
        let mut random = Random(4);
        let mut straight = 0;
        for _ in 0..trials(5_000) {
            let Some(conv) = any(&mut random) else {
                continue;
            };
            let (input, output) = (conv.input.shape, conv.output.shape);
            let width = output.width as usize;
            let mut done = 0;
            for run in Runs::of(&conv, 8) {
                assert_eq!(run.first, done, "{conv:?}");
                assert_eq!(run.place, [done / width, done % width], "{conv:?}");
                let outputs = conv.output.offset as usize + done * output.channels as usize;
                let outputs = outputs..outputs + run.count * output.channels as usize;
                done += run.count;
                let Some(from) = run.from else {
                    assert!(run.count <= 8);
                    continue;
                };
                straight += 1;
                let pitch = Runs::of(&conv, 8).pitch;
                let last = from + (run.count.next_multiple_of(TOGETHER) - 1) * pitch;
                let read = (input.channels as usize).next_multiple_of(VECTOR);
                assert!(last + read <= end(&conv.input).max(end(&conv.output)));
                let pixel = |index: usize| {
                    let [y, x] = [(run.first + index) / width, (run.first + index) % width];
                    let [down, across] = conv.window.stride.map(usize::from);
                    let pixel = y * down * input.width as usize + x * across;
                    conv.input.offset as usize + pixel * input.channels as usize
                };
                for index in 0..run.count {
                    assert_eq!(pixel(index), from + index * pitch, "{conv:?}");
                    let column = pixel(index)..pixel(index) + input.channels as usize;
                    assert!(
                        column.end <= outputs.start || outputs.end <= column.start,
                        "{conv:?}"
                    );
                }
            }
            assert_eq!(done, output.pixels(), "{conv:?}");
        }
        assert!(cfg!(miri) || straight > 1000, "{straight}");
    }
}
