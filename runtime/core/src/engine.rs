//! Walks a model's layers over the caller's arena.

use core::fmt;

use crate::classify::Output;
use crate::layer::Layer;
use crate::model::Model;
use crate::tensor::Tensor;
use crate::{arch, ops};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The arena is too small.
    Arena {
        /// The bytes that are needed.
        needed: usize,
    },
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
pub(crate) fn arena<'a>(model: &Model<'_>, bytes: &'a mut [u8]) -> Result<&'a mut [u8], RunError> {
    let needed = model.arena_bytes();
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
    model: &Model<'m>,
    bytes: &'a mut [u8],
    mut observe: Option<Observe<'_, 'm>>,
) -> Result<Output<'a>, RunError> {
    let arena = arena(model, bytes)?;
    for (index, (_, layer)) in model.layers().enumerate() {
        run_layer(&layer, arena).ok_or(RunError::Model)?;
        if let Some(observe) = &mut observe {
            let output = part(arena, &layer.output()).ok_or(RunError::Model)?;
            observe(index, &layer, output);
        }
    }
    let values = part(arena, &model.output()).ok_or(RunError::Model)?;
    Ok(Output::new(
        values,
        model.output().zero_point,
        model.output_scale(),
    ))
}

/// One layer; none if it is not one that a checked model has.
fn run_layer(layer: &Layer<'_>, arena: &mut [u8]) -> Option<()> {
    match layer {
        Layer::Conv(layer) if arch::conv(layer, arena) => Some(()),
        Layer::Conv(layer) => ops::conv::run(layer, arena),
        Layer::Binary(layer) if arch::binary(layer, arena) => Some(()),
        Layer::Binary(layer) => ops::binary::run(layer, arena),
        Layer::Table(layer) if arch::table(layer, arena) => Some(()),
        Layer::Table(layer) => ops::table::run(layer, arena),
        Layer::Pool(layer) if arch::pool(layer, arena) => Some(()),
        Layer::Pool(layer) => ops::pool::run(layer, arena),
        Layer::Copy(layer) if arch::copy(layer, arena) => Some(()),
        Layer::Copy(layer) => ops::copy::run(layer, arena),
        Layer::Resize(layer) if arch::resize(layer, arena) => Some(()),
        Layer::Resize(layer) => ops::resize::run(layer, arena),
    }
}
