//! `kiln completions` and `kiln man`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// `kiln completions`
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kiln completions bash > ~/.local/share/bash-completion/completions/kiln"
)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

/// `kiln man`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kiln man ~/.local/share/man/man1 && man kiln-train")]
pub struct ManArgs {
    /// The folder for the pages; it is made if need be.
    pub folder: PathBuf,
}

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kiln", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one page a command.
pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let failed = || format!("{}: cannot write the pages", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.folder).with_context(failed)?;
    Ok(ExitCode::SUCCESS)
}
