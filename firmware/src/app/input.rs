use kiln_core::Model;
use kiln_core::operators::Operators;
use kiln_core::preprocess::RowPreprocessor;
use kiln_link::{Answer, Call, CallError};

use super::{App, Board, draw};
use crate::ui::Screen;

/// What is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    Nothing,
    Picture { width: u16, height: u16 },
    Tensor,
}

impl Begin {
    /// What a call begins.
    pub fn by(call: &Call<'_>) -> Option<Self> {
        match *call {
            Call::Picture { width, height } => Some(Self::Picture { width, height }),
            Call::Tensor => Some(Self::Tensor),
            _ => None,
        }
    }
}

/// What is coming.
#[derive(Debug)]
pub struct Input<'s> {
    pub kind: Kind<'s>,
    /// Bytes that have come.
    pub done: u32,
    /// Bytes that are needed.
    pub total: u32,
    /// Ticks of preprocessing.
    pub ticks: u32,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and it is not moved"
)]
pub enum Kind<'s> {
    Nothing,
    Picture {
        rows: RowPreprocessor<'s>,
        /// Bytes of a row.
        row: usize,
    },
    Tensor,
}

impl<'s> Input<'s> {
    /// Nothing, if the model cannot take it.
    pub fn of<O: Operators>(
        begin: Begin,
        model: Option<&Model<'_, O>>,
        scratch: &'s mut [i32],
    ) -> Self {
        let (kind, total) = match (begin, model) {
            (Begin::Picture { width, height }, Some(model)) => {
                let rows = model.recipe().and_then(|recipe| {
                    RowPreprocessor::new(width.into(), height.into(), &recipe, scratch).ok()
                });
                match rows {
                    Some(rows) => {
                        let row = usize::from(width) * 3;
                        (Kind::Picture { rows, row }, picture_len(width, height))
                    }
                    None => (Kind::Nothing, 0),
                }
            }
            (Begin::Tensor, Some(model)) => (Kind::Tensor, model.input().shape.len() as u32),
            _ => (Kind::Nothing, 0),
        };
        Self {
            kind,
            done: 0,
            total,
            ticks: 0,
        }
    }

    /// Nothing has begun any more.
    pub(super) fn clear(&mut self) {
        *self = Self {
            kind: Kind::Nothing,
            done: 0,
            total: 0,
            ticks: 0,
        };
    }
}

/// Bytes of a picture in RGB.
fn picture_len(width: u16, height: u16) -> u32 {
    (u32::from(width) * u32::from(height)).saturating_mul(3)
}

/// Draws how much has come this many times in a picture.
const STEPS: u64 = 8;

impl<B: Board> App<'_, B> {
    /// A picture may begin.
    pub(super) fn picture(&mut self, width: u16, height: u16) -> Result<Answer<'_>, CallError> {
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        if model.recipe().is_none() {
            return Err(CallError::NoRecipe);
        }
        let [columns, rows] = B::LARGEST;
        if !(1..=columns).contains(&width) || !(1..=rows).contains(&height) {
            let largest = B::LARGEST;
            return Err(CallError::PictureSize { largest });
        }
        Ok(self.begun(picture_len(width, height)))
    }

    /// A tensor may begin.
    pub(super) fn tensor(&mut self) -> Result<Answer<'_>, CallError> {
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        let total = model.input().shape.len() as u32;
        Ok(self.begun(total))
    }

    fn begun(&mut self, total: u32) -> Answer<'static> {
        self.inferred = None;
        draw(&mut self.board, &Screen::Receiving { done: 0, total }, None);
        Answer::Received { done: 0, total }
    }

    /// Takes the next bytes, and preprocesses the rows that they complete.
    pub(super) fn data(
        &mut self,
        input: &mut Input<'_>,
        offset: u32,
        bytes: &[u8],
    ) -> Result<Answer<'_>, CallError> {
        let Input { done, total, .. } = *input;
        if matches!(input.kind, Kind::Nothing) {
            return Err(CallError::NothingBegun);
        }
        if offset != done {
            return Err(CallError::Offset { expected: done });
        }
        let after = u32::try_from(bytes.len()).ok();
        let after = after.and_then(|len| done.checked_add(len));
        let after = after.filter(|&after| after <= total);
        let after = after.ok_or(CallError::TooMany { total })?;
        self.take(input, bytes).ok_or(CallError::Model)?;
        input.done = after;
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
    fn take(&mut self, input: &mut Input<'_>, mut bytes: &[u8]) -> Option<()> {
        let place = self.model.as_ref()?.input_mut(self.arena).ok()?;
        let done = input.done as usize;
        let (rows, len) = match &mut input.kind {
            Kind::Nothing => return None,
            Kind::Tensor => {
                let place = place.get_mut(done..)?.get_mut(..bytes.len())?;
                place.copy_from_slice(bytes);
                return Some(());
            }
            Kind::Picture { rows, row } => (rows, *row),
        };
        let row = self.row.get_mut(..len)?;
        let mut filled = done % row.len().max(1);
        while !bytes.is_empty() {
            let rest = row.get_mut(filled..)?;
            let (now, later) = bytes.split_at(rest.len().min(bytes.len()));
            rest.get_mut(..now.len())?.copy_from_slice(now);
            (filled, bytes) = (filled + now.len(), later);
            if filled == row.len() {
                let start = self.board.ticks();
                rows.push(row, place).ok()?;
                let ticks = self.board.ticks().wrapping_sub(start);
                input.ticks = input.ticks.wrapping_add(ticks);
                filled = 0;
            }
        }
        Some(())
    }
}
