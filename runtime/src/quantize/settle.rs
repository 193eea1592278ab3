//! Scales, moved by so little that nothing but rounding notices, until every layer that computes in
//! floats gives the same integers in any order of operations.
//!
//! It goes from the logits back to the input: what a layer writes is settled by those that read it, and
//! then it settles what it reads. Convolutions take any scales; their weights' scales follow.

use std::collections::BTreeSet;

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use super::groups::Groups;
use super::lower::{Plan, Step};
use super::ties::{
    Sum, averages_are_clear, nudge, products_are_clear, sums_are_clear, table_is_clear,
};
use crate::graph::{Binary, Graph, Node, Op};
use crate::pointwise::Pointwise;

/// Twice what the order of float operations of a sum or product may change, in steps of the output.
const PAIRS: f64 = 8e-5;
/// What implementations of piecewise linear functions differ by.
const LINEAR: f64 = 1e-4;
/// What implementations of other functions differ by.
const SMOOTH: f64 = 2e-3;
/// How far a scale may move, relative to it, the sooner tried the less.
const MOVES: [f64; 3] = [1e-3, 1e-2, 3e-2];

/// Settles all scales; names of the layers that could not be, in order.
pub(super) fn settle(graph: &Graph, plan: &Plan, groups: &mut Groups) -> Vec<String> {
    let mut settling = Settling {
        fixed: vec![false; groups.quants.len()],
        groups,
    };
    let mut open: Vec<String> = plan
        .steps
        .iter()
        .rev()
        .filter(|step| !settling.step(graph, step))
        .map(|step| graph.nodes[step.node].name.clone())
        .collect();
    open.reverse();
    open
}

struct Settling<'a> {
    groups: &'a mut Groups,
    /// Groups whose scale must stay.
    fixed: Vec<bool>,
}

