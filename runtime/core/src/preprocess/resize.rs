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
#[derive(Debug)]
pub struct RowResizer<'s> {
    horizontal: Horizontal<'s>,
    /// `[3][out_width * 3]`. Fewer rows out than in: the sums of output rows `taken` and `taken + 1`, the
    /// source row after the horizontal pass. Else source rows `pushed - 2` and `pushed - 1` after that
    /// pass, the sums of an output row.
    rows: [&'s mut [i32]; 3],
    at: Position,
}

/// A resize that has put its scratch aside.
#[derive(Clone, Copy, Debug)]
pub struct Paused {
    columns: Axis,
    at: Position,
}

impl Paused {
    /// Goes on with the scratch that the resize had.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Scratch`].
    pub fn resume(self, scratch: &mut [i32]) -> Result<RowResizer<'_>, PreprocessError> {
        let Self { columns, at } = self;
        let vertical = at.vertical;
        let needed = scratch_len(
            columns.input(),
            vertical.input(),
            columns.output(),
            vertical.output(),
        );
        let too_small = PreprocessError::Scratch { needed };
        let (horizontal, rest) = Horizontal::filled(columns, scratch).ok_or(too_small)?;
        let mut rows = rows(columns, rest).ok_or(too_small)?;
        if at.swapped() {
            rows.swap(0, 1);
        }
        Ok(RowResizer {
            horizontal,
            rows,
            at,
        })
    }
}

/// How far a resize is.
#[derive(Clone, Copy, Debug)]
struct Position {
    vertical: Axis,
    /// Source rows pushed.
    pushed: u32,
    /// Output rows taken.
    taken: u32,
    /// Of output rows `taken` and `taken + 1`.
    windows: [Window; 2],
}

impl Position {
    // Inlined, it takes less of the page's engine.
    #[inline(always)]
    fn begin(vertical: Axis) -> Self {
        Self {
            vertical,
            pushed: 0,
            taken: 0,
            windows: [vertical.window(0), vertical.window(1)],
        }
    }

    /// Whether the first two rows of the scratch have changed places: they do with each row taken, or pushed.
    const fn swapped(&self) -> bool {
        let swaps = match self.vertical.shrinks() {
            true => self.taken,
            false => self.pushed,
        };
        swaps % 2 == 1
    }
}

impl<'s> RowResizer<'s> {
    /// Prepares to resize pictures of `in_width * in_height` pixels to `out_width * out_height`.
    /// `scratch` has at least [`scratch_len`] words, whatever is in them.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Size`] if a side is not in `1..=MAX_SIDE`, [`PreprocessError::Scratch`].
    // Inlined, it takes less of the page's engine.
    #[inline(always)]
    pub fn new(
        in_width: u32,
        in_height: u32,
        out_width: u32,
        out_height: u32,
        scratch: &'s mut [i32],
    ) -> Result<Self, PreprocessError> {
        let columns = Axis::new(in_width, out_width).ok_or(PreprocessError::Size)?;
        let vertical = Axis::new(in_height, out_height).ok_or(PreprocessError::Size)?;
        let needed = scratch_len(in_width, in_height, out_width, out_height);
        let too_small = PreprocessError::Scratch { needed };
        let (horizontal, rest) = Horizontal::new(columns, scratch).ok_or(too_small)?;
        let rows = rows(columns, rest).ok_or(too_small)?;
        Ok(Self {
            horizontal,
            rows,
            at: Position::begin(vertical),
        })
    }

    /// Begins the next picture of the same size. What was pushed of this one is dropped.
    pub fn restart(&mut self) {
        if self.at.swapped() {
            self.rows.swap(0, 1);
        }
        self.at = Position::begin(self.at.vertical);
    }

    /// Puts the scratch aside, as it is.
    pub fn pause(self) -> Paused {
        Paused {
            columns: self.horizontal.axis(),
            at: self.at,
        }
    }

    /// Takes the next source row, `in_width * 3` bytes.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Row`] if it has another length, [`PreprocessError::Order`] if a
    /// finished row was not taken or the picture had its last row. The state is then unchanged.
    pub fn push(&mut self, row: &[u8]) -> Result<(), PreprocessError> {
        let needed = self.horizontal.axis().input() as usize * 3;
        if row.len() != needed {
            return Err(PreprocessError::Row { needed });
        }
        if self.at.pushed == self.at.vertical.input() || self.ready().is_some() {
            return Err(PreprocessError::Order);
        }
        self.add(row);
        Ok(())
    }

