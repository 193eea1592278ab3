//! `cargo xtask test`: everything that asserts something.

use anyhow::Result;

use crate::bench::mcu;
use crate::cross;
use crate::edge;
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;

/// The one set of packages and features that tests, lints and documentation share, so that the
/// dependencies are compiled once for all of them.
pub const ALL: [&str; 4] = ["--locked", "--workspace", "--features", "kiln/remote"];

/// Builds the programs that the tests run, then runs the tests that `args` select (all, if empty).
pub fn run(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_TEST, stages)?;
    stages.need("build", || call(repo.cargo(&["build"]).args(ALL)))?;
    stages.need("build tests", || {
        call(repo.cargo(&["nextest", "run", "--no-run"]).args(ALL))
    })?;
    stages.check("test", repo.cargo(&["nextest", "run"]).args(ALL).args(args));
    if args.is_empty() {
        stages.check("doc tests", repo.cargo(&["test", "--doc"]).args(ALL));
        cross::run(repo, stages)?;
        mcu::check(repo, stages)?;
        edge::run(repo, stages)?;
    }
    Ok(())
}
