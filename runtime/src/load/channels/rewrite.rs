//! Builds the graph without Gathers.

use std::collections::HashMap;

use kiln_core::tensor::Shape;

use super::places::{Place, inverse, order_of};
use super::threads::Classes;
use super::{Role, convs, role, too_large};
use crate::graph::{Graph, Node, Op, Value, ValueId};
use crate::load::call::Problem;
use crate::load::{MAX_NODES, MAX_TOTAL_VALUES};

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

pub struct Rewrite<'g> {
    pub(super) graph: &'g Graph,
    classes: &'g Classes,
    pub(super) result: Graph,
    /// For each value of the old graph that there is already, its channels' places.
    pub(super) places: Vec<Vec<Place>>,
    /// Whether something is quantized, so that no convolution may be added.
    pub(super) quantized: bool,
    /// Values that join others along channels.
    pub(super) joins: HashMap<Vec<ValueId>, ValueId>,
    /// Values whose channels had to be moved.
    pub(super) moved: HashMap<(ValueId, Vec<u32>), ValueId>,
    values: usize,
    /// Weights that are not the file's.
    pub(super) weights: usize,
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
            weights: 0,
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
            let word = match parts.len() {
                1 => order_of(&at),
                all => part_of(number, all),
            };
            let value = self.node(index, op, inputs, part.len(), &word)?;
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
        let (first, at) = joined[0].clone();
        let lying = |value| self.result.shape(value).channels as usize;
        let order = inverse(&at, channels).filter(|_| lying(first) == channels);
        let alike = joined
            .iter()
            .all(|(value, other)| *other == at && lying(*value) == lying(first));
        let vector = |input: ValueId| self.graph.shape(input).pixels() == 1;
        let all = || joined.iter().map(|(value, _)| *value).collect();
        let (op, inputs, at) = match (order, &joined[..], &node.inputs[..]) {
            (Some(order), ..) if alike => (convs::single(&node.op, &order), all(), at),
            // The same for each channel: for those too that are not read.
            _ if alike && !convs::has_numbers(&node.op) => (node.op.clone(), all(), at),
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
        let channels = self.result.shape(inputs[0]).channels as usize;
        let value = self.node(index, op, inputs, channels, &order_of(&at))?;
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
        if over_all {
            let more = lying.saturating_sub(at.len());
            self.more_weights((conv.weights.len() / at.len()).saturating_mul(more))?;
        }
        let (conv, value) = match over_all.then(|| convs::columns(conv, &at, lying)).flatten() {
            Some(conv) => (conv, value),
            None => (conv.clone(), self.in_order(input)?),
        };
        let classes = self.classes;
        let parts = classes.of(node.output);
        if parts.len() == 1 || !over_all {
            let channels = self.channels(node.output);
            let value = self.node(index, Op::Conv(conv), vec![value], channels, "")?;
            self.made(node.output, value, 0..channels as u32);
            return Ok(());
        }
        self.places[node.output] = vec![(0, 0); self.channels(node.output)];
        for (number, part) in parts.iter().enumerate() {
            let op = Op::Conv(convs::rows(&conv, part));
            let word = part_of(number, parts.len());
            let value = self.node(index, op, vec![value], part.len(), &word)?;
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

    /// A node of the old graph, or one of its parts, with a word behind its names.
    fn node(
        &mut self,
        index: usize,
        op: Op,
        inputs: Vec<ValueId>,
        channels: usize,
        word: &str,
    ) -> Result<ValueId, Stop> {
        let node = &self.graph.nodes[index];
        let name = |name: &str| format!("{name}{word}");
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

    pub(super) fn value(&mut self, name: String, shape: Shape) -> Result<ValueId, Stop> {
        self.values += shape.len();
        if self.values > MAX_TOTAL_VALUES {
            return Err(too_large().into());
        }
        self.result.values.push(Value { name, shape });
        Ok(self.result.values.len() - 1)
    }

    pub(super) fn push(&mut self, node: Node) -> Result<(), Stop> {
        self.result.nodes.push(node);
        match self.result.nodes.len() > MAX_NODES {
            true => Err(too_large().into()),
            false => Ok(()),
        }
    }

    /// The name of the node that writes a value of the old graph.
    pub(super) fn writer(&self, old: ValueId) -> String {
        let writer = self.graph.producer(old);
        let name = writer.map(|node| &self.graph.nodes[node].name);
        name.unwrap_or(&self.graph.values[old].name).clone()
    }

    fn channels(&self, old: ValueId) -> usize {
        self.graph.shape(old).channels as usize
    }
}

/// What is said behind the name of one of several parts.
fn part_of(number: usize, all: usize) -> String {
    format!(" (part {} of {all})", number + 1)
}
