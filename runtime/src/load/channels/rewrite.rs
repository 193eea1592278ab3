//! Builds the graph without Gathers.

use std::collections::HashMap;

use kiln_core::tensor::Shape;

use super::threads::Classes;
use super::{Role, convs, role, too_large};
use crate::graph::{Axis, Graph, Node, Op, Value, ValueId};
use crate::load::call::Problem;
use crate::load::{MAX_NODES, MAX_TOTAL_VALUES, MAX_VALUES};

/// Why a graph was not rewritten.
pub enum Stop {
    /// A node's parts do not lie alike in all its inputs: it is to be made in one.
    Whole(usize),
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Where a channel lies: a value of the new graph, and which of its channels.
type Place = (ValueId, u32);

pub struct Rewrite<'g> {
    graph: &'g Graph,
    classes: &'g Classes,
    result: Graph,
    /// For each value of the old graph that there is already, its channels' places.
    places: Vec<Vec<Place>>,
    /// Whether something is quantized, so that no convolution may be added.
    quantized: bool,
    /// Values that join others along channels.
    joins: HashMap<Vec<ValueId>, ValueId>,
    /// Values whose channels had to be moved.
    moved: HashMap<(ValueId, Vec<u32>), ValueId>,
    values: usize,
    /// Weights of convolutions that move channels.
    moving: usize,
}

impl<'g> Rewrite<'g> {
    pub fn new(graph: &'g Graph, classes: &'g Classes) -> Self {
        Self {
            graph,
            classes,
            result: Graph {
                layout: graph.layout,
                softmax: graph.softmax,
                known: graph.known,
                ..Graph::default()
            },
            places: vec![vec![]; graph.values.len()],
            quantized: graph.has_integers(),
            joins: HashMap::new(),
            moved: HashMap::new(),
            values: 0,
            moving: 0,
        }
    }

    pub fn run(mut self) -> Result<Graph, Stop> {
        let input = self.graph.input;
        let Value { name, shape } = self.graph.values[input].clone();
        self.result.input = self.value(name, shape)?;
        self.made(input, self.result.input, 0..shape.channels);
        for index in 0..self.graph.nodes.len() {
            match role(self.graph, index) {
                Role::Moves => self.moves(index),
                Role::Single if self.classes.is_split(index) => self.in_parts(index)?,
                Role::Single => self.single(index)?,
                Role::Mixes => self.mixes(index)?,
            }
        }
        self.result.output = self.in_order(self.graph.output)?;
        Ok(self.result)
    }

    fn moves(&mut self, index: usize) {
        let node = &self.graph.nodes[index];
        let mut places = vec![];
        match &node.op {
            Op::Gather(from) => {
                let before = &self.places[node.inputs[0]];
                places.extend(from.iter().map(|channel| before[*channel as usize]));
            }
            _ => {
                let before = node.inputs.iter().map(|input| &self.places[*input]);
                places.extend(before.flatten());
            }
        }
        self.places[node.output] = places;
    }

    /// A layer of single channels, one for each part of its output.
    fn in_parts(&mut self, index: usize) -> Result<(), Stop> {
        let node = &self.graph.nodes[index];
        let classes = self.classes;
        let parts = classes.of(node.output);
        self.places[node.output] = vec![(0, 0); self.channels(node.output)];
        for (number, part) in parts.iter().enumerate() {
            let lies = |input: &ValueId| -> Option<(ValueId, Vec<u32>)> {
                let all = &self.places[*input];
                let places = part.iter().map(|channel| all[*channel as usize]);
                let (value, _) = all[part[0] as usize];
                let alone = places.clone().all(|place| place.0 == value);
                let whole = self.result.shape(value).channels as usize == part.len();
                (alone && whole).then(|| (value, places.map(|place| place.1).collect()))
            };
            let inputs: Option<Vec<_>> = node.inputs.iter().map(lies).collect();
            let inputs = inputs.ok_or(Stop::Whole(index))?;
            let at = inputs[0].1.clone();
            let order = inverse(&at, part.len()).ok_or(Stop::Whole(index))?;
            if inputs.iter().any(|input| input.1 != at) {
                return Err(Stop::Whole(index));
            }
            let channels: Vec<u32> = order.iter().map(|place| part[*place as usize]).collect();
            let op = convs::single(&node.op, &channels);
            let inputs = inputs.into_iter().map(|input| input.0).collect();
            let value = self.node(index, op, inputs, part.len(), (number, parts.len()))?;
            for (channel, at) in part.iter().zip(at) {
                self.places[node.output][*channel as usize] = (value, at);
            }
        }
        Ok(())
    }

    /// A layer of single channels in one, in the order in which they lie.
    fn single(&mut self, index: usize) -> Result<(), Stop> {
        let node = &self.graph.nodes[index];
        let channels = self.channels(node.output);
        let mut joined = vec![];
        for input in &node.inputs {
            joined.push(self.joined(*input)?);
        }
        let at = joined[0].1.clone();
        let whole = |value| self.result.shape(value).channels as usize == channels;
        let order = inverse(&at, channels).filter(|_| whole(joined[0].0));
        let alike = joined
            .iter()
            .all(|(value, other)| *other == at && whole(*value));
        let vector = |input: ValueId| self.graph.shape(input).pixels() == 1;
        let (op, inputs, at) = match (order, &joined[..], &node.inputs[..]) {
            (Some(order), all, _) if alike => {
                let inputs = all.iter().map(|(value, _)| *value).collect();
                (convs::single(&node.op, &order), inputs, at)
            }
            // What is a vector is brought to the other's order.
            (Some(order), [(first, _), (second, lies)], [_, b]) if vector(*b) => {
                let from = order.iter().map(|channel| lies[*channel as usize]);
                let second = self.move_channels(*second, from.collect(), *b)?;
                (node.op.clone(), vec![*first, second], at)
            }
            _ => {
                let mut inputs = vec![];
                for input in &node.inputs {
                    inputs.push(self.in_order(*input)?);
                }
                (node.op.clone(), inputs, (0..channels as u32).collect())
            }
        };
        let value = self.node(index, op, inputs, channels, (0, 1))?;
        self.made(node.output, value, at);
        Ok(())
    }

