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

use self::donor::Donor;
use self::exported::Exported;
pub use self::graft::Grafted;
use super::{ModelSpec, Network};
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
    /// The file is another than the run began with.
    #[error(
        "--init: {path} is not the file that `init.blake3` of the run names; take the right one, or \
         leave the key out"
    )]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// The run is not usable.
    #[error("--init: {0}")]
    Run(#[from] RunError),
    /// A network of another build.
    #[error(
        "--init: only networks of depthwise separable blocks (mobilenet-v1, mobilenet-v2, \
         efficientnet-lite, ds-cnn) take over weights; a run's, of any family, go on with the very \
         same [model]"
    )]
    Family,
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
    let exported = Exported::read(path)?;
    if exported.fits(&network, labels) {
        return Ok(exported.give(network, labels, device));
    }
    let donor = exported.donor(labels).map_err(|cause| InitError::File {
        path: path.to_owned(),
        cause,
    })?;
    graft::graft(network, spec, &donor, device)
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
    let mut donor = Donor::of_network(donor).ok_or(InitError::Family)?;
    donor.classifier = donor.classifier.filter(|_| same_classes);
    graft::graft(network, spec, &donor, device)
}

/// What is told where every layer is taken over as it is.
pub fn all_of(network: &Network) -> Grafted {
    Grafted {
        taken: network.convs().len(),
        ..Default::default()
    }
}