impl Settling<'_> {
    /// Whether the layer's results are the same in any order now.
    fn step(&mut self, graph: &Graph, step: &Step) -> bool {
        let node = &graph.nodes[step.node];
        let output = self.groups.of(step.output);
        let input = self.groups.of(node.inputs[0]);
        match &node.op {
            Op::Binary(op) => {
                let second = self.groups.of(node.inputs[1]);
                self.binary(*op, [input, second, output])
            }
            Op::AveragePool {
                window,
                count_include_pad,
            } => {
                let shape = graph.shape(node.inputs[0]);
                let counts = counts(shape, window, *count_include_pad);
                self.nudge(&[output, input], |groups| {
                    let [input, output] = [groups.quants[input], groups.quants[output]];
                    counts
                        .iter()
                        .all(|count| averages_are_clear(input, output, *count))
                })
            }
            Op::Pointwise(function) => {
                let margin = margin(*function);
                self.table(input, output, &|x| function.eval(x), margin)
            }
            Op::PRelu(slopes) => self.nudge(&[output, input], |groups| {
                let [input, output] = [groups.quants[input], groups.quants[output]];
                let slope = |slope: &f32| {
                    let slope = f64::from(*slope);
                    let function = |x: f64| if x < 0.0 { slope * x } else { x };
                    table_is_clear(input, output, function, LINEAR / 2.0)
                };
                slopes.iter().all(slope)
            }),
            Op::Concat(_) => self.concat(node, output),
            _ => true,
        }
    }

    /// Concat requantizes those of its inputs that do not share its scale.
    fn concat(&mut self, node: &Node, output: usize) -> bool {
        let inputs: BTreeSet<usize> = node
            .inputs
            .iter()
            .map(|input| self.groups.of(*input))
            .collect();
        let others = inputs.into_iter().filter(|input| *input != output);
        let others: Vec<usize> = others.collect();
        let clear = others.iter().map(|&input| {
            // The output is last to move: the other inputs depend on it.
            let own = self.nudge(&[input], |groups| {
                table_is_clear(groups.quants[input], groups.quants[output], |x| x, LINEAR)
            });
            self.fixed[output] = true;
            own
        });
        clear.fold(true, |all, clear| all & clear)
    }

    fn table(
        &mut self,
        input: usize,
        output: usize,
        function: &dyn Fn(f64) -> f64,
        margin: f64,
    ) -> bool {
        self.nudge(&[output, input], |groups| {
            table_is_clear(
                groups.quants[input],
                groups.quants[output],
                function,
                margin,
            )
        })
    }

    fn binary(&mut self, op: Binary, ids: [usize; 3]) -> bool {
        let [a, b, output] = ids;
        let quants = |groups: &Groups| ids.map(|id| groups.quants[id]);
        match op {
            Binary::Add => {
                let [qa, qb, qo] = quants(self.groups);
                let sum = Sum {
                    a: qa,
                    b: qb,
                    output: qo,
                    fixed: ids.map(|id| self.fixed[id]),
                    same: a == b,
                };
                // An input that shares its scale with the output cannot move on its own.
                let apart = a != output && b != output;
                if let Some(scales) = sum.grid().filter(|_| apart) {
                    for (id, scale) in ids.into_iter().zip(scales) {
                        self.groups.quants[id].scale = scale;
                        self.fixed[id] = true;
                    }
                    return true;
                }
                self.nudge(&[output, b, a], |groups| {
                    let [a, b, output] = quants(groups);
                    sums_are_clear(a, b, output, 1.0, PAIRS)
                })
            }
            Binary::Sub => self.nudge(&[output, b, a], |groups| {
                let [a, b, output] = quants(groups);
                sums_are_clear(a, b, output, -1.0, PAIRS)
            }),
            Binary::Mul => self.nudge(&[output, b, a], |groups| {
                let [a, b, output] = quants(groups);
                products_are_clear(a, b, output, PAIRS)
            }),
        }
    }

    /// Moves the first of some groups with which `holds` becomes true, and fixes all of them then.
    fn nudge(&mut self, ids: &[usize], holds: impl Fn(&Groups) -> bool) -> bool {
        let free = ids.iter().filter(|id| !self.fixed[**id]);
        let free: Vec<usize> = free.copied().collect();
        let mut found = holds(self.groups);
        for most in MOVES {
            for &id in &free {
                if found {
                    break;
                }
                let start = self.groups.quants[id].scale;
                let moved = nudge(start, most, |scale| {
                    self.groups.quants[id].scale = scale;
                    holds(self.groups)
                });
                self.groups.quants[id].scale = moved.unwrap_or(start);
                found = moved.is_some();
            }
        }
        ids.iter().for_each(|id| self.fixed[*id] |= found);
        found
    }
}

/// How far a function's table must keep off half-way points.
fn margin(function: Pointwise) -> f64 {
    match function {
        Pointwise::Relu
        | Pointwise::Clip { .. }
        | Pointwise::LeakyRelu { .. }
        | Pointwise::HardSigmoid { .. }
        | Pointwise::HardSwish => LINEAR,
        _ => SMOOTH,
    }
}

