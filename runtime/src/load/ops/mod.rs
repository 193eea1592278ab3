//! What each of ONNX's operators becomes.

mod affine;
mod binary;
mod conv;
mod crop;
mod dense;
mod fixed;
mod hints;
mod join;
mod layout;
mod pick;
mod pointwise;
mod pool;
mod qlinear;
mod quant;
mod resize;
mod window;

pub use fixed::constant;
pub use hints::unknown;
pub use layout::{after_softmax, left_to_the_caller};

use super::call::{Call, Problem, Slot};
use super::view::Kind;
use super::walk::{Outcome, Walk};
use crate::pointwise::Pointwise;

type Rule = for<'f> fn(&mut Walk<'f>, &Call<'f>) -> Outcome;

/// The rule for an operator.
fn rule(domain: &str, op: &str) -> Option<Rule> {
    let rule: Rule = match (domain, op) {
        ("com.microsoft", "QuantizeLinear") => quant::quantize,
        ("com.microsoft", "DequantizeLinear") => quant::dequantize,
        ("com.microsoft", "Gelu") => pointwise::activation,
        ("com.microsoft", "QGemm") => qlinear::gemm,
        ("com.microsoft", "QLinearAdd" | "QLinearMul") => qlinear::binary,
        ("com.microsoft", "QLinearGlobalAveragePool" | "QLinearAveragePool") => qlinear::pool,
        ("com.microsoft", "QLinearConcat") => qlinear::concat,
        ("com.microsoft", "QLinearSigmoid" | "QLinearLeakyRelu") => qlinear::activation,
        ("com.microsoft", "QLinearSoftmax") => layout::softmax,
        ("" | "ai.onnx", "QLinearConv") => qlinear::conv,
        ("" | "ai.onnx", "QLinearMatMul") => qlinear::matmul,
        ("" | "ai.onnx", op) => return own_rule(op),
        _ => return None,
    };
    Some(rule)
}

fn own_rule(op: &str) -> Option<Rule> {
    let rule: Rule = match op {
        "Conv" => conv::conv,
        "Gemm" => dense::gemm,
        "MatMul" => dense::matmul,
        "BatchNormalization" => affine::batch_normalization,
        "Relu" | "LeakyRelu" | "Elu" | "Selu" | "Celu" | "Softplus" | "Softsign" | "Mish"
        | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Swish" | "Tanh" | "Gelu" | "Clip" => {
            pointwise::activation
        }
        "PRelu" => pointwise::prelu,
        "Min" | "Max" => pointwise::bound,
        "Add" | "Sub" | "Mul" | "Sum" => binary::binary,
        "Div" => affine::divide,
        "Neg" => affine::negate,
        "MaxPool" | "AveragePool" => pool::pool,
        "GlobalAveragePool" | "GlobalMaxPool" => pool::global,
        "ReduceMean" | "ReduceMax" | "ReduceSum" => pool::reduce,
        "Concat" => join::concat,
        "Pad" => join::pad,
        "Resize" | "Upsample" => resize::resize,
        "Identity" | "Dropout" => layout::identity,
        "Cast" => layout::cast,
        "Reshape" => layout::reshape,
        "Flatten" => layout::flatten,
        "Squeeze" => layout::squeeze,
        "Unsqueeze" => layout::unsqueeze,
        "Transpose" => layout::transpose,
        "Shape" => layout::shape,
        "Expand" => layout::expand,
        "Slice" => pick::slice,
        "Gather" => pick::gather,
        "GatherND" => pick::gather_nd,
        "Tile" => pick::tile,
        "Softmax" | "LogSoftmax" => layout::softmax,
        "QuantizeLinear" => quant::quantize,
        "DequantizeLinear" => quant::dequantize,
        _ => return None,
    };
    Some(rule)
}

/// Whether there is a rule for an operator.
pub fn known(domain: &str, op: &str) -> bool {
    rule(domain, op).is_some() || is_split(domain, op)
}

/// The only operator with several outputs that matter.
fn is_split(domain: &str, op: &str) -> bool {
    matches!((domain, op), ("" | "ai.onnx", "Split"))
}

/// Applies the rule for an operator.
pub fn convert<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Result<Vec<Slot>, Problem> {
    let op = &call.node.op_type[..];
    let rule = rule(&call.node.domain, op);
    let moves_axes = MOVES_AXES.contains(&op);
    let on_integers = moves_axes || MOVES_VALUES.contains(&op);
    if !moves_axes {
        apart(call)?;
    }
    let float = |slot: &Option<Slot>| match slot {
        Some(Slot::View(view)) => view.kind == Kind::Float || view.softmax,
        _ => true,
    };
    if !on_integers && !op.starts_with('Q') && !call.inputs.iter().all(float) {
        return Err(Problem::new(
            "it computes on integers with no scale",
            match op {
                "Cast" => {
                    "export the model with an input of 32-bit floats: Kiln's preprocessing gives them"
                }
                _ => "give it floats: a DequantizeLinear goes before it",
            },
        ));
    }
    if !["Add", "Sub", "Mul"].contains(&op) {
        no_expand(call)?;
    }
    match rule {
        Some(rule) => rule(walk, call).map(|slot| vec![slot]),
        None if is_split(&call.node.domain, op) => pick::split(walk, call),
        None => Err(unknown(call)),
    }
}

/// What may read an activation whose axes are taken apart.
const MOVES_AXES: [&str; 15] = [
    "Identity",
    "Dropout",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Shape",
    "Slice",
    "Split",
    "Gather",
    "GatherND",
    "Tile",
    "QuantizeLinear",
    "DequantizeLinear",
];

/// What else takes integers as they are: it gives those that it reads.
const MOVES_VALUES: [&str; 7] = [
    "MaxPool",
    "Concat",
    "Pad",
    "Resize",
    "Upsample",
    "GlobalMaxPool",
    "ReduceMax",
];

/// Refuses to compute with what is taken apart.
fn apart(call: &Call<'_>) -> Result<(), Problem> {
    let mut slots = call.inputs.iter().flatten();
    slots.try_for_each(|slot| match slot {
        Slot::Parts(parts) => Err(parts.refused()),
        _ => Ok(()),
    })
}

/// Refuses what reads an Expand and does not broadcast.
fn no_expand(call: &Call<'_>) -> Result<(), Problem> {
    let repeated =
        |slot: &Option<Slot>| matches!(slot, Some(Slot::View(view)) if !view.repeated.is_empty());
    match call.inputs.iter().any(repeated) {
        false => Ok(()),
        true => Err(Problem::new(
            "it reads an Expand",
            "an Expand is supported in front of Add, Sub and Mul, which broadcast",
        )),
    }
}

/// A function of each value.
pub fn pointwise<'f>(walk: &mut Walk<'f>, call: &Call<'f>, function: Pointwise) -> Outcome {
    no_expand(call)?;
    pointwise::emit(walk, call, function)
}
