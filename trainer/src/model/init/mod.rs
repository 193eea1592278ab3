//! Starting from the weights of a network that was trained before: a run of Kiln's, what it exported, or
//! a file of PyTorch's.

mod donor;
mod exported;
mod file;
mod graft;
mod natural;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use thiserror::Error;

use self::exported::Exported;
pub use self::graft::Grafted;
use super::{ModelSpec, Network};
use crate::config::PinError;
use crate::run::RunError;

/// Why a network cannot start from those weights.
#[derive(Debug, Error)]
pub enum InitError {
    /// The file is not usable.
    #[error("--init: {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The file is not there, or another than the run began with.
    #[error("--init: {0}")]
    Pinned(#[from] PinError),
    /// The run is not usable.
    #[error("--init: {0}")]
    Run(#[from] RunError),
    /// A network of another build.
    #[error(
        "--init: only networks of depthwise separable blocks (mobilenet-v1, mobilenet-v2, \
         efficientnet-lite, ds-cnn) take over weights of other layouts; a run of any family goes on with \
         the same layers, at any --size and for any classes"
    )]
    Family,
    /// A run whose weights have batch normalisation folded into them.
    #[error(
        "--init: {path} was trained with --qat, and its weights are those of integers; give the run that it \
         began with"
    )]
    Rounded {
        /// The run.
        path: PathBuf,
    },
    /// A layer reads other channels, or is of another build.
    #[error("--init: {layer} has {wanted}, the weights have {found}; these must be the same")]
    Unlike {
        /// The layer, as in `--dry-run`.
        layer: String,
        /// What the network has.
        wanted: String,
        /// What the weights have.
        found: String,
    },
    /// A layer has more than there is to take.
    #[error(
        "--init: {layer} has {wanted} {what}, the weights have {found}; a network may be narrower \
         than its weights but no wider"
    )]
    Wider {
        /// The layer, as in `--dry-run`.
        layer: String,
        /// Of what.
        what: &'static str,
        /// In the network.
        wanted: usize,
        /// In the weights.
        found: usize,
    },
}

/// Gives `network` the weights of a file; `epsilon` is what the file's batch normalisations add to
/// the variance.
pub fn from_file(
    network: Network,
    spec: &ModelSpec,
    path: &Path,
    epsilon: f32,
    device: &Device,
) -> Result<(Network, Grafted), InitError> {
    graft::graft(network, spec, &file::read(path, epsilon)?, device)
}

/// Gives `network` the weights of an ONNX file that Kiln exported; the last layer's too where the file's
/// classes are `labels`.
pub fn from_exported(
    network: Network,
    spec: &ModelSpec,
    labels: &[String],
    path: &Path,
    device: &Device,
) -> Result<(Network, Grafted), InitError> {
    let exported = Exported::read(path, labels)?;
    let no_donor = |cause| InitError::File {
        path: path.to_owned(),
        cause,
    };
    of_exported(network, spec, &exported, no_donor, device)
}

/// Gives `network` the weights of another network of this program; the last layer's too where they tell
/// the same classes apart.
pub fn from_network(
    network: Network,
    spec: &ModelSpec,
    donor: &Network,
    same_classes: bool,
    device: &Device,
) -> Result<(Network, Grafted), InitError> {
    let exported = Exported::of_network(donor, same_classes);
    of_exported(network, spec, &exported, |_| InitError::Family, device)
}

/// All weights where the layers are the same, else those of each layer that there is to take; `no_donor` is for
/// weights of another build.
fn of_exported(
    network: Network,
    spec: &ModelSpec,
    exported: &Exported,
    no_donor: impl FnOnce(String) -> InitError,
    device: &Device,
) -> Result<(Network, Grafted), InitError> {
    if exported.fits(&network) {
        return Ok(exported.give(network, device));
    }
    graft::graft(network, spec, &exported.donor().map_err(no_donor)?, device)
}

/// What is told where every layer is taken over as it is.
pub fn all_of(network: &Network) -> Grafted {
    Grafted {
        taken: network.convs().len(),
        ..Default::default()
    }
}
