//! Walks a model's layers over the caller's arena.

use core::fmt;

use crate::arch::{self, ARENA_ALIGNMENT};
use crate::classify::Output;
use crate::format::View;
use crate::layer::Layer;
use crate::operators::{Operator, Set};
use crate::ops;
use crate::tensor::Tensor;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The arena is too small.
    Arena {
        /// The bytes that are needed.
        needed: usize,
    },
    /// On a Cortex-M: the arena does not begin at a multiple of 4.
    Alignment,
    /// The input has another length.
    Input {
        /// The values that are needed.
        needed: usize,
    },
    /// The model has no recipe: it does not take pixels.
    Recipe,
    /// The model's bytes are not those that were checked.
    Model,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena { needed } => write!(
                f,
                "the arena is too small: pass at least {needed} bytes (see Model::arena_len)"
            ),
            Self::Alignment => {
                f.write_str("the arena begins at no multiple of 4: make it an Aligned")
            }
            Self::Input { needed } => {
                write!(f, "the input has the wrong length: pass {needed} values")
            }
            Self::Recipe => f.write_str(
                "the model has no recipe for pixels: pass its quantized input, or compile it from \
                 an ONNX file with a recipe",
            ),
            Self::Model => f.write_str("the model's bytes have changed since they were checked"),
        }
    }
}

impl core::error::Error for RunError {}

/// The part of the caller's bytes that the model takes.
pub(crate) fn arena(needed: usize, bytes: &mut [u8]) -> Result<&mut [u8], RunError> {
    bytes.get_mut(..needed).ok_or(RunError::Arena { needed })
}

/// A tensor's bytes.
pub(crate) fn part<'a>(arena: &'a [u8], tensor: &Tensor) -> Option<&'a [u8]> {
    let rest = arena.get(tensor.offset as usize..)?;
    rest.get(..tensor.shape.len())
}

/// A tensor's bytes, to be written.
pub(crate) fn part_mut<'a>(arena: &'a mut [u8], tensor: &Tensor) -> Option<&'a mut [u8]> {
    let rest = arena.get_mut(tensor.offset as usize..)?;
    rest.get_mut(..tensor.shape.len())
}

/// What is shown of each layer: its number, itself, all of its output tensor.
type Observe<'o, 'm> = &'o mut dyn FnMut(usize, &Layer<'m>, &[u8]);

/// Runs every layer, each by the fast kernel if there is one, else by the plain loop.
pub(crate) fn run<'a, 'm>(
    view: &View<'m>,
    set: Set,
    bytes: &'a mut [u8],
    mut observe: Option<Observe<'_, 'm>>,
) -> Result<Output<'a>, RunError> {
    if !bytes.as_ptr().addr().is_multiple_of(ARENA_ALIGNMENT) {
        return Err(RunError::Alignment);
    }
    let arena = arena(view.header().arena as usize, bytes)?;
    let mut index = 0;
    let done = view.for_each_layer(set, |layer| {
        run_layer(layer, set, arena)?;
        if let Some(observe) = &mut observe {
            observe(index, layer, part(arena, &layer.output())?);
            index += 1;
        }
        Some(())
    });
    let header = view.header();
    let output = done.and_then(|()| view.find(header.output));
    let Some(output) = &output else {
        return Err(RunError::Model);
    };
    let tensor = part(arena, output);
    let parts = tensor.and_then(|tensor| tensor.split_at_checked(header.classes(tensor.len())));
    let (zero_point, scale) = (output.zero_point, header.output_scale);
    let (values, known) = parts.ok_or(RunError::Model)?;
    Ok(Output::of_parts(values, known, zero_point, scale))
}

