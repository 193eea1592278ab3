//! Which channels stay together.

use std::collections::{HashMap, HashSet};

use super::{Role, role};
use crate::graph::{Axis, Graph, Op, ValueId};

/// A layer of more parts is made in one: its readers have weights of 0 for what they do not need.
const MOST_PARTS: usize = 32;

/// For each value, in which parts it is made.
pub struct Classes {
    /// For each value its parts, each of ascending channels.
    parts: Vec<Vec<Vec<u32>>>,
    /// For each node whether it is made in parts, as its output is.
    split: Vec<bool>,
}

impl Classes {
    /// Looks at a graph. Nodes of `whole` are made in one, and so are those of single channels behind them; those are
    /// added whose output's channels come together behind it, and those of too many parts.
    pub fn new(graph: &Graph, whole: &mut HashSet<usize>) -> Self {
        loop {
            behind(graph, whole);
            let split = split(graph, whole);
            let mut threads = Threads::new(graph, &split);
            let mut more = threads.met(graph, &split);
            let mut parts = vec![];
            if more.is_empty() {
                parts = threads.parts(graph);
                let many = |node: &usize| {
                    let parts = &parts[graph.nodes[*node].output];
                    parts.len() > MOST_PARTS && !whole.contains(node)
                };
                let nodes = 0..graph.nodes.len();
                more = nodes
                    .filter(|node| role(graph, *node) != Role::Moves)
                    .filter(many)
                    .collect();
            }
            if more.is_empty() {
                for node in whole
                    .iter()
                    .filter(|node| role(graph, **node) == Role::Mixes)
                {
                    let value = graph.nodes[*node].output;
                    parts[value] = vec![(0..graph.shape(value).channels).collect()];
                }
                return Self { parts, split };
            }
            // Of a thread without nodes of several inputs, all go; without any nodes, threads do not meet.
            whole.extend(more);
        }
    }

    /// The parts of a value that a layer writes, in each of which channels ascend.
    pub fn of(&self, value: ValueId) -> &[Vec<u32>] {
        &self.parts[value]
    }

    /// Whether a node is made in its output's parts.
    pub fn is_split(&self, node: usize) -> bool {
        self.split[node]
    }
}

/// Adds the nodes of single channels behind what has no parts: the input, grouped convolutions, and nodes that are made
/// in one.
fn behind(graph: &Graph, whole: &mut HashSet<usize>) {
    let mut solid = vec![false; graph.values.len()];
    solid[graph.input] = true;
    for (index, node) in graph.nodes.iter().enumerate() {
        let reads = node.inputs.iter().any(|input| solid[*input]);
        let role = role(graph, index);
        if role == Role::Single && reads {
            whole.insert(index);
        }
        let grouped = matches!(&node.op, Op::Conv(conv) if conv.groups > 1);
        solid[node.output] = match role {
            Role::Moves => reads,
            Role::Single => whole.contains(&index),
            Role::Mixes => grouped || whole.contains(&index),
        };
    }
}

/// Which nodes of single channels are made in parts: those of whose outputs something is left out behind them.
fn split(graph: &Graph, whole: &HashSet<usize>) -> Vec<bool> {
    let mut partly = vec![false; graph.values.len()];
    let mut split = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let passes = match role(graph, index) {
            Role::Mixes => continue,
            Role::Moves => partly[node.output] || leaves_out(graph, index),
            Role::Single => partly[node.output] && !whole.contains(&index),
        };
        split[index] = passes;
        if passes {
            node.inputs.iter().for_each(|input| partly[*input] = true);
        }
    }
    split
}

/// Whether a Gather does not take all channels.
fn leaves_out(graph: &Graph, node: usize) -> bool {
    let node = &graph.nodes[node];
    let Op::Gather(from) = &node.op else {
        return false;
    };
    let mut taken = vec![false; graph.shape(node.inputs[0]).channels as usize];
    from.iter()
        .for_each(|channel| taken[*channel as usize] = true);
    taken.contains(&false)
}

/// Channels of all values, and which of them belong together, since one is made of the other alone.
struct Threads {
    /// The number of each value's first channel.
    first: Vec<usize>,
    /// Union-find.
    parent: Vec<u32>,
}

