//! Which activations share one scale and zero point, and what those are at first.

use super::lower::Plan;
use crate::calibrate::{Method, Statistics};
use crate::graph::{Graph, Op, Quant, ValueId};

/// The least scale: below, a range counts as empty.
const LEAST: f32 = 1e-20;

/// Activations by what they share.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    /// For each value of the graph, its group.
    of: Vec<usize>,
    /// For each group.
    pub quants: Vec<Quant>,
}

impl Groups {
    /// The group of a value.
    pub fn of(&self, value: ValueId) -> usize {
        self.of[value]
    }

    /// Gives each group that has a value with a quantization of its own that one.
    pub fn replace(&mut self, quants: &[Option<Quant>]) {
        for (group, quant) in self.of.iter().zip(quants) {
            self.quants[*group] = quant.unwrap_or(self.quants[*group]);
        }
    }

    /// The quantization of a value.
    pub fn quant(&self, value: ValueId) -> Quant {
        self.quants[self.of[value]]
    }
}

/// The range of a group while it grows, and the bounds that saturation has to clamp to.
#[derive(Clone, Copy)]
struct Range {
    low: f32,
    high: f32,
    bounds: (f32, f32),
}

impl Range {
    fn union(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            bounds: (
                self.bounds.0.max(other.bounds.0),
                self.bounds.1.min(other.bounds.1),
            ),
        }
    }

    fn is_sound(self) -> bool {
        self.bounds.0 <= self.low && self.high <= self.bounds.1
    }

    /// 256 integers over the range. Where nothing but 0 was seen, over what is around it, as far as the bounds go: a
    /// clamp that let nothing through stays one.
    fn quant(self) -> Quant {
        let reach = self.high.max(0.0) - self.low.min(0.0);
        match reach / 255.0 < LEAST {
            true => quant(self.bounds.0.max(-0.5), self.bounds.1.min(0.5)),
            false => quant(self.low, self.high),
        }
    }
}

/// Groups of the values that layers write, quantized by `method`. The model's input and its logits have
/// all that was seen: pictures end where they end, and the largest logit decides.
pub(super) fn group(
    graph: &Graph,
    plan: &Plan,
    statistics: &[Statistics],
    method: Method,
) -> Groups {
    let range = |value: ValueId| {
        let whole = value == graph.input || value == graph.output;
        let method = if whole { Method::MinMax } else { method };
        let (low, high) = method.range(&statistics[value]);
        let bounds = plan.bounds[value].unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        Range {
            low: low.max(bounds.0),
            high: high.min(bounds.1),
            bounds,
        }
    };
    let mut ranges: Vec<Range> = (0..graph.values.len()).map(range).collect();
    let mut of: Vec<usize> = (0..graph.values.len()).collect();
    for step in &plan.steps {
        let node = &graph.nodes[step.node];
        let [input, output] = [find(&of, node.inputs[0]), find(&of, step.output)];
        match &node.op {
            // What is written was read, so the input's range is enough.
            Op::MaxPool(_) | Op::Resize(_) => of[output] = input,
            Op::Pad { value, .. } => {
                of[output] = input;
                let range = &mut ranges[input];
                (range.low, range.high) = (range.low.min(*value), range.high.max(*value));
            }
            _ => {}
        }
    }
    for step in &plan.steps {
        let node = &graph.nodes[step.node];
        if let Op::Concat(_) = node.op {
            share_concat(&mut of, &mut ranges, &node.inputs, step.output);
        }
    }
    let roots: Vec<usize> = (0..of.len()).map(|value| find(&of, value)).collect();
    Groups {
        quants: ranges.into_iter().map(Range::quant).collect(),
        of: roots,
    }
}

/// Concat has one scale in any case: its inputs take it on where saturation still clamps as it should.
fn share_concat(of: &mut [usize], ranges: &mut [Range], inputs: &[ValueId], output: ValueId) {
    let output = find(of, output);
    let all = inputs.iter().fold(ranges[output], |all, &input| {
        let input = ranges[find(of, input)];
        Range {
            bounds: all.bounds,
            ..all.union(input)
        }
    });
    ranges[output] = all;
    for &input in inputs {
        let (input, output) = (find(of, input), find(of, output));
        let both = ranges[input].union(ranges[output]);
        if input != output && both.is_sound() {
            of[input] = output;
            ranges[output] = both;
        }
    }
}