/// One layer; none if it is not one that a checked model has.
fn run_layer(layer: &Layer<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    match layer {
        Layer::Conv(layer) if arch::conv_of(layer, set, arena) => Some(()),
        Layer::Conv(layer) if set.has(Operator::PlainConv) => ops::conv::run(layer, arena),
        Layer::Conv(_) => None,
        Layer::Pool(layer) if arch::pool_of(layer, set, arena) => Some(()),
        Layer::Pool(layer) if set.has(Operator::PlainPool) => ops::pool::run(layer, arena),
        Layer::Pool(_) => None,
        Layer::Binary(layer) if arch::binary_of(layer, set, arena) => Some(()),
        Layer::Binary(layer) if set.has(Operator::Binary) => ops::binary::run(layer, arena),
        Layer::Binary(_) => None,
        Layer::Table(layer) if set.has(Operator::Table) => match arch::table(layer, arena) {
            true => Some(()),
            false => ops::table::run(layer, arena),
        },
        Layer::Copy(layer) if set.has(Operator::Copy) => ops::copy::run(layer, arena),
        Layer::Resize(layer) if set.has(Operator::Resize) => ops::resize::run(layer, arena),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::format::{Drawn, Problem, output_sum};
    use crate::model::Model;
    use crate::testing::{Parts, Random, trials};

    fn run_golden(parts: &Parts, arena: &mut [u8]) {
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        let golden = model.golden().next().unwrap();
        model.draw_input(arena, golden.seed).unwrap();
        let mut sums = golden.sums();
        let mut seen = 0;
        let mut observe = |index: usize, layer: &Layer<'_>, output: &[u8]| {
            assert_eq!(index, seen);
            seen += 1;
            assert_eq!(Some(output_sum(layer, output)), sums.next(), "{layer:?}");
        };
        let output = model.run_with(arena, &mut observe).unwrap();
        assert_eq!(output.values(), golden.logits);
        assert_eq!(seen, model.layer_count());
    }

    /// Whatever is in the arena, and behind it.
    #[test]
    fn a_run_depends_on_the_input_alone() {
        let parts = Parts::every_layer();
        let len = parts.arena as usize;
        for fill in [0, 0x55, 0xff] {
            let mut arena = vec![fill; len + 9];
            run_golden(&parts, &mut arena);
            assert!(arena[len..].iter().all(|&byte| byte == fill));
        }
    }

    /// The bits of every layer kind, frozen: a change of them is a change of the arithmetic.
    #[test]
    fn the_logits_are_frozen() {
        let parts = Parts::every_layer();
        let golden = &parts.golden[0];
        assert_eq!(
            (crate::crc::crc32(&golden.sums), &golden.logits[..]),
            (3_285_793_084, &[0, 38, 239, 229, 16, 59, 9][..])
        );
    }

    #[test]
    fn run_takes_an_input_and_refuses_others() {
        let parts = Parts::every_layer();
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        let golden = &parts.golden[0];
        let input: Vec<i8> = Drawn::new(golden.seed).take(90).collect();
        let output = model.run(&mut arena, &input).unwrap();
        assert_eq!(output.values(), golden.logits);
        let needed = 90;
        for len in [0, 89, 91] {
            let input = vec![0; len];
            let error = model.run(&mut arena, &input).unwrap_err();
            assert_eq!(error, RunError::Input { needed });
        }
        let needed = arena.len();
        let error = model.run_in_place(&mut arena[1..]).unwrap_err();
        assert_eq!(error, RunError::Arena { needed });
        assert!(error.to_string().contains(&needed.to_string()));
    }

    /// The amount of arena that a mutated model may ask for here.
    const ROOM: usize = 1 << 16;

    /// Runs bytes if they are a model, in a part of a buffer that must stay within it.
    fn try_out(bytes: &[u8], buffer: &mut [u8]) -> Result<(), Problem> {
        let model = Model::new(bytes).map_err(|error| error.problem)?;
        let names: usize = model.layers().map(|(name, _)| name.len()).sum();
        let labels = model.labels().count();
        assert!(names < bytes.len() && (labels == 0 || labels == model.classes()));
        assert_eq!(model.layers().count(), model.layer_count());
        let golden = model
            .golden()
            .map(|golden| golden.sums().count())
            .sum::<usize>();
        assert!(golden <= bytes.len() / 4);
        model.checksum_ok();
        let len = model.arena_bytes();
        assert_eq!(len, Model::arena_len(bytes));
        if len > ROOM {
            let error = model.run_in_place(&mut buffer[..ROOM]).unwrap_err();
            assert_eq!(error, RunError::Arena { needed: len });
            return Ok(());
        }
        buffer[len..].fill(0xa5);
        let _ = model.quantize_pixels(buffer);
        // None would say that a checked model is none.
        let output = model.run_in_place(buffer).unwrap();
        let top = output.top::<3>();
        assert!(
            top.iter()
                .all(|class| (0.0..=1.0).contains(&class.probability))
        );
        assert!(buffer[len..].iter().all(|&byte| byte == 0xa5));
        Ok(())
    }

    /// 120,000 mutated files: most are refused, some are models, none panics or leaves its arena.
    #[test]
    fn mutated_models_never_panic() {
        let whole = Parts::every_layer();
        let mut bare = whole.clone();
        bare.golden.clear();
        bare.recipe = None;
        bare.input_table.clear();
        let originals = [whole.bytes(), bare.bytes()];
        let mut random = Random(2024);
        let mut buffer = vec![0; ROOM + 64];
        let (mut models, mut refusals) = (0, std::collections::HashSet::new());
        for _ in 0..trials(120_000) {
            let mut bytes = originals[random.below(2) as usize].clone();
            for _ in 0..1 + random.below(3) {
                mutate(&mut bytes, &mut random);
            }
            match try_out(&bytes, &mut buffer) {
                Ok(()) => models += 1,
                Err(problem) => {
                    refusals.insert(core::mem::discriminant(&problem));
                }
            }
        }
        if !cfg!(miri) {
            assert!(models > 10_000, "only {models} were models");
            assert!(refusals.len() > 18, "only {} reasons", refusals.len());
        }
    }

    /// Changes one thing, most often in the header, the tensors or the layers.
    fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
        let len = bytes.len() as u64;
        let place = match random.below(4) {
            0 => random.below(len.max(1)),
            1 => random.below(len.clamp(1, 80)),
            _ => 80 + random.below(len.saturating_sub(80).clamp(1, 1100)),
        };
        let place = place.min(len.saturating_sub(1)) as usize;
        let word = place & !3;
        let interesting = [
            0,
            1,
            2,
            0x7f,
            0xff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            u32::MAX,
        ];
        let chosen = interesting[random.below(10) as usize];
        let small = random.below(300) as u32;
        match random.below(8) {
            0 if len > 0 => bytes[place] ^= 1 << random.below(8),
            1 if len > 0 => bytes[place] = random.i8() as u8,
            2 if len > 0 => bytes[place] = bytes[place].wrapping_add(1),
            3 if len > 0 => bytes[place] = bytes[place].wrapping_sub(1),
            4 | 5 => {
                let value = if random.below(2) == 0 { chosen } else { small };
                if let Some(word) = bytes.get_mut(word..word + 4) {
                    word.copy_from_slice(&value.to_le_bytes());
                }
            }
            6 => {
                let other = random.below(len.max(1)) as usize & !3;
                let from = bytes.get(other..other + 4).map(<[u8]>::to_vec);
                if let (Some(from), Some(word)) = (from, bytes.get_mut(word..word + 4)) {
                    word.copy_from_slice(&from);
                }
            }
            _ if random.below(20) == 0 => bytes.truncate(place),
            _ => {}
        }
    }
}