impl Threads {
    fn new(graph: &Graph, split: &[bool]) -> Self {
        let mut first = vec![0];
        for value in &graph.values {
            first.push(first[first.len() - 1] + value.shape.channels as usize);
        }
        let mut threads = Self {
            parent: (0..first[first.len() - 1] as u32).collect(),
            first,
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            let count = graph.shape(node.output).channels as usize;
            match &node.op {
                Op::Gather(from) => {
                    for (channel, from) in from.iter().enumerate() {
                        threads.join((node.output, channel), (node.inputs[0], *from as usize));
                    }
                }
                Op::Concat(Axis::Channels) => {
                    let mut start = 0;
                    for input in &node.inputs {
                        let count = graph.shape(*input).channels as usize;
                        for channel in 0..count {
                            threads.join((node.output, start + channel), (*input, channel));
                        }
                        start += count;
                    }
                }
                _ if split[index] => {
                    for input in &node.inputs {
                        (0..count).for_each(|channel| {
                            threads.join((node.output, channel), (*input, channel))
                        });
                    }
                }
                _ => {}
            }
        }
        threads
    }

    fn join(&mut self, (a, i): (ValueId, usize), (b, j): (ValueId, usize)) {
        let [a, b] = [self.first[a] + i, self.first[b] + j];
        let [a, b] = [self.find(a), self.find(b)];
        self.parent[a.max(b)] = a.min(b) as u32;
    }

    fn find(&mut self, mut channel: usize) -> usize {
        while self.parent[channel] as usize != channel {
            let above = self.parent[channel] as usize;
            self.parent[channel] = self.parent[above];
            channel = above;
        }
        channel
    }

    /// The nodes made in parts on threads on which two channels of one layer's output are; of those with several
    /// inputs alone, where there are some.
    fn met(&mut self, graph: &Graph, split: &[bool]) -> Vec<usize> {
        let made: Vec<ValueId> = std::iter::once(graph.input)
            .chain((0..graph.nodes.len()).filter_map(|node| {
                (role(graph, node) != Role::Moves).then_some(graph.nodes[node].output)
            }))
            .collect();
        let mut met = HashSet::new();
        let mut seen = HashMap::new();
        for value in made {
            for channel in self.first[value]..self.first[value + 1] {
                let thread = self.find(channel);
                if seen.insert(thread, value) == Some(value) {
                    met.insert(thread);
                }
            }
        }
        let mut nodes = vec![];
        for (index, node) in graph.nodes.iter().enumerate() {
            let mut channels = self.first[node.output]..self.first[node.output + 1];
            if split[index]
                && role(graph, index) == Role::Single
                && channels.any(|channel| met.contains(&self.find(channel)))
            {
                nodes.push(index);
            }
        }
        let joins = |node: &usize| graph.nodes[*node].inputs.len() > 1;
        if nodes.iter().any(joins) {
            nodes.retain(joins);
        }
        nodes
    }

    /// Channels of a value are together where their threads go through the same values as often.
    fn parts(&mut self, graph: &Graph) -> Vec<Vec<Vec<u32>>> {
        let mut through: HashMap<usize, Vec<u32>> = HashMap::new();
        for value in 0..graph.values.len() {
            for channel in self.first[value]..self.first[value + 1] {
                through
                    .entry(self.find(channel))
                    .or_default()
                    .push(value as u32);
            }
        }
        // The same list, the same number.
        let mut lists: HashMap<&[u32], usize> = HashMap::new();
        let mut number: HashMap<usize, usize> = HashMap::new();
        for (thread, list) in &through {
            let new = lists.len();
            number.insert(*thread, *lists.entry(list).or_insert(new));
        }
        let mut parts = vec![];
        for value in 0..graph.values.len() {
            let mut of_value: Vec<Vec<u32>> = vec![];
            let mut at: HashMap<usize, usize> = HashMap::new();
            let start = self.first[value];
            for channel in start..self.first[value + 1] {
                let class = number[&self.find(channel)];
                let part = *at.entry(class).or_insert_with(|| {
                    of_value.push(vec![]);
                    of_value.len() - 1
                });
                of_value[part].push((channel - start) as u32);
            }
            parts.push(of_value);
        }
        parts
    }
}
