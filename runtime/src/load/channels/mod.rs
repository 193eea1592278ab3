//! Takes the Gathers along channels out of a graph: splits, slices and shuffles of channels cost nothing where the
//! layers around them can be arranged for it.
//!
//! - What joins and picks channels (Concat, Gather) moves no values, but says for each channel which layer made it.
//! - A convolution over all channels reads them in whatever order they lie, with its weights' columns in that order.
//! - A layer of which a part is picked is made in parts (`threads` says which), so that each part is read whole: the
//!   rows of a convolution's weights, and the layers of single channels behind it.
//!
//! What has no parts (the model's input, grouped convolutions) is read whole by convolutions, whose weights for the other
//! channels are 0. Where none of this goes (outputs in another order, parts of those in a pool), a 1×1 convolution of zeros
//! and ones moves the channels.

mod convs;
mod places;
mod rewrite;
mod threads;

use std::collections::HashSet;

use super::MAX_CHANNELS;
use super::call::Problem;
use crate::fold::compact;
use crate::graph::{Axis, Conv, Graph, Op};
use rewrite::{Rewrite, Stop};
use threads::Classes;

/// How often a graph is looked at anew, after a layer turned out to have no parts; then none of single channels has.
const ATTEMPTS: usize = 8;

/// What a node does to channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It picks and joins, and computes nothing.
    Moves,
    /// Each channel of its output is made of the same one of all its inputs.
    Single,
    /// All else.
    Mixes,
}

fn role(graph: &Graph, node: usize) -> Role {
    let node = &graph.nodes[node];
    match &node.op {
        Op::Gather(_) | Op::Concat(Axis::Channels) => Role::Moves,
        Op::Conv(conv) if is_depthwise(conv) => Role::Single,
        Op::Conv(_) => Role::Mixes,
        // One by one, so that who adds an operator says here what it does.
        Op::Affine { .. }
        | Op::Binary(_)
        | Op::Pointwise(_)
        | Op::PRelu(_)
        | Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::Concat(Axis::Rows | Axis::Columns)
        | Op::Pad { .. }
        | Op::Resize(_)
        | Op::Quantize(_)
        | Op::Dequantize(_) => Role::Single,
    }
}

/// Whether each output channel reads one input channel, its own. (One channel of one is both; it has no parts.)
fn is_depthwise(conv: &Conv) -> bool {
    let weights = conv.groups * conv.window.taps();
    conv.groups > 1 && conv.bias.len() == conv.groups && conv.weights.len() == weights
}

/// The same graph without Gathers.
///
/// # Errors
/// A graph that is too large for it.
pub fn without_gathers(mut graph: Graph) -> Result<Graph, Problem> {
    let gathers = |op: &Op| matches!(op, Op::Gather(_));
    if !graph.nodes.iter().any(|node| gathers(&node.op)) {
        return Ok(graph);
    }
    // What nothing reads of a Split.
    compact(&mut graph);
    let channels = graph
        .values
        .iter()
        .map(|value| value.shape.channels as usize);
    if channels.sum::<usize>() > MAX_CHANNELS {
        return Err(too_large());
    }
    let mut whole = HashSet::new();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let classes = Classes::new(&graph, &mut whole);
        match Rewrite::new(&graph, &classes).run() {
            Ok(mut rewritten) => {
                compact(&mut rewritten);
                return Ok(rewritten);
            }
            Err(Stop::Whole(node)) if attempt < ATTEMPTS => {
                whole.insert(node);
            }
            Err(Stop::Whole(_)) => whole.extend(0..graph.nodes.len()),
            Err(Stop::Problem(problem)) => return Err(problem),
        }
    }
}

fn too_large() -> Problem {
    Problem::new(
        "its splits and shuffles of channels make too large a network",
        "use fewer of them",
    )
}
