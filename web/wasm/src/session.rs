//! A model, pictures, answers, maps.

mod error;
mod explain;
mod picture;

use core::marker::PhantomData;

use kiln_core::explain::{Maps, Squares};
use kiln_core::preprocess::Placement;
use kiln_core::{Class, Model, Output, RunError};

use crate::memory::{Room, Source};
pub use error::SessionError;
use explain::Occluding;

/// The most probable classes that are kept.
pub const TOP: usize = 8;

/// Multiply-accumulates of an inference above which a page would seem to hang: some ten seconds.
pub const MAX_MACS: u64 = 1 << 36;

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
    /// By how much each square of an occlusion lessens the class's probability: the bits of f32.
    drops: Room<i32>,
    occluding: Option<Occluding>,
    placement: Option<Placement>,
    top: [Class; TOP],
    unknown: Option<f32>,
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
            drops: Room::new(S::words),
            occluding: None,
            placement: None,
            top: [class; TOP],
            unknown: None,
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

    /// Runs the model on the picture that is prepared.
    ///
    /// # Errors
    /// No picture is.
    pub fn infer(&mut self) -> Result<(), SessionError> {
        let (Some(model), Some(_)) = (&self.model, self.placement) else {
            return Err(SessionError::Order("prepare a picture"));
        };
        let memory = || SessionError::Memory(model.arena_bytes());
        let maps = match &self.maps {
            Some(maps) => {
                let features = self.features.get(maps.shape().len());
                Some((maps, features.ok_or_else(memory)?))
            }
            None => None,
        };
        let output = run(model, &mut self.arena, &self.input, None, maps)?;
        let logits = self.logits.get(output.len()).ok_or_else(memory)?;
        for (place, &value) in logits.iter_mut().zip(output.values()) {
            *place = value;
        }
        self.top = output.top();
        self.unknown = output.unknown();
        self.answered = true;
        Ok(())
    }

    /// The quantized logits of the last inference: i8.
    pub fn logits(&self) -> &[u8] {
        let count = self.model.map_or(0, |model| model.classes());
        self.logits.first(if self.answered { count } else { 0 })
    }

    /// The most probable classes of the last inference; places behind the last class have its count for
    /// an index.
    pub const fn top(&self) -> &[Class; TOP] {
        &self.top
    }

    /// How probable it is that the picture of the last inference is like none of those that the model was made
    /// for; none if the model does not say.
    pub const fn unknown(&self) -> Option<f32> {
        self.unknown
    }
}

impl<S: Source> Default for Session<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the model on the picture that is prepared, a square of it covered if one is named, and copies what maps
/// are made of if there are any.
#[inline(never)]
fn run<'a>(
    model: &Model<'static>,
    arena: &'a mut Room<u8>,
    input: &Room<u8>,
    square: Option<(&Squares, usize)>,
    maps: Option<(&Maps<'static>, &mut [u8])>,
) -> Result<Output<'a>, SessionError> {
    let bytes = model.arena_bytes();
    let arena = arena.get(bytes).ok_or(SessionError::Memory(bytes))?;
    let place = model.input_mut(arena)?;
    for (place, &pixel) in place.iter_mut().zip(input.first(usize::MAX)) {
        *place = pixel;
    }
    if let Some((squares, index)) = square {
        squares.cover(index, place);
    }
    model.quantize_pixels(arena)?;
    Ok(match maps {
        Some((maps, features)) => {
            let ran = maps.run(model, arena, features);
            ran.map_err(|_| RunError::Model)?
        }
        None => model.run_in_place(arena)?,
    })
}

/// Multiply-accumulates of an inference.
pub fn macs(model: &Model<'_>) -> u64 {
    let layers = model.layers();
    layers.fold(0, |sum, (_, layer)| sum.saturating_add(layer.macs()))
}

#[cfg(test)]
mod tests;
