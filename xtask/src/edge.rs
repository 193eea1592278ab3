//! `cargo xtask edge`: `kiln-run` for edge Linux, as small as it gets. Its size is a budget.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cross::Toolchain;
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;

/// Bytes that `kiln-run` may have, with the decoders of JPEG and PNG.
const BUDGET: u64 = 480_000;
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds it and compares its size with the budget.
pub fn run(repo: &Repo, stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_CROSS, stages)?;
    let toolchain = Toolchain::find(repo).context("no targets were found")?;
    stages.check_that("kiln-run, small", || {
        let program = build(repo, toolchain)?;
        let size = fs::metadata(&program)
            .with_context(|| program.display().to_string())?
            .len();
        eprintln!("{}: {size} bytes, of {BUDGET}", program.display());
        if size > BUDGET {
            bail!("kiln-run has {size} bytes, {} too many", size - BUDGET);
        }
        Ok(())
    });
    Ok(())
}

/// With a standard library of its own, which neither unwinds nor prints backtraces.
fn build(repo: &Repo, toolchain: Toolchain) -> Result<PathBuf> {
    let folder = repo.target.join("edge-build");
    let mut command = repo.cargo(&["build", "--locked", "--package", "kiln-run"]);
    command.args(["--profile", "edge", "--target", TARGET, "--target-dir"]);
    command.arg(&folder);
    command.args([
        "-Zbuild-std=std,panic_abort",
        "-Zbuild-std-features=optimize_for_size",
    ]);
    toolchain.with_sources(&mut command);
    command.env(
        "RUSTFLAGS",
        "-Zunstable-options -Cpanic=immediate-abort -Crelocation-model=static -Cforce-unwind-tables=no",
    );
    call(&mut command)?;
    Ok(folder.join(TARGET).join("edge/kiln-run"))
}