fn find(of: &[usize], mut value: usize) -> usize {
    while of[value] != value {
        value = of[value];
    }
    value
}

/// 256 integers over a range that holds 0, which one of them stands for exactly.
fn quant(low: f32, high: f32) -> Quant {
    let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
    let step = (high - low) / 255.0;
    if (step as f32) < LEAST {
        // Nothing but 0 can be: any scale will do that gives ordinary multipliers.
        return Quant {
            scale: 1.0 / 256.0,
            zero_point: 0,
            unsigned: true,
        };
    }
    let below = (-low / step).round().clamp(0.0, 255.0);
    // Both ends stay inside: the scale grows by what the zero point was rounded.
    let needed = |reach: f64, steps: f64| if steps > 0.0 { reach / steps } else { 0.0 };
    let scale = needed(-low, below).max(needed(high, 255.0 - below));
    Quant {
        scale: scale as f32,
        zero_point: (below - 128.0) as i8,
        unsigned: true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::lower::plan;
    use super::super::testing::{Net, statistics};
    use super::*;
    use crate::pointwise::Pointwise;

    #[test]
    fn zero_is_exact_and_the_ends_are_inside() {
        let cases = [
            (0.0, 6.0, -128),
            (-1.0, 0.0, 127),
            (-1.0, 1.0, 0),
            (-0.3, 2.0, -95),
            (-1e-6, 1.0, -128),
            (0.0, 0.0, 0),
            (0.0, 1e-30, 0),
        ];
        for (low, high, zero_point) in cases {
            let found = quant(low, high);
            assert_eq!(found.zero_point, zero_point, "{low}..{high}");
            assert!(found.scale.is_normal());
            let end = |q: f32| (q - f32::from(zero_point)) * found.scale;
            let slack = found.scale * 1e-3;
            assert!(
                end(-128.0) <= low + slack && end(127.0) >= high - slack,
                "{low}..{high}"
            );
        }
    }

    #[test]
    fn a_clamp_that_let_nothing_through_still_clamps() {
        let none = f32::NEG_INFINITY..f32::INFINITY;
        for (bounds, zero_point) in [
            (0.0..f32::INFINITY, -128),
            (0.0..6.0, -128),
            (-1.0..0.0, 127),
            (none, 0),
        ] {
            let range = Range {
                low: 0.0,
                high: 0.0,
                bounds: (bounds.start, bounds.end),
            };
            let found = range.quant();
            assert_eq!(found.zero_point, zero_point, "{bounds:?}");
            let width = 255.0 * found.scale;
            assert!((0.4..1.1).contains(&width), "{bounds:?}: {width}");
        }
    }

    #[test]
    fn copies_share_and_clamps_stay_apart() {
        let relu = Pointwise::Relu;
        // Values: 0 input, 1 conv, 2 relu, 3 pool, 4 conv, 5 concat of pool and conv.
        let net = Net::new([4, 4, 3]).conv(5, 3, 1).pointwise(relu).max_pool();
        let cases = [
            // The second convolution has values below 0, which the relu must not let through.
            (net.clone().conv(5, 1, 1).concat(3), [true, false, true]),
            (
                net.conv(5, 1, 1).pointwise(relu).concat(3),
                [true, true, true],
            ),
        ];
        for (net, expected) in cases {
            let graph = net.graph();
            let plan = plan(&graph);
            let groups = group(&graph, &plan, &statistics(&graph), Method::MinMax);
            let last = graph.output;
            let found = [
                groups.of(2) == groups.of(3),
                groups.of(3) == groups.of(last),
                groups.of(last - 1) == groups.of(last),
            ];
            assert_eq!(found, expected);
            assert_eq!(groups.quant(2).zero_point, -128);
        }
    }

    #[test]
    fn padding_is_inside_the_range() {
        let graph = Net::new([4, 4, 3]).conv(5, 3, 1).pad(-9.5).graph();
        let groups = group(&graph, &plan(&graph), &statistics(&graph), Method::MinMax);
        let quant = groups.quant(1);
        let low = (-128.0 - f32::from(quant.zero_point)) * quant.scale;
        assert!(low <= -9.49, "{low}");
        assert_eq!(groups.of(1), groups.of(2));
    }
}
