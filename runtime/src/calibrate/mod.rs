//! Ranges of activations, from pictures that are like those to come.
//!
//! [`collect`] runs the float model over a [`Calibration`] and keeps [`Statistics`] of each activation;
//! what is kept does not grow with the number of pictures. [`Method::range`] makes a range of them.

mod histogram;
mod range;
mod statistics;

pub use histogram::Histogram;
pub use range::Method;
pub use statistics::{Channel, Statistics};

use thiserror::Error;

use crate::float_graph::FloatGraph;
use crate::graph::{Graph, ValueId};

/// Inputs that are like those to come, read as often as a pass needs them.
pub trait Calibration {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes an input in NHWC, as the float model takes it.
    ///
    /// # Errors
    /// Says what is wrong with it, by its name.
    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String>;

    /// The class that it shows, if that is known.
    fn label(&self, _index: usize) -> Option<usize> {
        None
    }
}

/// Why calibration stopped.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// There was nothing to calibrate with.
    #[error("no calibration pictures: give a folder with some hundred that are like those to come")]
    Empty,
    /// An input was not read.
    #[error("{0}")]
    Read(String),
    /// The float model did not run.
    #[error("the float model: {0}")]
    Run(String),
    /// An activation overflowed.
    #[error(
        "`{value}` takes {count} values that are not finite: the float model is broken or its inputs are \
         not what it was trained on; run it in float and check its logits"
    )]
    NotFinite {
        /// The activation's name.
        value: String,
        /// Values that are infinite or no number.
        count: u64,
    },
}

/// Statistics of each of `graph.values` for which `wanted` says so; empty ones for the rest.
///
/// `progress` is told how many inputs are done.
pub fn collect(
    graph: &Graph,
    calibration: &mut dyn Calibration,
    wanted: &dyn Fn(ValueId) -> bool,
    progress: &dyn Fn(usize),
) -> Result<Vec<Statistics>, CalibrateError> {
    if calibration.is_empty() {
        return Err(CalibrateError::Empty);
    }
    let channels = |value: &crate::graph::Value| value.shape.channels as usize;
    let mut statistics: Vec<Statistics> = graph
        .values
        .iter()
        .map(|value| Statistics::new(channels(value)))
        .collect();
    let mut model = FloatGraph::new(graph);
    let mut input = vec![0.0; graph.shape(graph.input).len()];
    for index in 0..calibration.len() {
        calibration
            .read(index, &mut input)
            .map_err(CalibrateError::Read)?;
        let mut observe = |value: ValueId, values: &[f32]| {
            if wanted(value) {
                statistics[value].add(values);
            }
        };
        let run = model.run(&input, &mut observe);
        run.map_err(|error| CalibrateError::Run(error.to_string()))?;
        progress(index + 1);
    }
    let broken = |(value, statistics): (usize, &Statistics)| {
        (statistics.broken > 0).then(|| CalibrateError::NotFinite {
            value: graph.values[value].name.clone(),
            count: statistics.broken,
        })
    };
    match statistics.iter().enumerate().find_map(broken) {
        Some(error) => Err(error),
        None => Ok(statistics),
    }
}
