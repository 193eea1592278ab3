//! What commands do with a model: show it pictures, compile it for another machine.

pub mod file;
mod pictures;

pub use self::pictures::{Pictures, open_data};
