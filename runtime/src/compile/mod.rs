//! From a [`QGraph`](crate::qgraph::QGraph) to a `.kiln` file for one target.
//!
//! - [`plan`]: where each activation lies in the arena, and in which order the layers run.

pub mod plan;
