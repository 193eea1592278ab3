//! Kiln.
fn main() {}
