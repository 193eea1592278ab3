//! Files of a few nodes, against tract.

mod convs;
mod layouts;
mod pointwise;
mod refused;
mod shared;
