//! The chores of this repository: `cargo xtask --help`.
//!
//! Every chore first looks for the tools that it needs and installs those that the machine lacks,
//! saying what and why. Nothing is installed twice, and all but system packages and rustup's
//! components goes to the target folder.

mod api;
mod bench;
mod cross;
mod edge;
mod elsewhere;
mod fuzz;
mod gpu;
#[cfg(test)]
mod links;
mod model;
mod npm;
mod on_boards;
mod quickstart;
mod repo;
mod screens;
mod setup;
mod stages;
mod style;
mod test;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::repo::Repo;
use crate::setup::Need;
use crate::stages::{ChecksFailed, Stages};

/// Set up, try, test and measure Kiln from its source tree.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what building and testing need and this machine lacks.
    Setup {
        /// Only say what would be installed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Build `kiln` and run `kiln quickstart`: from drawn pictures to an answer on an emulated board's display.
    Quickstart {
        /// Passed on to `kiln quickstart`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build everything and run all the tests.
    Test {
        /// Passed on to `cargo nextest run`, e.g. a part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the engine's tests on emulated Arm, on WebAssembly and on emulated microcontrollers, and
    /// `kiln-run` and an example in C there.
    Cross,
    /// Feed the engine or the loader with made-up files, for bugs that no test thought of (needs a
    /// nightly compiler).
    Fuzz {
        /// What to fuzz.
        #[arg(value_enum)]
        target: fuzz::Target,
        /// For how long.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Check format, lints, documentation, the licences of the dependencies, and that `kiln-core` shows what
    /// its version promises.
    Style,
    /// Write the listing of what `kiln-core` shows to its users anew: runtime/core/API.txt.
    Api {
        /// Only compare it, as `style` does.
        #[arg(long)]
        check: bool,
    },
    /// Build `kiln-run` for edge Linux, as small as it gets, and compare its size with the budget.
    Edge,
    /// Take the pictures of docs/: the page, a board's display, a heat map, a report.
    Screens,
    /// `test`, then `style`: what continuous integration runs.
    Ci,
    /// Build `kiln` for GPUs (features cuda and wgpu); no GPU, driver or CUDA is needed for that.
    Gpu,
    /// Compare Kiln's speed with the peers that a user would pick instead.
    Bench {
        /// What to measure.
        #[arg(value_enum)]
        name: bench::Bench,
        /// Passed on to the comparison; `-- --help` lists what it takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let mut stages = Stages::start();
    let result = run(Args::parse().chore, &mut stages);
    stages.report();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<ChecksFailed>() { 1 } else { 2 })
        }
    }
}

fn run(chore: Chore, stages: &mut Stages) -> anyhow::Result<()> {
    let repo = Repo::find()?;
    match chore {
        Chore::Setup { dry_run: true } => return setup::describe(&repo, &Need::FOR_CI),
        Chore::Setup { dry_run: false } => setup::ensure(&repo, &Need::FOR_CI, stages)?,
        Chore::Quickstart { args } => quickstart::run(&repo, &args, stages)?,
        Chore::Test { args } => test::run(&repo, &args, stages)?,
        Chore::Cross => cross::run(&repo, stages)?,
        Chore::Fuzz { target, seconds } => fuzz::run(&repo, target, seconds, stages)?,
        Chore::Style => style::run(&repo, stages)?,
        Chore::Ci => {
            test::run(&repo, &[], stages)?;
            style::run(&repo, stages)?;
        }
        Chore::Api { check: true } => stages.check_that("public surface", || api::check(&repo)),
        Chore::Api { check: false } => api::write(&repo)?,
        Chore::Edge => edge::run(&repo, stages)?,
        Chore::Screens => screens::run(&repo, stages)?,
        Chore::Gpu => gpu::run(&repo, stages)?,
        Chore::Bench { name, args } => bench::run(&repo, name, &args, stages)?,
    }
    stages.verdict()
}
