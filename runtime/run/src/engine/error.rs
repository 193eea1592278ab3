use std::path::PathBuf;

use kiln_core::{FormatError, RunError};

/// Why a model is not loaded or gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no model.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<EngineError>,
    },
    /// The bytes are no model.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The bytes have changed since they were written.
    #[error("the checksum is wrong: the file is damaged; copy or compile it again")]
    Checksum,
    /// The input has a wrong length.
    #[error("the input has {found} values, but the model takes {expected}")]
    Length {
        /// Its values.
        found: usize,
        /// What the model takes.
        expected: usize,
    },
    /// The input is not a number.
    #[error("value {index} of the input is not a number")]
    Nan {
        /// Which value.
        index: usize,
    },
    /// The engine gives no answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A map of another length, or of a class that is none.
    #[error(transparent)]
    Explain(kiln_core::explain::ExplainError),
    /// A golden vector comes out in another way.
    #[error(
        "golden vector {vector} differs from layer `{layer}` on: the model was compiled by another \
         version of Kiln, or this machine computes wrongly"
    )]
    Golden {
        /// Which.
        vector: usize,
        /// The first layer that differs.
        layer: String,
    },
}
