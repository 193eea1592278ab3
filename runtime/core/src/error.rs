use core::fmt;

use crate::format;

/// Why bytes are no model: where, and what is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The byte in the file, or in the part of it that was parsed.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with the bytes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes end before the model does.
    Short {
        /// Bytes that there must be at least.
        needed: usize,
    },
    /// The first bytes are not those of a `.kiln` file.
    Magic,
    /// The file is of another version of the format.
    Version {
        /// The version.
        found: u16,
    },
    /// A section's length is not a multiple of its records' length, or the sections do not make up
    /// the file's length.
    Section,
    /// A byte that must be 0 is not, or a flag is neither 0 nor 1.
    Reserved,
    /// No such [`Target`](crate::Target).
    Target {
        /// Its number.
        id: u16,
    },
    /// The arena is larger than one may be.
    Arena {
        /// Its bytes.
        bytes: u32,
    },
    /// No such tensor.
    TensorIndex {
        /// Its number.
        index: u16,
        /// How many there are.
        count: usize,
    },
    /// A tensor has a side of 0.
    Empty,
    /// A tensor, or a layer's scratch, leaves the arena.
    OutsideArena,
    /// No such kind of layer.
    LayerKind {
        /// Its number.
        kind: u8,
    },
    /// A layer's record is none, or names what is not there: all that microcontrollers say of it.
    Layer,
    /// No such operation, fit or colour.
    Choice {
        /// Its number.
        id: u8,
    },
    /// No such packing of weights.
    Packing {
        /// Its number.
        id: u8,
    },
    /// A layer or recipe needs an operator that this program is without.
    Operator,
    /// A kernel, stride or dilation is 0, or the kernel does not fit into the padded input.
    Window,
    /// The channels do not fall into that many groups.
    Groups,
    /// The output's shape is not what the layer makes of its inputs' shapes.
    Shape,
    /// Constants leave their section.
    Constant,
    /// A scale or multiplier is not finite and above zero.
    Scale,
    /// A fixed-point multiplier or shift is out of range.
    Fixed,
    /// The least output is above the greatest.
    Limits,
    /// A name or label is not UTF-8, or its section does not hold as many as it should.
    Text,
    /// The recipe is refused, or is not for the shape of the input.
    Recipe,
    /// The model asks for more work than a file of its size may.
    Work,
    /// Emitting: more than the format can hold.
    Limit,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let damaged = "the file is damaged or was not made by Kiln: compile it again";
        match self {
            Self::Short { needed } => write!(
                f,
                "the model needs at least {needed} bytes: copy the whole file"
            ),
            Self::Magic => f.write_str("this is no .kiln model: make one with `kiln compile`"),
            Self::Version { found } => write!(
                f,
                "format version {found}, but this engine reads {}: compile the model with this \
                 version of Kiln",
                format::VERSION
            ),
            Self::Target { id } => write!(
                f,
                "unknown target {id}: compile the model with this version of Kiln"
            ),
            Self::Packing { id } => write!(
                f,
                "unknown packing of weights {id}: compile the model with this version of Kiln"
            ),
            Self::Section => write!(f, "the sections do not make up the file; {damaged}"),
            Self::Reserved => write!(f, "a flag has no meaning; {damaged}"),
            Self::Arena { bytes } => write!(
                f,
                "an arena of {bytes} bytes, more than {}; {damaged}",
                format::MAX_ARENA
            ),
            Self::TensorIndex { index, count } => {
                write!(f, "tensor {index} of {count}; {damaged}")
            }
            Self::Empty => write!(f, "a tensor with a side of 0; {damaged}"),
            Self::OutsideArena => write!(f, "a tensor or scratch leaves the arena; {damaged}"),
            Self::LayerKind { kind } => write!(
                f,
                "unknown kind of layer {kind}: compile the model with this version of Kiln"
            ),
            Self::Layer => write!(f, "a layer that is none; {damaged}"),
            Self::Choice { id } => write!(
                f,
                "unknown operation {id}: compile the model with this version of Kiln"
            ),
            Self::Operator => f.write_str(
                "it needs an operator that this program was built without: build the program with \
                 this model",
            ),
            Self::Window => write!(f, "a window that does not fit its input; {damaged}"),
            Self::Groups => write!(f, "channels that are no whole number of groups; {damaged}"),
            Self::Shape => write!(f, "a shape that the layer does not make; {damaged}"),
            Self::Constant => write!(f, "constants leave their section; {damaged}"),
            Self::Scale => write!(f, "a scale is not finite and above zero; {damaged}"),
            Self::Fixed => write!(
                f,
                "a fixed-point multiplier or shift is out of range; {damaged}"
            ),
            Self::Limits => write!(f, "the least output is above the greatest; {damaged}"),
            Self::Text => write!(
                f,
                "names or labels are not as many texts in UTF-8; {damaged}"
            ),
            Self::Recipe => write!(f, "the recipe does not fit the input; {damaged}"),
            Self::Work => write!(
                f,
                "more work than {} operations for each byte of model and arena; {damaged}",
                format::WORK_PER_BYTE
            ),
            Self::Limit => f.write_str(
                "more than the format holds: at most 65,535 tensors, layers and bytes of a name, \
                 2^24 - 1 channels and 2 GiB",
            ),
        }
    }
}

impl core::error::Error for FormatError {}
