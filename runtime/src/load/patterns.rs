//! Parts of a graph that compute a known function of one value, whatever operators they are made of.
//!
//! The part below a node is evaluated as a function of each value that it may depend on alone, at
//! points between which no two known functions agree.

use std::collections::HashMap;

use super::order::Index;
use crate::onnx::NodeProto;
use crate::pointwise::Pointwise;

/// A node that stands for itself and what is between it and its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pattern<'f> {
    /// What it is a function of.
    pub source: &'f str,
    /// Which function.
    pub function: Pointwise,
}

/// Nodes between a pattern's end and its source, at most.
const DEPTH: usize = 12;
const NAMES: usize = 24;
const POINTS: [f64; 19] = [
    -9.0, -6.5, -5.1, -4.0, -3.3, -3.0, -2.2, -1.0, -0.7, -0.2, 0.0, 0.3, 0.9, 1.4, 2.6, 3.1, 4.4,
    6.3, 9.0,
];

/// The pattern that ends in a node, if there is one. `scalar` gives the value of constants.
pub fn find<'f>(
    index: &Index<'f>,
    node: usize,
    scalar: &dyn Fn(&str) -> Option<f32>,
) -> Option<Pattern<'f>> {
    let root = index.node(node);
    if !["Mul", "Div", "Max", "Reciprocal", "Where"].contains(&&root.op_type[..]) || !own(root) {
        return None;
    }
    let part = Part { index, scalar };
    part.sources(root).into_iter().find_map(|source| {
        let mut values = vec![];
        for x in POINTS {
            let mut known = HashMap::from([(source, x)]);
            values.push(part.node(root, &mut known, DEPTH)?);
        }
        let function = recognize(&root.op_type, &values)?;
        Some(Pattern { source, function })
    })
}

fn own(node: &NodeProto) -> bool {
    matches!(&node.domain[..], "" | "ai.onnx")
}

struct Part<'a, 'f> {
    index: &'a Index<'f>,
    scalar: &'a dyn Fn(&str) -> Option<f32>,
}

impl<'f> Part<'_, 'f> {
    /// What a node may be a function of, the nearest first.
    fn sources(&self, root: &'f NodeProto) -> Vec<&'f str> {
        let mut names: Vec<&str> = vec![];
        let mut next = vec![root];
        for _ in 0..DEPTH {
            let mut after = vec![];
            for name in next.iter().flat_map(|node| &node.input) {
                let name = self.index.first(name);
                let new = !name.is_empty() && !names.contains(&name);
                if new && names.len() < NAMES && (self.scalar)(name).is_none() {
                    names.push(name);
                    let producer = self.index.producers.get(name);
                    after.extend(producer.map(|node| self.index.node(*node)));
                }
            }
            next = after.into_iter().filter(|node| elementwise(node)).collect();
        }
        names
    }

    fn name(&self, name: &'f str, known: &mut HashMap<&'f str, f64>, depth: usize) -> Option<f64> {
        let name = self.index.first(name);
        if let Some(value) = known.get(name) {
            return Some(*value);
        }
        if let Some(constant) = (self.scalar)(name) {
            return Some(constant.into());
        }
        let producer = self.index.producers.get(name)?;
        let value = self.node(self.index.node(*producer), known, depth.checked_sub(1)?)?;
        known.insert(name, value);
        Some(value)
    }

    /// The value of a node's output where the values of `known` are given.
    fn node(
        &self,
        node: &'f NodeProto,
        known: &mut HashMap<&'f str, f64>,
        depth: usize,
    ) -> Option<f64> {
        if !elementwise(node) {
            return None;
        }
        let mut inputs = vec![];
        for name in &node.input {
            inputs.push(match &name[..] {
                "" => None,
                name => Some(self.name(name, known, depth)?),
            });
        }
        let attribute = |name: &str, otherwise: f32| {
            let mut attributes = node.attribute.iter();
            let found = attributes.find(|attr| attr.name == name);
            f64::from(found.map_or(otherwise, |attr| attr.f))
        };
        let x = (*inputs.first()?)?;
        let second = inputs.get(1).copied().flatten();
        Some(match &node.op_type[..] {
            "Add" => x + second?,
            "Sub" => x - second?,
            "Mul" => x * second?,
            "Div" => x / second?,
            "Pow" => x.powf(second?),
            "Max" => inputs.iter().flatten().copied().fold(x, f64::max),
            "Min" => inputs.iter().flatten().copied().fold(x, f64::min),
            "Clip" => {
                let min = second.unwrap_or(attribute("min", f32::MIN));
                let max = inputs.get(2).copied().flatten();
                x.max(min).min(max.unwrap_or(attribute("max", f32::MAX)))
            }
            "Where" if x == 0.0 => inputs.get(2).copied().flatten()?,
            "Where" => second?,
            "Greater" => f64::from(u8::from(x > second?)),
            "Abs" => x.abs(),
            "Neg" => -x,
            "Log" => x.ln(),
            "Softplus" => Pointwise::Softplus.eval(x),
            "Exp" => x.exp(),
            "Reciprocal" => 1.0 / x,
            "Erf" => libm::erf(x),
            "Tanh" => x.tanh(),
            "Sigmoid" => Pointwise::Sigmoid.eval(x),
            "Relu" => x.max(0.0),
            "HardSigmoid" => (attribute("alpha", 0.2) * x + attribute("beta", 0.5)).clamp(0.0, 1.0),
            _ => x,
        })
    }
}

/// Whether a node's output is a function of each of its inputs' values.
fn elementwise(node: &NodeProto) -> bool {
    let ops = [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Max",
        "Min",
        "Clip",
        "Where",
        "Abs",
        "Greater",
        "Neg",
        "Log",
        "Softplus",
        "Exp",
        "Reciprocal",
        "Erf",
        "Tanh",
        "Sigmoid",
        "Relu",
        "HardSigmoid",
        "Identity",
    ];
    own(node) && ops.contains(&&node.op_type[..])
}

/// The function that has these values at [`POINTS`].
fn recognize(root: &str, values: &[f64]) -> Option<Pointwise> {
    let at = |x: f64| {
        POINTS
            .iter()
            .position(|point| *point == x)
            .map(|at| values[at])
    };
    let slope = -at(-1.0)? as f32;
    let leaky = (0.0..1.0).contains(&slope) && root == "Max";
    let (sixth, half) = (1.0 / 6.0, 0.5);
    let candidates = [
        Some(Pointwise::Silu),
        Some(Pointwise::Mish),
        Some(Pointwise::Softplus),
        Some(Pointwise::Softsign),
        Some(Pointwise::HardSwish),
        Some(Pointwise::Gelu),
        Some(Pointwise::GeluTanh),
        Some(Pointwise::Sigmoid),
        Some(Pointwise::HardSigmoid {
            alpha: sixth,
            beta: half,
        }),
        (leaky && slope > 0.0).then_some(Pointwise::LeakyRelu { alpha: slope }),
    ];
    let is = |function: &Pointwise| {
        let mut points = POINTS.iter().zip(values);
        points.all(|(x, value)| (function.eval(*x) - value).abs() <= 1e-5 * x.abs().max(1.0))
    };
    candidates.into_iter().flatten().find(is)
}
