use super::{Fit, LETTERBOX_GREY, PictureView, Placement, PreprocessError, Recipe, RowResizer};

/// Preprocessing as a stream: the rows of a picture are pushed from the top, as a camera or a
/// decoder gives them, and the model's input fills up.
#[derive(Debug)]
pub struct RowPreprocessor<'s> {
    width: u32,
    height: u32,
    recipe: Recipe,
    placement: Placement,
    resizer: RowResizer<'s>,
    /// Source rows pushed.
    pushed: u32,
}

impl<'s> RowPreprocessor<'s> {
    /// Prepares for pictures of `width * height` pixels. `scratch` has at least
    /// [`Recipe::scratch_len`] words, whatever is in them.
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::check`] and [`RowResizer::new`].
    pub fn new(
        width: u32,
        height: u32,
        recipe: &Recipe,
        scratch: &'s mut [i32],
    ) -> Result<Self, PreprocessError> {
        recipe.check()?;
        let placement = recipe.place(width, height)?;
        let Placement { source, target } = placement;
        Ok(Self {
            width,
            height,
            recipe: *recipe,
            placement,
            resizer: RowResizer::new(
                source.width,
                source.height,
                target.width,
                target.height,
                scratch,
            )?,
            pushed: 0,
        })
    }

    /// Begins the next picture of the same size. What was pushed of this one is dropped.
    pub fn restart(&mut self) {
        self.pushed = 0;
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
        let needed = self.width as usize * 3;
        if row.len() != needed {
            return Err(PreprocessError::Row { needed });
        }
        let needed = self.recipe.len();
        if out.len() != needed {
            return Err(PreprocessError::Output { needed });
        }
        if self.pushed == self.height {
            return Err(PreprocessError::Order);
        }
        let Placement { source, target } = self.placement;
        let channels = self.recipe.channels();
        if self.pushed == 0 && self.recipe.fit == Fit::Letterbox {
            out.fill(LETTERBOX_GREY);
        }
        if (source.y..source.y + source.height).contains(&self.pushed) {
            let x = source.x as usize * 3;
            let row = row.get(x..x + source.width as usize * 3);
            self.resizer.push(row.unwrap_or_default())?;
            while let Some(y) = self.resizer.ready() {
                let columns = usize::from(self.recipe.width);
                let start = (target.y + y) as usize * columns + target.x as usize;
                let end = start + target.width as usize;
                let out = out.get_mut(start * channels..end * channels);
                self.resizer
                    .take_as(self.recipe.color, out.unwrap_or_default())?;
            }
        }
        self.pushed += 1;
        Ok(self.pushed == self.height)
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
/// Those of [`RowResizer::new`], and [`PreprocessError::Output`].
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