    /// [`push`](Self::push) of a row that is the next.
    pub(super) fn add(&mut self, row: &[u8]) {
        let at = &mut self.at;
        let [first, second, third] = &mut self.rows;
        if at.vertical.shrinks() {
            self.horizontal.apply(row, third);
            let rows = [first, second].into_iter().zip(&at.windows);
            for (y, (sums, window)) in (at.taken..).zip(rows) {
                if window.first <= at.pushed && at.pushed <= window.last {
                    let coefficient = at.vertical.coefficient(y, at.pushed, window);
                    if window.first == at.pushed {
                        sums.fill(HALF);
                    }
                    for (sum, value) in sums.iter_mut().zip(third.iter()) {
                        *sum = add(*sum, coefficient, *value);
                    }
                }
            }
        } else {
            core::mem::swap(first, second);
            self.horizontal.apply(row, second);
        }
        at.pushed += 1;
    }

    /// The output row that can be taken now, if there is one.
    pub fn ready(&self) -> Option<u32> {
        let at = &self.at;
        (at.windows[0].last < at.pushed).then_some(at.taken)
    }

    /// Writes the row that is [`ready`](Self::ready), `out_width * 3` bytes, to `out`.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Output`] if `out` has another length, [`PreprocessError::Order`] if no
    /// row is ready. The state is then unchanged.
    pub fn take(&mut self, out: &mut [u8]) -> Result<(), PreprocessError> {
        self.ready().ok_or(PreprocessError::Order)?;
        let needed = self.horizontal.axis().output() as usize * 3;
        if out.len() != needed {
            return Err(PreprocessError::Output { needed });
        }
        self.store(Color::Rgb, out);
        Ok(())
    }

    /// [`take`](Self::take) of a row that is ready, in the colours of a model.
    pub(super) fn store(&mut self, color: Color, out: &mut [u8]) {
        let at = &mut self.at;
        let (y, [window, next]) = (at.taken, at.windows);
        let [first, second, third] = &mut self.rows;
        if at.vertical.shrinks() {
            store(first, color, out);
            core::mem::swap(first, second);
        } else {
            // Here a window has one or two rows, the last of them pushed just before.
            let above = match window.first == window.last {
                true => 0,
                false => at.vertical.coefficient(y, window.first, &window),
            };
            let below = at.vertical.coefficient(y, window.last, &window);
            for ((sum, upper), lower) in third.iter_mut().zip(first.iter()).zip(second.iter()) {
                *sum = add(add(HALF, above, *upper), below, *lower);
            }
            store(third, color, out);
        }
        at.taken += 1;
        at.windows = [next, at.vertical.window(y + 2)];
    }
}

