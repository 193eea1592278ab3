//! The parts of a chore: announced when they begin, timed, and summed up at the end.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::repo;

/// Some checks said no; the others ran all the same.
#[derive(Debug)]
pub struct ChecksFailed(Vec<&'static str>);

impl fmt::Display for ChecksFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed: {}", self.0.join(", "))
    }
}

impl std::error::Error for ChecksFailed {}

struct Stage {
    name: &'static str,
    took: Duration,
    passed: bool,
}

/// What was done so far.
pub struct Stages {
    done: Vec<Stage>,
    begun: Instant,
}

impl Stages {
    /// Starts the clock.
    pub fn start() -> Self {
        Self {
            done: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// Runs a part that the following ones need: its error is the end.
    pub fn need(&mut self, name: &'static str, part: impl FnOnce() -> Result<()>) -> Result<()> {
        eprintln!("\n==> {name} (at {} s)", self.begun.elapsed().as_secs());
        let start = Instant::now();
        let result = part();
        self.done.push(Stage {
            name,
            took: start.elapsed(),
            passed: result.is_ok(),
        });
        result
    }

    /// Runs a check: when it fails it is remembered for [`Stages::verdict`], and the chore goes on.
    pub fn check(&mut self, name: &'static str, command: &mut Command) {
        self.check_that(name, || repo::call(command));
    }

    /// The same for a check that is more than one command.
    pub fn check_that(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        if let Err(error) = self.need(name, check) {
            eprintln!("{error:#}");
        }
    }

    /// An error that names the checks that failed, if any did.
    pub fn verdict(&self) -> Result<()> {
        let failed: Vec<_> = self
            .done
            .iter()
            .filter(|s| !s.passed)
            .map(|s| s.name)
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(ChecksFailed(failed).into())
        }
    }

    /// Prints a line for each part: its name, its seconds, and whether it failed.
    pub fn report(&self) {
        if self.done.is_empty() {
            return;
        }
        eprintln!();
        for Stage { name, took, passed } in &self.done {
            let verdict = if *passed { "ok" } else { "FAILED" };
            eprintln!("{name:<16} {:>5} s  {verdict}", took.as_secs());
        }
        eprintln!("{:<16} {:>5} s", "in all", self.begun.elapsed().as_secs());
    }
}
