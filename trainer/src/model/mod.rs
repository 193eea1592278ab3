//! The models.

pub mod fast;
