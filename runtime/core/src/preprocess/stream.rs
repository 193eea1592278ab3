use super::resize::{Paused, RowResizer};
use super::{Color, Fit, LETTERBOX_GREY, PictureView, Placement, PreprocessError, Recipe};

/// Preprocessing as a stream: the rows of a picture are pushed from the top, as a camera or a
/// decoder gives them, and the model's input fills up.
#[derive(Debug)]
pub struct RowPreprocessor<'s> {
    frame: Frame,
    resizer: RowResizer<'s>,
}

/// A [`RowPreprocessor`] that has put its scratch aside: a device keeps it between two rows where the
/// scratch lies in the arena, which a borrow would close.
#[derive(Clone, Copy, Debug)]
pub struct PausedRows {
    frame: Frame,
    resizer: Paused,
}

impl PausedRows {
    /// Goes on. What `scratch` holds is what the preprocessor has left there; other numbers give
    /// another picture.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Scratch`].
    pub fn resume(self, scratch: &mut [i32]) -> Result<RowPreprocessor<'_>, PreprocessError> {
        Ok(RowPreprocessor {
            frame: self.frame,
            resizer: self.resizer.resume(scratch)?,
        })
    }
}

/// From what to what, and how many rows of it have come.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Of the picture.
    width: u32,
    height: u32,
    placement: Placement,
    color: Color,
    /// Whether something is left over around the picture.
    letterbox: bool,
    /// The output's bytes, and those of its rows.
    len: usize,
    row_len: usize,
    /// Source rows pushed.
    pushed: u32,
}

impl<'s> RowPreprocessor<'s> {
    /// Prepares for pictures of `width * height` pixels. `scratch` has at least
    /// [`Recipe::scratch_len`] words, whatever is in them.
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::check`], [`PreprocessError::Size`] and [`PreprocessError::Scratch`].
    pub fn new(
        width: u32,
        height: u32,
        recipe: &Recipe,
        scratch: &'s mut [i32],
    ) -> Result<Self, PreprocessError> {
        recipe.check()?;
        let placement = recipe.place(width, height)?;
        let Placement { source, target } = placement;
        let resizer = RowResizer::new(
            source.width,
            source.height,
            target.width,
            target.height,
            scratch,
        )?;
        Ok(Self {
            frame: Frame {
                width,
                height,
                placement,
                color: recipe.color,
                letterbox: recipe.fit == Fit::Letterbox,
                len: recipe.len(),
                row_len: usize::from(recipe.width) * recipe.channels(),
                pushed: 0,
            },
            resizer,
        })
    }

    /// Puts the scratch aside, as it is, for [`PausedRows::resume`].
    pub fn pause(self) -> PausedRows {
        PausedRows {
            frame: self.frame,
            resizer: self.resizer.pause(),
        }
    }

    /// Begins the next picture of the same size. What was pushed of this one is dropped.
    pub fn restart(&mut self) {
        self.frame.pushed = 0;
        self.resizer.restart();
    }

    /// Takes the next source row (`width * 3` bytes) and writes what it completes to `out`
    /// ([`Recipe::len`] bytes, NHWC), the same for all rows of a picture. True after the last
    /// row: `out` is whole.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Row`] or [`PreprocessError::Output`] for another length,
    /// [`PreprocessError::Order`] after the last row. Nothing has then changed.
    pub fn push(&mut self, row: &[u8], out: &mut [u8]) -> Result<bool, PreprocessError> {
        let frame = &mut self.frame;
        let needed = frame.width as usize * 3;
        if row.len() != needed {
            return Err(PreprocessError::Row { needed });
        }
        if out.len() != frame.len {
            return Err(PreprocessError::Output { needed: frame.len });
        }
        if frame.pushed == frame.height {
            return Err(PreprocessError::Order);
        }
        let Placement { source, target } = frame.placement;
        let channels = frame.color.channels();
        if frame.pushed == 0 && frame.letterbox {
            out.fill(LETTERBOX_GREY);
        }
        if (source.y..source.y + source.height).contains(&frame.pushed) {
            let x = source.x as usize * 3;
            let row = row.get(x..x + source.width as usize * 3);
            self.resizer.add(row.unwrap_or_default());
            while let Some(y) = self.resizer.ready() {
                let start = (target.y + y) as usize * frame.row_len + target.x as usize * channels;
                let out = out.get_mut(start..start + target.width as usize * channels);
                self.resizer.store(frame.color, out.unwrap_or_default());
            }
        }
        frame.pushed += 1;
        Ok(frame.pushed == frame.height)
    }
}

