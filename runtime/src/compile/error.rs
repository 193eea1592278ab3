use kiln_core::FormatError;

/// Why a quantized graph does not become a `.kiln` file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileError {
    /// The graph contradicts itself.
    #[error("layer `{layer}`: {problem}")]
    Layer {
        /// Its name.
        layer: String,
        /// What is wrong.
        problem: String,
    },
    /// A tensor cannot be.
    #[error("tensor `{tensor}`: {problem}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// The sums of a convolution leave 32 bits.
    #[error(
        "layer `{layer}`: output channel {channel} can reach {sum}, which is not within 32 bits: \
         quantize it with larger weight scales or a smaller bias"
    )]
    Overflow {
        /// The convolution.
        layer: String,
        /// The channel.
        channel: usize,
        /// What the accumulator can reach.
        sum: i64,
    },
    /// The recipe is not for the model's input.
    #[error("the recipe makes {recipe} values, but the input `{input}` takes {shape}: {problem}")]
    Recipe {
        /// Its height, width and channels.
        recipe: String,
        /// The input's name.
        input: String,
        /// The input's shape.
        shape: String,
        /// What to do.
        problem: &'static str,
    },
    /// There is not one label for each logit.
    #[error(
        "{labels} labels for {logits} logits: give one label for each, in their order, or none"
    )]
    Labels {
        /// How many labels there are.
        labels: usize,
        /// How many logits there are.
        logits: usize,
    },
    /// The activations are too large.
    #[error(
        "the activations take {bytes} bytes at layer `{layer}`, and the engine has no more than {}: \
         make the input smaller",
        kiln_core::format::MAX_ARENA
    )]
    Arena {
        /// What the plan takes.
        bytes: usize,
        /// The layer at which it takes most.
        layer: String,
    },
    /// More than the format holds, or than the engine accepts.
    #[error("{context}: {source}")]
    Format {
        /// What was being done.
        context: &'static str,
        /// What the engine says.
        source: FormatError,
    },
    /// The engine refuses what was compiled: a bug of the compiler.
    #[error("the engine does not run what was compiled: {0}; please report this")]
    Run(String),
}

impl CompileError {
    pub(super) fn layer(layer: &str, problem: impl Into<String>) -> Self {
        Self::Layer {
            layer: layer.into(),
            problem: problem.into(),
        }
    }
}