/// Over how many values the averages of a layer go; none where they go over the whole input, which is
/// summed as integers everywhere.
fn counts(input: Shape, window: &Window, count_include_pad: bool) -> BTreeSet<u32> {
    let whole = window.kernel.map(u32::from) == [input.height, input.width];
    if whole && window.padding == [0; 4] {
        return BTreeSet::new();
    }
    if count_include_pad {
        return BTreeSet::from([window.taps() as u32]);
    }
    let Some(outputs) = window.output(input.height, input.width) else {
        return BTreeSet::new();
    };
    let inside = |axis: usize, size: u32| -> BTreeSet<u32> {
        let outputs = (0..outputs[axis]).map(|output| {
            let first = output * u32::from(window.stride[axis]);
            let taps = 0..u32::from(window.kernel[axis]);
            let position = |tap| first + tap * u32::from(window.dilation[axis]);
            let padding = u32::from(window.padding[axis]);
            let inside = |at: &u32| (padding..padding + size).contains(at);
            taps.map(position).filter(inside).count() as u32
        });
        outputs.collect()
    };
    let (rows, columns) = (inside(0, input.height), inside(1, input.width));
    let counts = rows
        .iter()
        .flat_map(|rows| columns.iter().map(move |columns| rows * columns));
    counts.filter(|count| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::groups::group;
    use super::super::lower::plan;
    use super::super::testing::{Net, statistics};
    use super::*;
    use crate::calibrate::Method;

    #[test]
    fn counts_are_those_of_borders() {
        let window = |kernel, padding| Window {
            kernel: [kernel, kernel],
            stride: [2, 2],
            padding: [padding; 4],
            ..Window::default()
        };
        let shape = Shape::new(6, 5, 3);
        let cases: [(Window, bool, &[u32]); 4] = [
            (window(3, 1), false, &[4, 6, 9]),
            (window(3, 1), true, &[9]),
            (window(2, 0), false, &[4]),
            (
                Window {
                    kernel: [6, 5],
                    ..Window::default()
                },
                false,
                &[],
            ),
        ];
        for (window, include, expected) in cases {
            let found: Vec<u32> = counts(shape, &window, include).into_iter().collect();
            assert_eq!(found, expected, "{window:?}");
        }
    }

    #[test]
    fn every_kind_of_layer_settles() {
        let window = |kernel| Window {
            kernel: [kernel; 2],
            padding: [1; 4],
            ..Window::default()
        };
        let nets = [
            (
                "residuals",
                Net::new([6, 5, 3])
                    .conv(8, 3, 1)
                    .pointwise(Pointwise::Relu)
                    .conv(8, 3, 1)
                    .add(2)
                    .pointwise(Pointwise::Relu)
                    .conv(8, 3, 1)
                    .add(5),
            ),
            (
                "gate",
                Net::new([6, 5, 3])
                    .conv(8, 3, 1)
                    .global_average()
                    .conv(8, 1, 1)
                    .pointwise(Pointwise::Sigmoid)
                    .binary(Binary::Mul, 1),
            ),
            (
                "difference",
                Net::new([6, 5, 3])
                    .conv(8, 3, 1)
                    .conv(8, 3, 1)
                    .binary(Binary::Sub, 1),
            ),
            (
                "silu",
                Net::new([6, 5, 3])
                    .conv(8, 3, 1)
                    .pointwise(Pointwise::Silu)
                    .conv(8, 3, 1)
                    .pointwise(Pointwise::HardSwish),
            ),
            (
                "average 2",
                Net::new([6, 5, 3]).conv(8, 3, 1).average(window(2), false),
            ),
            (
                "average 3",
                Net::new([6, 5, 3]).conv(8, 3, 1).average(window(3), false),
            ),
            (
                "average 3 with padding",
                Net::new([6, 5, 3]).conv(8, 3, 1).average(window(3), true),
            ),
            ("prelu", Net::new([6, 5, 3]).conv(8, 3, 1).prelu()),
            (
                "concat",
                Net::new([6, 5, 3])
                    .conv(8, 3, 1)
                    .pointwise(Pointwise::Relu)
                    .conv(4, 3, 1)
                    .concat(2),
            ),
        ];
        for (name, net) in nets {
            let graph = net.graph();
            let plan = plan(&graph);
            let statistics = statistics(&graph);
            let mut groups = group(&graph, &plan, &statistics, Method::MinMax);
            let before = groups.clone();
            assert_eq!(settle(&graph, &plan, &mut groups), [""; 0], "{name}");
            // Once settled, nothing moves.
            let mut again = groups.clone();
            settle(&graph, &plan, &mut again);
            assert_eq!(again.quants, groups.quants, "{name}");
            for (old, new) in before.quants.iter().zip(&groups.quants) {
                assert!((new.scale / old.scale - 1.0).abs() < 0.031, "{name}");
                assert_eq!(old.zero_point, new.zero_point);
            }
        }
    }
}
