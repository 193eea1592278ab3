//! Add, Sub, Mul and Sum.

use super::affine;
use crate::graph::{Binary, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::constant::Constant;
use crate::load::evaluate::broadcast;
use crate::load::view::View;
use crate::load::walk::{Outcome, Walk};

/// Add, Sub, Mul and Sum of activations and constants.
pub fn binary<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let op = match &call.node.op_type[..] {
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        _ => Binary::Add,
    };
    match &call.inputs[..] {
        [Some(Slot::View(a)), Some(Slot::View(b))] => {
            let view = views(walk, call, op, a, b)?;
            let expected = broadcast(
                [a, b]
                    .map(View::repeated_sizes)
                    .iter()
                    .map(|sizes| &sizes[..]),
            );
            if view.sizes() != expected {
                return Err(Problem::new(
                    format!("an Expand to {expected:?}, where both operands are smaller"),
                    "give one of the operands these sizes",
                ));
            }
            Ok(Slot::View(view))
        }
        [Some(Slot::View(view)), Some(_)] | [Some(_), Some(Slot::View(view))]
            if !view.repeated.is_empty() =>
        {
            Err(Problem::new(
                "an Expand with a constant",
                "use the constant in front of the Expand",
            ))
        }
        [Some(Slot::View(view)), Some(Slot::Constant(constant))] => {
            by_constant(walk, call, op, view, &call.node.input[0], constant, false)
        }
        [Some(Slot::Constant(constant)), Some(Slot::View(view))] => {
            by_constant(walk, call, op, view, &call.node.input[1], constant, true)
        }
        [Some(Slot::View(view))] if op == Binary::Add => Ok(Slot::View(view.clone())),
        [Some(Slot::View(first)), rest @ ..] if op == Binary::Add => {
            let mut sum = first.clone();
            for slot in rest {
                let Some(Slot::View(view)) = slot else {
                    return Err(Problem::new("a Sum with constants", "use Add"));
                };
                sum = views(walk, call, op, &sum, view)?;
            }
            Ok(Slot::View(sum))
        }
        _ => Err(Problem::broken(format!("{} inputs", call.inputs.len()))),
    }
}

fn by_constant<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    op: Binary,
    view: &View,
    name: &str,
    constant: &Constant,
    reversed: bool,
) -> Outcome {
    if op == Binary::Add {
        return affine::add(walk, call, view, name, constant);
    }
    let view = affine::widened(view, constant.dims.len());
    let numbers = affine::channels(&view, constant)?;
    let ones = vec![1.0; numbers.len()];
    let negated = |numbers: &[f32]| numbers.iter().map(|number| -number).collect();
    let (scale, shift) = match (op, reversed) {
        (Binary::Mul, _) => (numbers, vec![0.0; ones.len()]),
        (_, false) => (ones, negated(&numbers)),
        (_, true) => (negated(&ones), numbers),
    };
    affine::emit(walk, call, &view, scale, shift)
}

/// An operator of two activations; the second may be a vector of channels.
pub fn views<'f>(
    walk: &mut Walk<'f>,
    call: &Call<'f>,
    op: Binary,
    a: &View,
    b: &View,
) -> Result<View, Problem> {
    let rank = a.rank().max(b.rank());
    let (a, b) = (affine::widened(a, rank), affine::widened(b, rank));
    if fits(&a, &b) {
        return walk.emit(call, Op::Binary(op), &[&a, &b], a.shape, a.dims.clone());
    }
    if !fits(&b, &a) {
        let (a, b) = (a.sizes(), b.sizes());
        return Err(Problem::new(
            format!("operands of {a:?} and {b:?}"),
            "the smaller one may be a vector of channels, and axes must have the same order",
        ));
    }
    if op != Binary::Sub {
        return walk.emit(call, Op::Binary(op), &[&b, &a], b.shape, b.dims.clone());
    }
    // a - b where a is the vector: the other way round, negated.
    let part = call.part("reversed", vec![]);
    let negative = walk.emit(&part, Op::Binary(op), &[&b, &a], b.shape, b.dims.clone())?;
    let count = negative.shape.channels as usize;
    let op = Op::Affine {
        scale: vec![-1.0; count],
        shift: vec![0.0; count],
    };
    walk.emit(
        call,
        op,
        &[&negative],
        negative.shape,
        negative.dims.clone(),
    )
}

/// Whether `b` has a value for each of `a`'s, or for each of its channels.
fn fits(a: &View, b: &View) -> bool {
    if a.shape == b.shape && a.dims == b.dims {
        return true;
    }
    let vector = b.shape.pixels() == 1 && b.shape.channels == a.shape.channels;
    let mut pairs = a.dims.iter().zip(&b.dims);
    vector && pairs.all(|(a, b)| b.is_empty() || a == b)
}
