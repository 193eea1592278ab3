//! `kiln`: parse, dispatch, exit code.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use kiln::cmd::{Cli, ui};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = [
        "warn,kiln=info,burn_remote=error",
        "info,kiln=debug",
        "debug",
    ][usize::from(cli.verbose.min(2))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
    if cli.command.trains() {
        kiln::allocator::keep_freed_memory();
    }
    match cli.command.run() {
        Ok(code) => code,
        // `kiln … | head` is no error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            ui::say(format!("kiln: {}", ui::reason(&error)));
            ExitCode::from(2)
        }
    }
}

/// Only stdout's errors come with no context around them.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let stdout = error.downcast_ref::<io::Error>();
    stdout.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
