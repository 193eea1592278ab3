//! The `.kiln` file: parse, check, emit. `runtime/core/FORMAT.md` has it byte by byte.
//!
//! Little endian. A header, then sections in one order, each aligned, so that their lengths say where
//! they are. Every record has `parse` and `emit` side by side; [`File`] emits the whole.
//!
//! [`check()`] is done once, by [`Model::new`](crate::Model::new).

mod check;
mod fields;
mod file;
mod golden;
mod header;
mod layers;
mod records;
mod text;
mod view;

pub use crate::error::{FormatError, Problem};
pub use crate::target::Target;
pub use check::{MAX_WORK, WORK_PER_BYTE, check, max_work};
pub use file::File;
pub use golden::{Drawn, Golden, output_sum};
pub use header::{Header, Section, Span};
pub use layers::{
    BinaryRecord, ConvRecord, CopyRecord, LayerRecord, MAX_RECORD_LEN, PoolRecord, ResizeRecord,
    TableRecord,
};
use records::tensor_of;
pub use records::{
    RECIPE_LEN, TENSOR_LEN, WINDOW_LEN, emit_recipe, emit_tensor, emit_window, parse_recipe,
    parse_tensor, parse_window,
};
pub use text::{Texts, emit_text};
pub use view::{Layers, View};

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"KILN";
/// The version of the format that this engine reads.
pub const VERSION: u16 = 2;
/// What a section's start is a multiple of.
pub const SECTION_ALIGN: usize = 16;
/// What the constants' start is a multiple of.
pub const CONSTANTS_ALIGN: usize = 64;
/// The largest arena: 1 GiB.
pub const MAX_ARENA: u32 = 1 << 30;
/// In a record, what stands for constants that are not there.
pub const NONE: u32 = u32::MAX;
