//! ONNX files to [`Graph`]s.
//!
//! | stage | file | what |
//! |---|---|---|
//! | index | `order` | nodes that the output needs, each after those it reads; unsorted files too |
//! | constants | `constant`, `evaluate` | decoded and checked; nodes of constants evaluated by tract, one at a time |
//! | patterns | `patterns` | parts of the graph that compute a known function of one value |
//! | nodes | `walk`, `ops` | one [`Node`](crate::graph::Node) or none each; `view` and `parts` keep track of axes |
//! | channels | `channels` | layers arranged so that channels are split and shuffled without a step of its own |
//!
//! A file's input may be NCHW or NHWC, which nothing in it says: the orders are tried until one fits
//! all nodes. Whatever is not supported is gathered and reported at once.

mod call;
mod channels;
mod constant;
mod evaluate;
mod ops;
mod order;
mod parts;
mod patterns;
mod single;
mod slots;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::graph::{Axis, Graph, Layout, Op};
use crate::onnx::{self, OnnxError, OnnxFile};
use crate::recipe::{ColorText, RecipeText};
use call::Problem;
use constant::{Constant, Data};
use order::Index;
use walk::{Refused, Walk};

/// Values that an activation or a constant may have.
pub const MAX_VALUES: usize = 1 << 27;
/// Values that all activations may have together.
pub const MAX_TOTAL_VALUES: usize = 1 << 29;
/// Channels that all activations of a graph may have together where some are taken out or moved.
const MAX_CHANNELS: usize = 1 << 22;
/// Nodes that a file may have.
pub const MAX_NODES: usize = 100_000;

/// Why a file did not become a [`Graph`].
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file is not usable at all.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The file contradicts itself.
    #[error("{path}: {what}; export the model again, and check the file with `onnx.checker`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Nodes that are not supported: all that were found.
    #[error("{path}: {list}", list = List(nodes))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// One a node.
        nodes: Vec<Unsupported>,
    },
}

/// A node that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// ONNX's operator, with its domain where that is not ONNX's own.
    pub op: String,
    /// The node's name, or that of its output.
    pub node: String,
    /// What is in the way.
    pub why: String,
    /// What to do.
    pub instead: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            op,
            node,
            why,
            instead,
        } = self;
        write!(f, "{op} `{node}`: {why}; {instead}")
    }
}

struct List<'a>(&'a [Unsupported]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => write!(f, "{one}"),
            all => {
                write!(f, "{} nodes are not supported:", all.len())?;
                all.iter().try_for_each(|node| write!(f, "\n  {node}"))
            }
        }
    }
}

/// A graph, and how the file saw its input and its output.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The graph.
    pub graph: Graph,
    /// The sizes of the file's input.
    pub input_dims: Vec<usize>,
    /// The sizes of the file's output.
    pub output_dims: Vec<usize>,
    /// For each axis of the file's output the graph's axes that it runs over, the slowest first;
    /// axes of size 1 are left out.
    pub output_axes: Vec<Vec<Axis>>,
}

/// A constant tensor of floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Floats {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

/// The constant tensors of a file that hold floats, by name.
///
/// # Errors
/// [`LoadError::Malformed`] for a tensor whose sizes and values do not agree.
pub fn floats(file: &OnnxFile) -> Result<BTreeMap<String, Floats>, LoadError> {
    let graph = file.proto.graph.iter();
    let tensors = graph.flat_map(|graph| &graph.initializer);
    let mut floats = BTreeMap::new();
    for tensor in tensors {
        let constant = Constant::decode(tensor).map_err(|cause| LoadError::Malformed {
            path: file.path.clone(),
            what: format!("`{}` {cause}", tensor.name),
        })?;
        if let Data::F32(values) = constant.data {
            let shape = constant.dims;
            floats.insert(tensor.name.clone(), Floats { shape, values });
        }
    }
    Ok(floats)
}

