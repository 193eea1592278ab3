//! Where channels lie, and values that bring them together.

use kiln_core::tensor::Shape;

use super::rewrite::{Rewrite, Stop};
use super::{convs, too_large};
use crate::graph::{Axis, Node, Op, Value, ValueId};
use crate::load::MAX_VALUES;
use crate::load::call::Problem;

use std::collections::HashMap;

/// Where a channel lies: a value of the new graph, and which of its channels.
pub type Place = (ValueId, u32);

impl Rewrite<'_> {
    /// All channels of a value in one, and where each is in that.
    pub(super) fn joined(&mut self, old: ValueId) -> Result<(ValueId, Vec<u32>), Stop> {
        let mut parts: Vec<ValueId> = vec![];
        let mut start: HashMap<ValueId, u32> = HashMap::new();
        let mut channels = 0;
        for (value, _) in &self.places[old] {
            if !start.contains_key(value) {
                start.insert(*value, channels);
                parts.push(*value);
                channels += self.result.shape(*value).channels;
            }
        }
        let places = self.places[old].iter();
        let at: Vec<u32> = places.map(|(value, at)| start[value] + at).collect();
        if let [value] = parts[..] {
            return Ok((value, at));
        }
        if let Some(value) = self.joins.get(&parts) {
            return Ok((*value, at));
        }
        let Value { name, shape } = self.graph.values[old].clone();
        let word = order_of(&at);
        let output = self.value(format!("{name}{word}"), Shape { channels, ..shape })?;
        self.joins.insert(parts.clone(), output);
        let node = Node {
            name: format!("{}{word}", self.writer(old)),
            op: Op::Concat(Axis::Channels),
            inputs: parts,
            output,
        };
        self.push(node)?;
        Ok((output, at))
    }

    /// A value with its channels in their order.
    pub(super) fn in_order(&mut self, old: ValueId) -> Result<ValueId, Stop> {
        let (value, at) = self.joined(old)?;
        self.move_channels(value, at, old)
    }

    /// Counts weights that are not in the file.
    pub(super) fn more_weights(&mut self, count: usize) -> Result<(), Stop> {
        self.weights = self.weights.saturating_add(count);
        match self.weights > MAX_VALUES {
            true => Err(too_large().into()),
            false => Ok(()),
        }
    }

    /// A value of these channels of another one; its name is after a value of the old graph.
    pub(super) fn move_channels(
        &mut self,
        value: ValueId,
        from: Vec<u32>,
        old: ValueId,
    ) -> Result<ValueId, Stop> {
        let channels = self.result.shape(value).channels;
        if from.iter().copied().eq(0..channels) {
            return Ok(value);
        }
        let key = (value, from);
        if let Some(moved) = self.moved.get(&key) {
            return Ok(*moved);
        }
        let from = &key.1;
        if self.quantized {
            return Err(Stop::Problem(Problem::new(
                format!(
                    "`{}` is quantized, and channels of it are read in another order or in parts",
                    self.graph.values[old].name
                ),
                "give Kiln the float model: it arranges its layers before it quantizes them",
            )));
        }
        self.more_weights(channels as usize * from.len())?;
        let word = |name: &str| format!("{name} (channels {})", self.moved.len() + 1);
        let name = word(&self.writer(old));
        let shape = Shape {
            channels: from.len() as u32,
            ..self.result.shape(value)
        };
        let output = self.value(word(&self.graph.values[old].name), shape)?;
        let op = Op::Conv(convs::moving(from, channels as usize));
        let node = Node {
            name,
            op,
            inputs: vec![value],
            output,
        };
        self.push(node)?;
        self.moved.insert(key, output);
        Ok(output)
    }
}

/// What is said behind a name where channels do not lie as the file has them, those that nothing reads behind them.
pub fn order_of(at: &[u32]) -> String {
    match at.iter().copied().eq(0..at.len() as u32) {
        true => String::new(),
        false => " (in another order)".into(),
    }
}

/// For each of so many places, who lies there; none unless each place is taken once.
pub fn inverse(at: &[u32], places: usize) -> Option<Vec<u32>> {
    let mut order = vec![u32::MAX; places];
    for (channel, at) in at.iter().enumerate() {
        let place = order.get_mut(*at as usize)?;
        if std::mem::replace(place, channel as u32) != u32::MAX {
            return None;
        }
    }
    (!order.contains(&u32::MAX)).then_some(order)
}
