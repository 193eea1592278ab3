//! `cargo xtask gpu`: the builds that continuous integration is too short for.

use anyhow::Result;

use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;

/// Builds and links `kiln` with the features for GPUs.
pub fn run(repo: &Repo, stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_BUILD, stages)?;
    stages.need("build", || {
        eprintln!("This compiles burn's GPU backends: about 15 minutes on 2 cores.");
        let args = [
            "build",
            "--locked",
            "--package",
            "kiln",
            "--features",
            "cuda,wgpu",
        ];
        call(&mut repo.cargo(&args))
    })
}