    /// A convolution over channels.
    fn mixes(&mut self, index: usize) -> Result<(), Stop> {
        let node = &self.graph.nodes[index];
        let Op::Conv(conv) = &node.op else {
            return self.single(index);
        };
        let input = node.inputs[0];
        let (value, at) = self.joined(input)?;
        let lying = self.result.shape(value).channels as usize;
        let over_all = conv.groups == 1;
        let (conv, value) = match over_all.then(|| convs::columns(conv, &at, lying)).flatten() {
            Some(conv) => (conv, value),
            None => (conv.clone(), self.in_order(input)?),
        };
        let classes = self.classes;
        let parts = classes.of(node.output);
        if parts.len() == 1 || !over_all {
            let channels = self.channels(node.output);
            let value = self.node(index, Op::Conv(conv), vec![value], channels, (0, 1))?;
            self.made(node.output, value, 0..channels as u32);
            return Ok(());
        }
        self.places[node.output] = vec![(0, 0); self.channels(node.output)];
        for (number, part) in parts.iter().enumerate() {
            let op = Op::Conv(convs::rows(&conv, part));
            let value = self.node(index, op, vec![value], part.len(), (number, parts.len()))?;
            for (at, channel) in part.iter().enumerate() {
                self.places[node.output][*channel as usize] = (value, at as u32);
            }
        }
        Ok(())
    }

    /// Says where the channels of a value are that was made in one.
    fn made(&mut self, old: ValueId, value: ValueId, at: impl IntoIterator<Item = u32>) {
        self.places[old] = at.into_iter().map(|at| (value, at)).collect();
    }

    /// All channels of a value in one, and where each is in that.
    fn joined(&mut self, old: ValueId) -> Result<(ValueId, Vec<u32>), Stop> {
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
        let at = places.map(|(value, at)| start[value] + at).collect();
        if let [value] = parts[..] {
            return Ok((value, at));
        }
        if let Some(value) = self.joins.get(&parts) {
            return Ok((*value, at));
        }
        let Value { name, shape } = self.graph.values[old].clone();
        let output = self.value(name, Shape { channels, ..shape })?;
        self.joins.insert(parts.clone(), output);
        let node = Node {
            name: self.writer(old),
            op: Op::Concat(Axis::Channels),
            inputs: parts,
            output,
        };
        self.push(node)?;
        Ok((output, at))
    }

    /// A value with its channels in their order.
    fn in_order(&mut self, old: ValueId) -> Result<ValueId, Stop> {
        let (value, at) = self.joined(old)?;
        self.move_channels(value, at, old)
    }

    /// A value of these channels of another one; its name is after a value of the old graph.
    fn move_channels(
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
        self.moving += channels as usize * from.len();
        if self.moving > MAX_VALUES {
            return Err(too_large().into());
        }
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

    /// A node of the old graph, or one of its parts.
    fn node(
        &mut self,
        index: usize,
        op: Op,
        inputs: Vec<ValueId>,
        channels: usize,
        (part, parts): (usize, usize),
    ) -> Result<ValueId, Stop> {
        let node = &self.graph.nodes[index];
        let name = |name: &str| match parts {
            1 => name.to_owned(),
            _ => format!("{name} (part {} of {parts})", part + 1),
        };
        let Value { name: value, shape } = &self.graph.values[node.output];
        let shape = Shape {
            channels: channels as u32,
            ..*shape
        };
        let output = self.value(name(value), shape)?;
        let node = Node {
            name: name(&node.name),
            op,
            inputs,
            output,
        };
        self.push(node)?;
        Ok(output)
    }

    fn value(&mut self, name: String, shape: Shape) -> Result<ValueId, Stop> {
        self.values += shape.len();
        if self.values > MAX_TOTAL_VALUES {
            return Err(too_large().into());
        }
        self.result.values.push(Value { name, shape });
        Ok(self.result.values.len() - 1)
    }

    fn push(&mut self, node: Node) -> Result<(), Stop> {
        self.result.nodes.push(node);
        match self.result.nodes.len() > MAX_NODES {
            true => Err(too_large().into()),
            false => Ok(()),
        }
    }

    /// The name of the node that writes a value of the old graph.
    fn writer(&self, old: ValueId) -> String {
        let writer = self.graph.producer(old);
        let name = writer.map(|node| &self.graph.nodes[node].name);
        name.unwrap_or(&self.graph.values[old].name).clone()
    }

    fn channels(&self, old: ValueId) -> usize {
        self.graph.shape(old).channels as usize
    }
}

/// For each of so many places, who lies there; none unless each place is taken once.
fn inverse(at: &[u32], places: usize) -> Option<Vec<u32>> {
    let mut order = vec![u32::MAX; places];
    for (channel, at) in at.iter().enumerate() {
        let place = order.get_mut(*at as usize)?;
        if std::mem::replace(place, channel as u32) != u32::MAX {
            return None;
        }
    }
    (!order.contains(&u32::MAX)).then_some(order)
}
