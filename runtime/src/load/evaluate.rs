//! Nodes of constants alone, evaluated by tract in a model of one node.

use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
use tract_onnx::prelude::*;

use super::constant::{Constant, Data};
use crate::float::guarded;
use crate::onnx::NodeProto;

/// Values that an operator may give whose inputs have fewer.
const MAX_GROWN: usize = 1 << 22;
/// Operators whose output is no larger than their inputs broadcast.
const BROADCAST: [&str; 16] = [
    "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Equal", "Greater", "Less", "And",
    "Or", "Sum", "Mod", "PRelu",
];
/// Operators whose output is no larger than their inputs together.
const SHRINKING: [&str; 28] = [
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "Neg",
    "Sqrt",
    "Reciprocal",
    "Exp",
    "Log",
    "Abs",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Not",
    "Erf",
    "Cast",
    "Concat",
    "Slice",
    "Split",
    "Clip",
    "Relu",
    "Sigmoid",
    "Tanh",
    "Shape",
    "Size",
    "Identity",
];

/// The outputs of a node whose inputs are all constants; none where the operator is not among those
/// that are evaluated.
pub fn evaluate(
    node: &NodeProto,
    inputs: &[Option<Arc<Constant>>],
    opset: i64,
) -> Option<Result<Vec<Constant>, String>> {
    let size = bound(&node.op_type, inputs)?;
    let given: usize = inputs.iter().flatten().map(|input| input.data.len()).sum();
    if size > MAX_GROWN.max(given) {
        return Some(Err(format!("gives {size} values, too many to be real")));
    }
    if !sane(node, inputs) {
        return Some(Err("contradicts the sizes of its inputs".into()));
    }
    Some(one_node(node, inputs, opset))
}

/// Whether an operator is among those that are evaluated.
pub fn foldable(op: &str) -> bool {
    let others = [
        "Gather",
        "Expand",
        "Tile",
        "ConstantOfShape",
        "MatMul",
        "Range",
    ];
    BROADCAST.contains(&op) || SHRINKING.contains(&op) || others.contains(&op)
}

/// Whether axes are those of the first input, and nothing is divided by 0.
fn sane(node: &NodeProto, inputs: &[Option<Arc<Constant>>]) -> bool {
    let rank = inputs
        .iter()
        .flatten()
        .next()
        .map_or(0, |input| input.dims.len() as i64);
    let mut axes = node.attribute.iter().filter(|attr| attr.name == "axis");
    let within = axes.all(|attr| (-rank..rank).contains(&attr.i));
    let divisor = inputs.get(1).and_then(Option::as_ref);
    let divisor = divisor.filter(|_| ["Div", "Mod"].contains(&&node.op_type[..]));
    let zero = divisor
        .and_then(|input| input.data.integers())
        .is_some_and(|all| all.contains(&0));
    within && !zero
}

/// How many values the output may have; none for operators that are not evaluated.
fn bound(op: &str, inputs: &[Option<Arc<Constant>>]) -> Option<usize> {
    let given = || inputs.iter().flatten();
    let product = |dims: &[usize]| {
        dims.iter()
            .fold(1usize, |all, size| all.saturating_mul(*size))
    };
    let second = || given().nth(1).and_then(|input| input.data.integers());
    let positive = |sizes: Vec<i64>| {
        let sizes = sizes.iter().map(|size| usize::try_from(*size).unwrap_or(1));
        sizes.fold(1usize, usize::saturating_mul)
    };
    let len = |index: usize| given().nth(index).map(|input| input.data.len());
    let dims = || given().map(|input| &input.dims[..]);
    if BROADCAST.contains(&op) {
        given().next()?;
        return Some(product(&broadcast(dims())));
    }
    if SHRINKING.contains(&op) {
        return Some(given().map(|input| input.data.len()).sum());
    }
    match op {
        "Gather" => Some(len(0)?.saturating_mul(len(1)?)),
        "Expand" => Some(len(0)?.saturating_mul(positive(second()?))),
        "Tile" => Some(len(0)?.saturating_mul(positive(second()?))),
        "ConstantOfShape" => Some(positive(given().next()?.data.integers()?)),
        "MatMul" => Some(product(&matrix_product(dims().next()?, dims().nth(1)?))),
        "Range" => {
            let at = |index: usize| given().nth(index).map(|input| &input.data);
            steps(at(0)?, at(1)?, at(2)?)
        }
        _ => None,
    }
}

