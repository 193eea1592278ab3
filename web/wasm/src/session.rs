//! A model, pictures, answers, maps.

use core::fmt;
use core::marker::PhantomData;

use kiln_core::explain::Maps;
use kiln_core::preprocess::{Placement, RowPreprocessor};
use kiln_core::{Class, FormatError, Model, RunError};

use crate::memory::{Room, Source};

/// Bytes of RGBA that are asked of the page at a time, or one row.
const STRIP: usize = 1 << 16;

/// The most probable classes that are kept.
pub const TOP: usize = 8;

/// Multiply-accumulates of an inference above which a page would seem to hang: some ten seconds.
pub const MAX_MACS: u64 = 1 << 36;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SessionError {
    /// There is no more memory.
    Memory(usize),
    /// The bytes are no model.
    Format(FormatError),
    /// The bytes have changed since they were written.
    Checksum,
    /// The model asks for more work than a page can do.
    Work(u64),
    /// The engine gives no answer.
    Run(RunError),
    /// The picture does not suit.
    Picture(kiln_core::preprocess::PreprocessError),
    /// Something was asked for out of turn.
    Order(&'static str),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(len) => write!(f, "{len} bytes of memory are needed, more than there are"),
            Self::Format(error) => error.fmt(f),
            Self::Checksum => {
                f.write_str("the checksum is wrong: the file is damaged; copy or compile it again")
            }
            Self::Work(macs) => write!(
                f,
                "the model takes {macs} multiply-accumulates, too many for a page: run it with kiln-run"
            ),
            Self::Run(error) => error.fmt(f),
            Self::Picture(error) => error.fmt(f),
            Self::Order(first) => write!(f, "out of turn: first {first}"),
        }
    }
}

impl core::error::Error for SessionError {}

impl From<FormatError> for SessionError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<RunError> for SessionError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<kiln_core::preprocess::PreprocessError> for SessionError {
    fn from(error: kiln_core::preprocess::PreprocessError) -> Self {
        Self::Picture(error)
    }
}

/// One model at work.
#[derive(Debug)]
pub struct Session<S: Source> {
    model: Option<Model<'static>>,
    maps: Option<Maps<'static>>,
    arena: Room<u8>,
    /// Pixels as the recipe makes them: rows, columns, channels.
    input: Room<u8>,
    strip: Room<u8>,
    rgb: Room<u8>,
    scratch: Room<i32>,
    logits: Room<u8>,
    features: Room<u8>,
    map: Room<i32>,
    placement: Option<Placement>,
    top: [Class; TOP],
    answered: bool,
    source: PhantomData<S>,
}

impl<S: Source> Session<S> {
    /// Without a model yet.
    pub const fn new() -> Self {
        let class = Class {
            index: 0,
            probability: 0.0,
        };
        Self {
            model: None,
            maps: None,
            arena: Room::new(S::bytes),
            input: Room::new(S::bytes),
            strip: Room::new(S::bytes),
            rgb: Room::new(S::bytes),
            scratch: Room::new(S::words),
            logits: Room::new(S::bytes),
            features: Room::new(S::bytes),
            map: Room::new(S::words),
            placement: None,
            top: [class; TOP],
            answered: false,
            source: PhantomData,
        }
    }

    /// Takes a `.kiln` file of `len` bytes, which `read` writes, and checks it.
    ///
    /// # Errors
    /// What is wrong with it; there is a model already; there is no memory for it.
    pub fn load(&mut self, len: usize, read: impl FnOnce(&mut [u8])) -> Result<(), SessionError> {
        if self.model.is_some() {
            return Err(SessionError::Order("make another instance"));
        }
        let bytes = S::bytes(len).ok_or(SessionError::Memory(len))?;
        let bytes = bytes.get_mut(..len).ok_or(SessionError::Memory(len))?;
        read(bytes);
        let bytes: &'static [u8] = bytes;
        let model = Model::new(bytes)?;
        if !model.checksum_ok() {
            return Err(SessionError::Checksum);
        }
        let macs = macs(&model);
        if macs > MAX_MACS {
            return Err(SessionError::Work(macs));
        }
        let arena = model.arena_bytes();
        self.arena.get(arena).ok_or(SessionError::Memory(arena))?;
        self.maps = Maps::of(&model);
        self.model = Some(model);
        Ok(())
    }

