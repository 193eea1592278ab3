use thiserror::Error;

/// Why a configuration is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// ResNet's lists differ in length.
    #[error(
        "model: {channels} stages in `channels` but {blocks} in `blocks`; give each stage both"
    )]
    Stages {
        /// Entries in `channels`.
        channels: usize,
        /// Entries in `blocks`.
        blocks: usize,
    },
    /// One of MobileNetV2's lists goes on behind the stages.
    #[error(
        "model: {entries} entries in `{list}` but {stages} stages in `stages`; give each stage at \
         most one"
    )]
    Behind {
        /// The list.
        list: &'static str,
        /// Its entries.
        entries: usize,
        /// Entries in `stages`.
        stages: usize,
    },
    /// A size is zero or absurd.
    #[error("model: {what} is {value}; it must be between 1 and {max}")]
    Size {
        /// Which size.
        what: &'static str,
        /// What it is.
        value: usize,
        /// The largest allowed.
        max: usize,
    },
    /// A kernel that leaves no shortcut to add.
    #[error("model: an inverted residual's kernel is {0}; it must be odd")]
    Even(usize),
    /// Pooling or strides leave no pixels.
    #[error(
        "model: nothing is left of {rows}×{columns} pixels at block {block}; use a larger input \
         (--size) or fewer stages"
    )]
    TooSmall {
        /// Index of the block.
        block: usize,
        /// Rows before it.
        rows: usize,
        /// Columns before it.
        columns: usize,
    },
    /// A width multiplier that is none.
    #[error("model: width must be more than 0 and at most 16")]
    Width,
    /// Dropout outside of 0..1.
    #[error("model: dropout must be at least 0 and less than 1")]
    Dropout,
}
