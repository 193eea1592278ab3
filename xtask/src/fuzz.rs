//! `cargo xtask fuzz`: files of which nothing can be trusted, made up by libFuzzer.

use anyhow::Result;
use clap::ValueEnum;

use crate::repo::Repo;
use crate::setup::{self, Need};
use crate::stages::Stages;

/// What is fuzzed: a target of `fuzz/fuzz_targets`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Target {
    /// `.kiln` files through the check and the engine.
    Model,
    /// ONNX files through the loader, the folds and the compiler.
    Load,
}

/// Runs a target for some seconds, from the corpus that is checked in. New inputs go into a corpus in
/// the target folder; what it finds stays in `fuzz/artifacts`.
pub fn run(repo: &Repo, target: Target, seconds: u32, stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_FUZZ, stages)?;
    let name = match target {
        Target::Model => "model",
        Target::Load => "load",
    };
    let kept = repo.root.join("fuzz/corpus").join(name);
    let grown = repo.target.join("fuzz-corpus").join(name);
    for folder in [&kept, &grown] {
        std::fs::create_dir_all(folder)?;
    }
    let mut command = repo.command("cargo");
    command
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .args(["fuzz", "run", name, "--target-dir"])
        .arg(repo.target.join("fuzz"))
        .args([&grown, &kept])
        .args(["--", "-timeout=20", "-rss_limit_mb=4096"])
        .arg(format!("-max_total_time={seconds}"));
    stages.check("fuzz", &mut command);
    Ok(())
}
