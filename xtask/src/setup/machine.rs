//! What is on a machine, and the commands that bring the rest.

use std::process::Command;

use anyhow::{Result, bail};

use super::Need;
use crate::cross::{self, Toolchain};
use crate::repo::{Repo, call};

const NEXTEST: &str = "0.9.143";
const DENY: &str = "0.20.2";
const FUZZ: &str = "0.13.2";
const ARM_COMPILERS: [&str; 2] = ["arm-linux-gnueabihf-gcc", "arm-none-eabi-gcc"];

/// Its names, as web/tests/browser/browser.rs has them.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

impl Need {
    pub(super) fn present(self, repo: &Repo) -> bool {
        let prints = |program: &str, args: &[&str], start: &str| {
            repo.first_line(program, args)
                .is_some_and(|line| line.starts_with(start))
        };
        match self {
            Self::Compiler => prints("cc", &["--version"], ""),
            Self::Python => prints(
                "python3",
                &[
                    "-c",
                    "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))",
                ],
                "",
            ),
            Self::Nextest => prints(
                "cargo-nextest",
                &["nextest", "--version"],
                "cargo-nextest 0.9.",
            ),
            Self::Components => {
                prints("rustfmt", &["--version"], "") && prints("cargo-clippy", &["--version"], "")
            }
            Self::Deny => prints("cargo-deny", &["--version"], &format!("cargo-deny {DENY}")),
            Self::Nightly => prints("rustup", &["run", "nightly", "rustc", "--version"], "rustc"),
            Self::Fuzz => prints("cargo-fuzz", &["--version"], &format!("cargo-fuzz {FUZZ}")),
            Self::Packages(venv) => venv.is_current(repo),
            Self::Targets => Toolchain::find(repo).is_some(),
            Self::ArmCompilers => ARM_COMPILERS
                .iter()
                .all(|program| prints(program, &["--version"], "")),
            Self::Emulator => ["aarch64", "arm"]
                .iter()
                .all(|processor| cross::emulator(repo, processor).is_some()),
            Self::Boards => prints("qemu-system-arm", &["--version"], "QEMU emulator"),
            Self::Node => prints("node", &["--version"], "v"),
            Self::Npm => prints("npm", &["--version"], ""),
            Self::NodePackages(npm) => npm.is_current(repo),
            Self::Chromium => chromium(repo).is_some(),
        }
    }

    /// Whether its commands are those of the system's package manager.
    pub(super) fn needs_root(self) -> bool {
        matches!(
            self,
            Self::Compiler
                | Self::Python
                | Self::ArmCompilers
                | Self::Emulator
                | Self::Boards
                | Self::Node
                | Self::Npm
                | Self::Chromium
        )
    }

    pub(super) fn install(self, repo: &Repo) -> Result<()> {
        self.commands(repo)
            .iter_mut()
            .try_for_each(call)
            .or_else(|error| self.install_instead(repo, error))?;
        if let Self::Packages(venv) = self {
            venv.mark_current(repo)?;
        }
        if !self.present(repo) {
            bail!(
                "{} was installed and still is not found; is another one first in PATH?",
                self.what()
            );
        }
        Ok(())
    }

    /// What serves as well where the first way has failed.
    fn install_instead(self, repo: &Repo, error: anyhow::Error) -> Result<()> {
        if !matches!(self, Self::Targets) || !can_use_apt(repo) {
            return Err(error);
        }
        eprintln!("{error:#}; trying Debian's compiler, which builds the standard library itself.");
        apt(repo, &cross::DEBIAN_PACKAGES)
            .iter_mut()
            .try_for_each(call)
    }

    pub(super) fn commands(self, repo: &Repo) -> Vec<Command> {
        match self {
            Self::Compiler => apt(repo, &["gcc", "libc6-dev"]),
            Self::Python => apt(repo, &["python3", "python3-venv"]),
            Self::Nextest => vec![cargo_install(repo, "cargo-nextest", NEXTEST)],
            Self::Deny => vec![cargo_install(repo, "cargo-deny", DENY)],
            Self::Fuzz => vec![cargo_install(repo, "cargo-fuzz", FUZZ)],
            Self::Nightly => {
                let mut command = repo.command("rustup");
                command.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
                vec![command]
            }
            Self::Components => {
                let mut command = repo.command("rustup");
                command.args(["component", "add", "rustfmt", "clippy"]);
                vec![command]
            }
            Self::Packages(venv) => venv.commands(repo),
            Self::Targets => {
                let mut command = repo.command("rustup");
                command.args(["target", "add"]).args(Toolchain::targets());
                let mut sources = repo.command("rustup");
                sources.args(["component", "add", "rust-src"]);
                vec![command, sources]
            }
            Self::ArmCompilers => apt(
                repo,
                &[
                    "gcc-arm-linux-gnueabihf",
                    "libc6-dev-armhf-cross",
                    "gcc-arm-none-eabi",
                ],
            ),
            Self::Emulator => apt(repo, &["qemu-user"]),
            Self::Boards => apt(repo, &["qemu-system-arm"]),
            Self::Node => apt(repo, &["nodejs"]),
            Self::Npm => apt(repo, &["npm"]),
            Self::NodePackages(npm) => npm.commands(repo),
            Self::Chromium => apt(repo, &["chromium", "fonts-dejavu-core"]),
        }
    }
}

/// Whether Debian's packages can be installed here.
pub(super) fn can_use_apt(repo: &Repo) -> bool {
    repo.first_line("id", &["-u"]).as_deref() == Some("0")
        && repo.first_line("apt-get", &["--version"]).is_some()
}

/// The name of a Chromium that this machine has.
pub fn chromium(repo: &Repo) -> Option<&'static str> {
    let mut names = CHROMIUM.into_iter();
    names.find(|name| repo.first_line(name, &["--version"]).is_some())
}

fn apt(repo: &Repo, packages: &[&str]) -> Vec<Command> {
    let mut update = repo.command("apt-get");
    update.arg("update");
    let mut install = repo.command("apt-get");
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    vec![update, install]
}

/// Unoptimised and without debug information: such tools take longer to build than they ever run.
fn cargo_install(repo: &Repo, package: &str, version: &str) -> Command {
    let mut command = repo.cargo(&[
        "install",
        package,
        "--locked",
        "--version",
        version,
        "--debug",
        "--root",
    ]);
    command
        .arg(repo.tools())
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("CARGO_TARGET_DIR");
    command
}
