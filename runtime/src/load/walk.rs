//! Walks a file's nodes and builds the graph.

use std::collections::{HashMap, HashSet};

use kiln_core::tensor::Shape;

use super::call::{Call, Problem, Slot};
use super::evaluate::foldable;
use super::order::{Index, name_of};
use super::patterns::{self, Pattern};
use super::slots::Slots;
use super::view::{Kind, View};
use super::{Loaded, MAX_TOTAL_VALUES, MAX_VALUES, Unsupported, ops};
use crate::graph::{Axis, Graph, Layout, Node, Op, Value, ValueId};
use crate::onnx::{OnnxFile, last_sigmoid, may_follow_softmax};

/// What a node becomes.
pub type Outcome = Result<Slot, Problem>;

/// The state of a walk.
pub struct Walk<'f> {
    file: &'f OnnxFile,
    index: &'f Index<'f>,
    pub graph: Graph,
    slots: Slots<'f>,
    /// What a classifier's last Sigmoid writes.
    last_sigmoid: Option<&'f str>,
    /// How often each name is read.
    uses: HashMap<&'f str, usize>,
    /// Nodes of the graph that are MatMuls and may still take up a bias.
    pub bare: HashSet<usize>,
    total_values: usize,
    problems: Vec<Unsupported>,
}

/// Why a walk did not come to its end.
pub struct Refused {
    /// All nodes that were found to be in the way.
    pub nodes: Vec<Unsupported>,
    /// Nodes of the graph up to there, without those that take channels.
    pub built: usize,
}

impl<'f> Walk<'f> {
    pub fn new(file: &'f OnnxFile, index: &'f Index<'f>, layout: Layout) -> Self {
        Self {
            file,
            index,
            graph: Graph {
                layout,
                ..Graph::default()
            },
            slots: Slots::new(index),
            last_sigmoid: last_sigmoid(&file.proto),
            uses: HashMap::new(),
            bare: HashSet::new(),
            total_values: 0,
            problems: vec![],
        }
    }

    /// Walks the whole file with this meaning of its input's axes.
    pub fn run(
        mut self,
        input: &'f str,
        sizes: &[usize],
        dims: Vec<Vec<Axis>>,
    ) -> Result<Loaded, Refused> {
        if let Err(problem) = self.input(input, sizes, dims) {
            return Err(refused("the input", input, problem));
        }
        let whole = |what: String| refused("the graph", "", Problem::broken(what));
        let index = self.index;
        let inputs = |node: usize| index.node(node).input.iter().map(String::as_str).collect();
        let all = index.order(inputs).map_err(whole)?;
        let patterns = self.patterns(&all);
        let inputs = |node: usize| match patterns.get(&node) {
            Some(pattern) => vec![pattern.source],
            None => index.node(node).input.iter().map(String::as_str).collect(),
        };
        let order = index.order(inputs).map_err(whole)?;
        for node in &order {
            for name in inputs(*node) {
                *self.uses.entry(name).or_default() += 1;
            }
        }
        *self.uses.entry(index.output).or_default() += 1;
        for node in order {
            self.node(node, patterns.get(&node));
        }
        self.finish(sizes)
    }

    fn input(
        &mut self,
        name: &'f str,
        sizes: &[usize],
        dims: Vec<Vec<Axis>>,
    ) -> Result<(), Problem> {
        let mut shape = Shape::new(1, 1, 1);
        for (size, axes) in sizes.iter().zip(&dims) {
            let size =
                u32::try_from(*size).map_err(|_| Problem::broken("its axes are too large"))?;
            for axis in axes {
                match axis {
                    Axis::Rows => shape.height = size,
                    Axis::Columns => shape.width = size,
                    Axis::Channels => shape.channels = size,
                }
            }
        }
        let kind = Kind::of_input(self.file, name)?;
        let value = self.value(name.into(), shape)?;
        self.graph.input = value;
        let view = View::new(value, shape, dims, kind);
        self.slots.insert(name, Slot::View(view));
        Ok(())
    }

