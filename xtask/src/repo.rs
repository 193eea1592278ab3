//! Where things lie, and how other programs are called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The source tree and its target folder.
pub struct Repo {
    /// The workspace's folder.
    pub root: PathBuf,
    /// Cargo's target folder, wherever the user's settings put it.
    pub target: PathBuf,
    path: OsString,
}

impl Repo {
    /// Finds both from where this program lies: `<target>/<profile>/xtask`.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has a parent folder")?;
        let own = env::current_exe().context("cannot find this program's own path")?;
        let target = own
            .ancestors()
            .nth(2)
            .context("this program does not lie in a target folder")?;
        let before = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(target.join("tools/bin")).chain(env::split_paths(&before));
        let path = env::join_paths(folders)
            .context("a folder in PATH has a name that PATH cannot hold")?;
        Ok(Self {
            root: root.to_path_buf(),
            target: target.to_path_buf(),
            path,
        })
    }

    /// Where `cargo install` puts the tools that only this repository uses: `bin/` in here comes
    /// first in every command's PATH.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A command that runs in the workspace's folder and sees the repository's own tools.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root).env("PATH", &self.path);
        command
    }

    /// `cargo ARGS`, with the cargo that runs this program, but without what that cargo told this program
    /// of its own package: build scripts that look at it would run again, and half of the dependencies
    /// with them, whenever a person's cargo and this one take turns.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(env::var_os("CARGO").map_or("cargo".into(), PathBuf::from));
        let ours = env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        ours.for_each(|name| {
            command.env_remove(name);
        });
        command.args(args);
        command
    }

    /// The first line that a command prints on stdout, if it runs and succeeds.
    pub fn first_line(&self, program: &str, args: &[&str]) -> Option<String> {
        let output = self.command(program).args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output
            .status
            .success()
            .then(|| text.lines().next().unwrap_or_default().to_owned())
    }
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = if program.ends_with("cargo") {
        "cargo".as_ref()
    } else {
        program.as_os_str()
    };
    let words = std::iter::once(name).chain(command.get_args());
    let quoted = words.map(|word| match word.to_string_lossy() {
        word if word.contains([' ', '"', '$', ';']) => format!("'{word}'"),
        word => word.into_owned(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Says the command, runs it with its output shown, and fails if it does.
pub fn call(command: &mut Command) -> Result<()> {
    let words = shown(command);
    eprintln!("    $ {words}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{words}`"))?;
    if !status.success() {
        bail!("`{words}` failed ({status})");
    }
    Ok(())
}
