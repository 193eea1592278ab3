//! Functions of one value.

use super::{affine, binary};
use crate::graph::{Binary, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::view::View;
use crate::load::walk::{Outcome, Walk};
use crate::pointwise::Pointwise;

/// A node that computes a function of each value of its first input.
pub fn emit<'f>(walk: &mut Walk<'f>, call: &Call<'f>, function: Pointwise) -> Outcome {
    let view = call.view(0)?.clone();
    let op = Op::Pointwise(function);
    let output = walk.emit(call, op, &[&view], view.shape, view.dims.clone())?;
    Ok(Slot::View(output))
}

/// Activations.
pub fn activation<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let function = match &call.node.op_type[..] {
        "Relu" => Pointwise::Relu,
        "LeakyRelu" => Pointwise::LeakyRelu {
            alpha: number(call, "alpha", 0.01)?,
        },
        "Elu" => Pointwise::Elu {
            alpha: number(call, "alpha", 1.0)?,
        },
        "Selu" => Pointwise::Selu {
            alpha: number(call, "alpha", 1.673_263_2)?,
            gamma: number(call, "gamma", 1.050_701)?,
        },
        "Celu" if number(call, "alpha", 1.0)? == 1.0 => Pointwise::Elu { alpha: 1.0 },
        "Softplus" => Pointwise::Softplus,
        "Softsign" => Pointwise::Softsign,
        "Mish" => Pointwise::Mish,
        "Sigmoid" => Pointwise::Sigmoid,
        "HardSigmoid" => Pointwise::HardSigmoid {
            alpha: number(call, "alpha", 0.2)?,
            beta: number(call, "beta", 0.5)?,
        },
        "HardSwish" => Pointwise::HardSwish,
        "Swish" if number(call, "alpha", 1.0)? == 1.0 => Pointwise::Silu,
        "Tanh" => Pointwise::Tanh,
        "Gelu" if call.text("approximate", "none") == "tanh" => Pointwise::GeluTanh,
        "Gelu" => Pointwise::Gelu,
        "Clip" => return clip(walk, call),
        other => {
            return Err(Problem::new(
                format!("this form of {other} is not supported"),
                "use Relu, HardSwish, Silu or Gelu",
            ));
        }
    };
    emit(walk, call, function)
}

fn number(call: &Call<'_>, name: &str, otherwise: f32) -> Result<f32, Problem> {
    let number = call.float(name, otherwise);
    let problem = || Problem::broken(format!("{name} is {number}"));
    number.is_finite().then_some(number).ok_or_else(problem)
}

fn clip<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let bound = |name: &str, input: usize, otherwise: f32| -> Result<f32, Problem> {
        let found = match call.optional(input)? {
            Some(constant) => constant.scalar(),
            None => Some(call.float(name, otherwise)),
        };
        found.ok_or_else(|| Problem::broken(format!("{name} is not a number")))
    };
    let min = bound("min", 1, f32::NEG_INFINITY)?;
    let max = bound("max", 2, f32::INFINITY)?;
    // The largest floats stand for no bound in old files.
    let min = if min == f32::MIN {
        f32::NEG_INFINITY
    } else {
        min
    };
    let max = if max == f32::MAX { f32::INFINITY } else { max };
    clamp(walk, call, min, max)
}

fn clamp<'f>(walk: &mut Walk<'f>, call: &Call<'f>, min: f32, max: f32) -> Outcome {
    if min.is_nan() || max.is_nan() || min > max {
        return Err(Problem::broken(format!("bounds {min} and {max}")));
    }
    if min == 0.0 && max == f32::INFINITY {
        return emit(walk, call, Pointwise::Relu);
    }
    emit(walk, call, Pointwise::Clip { min, max })
}

/// Min and Max of two activations, `a + max(b - a, 0)` and `a - max(a - b, 0)`.
fn of_two<'f>(walk: &mut Walk<'f>, call: &Call<'f>, a: &View, b: &View) -> Outcome {
    let max = call.node.op_type == "Max";
    let (first, second) = if max { (b, a) } else { (a, b) };
    let part = call.part("difference", vec![]);
    let difference = binary::views(walk, &part, Binary::Sub, first, second)?;
    let part = call.part("positive", vec![Some(Slot::View(difference))]);
    let Slot::View(positive) = emit(walk, &part, Pointwise::Relu)? else {
        return Err(Problem::broken("a difference"));
    };
    let op = if max { Binary::Add } else { Binary::Sub };
    binary::views(walk, call, op, a, &positive).map(Slot::View)
}

fn of_several<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    first: &View,
    rest: &[Option<Slot>],
) -> Outcome {
    let mut result = Slot::View(first.clone());
    for (index, slot) in rest.iter().enumerate() {
        let part = match index + 1 == rest.len() {
            true => call.with(vec![]),
            false => call.part(&format!("of {}", index + 2), vec![]),
        };
        if let (Slot::View(a), Some(Slot::View(b))) = (&result, slot) {
            result = of_two(walk, &part, a, b)?;
        }
    }
    Ok(result)
}

/// Min and Max of activations, or of one and a constant.
pub fn bound<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let (view, constant) = match &call.inputs[..] {
        [Some(Slot::View(first)), rest @ ..]
            if rest.iter().all(|slot| matches!(slot, Some(Slot::View(_)))) =>
        {
            return of_several(walk, call, first, rest);
        }
        [Some(Slot::View(view)), Some(Slot::Constant(constant))]
        | [Some(Slot::Constant(constant)), Some(Slot::View(view))] => (view, constant),
        _ => {
            return Err(Problem::new(
                "it is supported of activations, or of one and a constant",
                "use one for the activations and one for a constant",
            ));
        }
    };
    let view = affine::widened(view, constant.dims.len());
    let numbers = affine::channels(&view, constant)?;
    let number = numbers[0];
    if numbers.iter().any(|other| *other != number) {
        return Err(Problem::new("a bound a channel", "use one bound for all"));
    }
    let call = call.with(vec![Some(Slot::View(view))]);
    match &call.node.op_type[..] {
        "Min" => clamp(walk, &call, f32::NEG_INFINITY, number),
        _ => clamp(walk, &call, number, f32::INFINITY),
    }
}

/// PRelu with a slope a channel, or one for all.
pub fn prelu<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let slopes = affine::channels(&view, call.constant(1)?)?;
    let alpha = slopes[0];
    if slopes.iter().all(|slope| *slope == alpha) {
        return emit(walk, call, Pointwise::LeakyRelu { alpha });
    }
    let op = Op::PRelu(slopes);
    let output = walk.emit(call, op, &[&view], view.shape, view.dims.clone())?;
    Ok(Slot::View(output))
}