    /// Evaluates what constants alone make, and looks for patterns with their values.
    fn patterns(&mut self, order: &[usize]) -> HashMap<usize, Pattern<'f>> {
        let mut found = HashMap::new();
        for node in order {
            if self.slots.all_constant(*node) {
                // What fails is said in the walk proper, if it is needed.
                let _ = self.slots.fold(*node);
            }
        }
        for node in order {
            let scalar = |name: &str| match self.slots.peek(name) {
                Some(Slot::Constant(constant)) => constant.scalar(),
                _ => None,
            };
            if let Some(pattern) = patterns::find(self.index, *node, &scalar) {
                found.insert(*node, pattern);
            }
        }
        found
    }

    fn node(&mut self, index: usize, pattern: Option<&Pattern<'f>>) {
        let node = self.index.node(index);
        let outcome = match pattern {
            Some(pattern) => self.pattern(index, pattern),
            None => self.convert(index),
        };
        let slots = outcome.unwrap_or_else(|problem| {
            let op = match &node.domain[..] {
                "" | "ai.onnx" => node.op_type.clone(),
                domain => format!("{domain}.{}", node.op_type),
            };
            self.problems.push(problem.at(&op, name_of(node)));
            vec![Slot::Broken; node.output.len()]
        });
        // Outputs for which there is nothing are masks and indices, which no classifier reads.
        for (name, slot) in node.output.iter().zip(slots) {
            self.slots.insert(name, slot);
        }
    }

    fn pattern(&mut self, node: usize, pattern: &Pattern<'f>) -> Result<Vec<Slot>, Problem> {
        let inputs = vec![Some(self.slots.read(pattern.source)?)];
        let call = Call::new(self.index.node(node), inputs, self.index.opset);
        if let Some(Slot::Broken) = call.inputs[0] {
            return Ok(vec![Slot::Broken]);
        }
        ops::pointwise(self, &call, pattern.function).map(|slot| vec![slot])
    }

    /// What a node's outputs stand for; nothing where that is known already.
    fn convert(&mut self, node: usize) -> Result<Vec<Slot>, Problem> {
        if self.slots.is_folded(node) || self.slots.fold(node)? {
            return Ok(vec![]);
        }
        let call = self.slots.call(node)?;
        let broken = |input: &Option<Slot>| matches!(input, Some(Slot::Broken));
        let broken = call.inputs.iter().any(broken);
        let known = ops::known(&call.node.domain, &call.node.op_type);
        let follows = broken && foldable(&call.node.op_type);
        if !(known || follows) {
            return Err(ops::unknown(&call));
        }
        if broken {
            return Ok(vec![Slot::Broken; call.node.output.len()]);
        }
        let after_softmax =
            |input: &Option<Slot>| matches!(input, Some(Slot::View(view)) if view.softmax);
        if call.inputs.iter().any(after_softmax) && !may_follow_softmax(&call.node.op_type) {
            return Err(ops::after_softmax());
        }
        if self.last_sigmoid == Some(&call.output) {
            return ops::left_to_the_caller(&call).map(|slot| vec![slot]);
        }
        ops::convert(self, &call)
    }

    fn finish(mut self, sizes: &[usize]) -> Result<Loaded, Refused> {
        let output = self.index.output;
        if self.problems.is_empty() {
            let problem = match self.slots.read(output) {
                Ok(Slot::View(view)) if view.repeated.is_empty() => {
                    self.graph.output = view.value;
                    self.graph.softmax = view.softmax;
                    return Ok(Loaded {
                        graph: self.graph,
                        input_dims: sizes.to_vec(),
                        output_dims: view.sizes(),
                        output_axes: view.dims,
                    });
                }
                Ok(Slot::View(_)) => {
                    Problem::new("an Expand writes it", "end in one value for each class")
                }
                Ok(Slot::Parts(parts)) => parts.refused(),
                Ok(_) => Problem::broken("it does not depend on the input"),
                Err(problem) => problem,
            };
            self.problems.push(problem.at("the output", output));
        }
        // Taking channels says nothing about which axis they are.
        let nodes = self.graph.nodes.iter();
        let built = nodes.filter(|node| !matches!(node.op, Op::Gather(_)));
        Err(Refused {
            built: built.count(),
            nodes: self.problems,
        })
    }

    /// Whether a node's first output is read once.
    pub fn read_once(&self, name: &str) -> bool {
        self.uses.get(name) == Some(&1)
    }

    /// Counts values that the file does not hold itself, so that a small file does not fill the memory.
    pub fn count(&mut self, shape: Shape) -> Result<(), Problem> {
        self.total_values = self.total_values.saturating_add(shape.len());
        if shape.len() <= MAX_VALUES && self.total_values <= MAX_TOTAL_VALUES {
            return Ok(());
        }
        let Shape {
            height,
            width,
            channels,
        } = shape;
        Err(Problem::new(
            format!("{height} × {width} × {channels} values are too many"),
            "use a smaller input",
        ))
    }

    /// Adds a value.
    pub fn value(&mut self, name: String, shape: Shape) -> Result<ValueId, Problem> {
        if shape.is_empty() {
            return Err(Problem::broken("an activation is empty"));
        }
        self.count(shape)?;
        self.graph.values.push(Value { name, shape });
        Ok(self.graph.values.len() - 1)
    }

    /// Adds a node under the names of a call, and gives what the file sees of its output.
    pub fn emit(
        &mut self,
        call: &Call<'f>,
        op: Op,
        inputs: &[&View],
        shape: Shape,
        dims: Vec<Vec<Axis>>,
    ) -> Result<View, Problem> {
        let kind = match &op {
            Op::Quantize(quant) if quant.unsigned => Kind::Unsigned,
            Op::Quantize(_) => Kind::Signed,
            Op::Dequantize(_) => Kind::Float,
            _ => inputs.first().map_or(Kind::Float, |view| view.kind),
        };
        let output = self.value(call.output.clone(), shape)?;
        self.graph.nodes.push(Node {
            name: call.name.clone(),
            op,
            inputs: inputs.iter().map(|view| view.value).collect(),
            output,
        });
        Ok(View::new(output, shape, dims, kind))
    }
}

/// What is said before the first node.
fn refused(op: &str, name: &str, problem: Problem) -> Refused {
    Refused {
        nodes: vec![problem.at(op, name)],
        built: 0,
    }
}