/// The three rows at the beginning of the scratch that the horizontal pass has left.
fn rows(columns: Axis, scratch: &mut [i32]) -> Option<[&mut [i32]; 3]> {
    let len = columns.output() as usize * 3;
    let (even, rest) = scratch.split_at_mut_checked(len)?;
    let (odd, rest) = rest.split_at_mut_checked(len)?;
    let (third, _) = rest.split_at_mut_checked(len)?;
    Some([even, odd, third])
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

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::super::reference::{self, Random};
    use super::super::{PictureView, resize};
    use super::*;

    fn resized(width: u32, height: u32, rgb: &[u8], out: (u32, u32)) -> Vec<u8> {
        let len = scratch_len(width, height, out.0, out.1);
        let mut scratch = Random(5).scratch(len);
        let mut bytes = vec![0; (out.0 * out.1 * 3) as usize];
        let view = PictureView::new(width, height, rgb).unwrap();
        resize(view, out.0, out.1, &mut scratch, &mut bytes).unwrap();
        bytes
    }

    /// In and out, of random sizes.
    fn sizes(random: &mut Random, most: u32) -> [u32; 4] {
        [(); 4].map(|()| random.side(most))
    }

    #[test]
    fn by_hand() {
        // Red: 0, 22, .. along x, 100 more in row 1. Green: the same everywhere. Blue: one pixel.
        let mut rgb = [0; 2 * 5 * 3];
        for (at, pixel) in rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [(at % 5 * 22 + at / 5 * 100) as u8, 200, 0];
        }
        rgb[2] = 220;
        // 5 to 2 along x: shares of 7, 9, 5, 1 and 0 in 22, and their mirror image.
        // 2 to 4 along y: 1 and 0, 3/4 and 1/4, and their mirror image. 52.5 goes up, 17.5 too.
        let expected = [
            [22, 200, 70, 66, 200, 0],
            [47, 200, 53, 91, 200, 0],
            [97, 200, 18, 141, 200, 0],
            [122, 200, 0, 166, 200, 0],
        ];
        assert_eq!(resized(5, 2, &rgb, (2, 4)), expected.concat());
    }

    #[test]
    fn the_stream_equals_the_equations() {
        let fixed = [
            [1, 1, 1, 1],
            [1, 1, 5, 7],
            [5, 7, 1, 1],
            [40, 1, 1, 40],
            [1, 40, 40, 1],
            [8, 6, 4, 3],
            [9, 7, 8, 6],
            [8, 6, 9, 7],
            [16, 12, 16, 5],
            [16, 12, 5, 12],
            [1000, 2, 3, 2],
            [2, 1000, 2, 3],
            [128, 128, 64, 64],
            [160, 120, 96, 96],
        ];
        let mut random = Random(2);
        let drawn: Vec<_> = (0..300)
            .map(|i| sizes(&mut random, [6, 20, 50][i % 3]))
            .collect();
        for [width, height, out_width, out_height] in fixed.into_iter().chain(drawn) {
            let rgb = random.picture(width, height);
            let view = PictureView::new(width, height, &rgb).unwrap();
            assert_eq!(
                resized(width, height, &rgb, (out_width, out_height)),
                reference::resize(view, out_width as usize, out_height as usize),
                "{width} x {height} to {out_width} x {out_height}"
            );
        }
    }

    /// FNV-1a of Pillow's bytes: the same on every machine and in every version to come.
    #[test]
    fn the_bytes_are_frozen() {
        let cases: [([u32; 4], u64); 4] = [
            ([128, 128, 64, 64], 0x7e53_7223_a3ae_9061),
            ([97, 61, 32, 48], 0xa110_85b6_ca66_b06b),
            ([20, 30, 71, 33], 0xb2d3_5295_b4b2_0d9f),
            ([500, 3, 7, 5], 0x4ea5_42db_a940_4d4a),
        ];
        for (case @ [width, height, out_width, out_height], expected) in cases {
            let rgb: Vec<u8> = (0..width * height * 3)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect();
            let hash = resized(width, height, &rgb, (out_width, out_height))
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            assert_eq!(hash, expected, "{case:?}: {hash:#018x}");
        }
    }

    #[test]
    fn a_region_is_resized_as_if_it_were_cut_out() {
        let mut random = Random(3);
        let rgb = random.picture(30, 20);
        let view = PictureView::new(30, 20, &rgb).unwrap();
        let region = view.region(4, 9, 17, 8).unwrap();
        let cut: Vec<u8> = (0..8).flat_map(|y| region.row(y)).copied().collect();
        let mut scratch = vec![0; scratch_len(30, 20, 9, 11)];
        let mut out = vec![0; 9 * 11 * 3];
        resize(region, 9, 11, &mut scratch, &mut out).unwrap();
        assert_eq!(out, resized(17, 8, &cut, (9, 11)));
    }

    #[test]
    fn one_colour_stays_and_an_equal_size_changes_nothing() {
        let mut random = Random(4);
        for _ in 0..60 {
            let [width, height, out_width, out_height] = sizes(&mut random, 90);
            let color = [255, random.next() as u8, 1];
            let rgb = color.repeat((width * height) as usize);
            let out = resized(width, height, &rgb, (out_width, out_height));
            assert_eq!(out, color.repeat((out_width * out_height) as usize));
            let rgb = random.picture(width, height);
            assert_eq!(resized(width, height, &rgb, (width, height)), rgb);
        }
        let tall = [255, 128, 1].repeat(4096);
        assert_eq!(resized(1, 4096, &tall, (1, 1)), [255, 128, 1]);
        assert_eq!(resized(4096, 1, &tall, (1, 1)), [255, 128, 1]);
    }

    #[test]
    fn a_flipped_picture_gives_the_flipped_result() {
        fn across(width: u32, rgb: &[u8]) -> Vec<u8> {
            rgb.chunks(width as usize * 3)
                .flat_map(|row| row.chunks(3).rev().flatten())
                .copied()
                .collect()
        }
        fn down(width: u32, rgb: &[u8]) -> Vec<u8> {
            rgb.chunks(width as usize * 3)
                .rev()
                .flatten()
                .copied()
                .collect()
        }
        let mut random = Random(6);
        for _ in 0..60 {
            let [width, height, out_width, out_height] = sizes(&mut random, 60);
            let rgb = random.picture(width, height);
            let to = (out_width, out_height);
            let out = resized(width, height, &rgb, to);
            let flipped = resized(width, height, &across(width, &rgb), to);
            assert_eq!(flipped, across(out_width, &out));
            let flipped = resized(width, height, &down(width, &rgb), to);
            assert_eq!(flipped, down(out_width, &out));
        }
    }

    #[test]
    fn rows_go_out_as_soon_as_they_are_whole() {
        let mut scratch = [0; scratch_len(1, 6, 1, 3)];
        let mut resizer = RowResizer::new(1, 6, 1, 3, &mut scratch).unwrap();
        // Of six rows, output row 0 uses 0 to 2, row 1 uses 1 to 4 and row 2 uses 3 to 5.
        let mut after = Vec::new();
        for _ in 0..6 {
            resizer.push(&[7; 3]).unwrap();
            after.push(resizer.ready());
            if resizer.ready().is_some() {
                resizer.take(&mut [0; 3]).unwrap();
            }
            assert_eq!(resizer.ready(), None);
        }
        assert_eq!(after, [None, None, Some(0), None, Some(1), Some(2)]);
    }

    #[test]
    fn wrong_turns_are_refused_and_change_nothing() {
        let rgb = Random(7).picture(3, 2);
        let mut scratch = [0; scratch_len(3, 2, 2, 3)];
        let mut resizer = RowResizer::new(3, 2, 2, 3, &mut scratch).unwrap();
        for _ in 0..2 {
            let mut out = [[0; 6]; 3];
            assert_eq!(resizer.take(&mut out[0]), Err(PreprocessError::Order));
            for row in rgb.chunks(9) {
                let needed = 9;
                let error = Err(PreprocessError::Row { needed });
                assert_eq!(resizer.push(&[]), error);
                assert_eq!(resizer.push(&[0; 10]), error);
                resizer.push(row).unwrap();
                assert_eq!(resizer.push(row), Err(PreprocessError::Order));
                while let Some(y) = resizer.ready() {
                    let error = Err(PreprocessError::Output { needed: 6 });
                    assert_eq!(resizer.take(&mut [0; 5]), error);
                    resizer.take(&mut out[y as usize]).unwrap();
                }
            }
            assert_eq!(resizer.push(&[0; 9]), Err(PreprocessError::Order));
            assert_eq!(resizer.take(&mut [0; 6]), Err(PreprocessError::Order));
            assert_eq!(out.concat(), resized(3, 2, &rgb, (2, 3)));
            resizer.restart();
            resizer.push(&[0; 9]).unwrap();
            resizer.restart();
        }
    }

    #[test]
    fn hostile_sizes_and_short_buffers_are_refused() {
        for bad in [0, MAX_SIDE + 1, u32::MAX] {
            for at in 0..4 {
                let mut sides = [4; 4];
                sides[at] = bad;
                let [a, b, c, d] = sides;
                assert_eq!(scratch_len(a, b, c, d), 0);
                let error = RowResizer::new(a, b, c, d, &mut [0; 500]).unwrap_err();
                assert_eq!(error, PreprocessError::Size);
            }
        }
        let view = PictureView::new(2, 1, &[9; 6]).unwrap();
        let needed = scratch_len(2, 1, 3, 2);
        let mut out = [0; 18];
        for len in [0, 1, 3, 10, 20] {
            let error = resize(view, 3, 2, &mut vec![0; len], &mut out).unwrap_err();
            assert_eq!(error, PreprocessError::Scratch { needed });
        }
        let mut scratch = vec![0; needed];
        for len in [0, 17, 19] {
            let error = resize(view, 3, 2, &mut scratch, &mut vec![0; len]).unwrap_err();
            assert_eq!(error, PreprocessError::Output { needed: 18 });
        }
        let error = resize(view, u32::MAX, 2, &mut scratch, &mut out).unwrap_err();
        assert_eq!(error, PreprocessError::Size);
        let error = resize(view, MAX_SIDE, MAX_SIDE, &mut scratch, &mut out).unwrap_err();
        assert!(matches!(error, PreprocessError::Scratch { .. }));
    }

    #[test]
    fn the_longest_sides_work() {
        let rgb = vec![255; MAX_SIDE as usize * 3];
        for (width, height) in [(MAX_SIDE, 1), (1, MAX_SIDE)] {
            let out = resized(width, height, &rgb, (2, 3));
            assert!(out.iter().all(|&value| value >= 250), "{out:?}");
        }
        assert_eq!(resized(1, 1, &[3, 2, 1], (MAX_SIDE, 1)).len(), rgb.len());
    }

    #[test]
    fn scratch_for_a_picture_serves_its_regions() {
        let mut random = Random(8);
        for _ in 0..2000 {
            let [width, height, out_width, out_height] = sizes(&mut random, 3000);
            let whole = scratch_len(width, height, out_width, out_height);
            let part = random.side(width);
            let narrower = random.side(out_width);
            assert!(scratch_len(part, 1, narrower, 1) <= whole);
            assert!(RowResizer::new(part, height, out_width, 1, &mut vec![0; whole]).is_ok());
        }
    }
}
