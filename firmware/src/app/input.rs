use kiln_core::Model;
use kiln_core::operators::Operators;
use kiln_core::preprocess::{PausedRows, RowPreprocessor};
use kiln_link::{Answer, CallError};

use super::{App, Board, draw};
use crate::plan::Desk;
use crate::ui::Screen;

/// What is coming.
#[derive(Debug)]
pub struct Input {
    pub kind: Kind,
    /// Bytes that have come.
    pub done: u32,
    /// Bytes that are needed.
    pub total: u32,
    /// Ticks of preprocessing.
    pub ticks: u32,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one")]
pub enum Kind {
    Nothing,
    Picture {
        rows: PausedRows,
        /// Bytes of a row.
        row: usize,
    },
    Tensor,
}

impl Input {
    /// Nothing has begun.
    pub const NOTHING: Self = Self::of(Kind::Nothing, 0);

    const fn of(kind: Kind, total: u32) -> Self {
        Self {
            kind,
            done: 0,
            total,
            ticks: 0,
        }
    }
}

/// Parts of the arena while a picture comes.
struct Parts<'a> {
    input: &'a mut [u8],
    scratch: &'a mut [i32],
    /// A row of the largest picture.
    row: &'a mut [u8],
}

impl<'a> Parts<'a> {
    /// None if the arena is too small.
    fn of<O: Operators>(model: &Model<'_, O>, desk: &Desk, arena: &'a mut [u8]) -> Option<Self> {
        let input = model.input();
        let (start, len) = (input.offset as usize, input.shape.len());
        let (before, rest) = arena.split_at_mut_checked(start)?;
        let (input, after) = rest.split_at_mut_checked(len)?;
        let free = match desk.at.checked_sub(start + len) {
            Some(gap) => after.get_mut(gap..)?,
            None => before.get_mut(desk.at..)?,
        };
        let (words, row) = free.split_at_mut_checked(desk.scratch_len())?;
        let (_, words, _) = bytemuck::pod_align_to_mut(words);
        Some(Self {
            input,
            scratch: words.get_mut(..desk.scratch)?,
            row: row.get_mut(..desk.row)?,
        })
    }
}

/// Bytes of a picture in RGB.
fn picture_len(width: u16, height: u16) -> u32 {
    (u32::from(width) * u32::from(height)).saturating_mul(3)
}

/// Draws how much has come this many times in a picture.
const STEPS: u64 = 8;

impl<B: Board> App<'_, B> {
    /// A picture begins.
    pub(super) fn picture(&mut self, width: u16, height: u16) -> Result<Answer<'_>, CallError> {
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        let recipe = model.recipe().ok_or(CallError::NoRecipe)?;
        let [columns, rows] = B::LARGEST;
        if !(1..=columns).contains(&width) || !(1..=rows).contains(&height) {
            let largest = B::LARGEST;
            return Err(CallError::PictureSize { largest });
        }
        let parts = Parts::of(model, &self.desk, self.arena).ok_or(CallError::Model)?;
        let rows = RowPreprocessor::new(width.into(), height.into(), &recipe, parts.scratch);
        let kind = Kind::Picture {
            rows: rows.map_err(|_| CallError::Model)?.pause(),
            row: usize::from(width) * 3,
        };
        Ok(self.begin(kind, picture_len(width, height)))
    }

    /// A tensor begins.
    pub(super) fn tensor(&mut self) -> Result<Answer<'_>, CallError> {
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        let total = model.input().shape.len() as u32;
        Ok(self.begin(Kind::Tensor, total))
    }

    fn begin(&mut self, kind: Kind, total: u32) -> Answer<'static> {
        self.inferred = None;
        self.input = Input::of(kind, total);
        draw(&mut self.board, &Screen::Receiving { done: 0, total }, None);
        Answer::Received { done: 0, total }
    }

    /// Takes the next bytes, and preprocesses the rows that they complete.
    pub(super) fn data(&mut self, offset: u32, bytes: &[u8]) -> Result<Answer<'_>, CallError> {
        let Input { done, total, .. } = self.input;
        if matches!(self.input.kind, Kind::Nothing) {
            return Err(CallError::NothingBegun);
        }
        if offset != done {
            return Err(CallError::Offset { expected: done });
        }
        let after = u32::try_from(bytes.len()).ok();
        let after = after.and_then(|len| done.checked_add(len));
        let after = after.filter(|&after| after <= total);
        let after = after.ok_or(CallError::TooMany { total })?;
        self.take(bytes).ok_or(CallError::Model)?;
        self.input.done = after;
        let step = |done: u32| u64::from(done) * STEPS / u64::from(total.max(1));
        if step(after) != step(done) {
            draw(
                &mut self.board,
                &Screen::Receiving { done: after, total },
                None,
            );
        }
        Ok(Answer::Received { done: after, total })
    }

    /// Takes bytes that are due. None if the engine refuses.
    fn take(&mut self, mut bytes: &[u8]) -> Option<()> {
        let model = self.model.as_ref()?;
        let done = self.input.done as usize;
        let (paused, len) = match &mut self.input.kind {
            Kind::Nothing => return None,
            Kind::Tensor => {
                let place = model.input_mut(self.arena).ok()?;
                let place = place.get_mut(done..)?.get_mut(..bytes.len())?;
                place.copy_from_slice(bytes);
                return Some(());
            }
            Kind::Picture { rows, row } => (rows, *row),
        };
        let parts = Parts::of(model, &self.desk, self.arena)?;
        let row = parts.row.get_mut(..len)?;
        let mut rows = paused.resume(parts.scratch).ok()?;
        let mut filled = done % row.len().max(1);
        while !bytes.is_empty() {
            let rest = row.get_mut(filled..)?;
            let (now, later) = bytes.split_at(rest.len().min(bytes.len()));
            rest.get_mut(..now.len())?.copy_from_slice(now);
            (filled, bytes) = (filled + now.len(), later);
            if filled == row.len() {
                let start = self.board.ticks();
                rows.push(row, parts.input).ok()?;
                let ticks = self.board.ticks().wrapping_sub(start);
                self.input.ticks = self.input.ticks.wrapping_add(ticks);
                filled = 0;
            }
        }
        *paused = rows.pause();
        Some(())
    }
}
