//! `cargo xtask bench NAME`: side by side with a peer, alternating, as a ratio.

use anyhow::Result;
use clap::ValueEnum;

use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;
use crate::test::ALL;
use crate::venv::Venv;

/// What can be measured.
#[derive(Clone, Copy, ValueEnum)]
pub enum Bench {
    /// Training on the CPU, against PyTorch: images a second.
    Train,
}

/// Builds Kiln's side, then runs both sides in turns.
pub fn run(repo: &Repo, bench: Bench, args: &[String], stages: &mut Stages) -> Result<()> {
    match bench {
        Bench::Train => train(repo, args, stages),
    }
}

fn train(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_BENCH, stages)?;
    stages.need("build", || {
        call(repo.cargo(&["build", "--example", "train_speed"]).args(ALL))
    })?;
    let mut python = repo.command(Venv::PYTORCH.python(repo));
    python.arg("benches/compare.py").args(args);
    python
        .arg("--side")
        .arg(repo.target.join("debug/examples/train_speed"));
    python.arg("--side").arg("benches/pytorch/train_speed.py");
    stages.need("bench", || call(&mut python))
}
