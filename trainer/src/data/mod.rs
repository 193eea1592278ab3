//! From a folder of pictures to batches: find, decode, check, split, cache, augment.

pub mod augment;
pub mod cache;
pub mod check;
pub mod clean;
pub mod dataset;
pub mod inspect;
pub mod listing;
pub mod loader;
pub mod near;
pub mod problems;
pub mod random;
pub mod scan;
pub mod synthetic;

use std::path::PathBuf;

pub use kiln_picture as decode;
pub use kiln_picture::Picture;

/// What a sample is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Split {
    /// Seen by the optimiser.
    Train,
    /// Chooses the epoch that is kept; never seen by the optimiser.
    Val,
    /// Seen once, at the end.
    Test,
}

/// One picture file and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Path relative to [`Dataset::root`], with `/` between its parts.
    pub path: String,
    /// Index into [`Dataset::classes`].
    pub class: usize,
}

/// A folder of pictures by class, split three ways.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder.
    pub root: PathBuf,
    /// Class names in label order: the sorted names of the class folders, unless a model has another order
    /// ([`label_as`](Self::label_as)).
    pub classes: Vec<String>,
    /// Samples to learn from, sorted by path.
    pub train: Vec<Sample>,
    /// Samples to choose by, sorted by path.
    pub val: Vec<Sample>,
    /// Samples to report on, sorted by path.
    pub test: Vec<Sample>,
    /// Whether the splits are written down, as folders or in a list, and not drawn.
    pub given: bool,
}
