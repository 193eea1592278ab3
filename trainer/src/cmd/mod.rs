//! The command line: one file a command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod check;
pub mod classify;
pub mod compile;
pub mod device;
pub mod eval;
pub mod export;
pub mod manual;
pub mod model;
pub mod npy;
pub mod quantize;
pub mod quickstart;
pub mod report;
pub mod run;
pub mod serve;
pub mod synth;
pub mod train;
pub mod ui;
pub mod verify;
pub mod watch;
pub mod worker;

/// From a folder of pictures to a classifier that runs anywhere: train a CNN, export it to ONNX, quantize
/// it to integers, compile it for a device, and check that all of them agree.
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
  kiln quantize runs/first/model.onnx --calibrate photos
                                         write runs/first/model.int8.onnx
  kiln compile runs/first/model.int8.onnx
                                         write runs/first/model.kiln
  kiln verify runs/first photos          that all three agree
  kiln report runs/first photos          write runs/first/report.html: all that is known about it
  kiln classify runs/first/model.kiln photo.jpg
  kiln device classify qemu:mps2-an386 photo.jpg --model runs/first/model.int8.onnx
  kiln serve runs/first/model.int8.onnx  the same in a web page, with a camera

Exit codes: 0 done, 1 a check said no, 2 an error.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole way, from pictures that Kiln draws to an answer on a microcontroller's display.
    Quickstart(quickstart::QuickstartArgs),
    /// Find broken, doubled and misplaced pictures in a folder.
    Check(check::CheckArgs),
    /// Train a CNN on a folder of pictures.
    Train(Box<train::TrainArgs>),
    /// Measure a run, an ONNX file or a .kiln file on labelled pictures.
    Eval(eval::EvalArgs),
    /// Write a run's model as ONNX and check that it answers as the run does.
    Export(export::ExportArgs),
    /// Bring a float ONNX file to int8, with pictures to calibrate on.
    Quantize(quantize::QuantizeArgs),
    /// Lay a quantized ONNX file out for a target, as one .kiln file.
    Compile(compile::CompileArgs),
    /// Compare the float file, the quantized file and the compiled file of one model.
    Verify(verify::VerifyArgs),
    /// Say what is on pictures.
    Classify(classify::ClassifyArgs),
    /// Classify the pictures that appear in a folder.
    Watch(watch::WatchArgs),
    /// Write what is known about a model as one HTML page.
    Report(report::ReportArgs),
    /// Run a model on a picture or a raw tensor, logits out.
    Run(run::RunArgs),
    /// Ask a microcontroller over a serial port, or one that QEMU plays.
    Device(device::DeviceArgs),
    /// Show a model in a web page, on this machine alone.
    Serve(serve::ServeArgs),
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
    /// Whether it trains networks in this process.
    pub fn trains(&self) -> bool {
        matches!(self, Self::Quickstart(_) | Self::Train(_) | Self::Worker(_))
    }

    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Quickstart(args) => quickstart::run(args),
            Self::Check(args) => check::run(args),
            Self::Train(args) => train::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Export(args) => export::run(args),
            Self::Quantize(args) => quantize::run(args),
            Self::Compile(args) => compile::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Classify(args) => classify::run(args),
            Self::Watch(args) => watch::run(args),
            Self::Report(args) => report::run(args),
            Self::Run(args) => run::run(args),
            Self::Device(args) => device::run(args),
            Self::Serve(args) => serve::run(args),
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
