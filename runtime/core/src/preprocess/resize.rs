use super::filter::{Axis, HALF, Window, add, clip};
use super::horizontal::Horizontal;
use super::{Color, MAX_SIDE, PreprocessError, luma};

/// Words of scratch with which pictures of `in_width * in_height` pixels, or any region of them,
/// can be resized to `out_width * out_height` or less. 0 if a side is not in `1..=MAX_SIDE`.
///
/// Never less for a larger picture. It does not grow with the heights: rows are added up as they
/// come.
pub const fn scratch_len(in_width: u32, in_height: u32, out_width: u32, out_height: u32) -> usize {
    if !is_side(in_width) || !is_side(in_height) || !is_side(out_width) || !is_side(out_height) {
        return 0;
    }
    let longer = if in_width > out_width {
        in_width
    } else {
        out_width
    } as usize;
    let out_width = out_width as usize;
    // The coefficients' starts; `out_width * taps` coefficients at most; three rows.
    out_width + (2 * longer + out_width) + 3 * (3 * out_width)
}

const fn is_side(side: u32) -> bool {
    1 <= side && side <= MAX_SIDE
}

/// The resize as a stream: source rows are pushed from the top, output rows are taken as soon as
/// they are whole. At most two output rows are in the making at a time.
///
/// ```
/// use kiln_core::preprocess::{RowResizer, scratch_len};
///
/// let mut scratch = [0; scratch_len(2, 4, 1, 2)];
/// let mut resizer = RowResizer::new(2, 4, 1, 2, &mut scratch)?;
/// let mut out = [[0; 3]; 2];
/// for value in [10, 20, 30, 40] {
///     resizer.push(&[value; 6])?;
///     while let Some(y) = resizer.ready() {
///         resizer.take(&mut out[y as usize])?;
///     }
/// }
/// assert_eq!(out, [[17; 3], [33; 3]]);
/// # Ok::<(), kiln_core::preprocess::PreprocessError>(())
/// ```
#[derive(Debug)]
pub struct RowResizer<'s> {
    horizontal: Horizontal<'s>,
    vertical: Axis,
    /// `[3][out_width * 3]`. Fewer rows out than in: the sums of output row `y` are in
    /// `rows[y % 2]`, the source row after the horizontal pass in `rows[2]`. Else the other way
    /// round: source row `y` is in `rows[y % 2]`, an output row's sums are in `rows[2]`.
    rows: [&'s mut [i32]; 3],
    /// Source rows pushed.
    pushed: u32,
    /// Output rows taken.
    taken: u32,
    /// Of output rows `taken` and the one after it, `windows[y % 2]`.
    windows: [Window; 2],
}

impl<'s> RowResizer<'s> {
    /// Prepares to resize pictures of `in_width * in_height` pixels to `out_width * out_height`.
    /// `scratch` has at least [`scratch_len`] words, whatever is in them.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Size`] if a side is not in `1..=MAX_SIDE`, [`PreprocessError::Scratch`].
    pub fn new(
        in_width: u32,
        in_height: u32,
        out_width: u32,
        out_height: u32,
        scratch: &'s mut [i32],
    ) -> Result<Self, PreprocessError> {
        let needed = scratch_len(in_width, in_height, out_width, out_height);
        if needed == 0 {
            return Err(PreprocessError::Size);
        }
        let columns = Axis {
            input: in_width,
            output: out_width,
        };
        let (horizontal, rows) =
            split(scratch, columns).ok_or(PreprocessError::Scratch { needed })?;
        let mut resizer = Self {
            horizontal,
            vertical: Axis {
                input: in_height,
                output: out_height,
            },
            rows,
            pushed: 0,
            taken: 0,
            windows: [NEVER; 2],
        };
        resizer.restart();
        Ok(resizer)
    }

    /// Begins the next picture of the same size. What was pushed of this one is dropped.
    pub fn restart(&mut self) {
        self.pushed = 0;
        self.taken = 0;
        self.windows = [self.window(0), self.window(1)];
    }

