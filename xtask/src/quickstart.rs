//! `cargo xtask quickstart`: the main job, with no data of one's own.

use anyhow::Result;

use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;

/// Builds `kiln` and runs `kiln quickstart ARGS` in the workspace's folder.
pub fn run(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_QUICKSTART, stages)?;
    stages.need("build", || {
        eprintln!("The first time this compiles all dependencies: about 10 minutes on 2 cores.");
        call(&mut repo.cargo(&["build", "--locked", "--package", "kiln"]))
    })?;
    stages.need("quickstart", || {
        let mut command = repo.cargo(&[
            "run",
            "--quiet",
            "--locked",
            "--package",
            "kiln",
            "--",
            "quickstart",
        ]);
        call(command.args(args))
    })
}
