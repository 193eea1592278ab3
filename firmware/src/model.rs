//! The model that was given to the build, and the app's memory for it.

use kiln_core::Aligned;
use kiln_core::operators::{Operators, Set};

use crate::app::{Buffers, Line};

include!(concat!(env!("OUT_DIR"), "/sizes.rs"));

const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/model.kiln"));

static MODEL: Aligned<[u8; BYTES.len()]> = Aligned::of(BYTES);

/// The operators that the model needs: the program has no others, and refuses another model that needs
/// more.
#[derive(Clone, Copy, Debug)]
pub struct Needed;

impl Operators for Needed {
    const SET: Set = Set::from_bits(OPERATORS);
}

/// The model's file. The compiler is not told that its bytes are known: flash may change.
pub fn bytes() -> &'static [u8] {
    core::hint::black_box(&MODEL.0)
}

/// The app's memory.
#[derive(Debug)]
pub struct Statics {
    /// The model's arena, where pictures are preprocessed too.
    pub arena: Aligned<[u8; ARENA]>,
    /// The ticks of each layer.
    pub layers: [u32; LAYERS],
    /// The line.
    pub line: Line,
}

impl Statics {
    /// All zeros, so that it takes no flash.
    pub const fn new() -> Self {
        Self {
            arena: Aligned([0; ARENA]),
            layers: [0; LAYERS],
            line: Line::new(),
        }
    }

    /// The app's.
    pub fn buffers(&mut self) -> Buffers<'_> {
        Buffers {
            line: &mut self.line,
            arena: &mut self.arena.0,
            layers: &mut self.layers,
        }
    }
}

impl Default for Statics {
    fn default() -> Self {
        Self::new()
    }
}
