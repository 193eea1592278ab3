//! The float graph, brought to what a quantized one can express and checked.

use kiln_core::window::Window;

use super::QuantizeError;
use crate::graph::{Conv, Graph, Op, ValueId};

/// A layer to be: a node, and behind it the clamps that its output's range expresses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// Index of the node.
    pub node: usize,
    /// What the last of the clamps writes.
    pub output: ValueId,
}

/// Layers to be, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// For each value of the graph: the bounds that its range must not exceed, since saturation is what
    /// clamps to them.
    pub bounds: Vec<Option<(f32, f32)>>,
    /// Clamps that have gone into ranges.
    pub clamps: usize,
}

/// A graph without Affine: what is left of it is a convolution of each channel by itself.
///
/// # Errors
/// Numbers that are not finite, and graphs that are quantized already.
pub(super) fn lower(graph: &Graph) -> Result<Graph, QuantizeError> {
    let mut lowered = graph.clone();
    for node in &mut lowered.nodes {
        let numbers: [&[f32]; 2] = match &node.op {
            Op::Conv(conv) => [&conv.weights, &conv.bias],
            Op::Affine { scale, shift } => [scale, shift],
            Op::PRelu(slope) => [slope, &[]],
            Op::Quantize(_) | Op::Dequantize(_) => {
                return Err(QuantizeError::AlreadyQuantized(node.name.clone()));
            }
            _ => continue,
        };
        if !numbers
            .iter()
            .all(|numbers| numbers.iter().all(|x| x.is_finite()))
        {
            return Err(QuantizeError::NotFinite(node.name.clone()));
        }
        if let Op::Affine { scale, shift } = &node.op {
            node.op = Op::Conv(Conv {
                window: Window::default(),
                groups: scale.len(),
                weights: scale.clone(),
                bias: shift.clone(),
                stored: None,
            });
        }
    }
    Ok(lowered)
}

/// Which nodes become layers. A clamp goes into the layer before it where nothing else reads what is
/// between them and the clamp lets 0 pass, which every range holds.
pub(super) fn plan(graph: &Graph) -> Plan {
    let mut plan = Plan {
        bounds: vec![None; graph.values.len()],
        ..Plan::default()
    };
    let mut gone = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        if gone[index] {
            continue;
        }
        let mut output = node.output;
        let saturates = matches!(
            node.op,
            Op::Conv(_) | Op::Binary(_) | Op::AveragePool { .. }
        );
        while saturates && let Some((clamp, (low, high))) = clamp_after(graph, output) {
            let (before_low, before_high) =
                plan.bounds[output].unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
            output = graph.nodes[clamp].output;
            plan.bounds[output] = Some((low.max(before_low), high.min(before_high)));
            plan.clamps += 1;
            gone[clamp] = true;
        }
        plan.steps.push(Step {
            node: index,
            output,
        });
    }
    plan
}

/// The clamp that alone reads a value, and its bounds.
fn clamp_after(graph: &Graph, value: ValueId) -> Option<(usize, (f32, f32))> {
    let reader = only_reader(graph, value)?;
    let Op::Pointwise(function) = graph.nodes[reader].op else {
        return None;
    };
    let (low, high) = function.clamp()?;
    let inside = pads_inside(graph, graph.nodes[reader].output, (low, high));
    (low <= 0.0 && high > 0.0 && inside).then_some((reader, (low, high)))
}

/// Whether all that is padded of a value, before or after what shares its range, is padded from within bounds.
fn pads_inside(graph: &Graph, value: ValueId, (low, high): (f32, f32)) -> bool {
    graph.readers(value).all(|reader| {
        let node = &graph.nodes[reader];
        let inside = match node.op {
            Op::Pad { value, .. } => (low..=high).contains(&value),
            Op::MaxPool(_) | Op::Resize(_) => true,
            _ => return true,
        };
        inside && pads_inside(graph, node.output, (low, high))
    })
}

/// The node that reads a value, if one alone does and the value is not the model's output.
pub(super) fn only_reader(graph: &Graph, value: ValueId) -> Option<usize> {
    let mut readers = graph.readers(value);
    let reader = readers.next()?;
    (readers.next().is_none() && value != graph.output).then_some(reader)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Net;
    use super::*;
    use crate::pointwise::Pointwise;

    const RELU6: Pointwise = Pointwise::Clip { min: 0.0, max: 6.0 };

    #[test]
    fn clamps_go_into_ranges_where_saturation_can_do_them() {
        let inner = Pointwise::Clip { min: 1.0, max: 2.0 };
        type Case = (Net, usize, Option<(f32, f32)>);
        let cases: [Case; 6] = [
            (
                Net::new([4, 4, 3]).conv(5, 3, 1).pointwise(RELU6),
                1,
                Some((0.0, 6.0)),
            ),
            (
                Net::new([4, 4, 3])
                    .conv(5, 3, 1)
                    .pointwise(Pointwise::Relu)
                    .pointwise(RELU6),
                1,
                Some((0.0, 6.0)),
            ),
            (Net::new([4, 4, 3]).conv(5, 3, 1).pointwise(inner), 2, None),
            (
                Net::new([4, 4, 3]).conv(5, 3, 1).pointwise(Pointwise::Tanh),
                2,
                None,
            ),
            (Net::new([4, 4, 3]).pointwise(Pointwise::Relu), 1, None),
            // The value between is read twice.
            (
                Net::new([4, 4, 3])
                    .conv(3, 3, 1)
                    .pointwise(Pointwise::Relu)
                    .add(1),
                3,
                None,
            ),
        ];
        for (net, steps, bounds) in cases {
            let graph = net.graph();
            let plan = plan(&graph);
            assert_eq!(plan.steps.len(), steps, "{:?}", graph.nodes);
            assert_eq!(plan.bounds[graph.output], bounds);
            assert_eq!(plan.steps.last().unwrap().output, graph.output);
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_named() {
        for broken in [f32::NAN, f32::INFINITY] {
            let mut graph = Net::new([4, 4, 3]).conv(5, 3, 1).affine().graph();
            assert!(lower(&graph).is_ok());
            let Op::Affine { shift, .. } = &mut graph.nodes[1].op else {
                unreachable!()
            };
            shift[2] = broken;
            let error = lower(&graph).unwrap_err().to_string();
            assert!(error.contains("`node_1`"), "{error}");
        }
    }
}
