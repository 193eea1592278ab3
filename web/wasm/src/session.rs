//! A model, pictures, answers, maps.

use core::fmt;
use core::marker::PhantomData;

use kiln_core::explain::{Maps, Occlusion, Squares, probability};
use kiln_core::preprocess::{Placement, RowPreprocessor};
use kiln_core::{Class, FormatError, Model, Output, RunError};

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

/// An occlusion map that is being made.
#[derive(Clone, Copy, Debug)]
struct Occluding {
    class: usize,
    squares: Squares,
    /// Squares that are done.
    done: usize,
    /// The class's probability with none.
    whole: f64,
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

    /// Begins the occlusion map of a class, for any network: by how much the class gets less probable where a
    /// grey square covers the picture. [`occlude_next`](Self::occlude_next) goes on, a square at a time.
    ///
    /// # Errors
    /// There was no inference, or there is no such class.
    pub fn occlude(&mut self, class: usize) -> Result<(), SessionError> {
        self.occluding = None;
        let model = match self.model {
            Some(model) if self.answered => model,
            _ => return Err(SessionError::Order("prepare a picture")),
        };
        let (shape, tensor) = (model.input().shape, model.output());
        if class >= model.classes() {
            return Err(SessionError::Order("choose a class that there is"));
        }
        let output = Output::new(self.logits(), tensor.zero_point, model.output_scale());
        let whole = probability(&output, class);
        let squares = Occlusion::of(shape.height, shape.width).squares(shape);
        let squares = squares.ok_or(RunError::Model)?;
        let len = squares.len();
        self.drops.get(len).ok_or(SessionError::Memory(len))?;
        self.occluding = Some(Occluding {
            class,
            squares,
            done: 0,
            whole,
        });
        Ok(())
    }

    /// Squares that are done, and all.
    pub const fn squares(&self) -> [usize; 2] {
        match &self.occluding {
            Some(occluding) => [occluding.done, occluding.squares.len()],
            None => [0; 2],
        }
    }

    /// Runs the model with the next square; does nothing if all are done. Answer and logits stay.
    ///
    /// # Errors
    /// No occlusion has begun.
    pub fn occlude_next(&mut self) -> Result<(), SessionError> {
        let (Some(model), Some(now)) = (&self.model, &mut self.occluding) else {
            return Err(SessionError::Order("begin an occlusion"));
        };
        let drops = self.drops.get(now.squares.len());
        if let Some(drop) = drops.and_then(|drops| drops.get_mut(now.done)) {
            let square = Some((&now.squares, now.done));
            let output = run(model, &mut self.arena, &self.input, square, None)?;
            let less = (now.whole - probability(&output, now.class)) as f32;
            *drop = less.to_bits().cast_signed();
            now.done += 1;
        }
        Ok(())
    }

    /// The occlusion map, where all squares are done: by how much a class gets less probable without each
    /// place of the input, row by row; the bits of f32.
    ///
    /// # Errors
    /// Squares are left.
    pub fn occlusion(&mut self) -> Result<&[i32], SessionError> {
        let (Some(model), Some(Occluding { squares, done, .. })) = (&self.model, self.occluding)
        else {
            return Err(SessionError::Order("begin an occlusion"));
        };
        if done < squares.len() {
            return Err(SessionError::Order("begin an occlusion"));
        }
        let shape = model.input().shape;
        let len = shape.pixels();
        let drops = self.drops.first(squares.len());
        let map = self.map.get(len).ok_or(SessionError::Memory(len))?;
        let drop = |index: usize| {
            let bits = drops.get(index).copied().unwrap_or(0);
            f32::from_bits(bits.cast_unsigned())
        };
        let places = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x)));
        for (value, (y, x)) in map.iter_mut().zip(places) {
            *value = squares.mean(drop, y, x).to_bits().cast_signed();
        }
        Ok(map)
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
