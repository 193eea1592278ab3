//! Answers that only tell what there is.

use kiln_core::Model;
use kiln_core::format::Header;
use kiln_core::layer::Layer;
use kiln_link::{Answer, CHUNK, CallError, Hello, Memory, cut};

use super::{App, Board, arena};

/// The bytes from an offset on.
pub fn bytes(all: &[u8], offset: u32) -> Answer<'_> {
    let rest = all.get(offset as usize..).unwrap_or_default();
    Answer::Bytes {
        total: count(all.len()),
        bytes: rest.get(..CHUNK).unwrap_or(rest),
    }
}

/// The checksum that a model's file states.
pub fn checksum(model: &[u8]) -> u32 {
    let bytes = model.get(Header::CHECKSUM_AT..);
    let bytes = bytes.and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn small(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

impl<B: Board> App<'_, B> {
    pub(super) fn hello(&self) -> Answer<'_> {
        let model = self.model.as_ref();
        let shape = model.map(|model| model.input().shape).unwrap_or_default();
        Answer::Hello(Hello {
            board: cut(B::NAME),
            model: cut(model.map_or("", Model::name)),
            checksum: self.checksum,
            intact: model.is_some_and(Model::checksum_ok),
            input: [shape.height, shape.width, shape.channels],
            takes_pictures: model.is_some_and(|model| model.recipe().is_some()),
            largest: B::LARGEST,
            logits: count(model.map_or(0, Model::classes)),
            scale: model.map_or(0.0, Model::output_scale),
            zero_point: model.map_or(0, |model| model.output().zero_point),
            layers: small(model.map_or(0, Model::layer_count)),
            vectors: small(model.map_or(0, |model| model.golden().count())),
            display: B::DISPLAY,
            ticks_per_second: B::TICKS_PER_SECOND,
            nanoseconds_per_instruction: B::NANOSECONDS_PER_INSTRUCTION,
            last_fault: self.board.last_fault().map(cut),
        })
    }

    pub(super) fn logits(&self, offset: u32) -> Result<Answer<'_>, CallError> {
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        self.inferred.ok_or(CallError::NotInferred)?;
        let output = model.output();
        let logits = self.arena.get(output.offset as usize..);
        let logits = logits.and_then(|rest| rest.get(..output.shape.len()));
        Ok(bytes(logits.ok_or(CallError::Model)?, offset))
    }

    pub(super) fn label(&self, class: u16) -> Result<Answer<'_>, CallError> {
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        let count = small(model.classes());
        if class >= count {
            return Err(CallError::NoSuch { count });
        }
        let name = cut(model.label(class.into()).unwrap_or_default());
        Ok(Answer::Label { name })
    }

    pub(super) fn profile(&mut self, layer: u16) -> Result<Answer<'_>, CallError> {
        #[cfg(feature = "fault")]
        if let Some(ticks) = self.board.crash(layer) {
            let name = "a loop";
            return Ok(Answer::Layer { name, ticks });
        }
        let model = self.model.as_ref().ok_or(CallError::Model)?;
        self.inferred.ok_or(CallError::NotInferred)?;
        let index = usize::from(layer);
        let ticks = self.layers.get(index).copied();
        let name = model
            .layers()
            .nth(index)
            .map(|(name, _): (_, Layer<'_>)| name);
        match name.zip(ticks) {
            Some((name, ticks)) => {
                let name = cut(name);
                Ok(Answer::Layer { name, ticks })
            }
            None => {
                let count = small(model.layer_count());
                Err(CallError::NoSuch { count })
            }
        }
    }

    pub(super) fn memory(&self) -> Answer<'_> {
        let memory = self.board.memory();
        let (model, arena) = match &self.model {
            Some(model) => (model.file_bytes(), model.arena_bytes()),
            None => (0, self.arena.len()),
        };
        // What is beyond the model's arena is for pictures alone.
        let arena = self.arena.get(..arena).unwrap_or_default();
        Answer::Memory(Memory {
            arena_reserved: count(arena.len()),
            arena_used: count(arena::used(arena)),
            program: memory.program.saturating_sub(count(model)),
            model: count(model),
            ..memory
        })
    }
}
