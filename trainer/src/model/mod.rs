//! CNN families in burn, built from a configuration.

pub mod config;
pub mod fast;
pub mod init;
mod layout;
pub mod network;
pub mod spec;

pub use config::ModelConfig;
pub use network::{Answer, Network};
pub use spec::{LayerCost, ModelSpec, SpecError};
