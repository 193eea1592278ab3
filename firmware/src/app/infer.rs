use kiln_core::explain::Maps;
use kiln_core::format::output_sum;
use kiln_core::operators::Operators;
use kiln_core::{Model, RunError};
use kiln_link::{Answer, CallError, Inferred, Top};

use super::input::{Input, Kind};
use super::{App, Board, draw};
use crate::ui::thumbnail::{Pixels, Thumbnail};
use crate::ui::{Cost, Guess, Heat, Screen};

impl<B: Board> App<'_, B> {
    /// Runs the model on what has come, and shows picture and answer.
    pub(super) fn infer(&mut self) -> Result<Answer<'_>, CallError> {
        let model = self.model.ok_or(CallError::Model)?;
        let Input {
            done, total, ticks, ..
        } = self.input;
        let picture = match self.input.kind {
            Kind::Nothing => return Err(CallError::NothingBegun),
            _ if done < total => return Err(CallError::Incomplete { done, total }),
            Kind::Picture { .. } => true,
            Kind::Tensor => false,
        };
        let mut preprocess_ticks = ticks;
        self.input = Input::NOTHING;
        self.thinking(&model, picture).ok_or(CallError::Model)?;
        if picture {
            let start = self.board.ticks();
            let quantized = model.quantize_pixels(self.arena);
            quantized.map_err(|_| CallError::Model)?;
            let ticks = self.board.ticks().wrapping_sub(start);
            preprocess_ticks = preprocess_ticks.wrapping_add(ticks);
        }
        let (top, unknown, infer_ticks) = self.timed(&model).map_err(|_| CallError::Model)?;
        let inferred = Inferred {
            top,
            preprocess_ticks,
            infer_ticks,
        };
        self.inferred = Some(inferred);
        self.show(&model, &inferred, unknown);
        Ok(Answer::Inferred(inferred))
    }

    /// Shows what the model sees, before it is overwritten.
    fn thinking(&mut self, model: &Model<'_, B::Operators>, picture: bool) -> Option<()> {
        let shape = model.input().shape;
        let bytes = model.input_mut(self.arena).ok()?;
        // A tensor is one, too, where a host has preprocessed what is larger than the board takes.
        let pixels = match picture {
            true => Some(Pixels::Bytes(bytes)),
            false => model.recipe().map(|_| Pixels::Tensor(bytes)),
        };
        let picture = pixels.map(|pixels| Thumbnail {
            width: shape.width,
            height: shape.height,
            channels: shape.channels,
            pixels,
        });
        draw(&mut self.board, &Screen::Thinking { picture }, None);
        Some(())
    }

    /// Runs the model, and takes the time of each layer: the most probable classes, how probable it is that the
    /// picture is of none, and the ticks in all.
    fn timed(
        &mut self,
        model: &Model<'_, B::Operators>,
    ) -> Result<([Top; 3], Option<f32>, u32), RunError> {
        let Self { board, layers, .. } = self;
        layers.fill(0);
        let mut layers = layers.iter_mut();
        let mut total = 0_u32;
        let mut start = board.ticks();
        let output = model.run_with(self.arena, &mut |_, _, _| {
            let ticks = board.ticks().wrapping_sub(start);
            total = total.wrapping_add(ticks);
            if let Some(layer) = layers.next() {
                *layer = ticks;
            }
            board.feed();
            start = board.ticks();
        })?;
        let top = output.top::<3>().map(|class| Top {
            class: u16::try_from(class.index).unwrap_or(u16::MAX),
            probability: class.probability,
        });
        Ok((top, output.unknown(), total))
    }

    /// Shows the answer, and which part of the picture speaks for it. Where the picture is rather of no class,
    /// that is the answer, and the most probable class comes second.
    fn show(&mut self, model: &Model<'_, B::Operators>, inferred: &Inferred, unknown: Option<f32>) {
        let guess = |top: &Top| Guess {
            label: model.label(top.class.into()).unwrap_or("?"),
            probability: top.probability,
        };
        let [best, second, _] = &inferred.top;
        let (best_guess, second_guess) = match unknown.filter(|&unknown| unknown > 0.5) {
            Some(probability) => {
                let label = "unknown";
                (Guess { label, probability }, Some(guess(best)))
            }
            None => (guess(best), (model.classes() > 1).then(|| guess(second))),
        };
        let screen = Screen::Answer {
            best: best_guess,
            second: second_guess,
            cost: cost::<B>(inferred.infer_ticks),
        };
        let recipe = model.recipe();
        let heat = recipe.and_then(|_| heat(model, self.arena, best.class));
        draw(&mut self.board, &screen, heat);
    }

    /// Runs a golden vector, and compares every layer.
    pub(super) fn verify(&mut self, vector: u16) -> Result<Answer<'_>, CallError> {
        let model = self.model.ok_or(CallError::Model)?;
        let golden = model.golden().nth(vector.into());
        let golden = golden.ok_or_else(|| CallError::NoSuch {
            count: u16::try_from(model.golden().count()).unwrap_or(u16::MAX),
        })?;
        self.input = Input::NOTHING;
        self.inferred = None;
        let drawn = model.draw_input(self.arena, golden.seed);
        drawn.map_err(|_| CallError::Model)?;
        let mut sums = golden.sums();
        let mut differs = None;
        let board = &mut self.board;
        let run = model.run_with(self.arena, &mut |index, layer, output| {
            board.feed();
            let sum = sums.next();
            if differs.is_none() && sum != Some(output_sum(layer, output)) {
                differs = Some(index);
            }
        });
        run.map_err(|_| CallError::Model)?;
        let name = |index| model.layers().nth(index).map_or("", |(name, _)| name);
        let differs = differs.map(|index| {
            let number = u16::try_from(index).unwrap_or(u16::MAX);
            (number, kiln_link::cut(name(index)))
        });
        Ok(Answer::Verified { differs })
    }
}

/// What speaks for a class, of what an inference has left in the arena.
fn heat<'a, O: Operators>(
    model: &Model<'_, O>,
    arena: &'a mut [u8],
    class: u16,
) -> Option<Heat<'a>> {
    let maps = Maps::of(model)?;
    let (input, map) = (model.input().shape, maps.shape());
    Some(Heat {
        width: input.width,
        height: input.height,
        columns: map.width,
        rows: map.height,
        levels: maps.levels(arena, class.into())?,
    })
}

/// What to show of the time that an inference took.
fn cost<B: Board>(ticks: u32) -> Cost {
    let second = u64::from(B::TICKS_PER_SECOND.max(1));
    match u64::from(B::NANOSECONDS_PER_INSTRUCTION) {
        0 => Cost::Milliseconds((u64::from(ticks) * 1000 / second) as u32),
        each => Cost::Instructions(u64::from(ticks) * 1_000_000_000 / (second * each)),
    }
}