/// Brings a picture to a model's input: fit, resize, colour. `out` is [`Recipe::len`] bytes,
/// NHWC; `scratch` has at least [`Recipe::scratch_len`] words, whatever is in them. What the
/// bytes stand for is [`Recipe::normalise`].
///
/// # Errors
///
/// Those of [`RowPreprocessor::new`], and [`PreprocessError::Output`].
pub fn preprocess(
    view: PictureView<'_>,
    recipe: &Recipe,
    scratch: &mut [i32],
    out: &mut [u8],
) -> Result<(), PreprocessError> {
    let mut rows = RowPreprocessor::new(view.width(), view.height(), recipe, scratch)?;
    for y in 0..view.height() {
        rows.push(view.row(y), out)?;
    }
    Ok(())
}

/// Resizes a picture to `out_width * out_height` pixels of RGB. `out` is
/// `out_height * out_width * 3` bytes; `scratch` has at least [`scratch_len`](super::scratch_len)
/// words, whatever is in them.
///
/// # Errors
///
/// [`PreprocessError::Size`] if a side is not in `1..=MAX_SIDE`, [`PreprocessError::Scratch`],
/// [`PreprocessError::Output`].
pub fn resize(
    view: PictureView<'_>,
    out_width: u32,
    out_height: u32,
    scratch: &mut [i32],
    out: &mut [u8],
) -> Result<(), PreprocessError> {
    let (width, height) = (view.width(), view.height());
    let mut resizer = RowResizer::new(width, height, out_width, out_height, scratch)?;
    let row_len = out_width as usize * 3;
    let needed = row_len.saturating_mul(out_height as usize);
    if out.len() != needed {
        return Err(PreprocessError::Output { needed });
    }
    let mut rows = out.chunks_exact_mut(row_len);
    for y in 0..height {
        resizer.push(view.row(y))?;
        while resizer.ready().is_some() {
            resizer.take(rows.next().unwrap_or_default())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec;
    use std::vec::Vec;

    use super::super::reference::{self, Random};
    use super::super::{Color, scratch_len};
    use super::*;

    const FITS: [Fit; 3] = [Fit::Stretch, Fit::Crop, Fit::Letterbox];
    const COLORS: [Color; 2] = [Color::Rgb, Color::Grey];

    fn recipe(width: u16, height: u16, fit: Fit, color: Color) -> Recipe {
        Recipe {
            width,
            height,
            fit,
            crop_pct: 100,
            color,
            mean: [0.5; 3],
            std: [0.25; 3],
        }
    }

    fn preprocessed(view: PictureView<'_>, recipe: &Recipe) -> Vec<u8> {
        let len = recipe.scratch_len(view.width(), view.height());
        let mut scratch = Random(5).scratch(len);
        let mut out = vec![1; recipe.len()];
        preprocess(view, recipe, &mut scratch, &mut out).unwrap();
        out
    }

    #[test]
    fn by_hand() {
        // Red above blue, each two pixels wide.
        let rgb = [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]].concat();
        let view = PictureView::new(2, 2, &rgb).unwrap();
        // Luma of red: 76.2, of blue: 29.05; above and below the edge 3 to 1.
        let stretch = recipe(1, 4, Fit::Stretch, Color::Grey);
        assert_eq!(preprocessed(view, &stretch), [76, 64, 41, 29]);
        // One column of the two; of the odd rest the smaller half, nothing, is on its left.
        let crop = recipe(1, 2, Fit::Crop, Color::Rgb);
        assert_eq!(preprocessed(view, &crop), [255, 0, 0, 0, 0, 255]);
        let letterbox = recipe(2, 5, Fit::Letterbox, Color::Grey);
        let expected = [128, 128, 76, 76, 29, 29, 128, 128, 128, 128];
        assert_eq!(preprocessed(view, &letterbox), expected);
    }

    #[test]
    fn it_equals_the_equations() {
        let mut random = Random(10);
        for i in 0..120 {
            let (width, height) = (random.side(40), random.side(40));
            let rgb = random.picture(width, height);
            let view = PictureView::new(width, height, &rgb).unwrap();
            for (fit, color) in FITS.iter().flat_map(|f| COLORS.map(|c| (*f, c))) {
                let sides = (random.side(24) as u16, random.side(24) as u16);
                let recipe = Recipe {
                    crop_pct: [100, 88, random.side(100) as u8][i % 3],
                    ..recipe(sides.0, sides.1, fit, color)
                };
                assert_eq!(
                    preprocessed(view, &recipe),
                    reference::preprocess(view, &recipe),
                    "{i}: {width} x {height}, {recipe:?}"
                );
            }
        }
    }

    #[test]
    fn luma_keeps_greys() {
        for value in 0..=255 {
            assert_eq!(super::super::luma([value; 3]), value);
        }
    }

    #[test]
    fn a_region_serves_as_a_picture() {
        let mut random = Random(11);
        let rgb = random.picture(31, 17);
        let view = PictureView::new(31, 17, &rgb).unwrap();
        let region = view.region(3, 2, 20, 14).unwrap();
        let recipe = recipe(7, 5, Fit::Crop, Color::Rgb);
        let expected = reference::preprocess(region, &recipe);
        assert_eq!(preprocessed(region, &recipe), expected);
    }

    #[test]
    fn frame_after_frame() {
        let mut random = Random(12);
        let recipe = recipe(7, 5, Fit::Letterbox, Color::Grey);
        let mut scratch = vec![0; recipe.scratch_len(12, 20)];
        let mut rows = RowPreprocessor::new(12, 20, &recipe, &mut scratch).unwrap();
        let mut out = vec![0; recipe.len()];
        for _ in 0..3 {
            let rgb = random.picture(12, 20);
            let mut whole = false;
            for row in rgb.chunks(36) {
                assert!(!whole);
                whole = rows.push(row, &mut out).unwrap();
            }
            assert!(whole);
            let view = PictureView::new(12, 20, &rgb).unwrap();
            assert_eq!(out, reference::preprocess(view, &recipe));
            assert_eq!(rows.push(&rgb[..36], &mut out), Err(PreprocessError::Order));
            rows.restart();
            rows.push(&rgb[..36], &mut out).unwrap();
            rows.restart();
        }
    }

    #[test]
    fn a_pause_between_any_two_rows_changes_nothing() {
        let mut random = Random(13);
        for i in 0..60 {
            let (width, height) = (random.side(40), random.side(40));
            let rgb = random.picture(width, height);
            let view = PictureView::new(width, height, &rgb).unwrap();
            let sides = (random.side(24) as u16, random.side(24) as u16);
            let recipe = Recipe {
                crop_pct: 100 - i as u8,
                ..recipe(sides.0, sides.1, FITS[i % 3], COLORS[i % 2])
            };
            let len = recipe.scratch_len(width, height);
            // Where the scratch lies changes too.
            let mut places = [random.scratch(len), random.scratch(len)];
            let mut out = vec![1; recipe.len()];
            let rows = RowPreprocessor::new(width, height, &recipe, &mut places[0]).unwrap();
            let mut paused = rows.pause();
            for y in 0..height {
                let [now, next] = &mut places;
                let mut rows = paused.resume(now).unwrap();
                let whole = rows.push(view.row(y), &mut out).unwrap();
                assert_eq!(whole, y + 1 == height);
                paused = rows.pause();
                next.copy_from_slice(now);
                places.swap(0, 1);
            }
            assert_eq!(out, reference::preprocess(view, &recipe), "{i}: {recipe:?}");
            let error = paused.resume(&mut []).unwrap_err();
            assert!(matches!(error, PreprocessError::Scratch { .. }));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rgb = [0; 36];
        let view = PictureView::new(4, 3, &rgb).unwrap();
        let good = recipe(2, 3, Fit::Crop, Color::Rgb);
        let mut scratch = vec![0; scratch_len(4, 3, 2, 3)];
        let mut out = vec![0; good.len()];
        assert_eq!(preprocess(view, &good, &mut scratch, &mut out), Ok(()));
        for len in [0, 17, 19] {
            let error = preprocess(view, &good, &mut scratch, &mut vec![0; len]);
            assert_eq!(error, Err(PreprocessError::Output { needed: 18 }));
        }
        let error = preprocess(view, &good, &mut [], &mut out).unwrap_err();
        assert!(matches!(error, PreprocessError::Scratch { .. }));
        let bad = Recipe {
            std: [0.0; 3],
            ..good
        };
        let error = preprocess(view, &bad, &mut scratch, &mut out);
        assert_eq!(error, Err(PreprocessError::Std));
        for (width, height) in [(0, 3), (4, 0), (u32::MAX, u32::MAX)] {
            let error = RowPreprocessor::new(width, height, &good, &mut scratch).unwrap_err();
            assert_eq!(error, PreprocessError::Size);
        }
        let mut rows = RowPreprocessor::new(4, 3, &good, &mut scratch).unwrap();
        let error = rows.push(&[0; 11], &mut out).unwrap_err();
        assert_eq!(error, PreprocessError::Row { needed: 12 });
        assert!(error.to_string().contains("12 bytes"), "{error}");
    }
}
