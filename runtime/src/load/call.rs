//! A node with what it reads, as the operators' rules see it.

use std::sync::Arc;

use tract_onnx::pb::AttributeProto;

use super::Unsupported;
use super::constant::Constant;
use super::order::name_of;
use super::parts::Parts;
use super::view::{EXPORT, View};
use crate::onnx::NodeProto;

/// Why a node is not supported, and what to do instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub why: String,
    pub instead: String,
}

impl Problem {
    pub fn new(why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: instead.into(),
        }
    }

    /// The file contradicts itself.
    pub fn broken(why: impl Into<String>) -> Self {
        Self::new(why, EXPORT)
    }

    /// That of a node, or of what else is named so.
    pub fn at(self, op: &str, node: &str) -> Unsupported {
        Unsupported {
            op: op.into(),
            node: node.into(),
            why: self.why,
            instead: self.instead,
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Slot {
    Constant(Arc<Constant>),
    View(View),
    /// An activation whose axes are taken apart, until they are put together again.
    Parts(Parts),
    /// The node that writes it is not supported, which has been said.
    Broken,
}

/// A node with what it reads. Inputs that are left out are none.
pub struct Call<'f> {
    pub node: &'f NodeProto,
    /// What its node in the graph is called.
    pub name: String,
    /// What its output in the graph is called.
    pub output: String,
    pub inputs: Vec<Option<Slot>>,
    pub opset: i64,
}

impl<'f> Call<'f> {
    pub fn new(node: &'f NodeProto, inputs: Vec<Option<Slot>>, opset: i64) -> Self {
        Self {
            node,
            name: name_of(node).into(),
            output: node.output.first().cloned().unwrap_or_default(),
            inputs,
            opset,
        }
    }

    /// A part of the same node: with other inputs, and a word behind its names.
    pub fn part(&self, word: &str, inputs: Vec<Option<Slot>>) -> Self {
        Self {
            node: self.node,
            name: format!("{} ({word})", self.name),
            output: format!("{} ({word})", self.output),
            inputs,
            opset: self.opset,
        }
    }

    /// The same with other inputs.
    pub fn with(&self, inputs: Vec<Option<Slot>>) -> Self {
        Self {
            node: self.node,
            name: self.name.clone(),
            output: self.output.clone(),
            inputs,
            opset: self.opset,
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|attr| attr.name == name)
    }

    pub fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).map_or(otherwise, |attr| attr.i)
    }

    pub fn float(&self, name: &str, otherwise: f32) -> f32 {
        self.attribute(name).map_or(otherwise, |attr| attr.f)
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attr| &attr.ints[..])
    }

    pub fn text(&self, name: &str, otherwise: &'static str) -> &str {
        let text = self
            .attribute(name)
            .map(|attr| std::str::from_utf8(&attr.s));
        text.map_or(otherwise, |text| text.unwrap_or("?"))
    }

    /// The activation at an input.
    pub fn view(&self, index: usize) -> Result<&View, Problem> {
        match self.inputs.get(index) {
            Some(Some(Slot::View(view))) => Ok(view),
            Some(Some(Slot::Parts(parts))) => Err(parts.refused()),
            Some(Some(Slot::Constant(_))) => Err(Problem::new(
                format!("its input {index} is a constant"),
                "give it an activation there",
            )),
            _ => Err(Problem::broken(format!("it has no input {index}"))),
        }
    }

    /// The activation at the first input, for what moves axes.
    pub fn parts(&self) -> Result<Parts, Problem> {
        match self.inputs.first() {
            Some(Some(Slot::Parts(parts))) => Ok(parts.clone()),
            _ => self.view(0).cloned().map(Parts::from),
        }
    }

    /// The constant at an input, if the input is there.
    pub fn optional(&self, index: usize) -> Result<Option<&Arc<Constant>>, Problem> {
        match self.inputs.get(index) {
            Some(Some(Slot::Constant(constant))) => Ok(Some(constant)),
            Some(Some(_)) => Err(Problem::new(
                format!("its input {index} is not a constant"),
                "use constants there: `torch.onnx.export` with constant folding, or onnx-simplifier",
            )),
            _ => Ok(None),
        }
    }

    /// The constant at an input.
    pub fn constant(&self, index: usize) -> Result<&Arc<Constant>, Problem> {
        let none = || Problem::broken(format!("it has no input {index}"));
        self.optional(index)?.ok_or_else(none)
    }

    /// The integers of a constant input, or of an attribute: what moved from one to the other.
    pub fn list(&self, attribute: &str, index: usize) -> Result<Option<Vec<i64>>, Problem> {
        if let Some(ints) = self.ints(attribute) {
            return Ok(Some(ints.to_vec()));
        }
        let Some(constant) = self.optional(index)? else {
            return Ok(None);
        };
        let integers = constant.data.integers();
        let problem = || Problem::broken(format!("its input {index} is not a list of integers"));
        integers.map(Some).ok_or_else(problem)
    }
}

/// The numbers of a constant, if they are floats and finite.
pub fn finite(constant: &Constant) -> Result<&[f32], Problem> {
    let numbers = constant
        .as_f32()
        .ok_or_else(|| Problem::broken("a weight is not of floats"))?;
    if numbers.is_empty() {
        return Err(Problem::broken("a weight is empty"));
    }
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(numbers),
        Some(number) => Err(Problem::new(
            format!("a weight is {number}"),
            "the training diverged: train again from an earlier checkpoint",
        )),
    }
}
