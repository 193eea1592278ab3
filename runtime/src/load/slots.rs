//! What the names of a file stand for, and what constants alone make.

use std::collections::HashMap;
use std::sync::Arc;

use super::call::{Call, Problem, Slot};
use super::constant::Constant;
use super::evaluate::evaluate;
use super::ops;
use super::order::Index;

/// What each name stands for, as far as a walk has come.
pub struct Slots<'f> {
    index: &'f Index<'f>,
    slots: HashMap<&'f str, Slot>,
}

impl<'f> Slots<'f> {
    /// Nothing is known yet.
    pub fn new(index: &'f Index<'f>) -> Self {
        let slots = HashMap::new();
        Self { index, slots }
    }

    /// From now on a name stands for this.
    pub fn insert(&mut self, name: &'f str, slot: Slot) {
        self.slots.insert(name, slot);
    }

    /// Whether a node reads constants alone.
    pub fn all_constant(&self, node: usize) -> bool {
        let mut names = self.index.node(node).input.iter();
        names.all(|name| self.is_constant(name))
    }

    /// Whether [`Slots::fold`] has already evaluated a node.
    pub fn is_folded(&self, node: usize) -> bool {
        let mut names = self.index.node(node).output.iter();
        names.any(|name| matches!(self.slots.get(&name[..]), Some(Slot::Constant(_))))
    }

    fn is_constant(&self, name: &str) -> bool {
        name.is_empty()
            || self.index.initializers.contains_key(name)
            || matches!(self.slots.get(name), Some(Slot::Constant(_)))
    }

    /// What a name stands for; weights are decoded at their first use.
    pub fn peek(&self, name: &str) -> Option<Slot> {
        if let Some(slot) = self.slots.get(name) {
            return Some(slot.clone());
        }
        let tensor = self.index.initializers.get(name)?;
        Some(match Constant::decode(tensor) {
            Ok(constant) => Slot::Constant(Arc::new(constant)),
            Err(_) => Slot::Broken,
        })
    }

    /// As [`Slots::peek`], keeping what was decoded, and saying why it was not.
    pub fn read(&mut self, name: &'f str) -> Result<Slot, Problem> {
        if let Some(slot) = self.slots.get(name) {
            return Ok(slot.clone());
        }
        let Some(tensor) = self.index.initializers.get(name) else {
            return Err(Problem::broken(format!(
                "it reads `{name}`, which nothing writes"
            )));
        };
        let constant = Constant::decode(tensor)
            .map_err(|why| Problem::broken(format!("its weight `{name}` {why}")))?;
        let slot = Slot::Constant(Arc::new(constant));
        self.slots.insert(name, slot.clone());
        Ok(slot)
    }

    /// A node with what its inputs stand for.
    pub fn call(&mut self, node: usize) -> Result<Call<'f>, Problem> {
        let node = self.index.node(node);
        let mut inputs = vec![];
        for name in &node.input {
            inputs.push(match &name[..] {
                "" => None,
                name => Some(self.read(name)?),
            });
        }
        Ok(Call::new(node, inputs, self.index.opset))
    }

    /// Evaluates a node of constants; false where it is not one.
    pub fn fold(&mut self, node: usize) -> Result<bool, Problem> {
        let call = self.call(node)?;
        let mut constants = vec![];
        for input in &call.inputs {
            constants.push(match input {
                None => None,
                Some(Slot::Constant(constant)) => Some(constant.clone()),
                Some(_) => return Ok(false),
            });
        }
        let own = call.node.domain.is_empty() || call.node.domain == "ai.onnx";
        let outputs = match ops::constant(&call, &constants) {
            Some(constant) => vec![constant?],
            None if !own || constants.is_empty() => return Ok(false),
            None => match evaluate(call.node, &constants, call.opset) {
                Some(outputs) => outputs.map_err(Problem::broken)?,
                None => return Ok(false),
            },
        };
        let names = call.node.output.iter().filter(|name| !name.is_empty());
        for (name, constant) in names.zip(outputs) {
            let constant = Slot::Constant(Arc::new(constant));
            self.slots.insert(name, constant);
        }
        Ok(true)
    }
}
