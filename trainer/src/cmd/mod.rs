//! The command line: one file a command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod check;
pub mod eval;
pub mod export;
pub mod manual;
pub mod quickstart;
pub mod synth;
pub mod train;
pub mod ui;
pub mod worker;

/// From a folder of pictures to a classifier: train a CNN, evaluate it, export it to ONNX.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more: -v what happens, -vv every detail.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

const AFTER: &str = "\
Examples:
  kiln quickstart                        the whole way on pictures that Kiln draws itself
  kiln check photos                      what is wrong with a folder of pictures
  kiln train photos --out runs/first     train the default network on it
  kiln eval runs/first photos            how good it is on the test split
  kiln export runs/first                 write runs/first/model.onnx

Exit codes: 0 done, 1 a check said no, 2 an error.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole way, from pictures that Kiln draws to an exported model.
    Quickstart(quickstart::QuickstartArgs),
    /// Find broken, doubled and misplaced pictures in a folder.
    Check(check::CheckArgs),
    /// Train a CNN on a folder of pictures.
    Train(Box<train::TrainArgs>),
    /// Measure a run or an ONNX file on labelled pictures.
    Eval(eval::EvalArgs),
    /// Write a run's model as ONNX and check that it answers as the run does.
    Export(export::ExportArgs),
    /// Draw a synthetic set of cats' and dogs' faces.
    Synth(synth::SynthArgs),
    /// Compute for a `kiln train --device remote:…` on another machine.
    Worker(worker::WorkerArgs),
    /// Print a completion script for a shell.
    Completions(manual::CompletionsArgs),
    /// Write the manual pages.
    Man(manual::ManArgs),
}

impl Command {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Quickstart(args) => quickstart::run(args),
            Self::Check(args) => check::run(args),
            Self::Train(args) => train::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Export(args) => export::run(args),
            Self::Synth(args) => synth::run(args),
            Self::Worker(args) => worker::run(args),
            Self::Completions(args) => manual::completions(args),
            Self::Man(args) => manual::man(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
