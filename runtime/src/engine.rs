//! Quantized models run straight away, by the engine of `kiln-run`.

#[cfg(test)]
mod tests;

pub use kiln_run::engine::{Engine, EngineError, Input, LoadedModel, Ran};
use thiserror::Error;

use crate::compile::{CompileError, Options, compile, host};
use crate::qgraph::QGraph;

/// Why a graph does not run.
#[derive(Debug, Error)]
pub enum BuildError {
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The file that it became is refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What runs a [`QGraph`] on this machine, with no file between.
pub trait OfGraph: Sized {
    /// Compiles a graph in memory.
    ///
    /// # Errors
    ///
    /// Why it does not compile.
    fn of(graph: &QGraph) -> Result<Self, BuildError>;
}

impl OfGraph for LoadedModel {
    fn of(graph: &QGraph) -> Result<Self, BuildError> {
        let options = Options {
            target: host(),
            ..Options::default()
        };
        Ok(Self::from_bytes(&compile(graph, &options)?.bytes)?)
    }
}

impl OfGraph for Engine {
    fn of(graph: &QGraph) -> Result<Self, BuildError> {
        Ok(LoadedModel::of(graph)?.engine())
    }
}