/// Reads the graph of a file. Of two labels, one value is the second one's logit: the first one's is 0.
///
/// # Errors
/// [`LoadError`]: all nodes that are not supported are in one list.
pub fn load(file: &OnnxFile) -> Result<Graph, LoadError> {
    let mut graph = load_with_axes(file)?.graph;
    if file.labels().is_ok_and(|labels| labels.len() == 2) {
        single::two_logits(&mut graph);
    }
    Ok(graph)
}

/// As [`load`], with the axes of the file's input and output.
pub fn load_with_axes(file: &OnnxFile) -> Result<Loaded, LoadError> {
    let malformed = |what: String| LoadError::Malformed {
        path: file.path.clone(),
        what,
    };
    let (name, dims) = file.input()?;
    file.one_output()?;
    let index = Index::new(file, &name).map_err(malformed)?;
    let mut furthest: Option<Refused> = None;
    for (axes, layout) in orders(file, &dims) {
        match Walk::new(file, &index, layout).run(&name, &dims, axes) {
            Ok(mut loaded) => {
                let unsupported = |problem: Problem| LoadError::Unsupported {
                    path: file.path.clone(),
                    nodes: vec![problem.at("the graph", "")],
                };
                loaded.graph = channels::without_gathers(loaded.graph).map_err(unsupported)?;
                forget_stored(&mut loaded.graph);
                return Ok(loaded);
            }
            // What the others say is about an order that the file has not.
            Err(refused) => {
                if furthest
                    .as_ref()
                    .is_none_or(|before| refused.built > before.built)
                {
                    furthest = Some(refused);
                }
            }
        }
    }
    let Some(Refused { nodes, .. }) = furthest else {
        return Err(malformed(format!(
            "its input `{name}` has the sizes {dims:?}; Kiln takes [1, features], [1, channels, \
             length], and [1, channels, rows, columns] with channels first or last"
        )));
    };
    Err(LoadError::Unsupported {
        path: file.path.clone(),
        nodes,
    })
}

/// Of a graph that computes in floats alone, forgets as which integers its weights were stored: they are quantized
/// anew.
fn forget_stored(graph: &mut Graph) {
    if graph.has_integers() {
        return;
    }
    for node in &mut graph.nodes {
        if let Op::Conv(conv) = &mut node.op {
            conv.stored = None;
        }
    }
}

/// What the input's axes may mean, the likeliest first.
fn orders(file: &OnnxFile, dims: &[usize]) -> Vec<(Vec<Vec<Axis>>, Layout)> {
    use Axis::{Channels as C, Columns as W, Rows as H};
    let of = |axes: &[Axis], layout| {
        let mut all = vec![vec![]];
        all.extend(axes.iter().map(|axis| vec![*axis]));
        (all, layout)
    };
    // A grey picture of these sides has no channels.
    let is_picture = |sides: [usize; 2]| {
        let is = |recipe: RecipeText| {
            recipe.color == ColorText::Grey
                && [recipe.height, recipe.width].map(usize::from) == sides
        };
        file.recipe().is_ok_and(is)
    };
    let mut orders = match *dims {
        [1, _] => vec![of(&[C], Layout::Nhwc), of(&[W], Layout::Nhwc)],
        [1, rows, columns] => {
            let mut orders = vec![
                of(&[C, W], Layout::Nchw),
                of(&[H, W], Layout::Nhwc),
                of(&[W, C], Layout::Nhwc),
            ];
            if is_picture([rows, columns]) {
                orders.swap(0, 1);
            }
            orders
        }
        [1, first, _, last] => {
            let mut orders = vec![of(&[C, H, W], Layout::Nchw), of(&[H, W, C], Layout::Nhwc)];
            if [1, 3, 4].contains(&last) && ![1, 3, 4].contains(&first) {
                orders.swap(0, 1);
            }
            orders
        }
        _ => vec![],
    };
    if file.get(onnx::LAYOUT).is_ok_and(|layout| layout == "NHWC") {
        orders.sort_by_key(|(_, layout)| *layout != Layout::Nhwc);
    }
    orders
}
