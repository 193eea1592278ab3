use core::fmt;

use kiln_core::preprocess::PreprocessError;
use kiln_core::{FormatError, RunError};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SessionError {
    /// There is no more memory.
    Memory(usize),
    /// The bytes are no model.
    Format(FormatError),
    /// The bytes have changed since they were written.
    Checksum,
    /// The model asks for more work than a page can do.
    Work(u64),
    /// The engine gives no answer.
    Run(RunError),
    /// The picture does not suit.
    Picture(PreprocessError),
    /// Something was asked for out of turn.
    Order(&'static str),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(len) => write!(f, "{len} bytes of memory are needed, more than there are"),
            Self::Format(error) => error.fmt(f),
            Self::Checksum => {
                f.write_str("the checksum is wrong: the file is damaged; copy or compile it again")
            }
            Self::Work(macs) => write!(
                f,
                "the model takes {macs} multiply-accumulates, too many for a page: run it with kiln-run"
            ),
            Self::Run(error) => error.fmt(f),
            Self::Picture(error) => error.fmt(f),
            Self::Order(first) => write!(f, "out of turn: first {first}"),
        }
    }
}

impl core::error::Error for SessionError {}

impl From<FormatError> for SessionError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<RunError> for SessionError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<PreprocessError> for SessionError {
    fn from(error: PreprocessError) -> Self {
        Self::Picture(error)
    }
}