    /// The model.
    pub const fn model(&self) -> Option<&Model<'static>> {
        self.model.as_ref()
    }

    /// Rows and columns of a heat map; none where the network's end allows of no maps.
    pub const fn map_size(&self) -> [u32; 2] {
        match &self.maps {
            Some(maps) => [maps.shape().height, maps.shape().width],
            None => [0; 2],
        }
    }

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

    /// Runs the model on the picture that is prepared.
    ///
    /// # Errors
    /// No picture is.
    pub fn infer(&mut self) -> Result<(), SessionError> {
        let (Some(model), Some(_)) = (&self.model, self.placement) else {
            return Err(SessionError::Order("prepare a picture"));
        };
        let bytes = model.arena_bytes();
        let memory = || SessionError::Memory(bytes);
        let arena = self.arena.get(bytes).ok_or_else(memory)?;
        let place = model.input_mut(arena)?;
        for (place, &pixel) in place.iter_mut().zip(self.input.first(usize::MAX)) {
            *place = pixel;
        }
        model.quantize_pixels(arena)?;
        let output = match &self.maps {
            Some(maps) => {
                let len = maps.shape().len();
                let features = self.features.get(len).ok_or_else(memory)?;
                let ran = maps.run(model, arena, features);
                ran.map_err(|_| RunError::Model)?
            }
            None => model.run_in_place(arena)?,
        };
        let logits = self.logits.get(output.len()).ok_or_else(memory)?;
        for (place, &value) in logits.iter_mut().zip(output.values()) {
            *place = value;
        }
        self.top = output.top();
        self.answered = true;
        Ok(())
    }

    /// The quantized logits of the last inference: i8.
    pub fn logits(&self) -> &[u8] {
        let count = self.model.map_or(0, |model| model.output().shape.len());
        self.logits.first(if self.answered { count } else { 0 })
    }

    /// The most probable classes of the last inference; places behind the last class have its count for
    /// an index.
    pub const fn top(&self) -> &[Class; TOP] {
        &self.top
    }

    /// Where the picture lies in the model's input.
    pub const fn placement(&self) -> Option<Placement> {
        self.placement
    }

    /// Of the last inference what each place of the picture says for a class: i32, row by row.
    ///
    /// # Errors
    /// There was no inference, the network allows of no maps, or there is no such class.
    pub fn map(&mut self, class: usize) -> Result<&[i32], SessionError> {
        let maps = match &self.maps {
            Some(maps) if self.answered => maps,
            _ => return Err(SessionError::Order("run a model that has heat maps")),
        };
        let len = maps.shape().pixels();
        let map = self.map.get(len).ok_or(SessionError::Memory(len))?;
        maps.map(self.features.first(maps.shape().len()), class, map)
            .map_err(|_| SessionError::Order("choose a class that there is"))?;
        Ok(self.map.first(len))
    }
}

impl<S: Source> Default for Session<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Multiply-accumulates of an inference.
pub fn macs(model: &Model<'_>) -> u64 {
    let layers = model.layers();
    layers.fold(0, |sum, (_, layer)| sum.saturating_add(layer.macs()))
}

/// RGBA to RGB, laid over white: as `kiln-picture` does it on the host.
fn over_white(rgba: &[u8], rgb: &mut [u8]) {
    let (from, to) = (rgba.as_chunks::<4>().0, rgb.as_chunks_mut::<3>().0);
    for (&[red, green, blue, alpha], to) in from.iter().zip(to) {
        *to = [red, green, blue].map(|value| {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        });
    }
}

#[cfg(test)]
mod tests;