    /// Takes the next source row, `in_width * 3` bytes.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Row`] if it has another length, [`PreprocessError::Order`] if a
    /// finished row was not taken or the picture had its last row. The state is then unchanged.
    pub fn push(&mut self, row: &[u8]) -> Result<(), PreprocessError> {
        let needed = self.horizontal.axis().input as usize * 3;
        if row.len() != needed {
            return Err(PreprocessError::Row { needed });
        }
        if self.pushed == self.vertical.input || self.ready().is_some() {
            return Err(PreprocessError::Order);
        }
        let [even, odd, third] = &mut self.rows;
        if self.vertical.shrinks() {
            self.horizontal.apply(row, third);
            for y in self.taken..=self.taken + 1 {
                let window = &self.windows[y as usize % 2];
                if (window.first..=window.last).contains(&self.pushed) {
                    let coefficient = self.vertical.coefficient(y, self.pushed, window);
                    let sums: &mut [i32] = if y.is_multiple_of(2) { even } else { odd };
                    if window.first == self.pushed {
                        sums.fill(HALF);
                    }
                    for (sum, value) in sums.iter_mut().zip(third.iter()) {
                        *sum = add(*sum, coefficient, *value);
                    }
                }
            }
        } else {
            let out = if self.pushed.is_multiple_of(2) {
                even
            } else {
                odd
            };
            self.horizontal.apply(row, out);
        }
        self.pushed += 1;
        Ok(())
    }

    /// The output row that can be taken now, if there is one.
    pub fn ready(&self) -> Option<u32> {
        let window = &self.windows[self.taken as usize % 2];
        (window.last < self.pushed).then_some(self.taken)
    }

    /// Writes the row that is [`ready`](Self::ready), `out_width * 3` bytes, to `out`.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Output`] if `out` has another length, [`PreprocessError::Order`] if no
    /// row is ready. The state is then unchanged.
    pub fn take(&mut self, out: &mut [u8]) -> Result<(), PreprocessError> {
        self.take_as(Color::Rgb, out)
    }

    /// [`take`](Self::take) in the colours of a model.
    pub(super) fn take_as(&mut self, color: Color, out: &mut [u8]) -> Result<(), PreprocessError> {
        let y = self.ready().ok_or(PreprocessError::Order)?;
        let needed = self.horizontal.axis().output as usize * color.channels();
        if out.len() != needed {
            return Err(PreprocessError::Output { needed });
        }
        let [even, odd, third] = &mut self.rows;
        let window = self.windows[y as usize % 2];
        if self.vertical.shrinks() {
            store(if y.is_multiple_of(2) { even } else { odd }, color, out);
        } else {
            // Here a window has one or two rows, the last of them pushed just before.
            let (upper, lower) = if window.first.is_multiple_of(2) {
                (even, odd)
            } else {
                (odd, even)
            };
            let a = self.vertical.coefficient(y, window.first, &window);
            let b = if window.first == window.last {
                0
            } else {
                self.vertical.coefficient(y, window.last, &window)
            };
            for ((sum, above), below) in third.iter_mut().zip(upper.iter()).zip(lower.iter()) {
                *sum = add(add(HALF, a, *above), b, *below);
            }
            store(third, color, out);
        }
        self.taken += 1;
        self.windows[y as usize % 2] = self.window(y + 2);
        Ok(())
    }

    fn window(&self, y: u32) -> Window {
        if y < self.vertical.output {
            self.vertical.window(y)
        } else {
            NEVER
        }
    }
}

/// The window of a row that does not exist.
const NEVER: Window = Window {
    first: u32::MAX,
    last: u32::MAX,
    total: 1,
};

type Parts<'s> = (Horizontal<'s>, [&'s mut [i32]; 3]);

fn split(scratch: &mut [i32], columns: Axis) -> Option<Parts<'_>> {
    let (horizontal, rest) = Horizontal::new(columns, scratch)?;
    let len = columns.output as usize * 3;
    let (even, rest) = rest.split_at_mut_checked(len)?;
    let (odd, rest) = rest.split_at_mut_checked(len)?;
    let (third, _) = rest.split_at_mut_checked(len)?;
    Some((horizontal, [even, odd, third]))
}

/// From the sums of a row to a row of the output.
fn store(sums: &[i32], color: Color, out: &mut [u8]) {
    match color {
        Color::Rgb => {
            for (out, &sum) in out.iter_mut().zip(sums) {
                *out = clip(sum);
            }
        }
        Color::Grey => {
            let (sums, _) = sums.as_chunks::<3>();
            for (out, sums) in out.iter_mut().zip(sums) {
                *out = luma(sums.map(clip));
            }
        }
    }
}
