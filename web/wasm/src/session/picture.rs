//! From the page's picture to the model's input.

use kiln_core::RunError;
use kiln_core::preprocess::{Placement, RowPreprocessor};

use super::{Session, SessionError};
use crate::memory::Source;

/// Bytes of RGBA that are asked of the page at a time, or one row.
const STRIP: usize = 1 << 16;

impl<S: Source> Session<S> {
    /// Takes a picture of `width * height` pixels and makes it the model's input. `read` writes RGBA of
    /// rows from a row on, as many as the buffer has room for.
    ///
    /// # Errors
    /// There is no model or it takes no pictures; the picture has no pixels or too long a side; there is
    /// no memory.
    pub fn prepare(
        &mut self,
        width: u32,
        height: u32,
        mut read: impl FnMut(&mut [u8], u32),
    ) -> Result<(), SessionError> {
        self.answered = false;
        self.occluding = None;
        self.placement = None;
        let model = self.model.ok_or(SessionError::Order("load a model"))?;
        let recipe = model.recipe().ok_or(RunError::Recipe)?;
        let placement = recipe.place(width, height)?;
        let memory = |bytes| SessionError::Memory(bytes);
        let words = recipe.scratch_len(width, height);
        let scratch = self
            .scratch
            .get(words)
            .ok_or(memory(words.saturating_mul(4)))?;
        let len = recipe.len();
        let input = self.input.get(len).ok_or(memory(len))?;
        let row = (width as usize).saturating_mul(4);
        let rgb = self.rgb.get(row / 4 * 3).ok_or(memory(row))?;
        let rows = (STRIP / row.max(1)).max(1);
        let bytes = rows.saturating_mul(row);
        let strip = self.strip.get(bytes).ok_or(memory(bytes))?;
        let mut preprocessor = RowPreprocessor::new(width, height, &recipe, scratch)?;
        for first in (0..height).step_by(rows) {
            let count = rows.min((height - first) as usize);
            let strip = strip.get_mut(..count * row).ok_or(memory(bytes))?;
            read(strip, first);
            for rgba in strip.chunks_exact(row.max(1)) {
                over_white(rgba, rgb);
                preprocessor.push(rgb, input)?;
            }
        }
        self.placement = Some(placement);
        Ok(())
    }

    /// Where the picture lies in the model's input.
    pub const fn placement(&self) -> Option<Placement> {
        self.placement
    }
}

/// RGBA to RGB, laid over white: as `kiln-picture` does it on the host.
pub(super) fn over_white(rgba: &[u8], rgb: &mut [u8]) {
    let (from, to) = (rgba.as_chunks::<4>().0, rgb.as_chunks_mut::<3>().0);
    for (&[red, green, blue, alpha], to) in from.iter().zip(to) {
        *to = [red, green, blue].map(|value| {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        });
    }
}
