//! Why: class activation maps, and occlusion maps for networks that allow of none.

use kiln_core::explain::{Occlusion, Squares, probability};
use kiln_core::{Output, RunError};

use super::{Session, SessionError, run};
use crate::memory::Source;

/// An occlusion map that is being made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occluding {
    class: usize,
    squares: Squares,
    /// Squares that are done.
    done: usize,
    /// The class's probability with none.
    whole: f64,
}

impl<S: Source> Session<S> {
    /// Rows and columns of a heat map; none where the network's end allows of no maps.
    pub const fn map_size(&self) -> [u32; 2] {
        match &self.maps {
            Some(maps) => [maps.shape().height, maps.shape().width],
            None => [0; 2],
        }
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
