//! Files of a few nodes, against tract.

mod channels;
mod convs;
mod layouts;
mod pointwise;
mod pytorch;
mod refused;
pub(crate) mod shared;
mod whole;