/// The sizes of what several are made of together: of each axis, counted from the last, the largest.
pub fn broadcast<'a>(all: impl Iterator<Item = &'a [usize]>) -> Vec<usize> {
    let mut sizes = Vec::new();
    for dims in all {
        let lacking = dims.len().saturating_sub(sizes.len());
        sizes.splice(0..0, dims[..lacking].iter().copied());
        for (size, other) in sizes.iter_mut().rev().zip(dims.iter().rev()) {
            *size = *other.max(size);
        }
    }
    sizes
}

/// The sizes of a product of matrices, leading axes broadcast; a vector is one row, or one column.
fn matrix_product(a: &[usize], b: &[usize]) -> Vec<usize> {
    let (batch_a, rows) = match a {
        [batch @ .., rows, _] => (batch, *rows),
        _ => (&[][..], 1),
    };
    let (batch_b, columns) = match b {
        [batch @ .., _, columns] => (batch, *columns),
        _ => (&[][..], 1),
    };
    let mut sizes = broadcast([batch_a, batch_b].into_iter());
    sizes.extend([rows, columns]);
    sizes
}

/// How many numbers a range has; none if a step leads nowhere.
fn steps(start: &Data, limit: &Data, delta: &Data) -> Option<usize> {
    if let (Some(start), Some(limit), Some(delta)) =
        (start.integers(), limit.integers(), delta.integers())
    {
        let [start, limit, delta] =
            [start, limit, delta].map(|all| all.first().map(|n| i128::from(*n)));
        let (span, delta) = (limit? - start?, delta?);
        let steps = span.unsigned_abs().checked_div(delta.unsigned_abs())? + 1;
        let forwards = (span > 0) == (delta > 0);
        return Some(if forwards { steps.try_into().ok()? } else { 0 });
    }
    let float = |data: &Data| match data {
        Data::F32(values) => values.first().copied().map(f64::from),
        _ => None,
    };
    let steps = ((float(limit)? - float(start)?) / float(delta)?).ceil();
    steps.is_finite().then_some(steps.max(0.0) as usize)
}

fn one_node(
    node: &NodeProto,
    inputs: &[Option<Arc<Constant>>],
    opset: i64,
) -> Result<Vec<Constant>, String> {
    // Names of our own: one constant may be read twice.
    let mut node = node.clone();
    let mut initializer = vec![];
    for (index, (name, input)) in node.input.iter_mut().zip(inputs).enumerate() {
        if let Some(input) = input {
            *name = format!("in{index}");
            initializer.push(input.encode(name));
        }
    }
    let output = node.output.iter().filter(|name| !name.is_empty());
    let output = output.map(|name| ValueInfoProto {
        name: name.clone(),
        ..Default::default()
    });
    let proto = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset,
        }],
        graph: Some(GraphProto {
            output: output.collect(),
            node: vec![node],
            initializer,
            ..Default::default()
        }),
        ..Default::default()
    };
    let run = || -> TractResult<Vec<Constant>> {
        let model = tract_onnx::onnx().model_for_proto_model(&proto)?;
        let plan = model.into_typed()?.into_runnable()?;
        let outputs = plan.run(tvec![])?;
        outputs.iter().map(|tensor| constant(tensor)).collect()
    };
    guarded(run).map_err(|cause| format!("cannot be evaluated: {cause}"))
}

fn constant(tensor: &Tensor) -> TractResult<Constant> {
    fn data<T: Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
        let view = tensor.to_plain_array_view::<T>()?;
        Ok(view.iter().copied().collect())
    }
    let data = match tensor.datum_type() {
        DatumType::F32 => Data::F32(data(tensor)?),
        DatumType::I64 => Data::I64(data(tensor)?),
        DatumType::I32 => Data::I32(data(tensor)?),
        DatumType::I8 => Data::I8(data(tensor)?),
        DatumType::U8 => Data::U8(data(tensor)?),
        DatumType::Bool => Data::Bool(data::<bool>(tensor)?.into_iter().map(u8::from).collect()),
        DatumType::F64 | DatumType::F16 => Data::F32(data(&*tensor.cast_to_dt(DatumType::F32)?)?),
        // tract computes shapes as expressions.
        _ => Data::I64(data(&*tensor.cast_to_dt(DatumType::I64)?)?),
    };
    Ok(Constant::new(tensor.shape().to_vec(), data))
}
