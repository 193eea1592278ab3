//! What a fresh machine lacks, and how it is installed.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cross::{self, Toolchain};
use crate::npm::Npm;
use crate::repo::{Repo, call, shown};
use crate::stages::Stages;
use crate::venv::Venv;

const NEXTEST: &str = "0.9.143";
const DENY: &str = "0.20.2";
const FUZZ: &str = "0.13.2";
const ARM_COMPILERS: [&str; 2] = ["arm-linux-gnueabihf-gcc", "arm-none-eabi-gcc"];

/// Its names, as web/tests/browser/browser.rs has them.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Something that a chore needs on the machine. Later ones may need earlier ones.
#[derive(Clone, Copy)]
pub enum Need {
    /// A C compiler.
    Compiler,
    /// Python 3.11 or later that can make virtual environments.
    Python,
    /// `cargo nextest`.
    Nextest,
    /// Python packages.
    Packages(&'static Venv),
    /// rustfmt and clippy.
    Components,
    /// `cargo deny`.
    Deny,
    /// A nightly compiler, which can instrument code.
    Nightly,
    /// `cargo fuzz`.
    Fuzz,
    /// Compilers for processors that are not this machine's.
    Targets,
    /// C compilers for 32-bit Arm: with Linux, whose linker Rust takes, and without.
    ArmCompilers,
    /// Emulators of 64-bit and 32-bit Arm.
    Emulator,
    /// An emulator of boards with Cortex-M.
    Boards,
    /// Node, which runs WebAssembly.
    Node,
    /// npm, which installs packages for node.
    Npm,
    /// npm's packages.
    NodePackages(&'static Npm),
    /// A browser that runs without a display.
    Chromium,
}

impl Need {
    /// For running what the source tree builds.
    pub const FOR_BUILD: [Self; 1] = [Self::Compiler];
    /// For the main job, down to a board.
    pub const FOR_QUICKSTART: [Self; 3] = [Self::Compiler, Self::Targets, Self::Boards];
    /// For the tests.
    pub const FOR_TEST: [Self; 10] = [
        Self::Compiler,
        Self::Nextest,
        Self::Python,
        Self::Packages(&Venv::CONFORMANCE),
        Self::Targets,
        Self::Boards,
        Self::Node,
        Self::Npm,
        Self::NodePackages(&Npm::PAGE),
        Self::Chromium,
    ];
    /// For the engine on other processors.
    pub const FOR_CROSS: [Self; 7] = [
        Self::Compiler,
        Self::Targets,
        Self::ArmCompilers,
        Self::Emulator,
        Self::Boards,
        Self::Node,
        Self::Components,
    ];
    /// For counting on emulated boards.
    pub const FOR_MCU: [Self; 3] = [Self::Compiler, Self::Targets, Self::Boards];
    /// For the checks of style.
    pub const FOR_STYLE: [Self; 3] = [Self::Compiler, Self::Components, Self::Deny];
    /// For fuzzing.
    pub const FOR_FUZZ: [Self; 3] = [Self::Compiler, Self::Nightly, Self::Fuzz];
    /// For tests and style.
    pub const FOR_CI: [Self; 14] = [
        Self::Compiler,
        Self::Nextest,
        Self::Python,
        Self::Packages(&Venv::CONFORMANCE),
        Self::Targets,
        Self::Boards,
        Self::ArmCompilers,
        Self::Emulator,
        Self::Node,
        Self::Npm,
        Self::NodePackages(&Npm::PAGE),
        Self::Chromium,
        Self::Components,
        Self::Deny,
    ];
    /// For the comparison with PyTorch.
    pub const FOR_BENCH: [Self; 3] = [Self::Compiler, Self::Python, Self::Packages(&Venv::PYTORCH)];

    /// For the comparison with other engines.
    pub const FOR_INFER: [Self; 3] = [Self::Compiler, Self::Python, Self::Packages(&Venv::PEERS)];

    /// For the comparison with another engine in a browser.
    pub const FOR_WEB: [Self; 6] = [
        Self::Compiler,
        Self::Targets,
        Self::Node,
        Self::Npm,
        Self::NodePackages(&Npm::PEER),
        Self::Chromium,
    ];

    fn what(self) -> &'static str {
        match self {
            Self::Compiler => "a C compiler",
            Self::Python => "Python 3.11 or later with venv",
            Self::Nextest => "cargo-nextest",
            Self::Packages(venv) => venv.what,
            Self::Components => "rustfmt and clippy",
            Self::Deny => "cargo-deny",
            Self::Nightly => "a nightly Rust compiler",
            Self::Fuzz => "cargo-fuzz",
            Self::Targets => "Rust for Arm and WebAssembly",
            Self::ArmCompilers => "C compilers for 32-bit Arm, with Linux and without",
            Self::Emulator => "emulators of 64-bit and 32-bit Arm",
            Self::Boards => "an emulator of boards with Cortex-M",
            Self::Node => "node",
            Self::Npm => "npm",
            Self::NodePackages(npm) => npm.what,
            Self::Chromium => "Chromium",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Compiler => {
                "the memory allocator and the cryptography of remote training are C libraries"
            }
            Self::Python => {
                "the checks of exported ONNX files and the comparisons with peers run in it"
            }
            Self::Nextest => {
                "it runs the tests, each in a process of its own; about two minutes to build"
            }
            Self::Packages(venv) => venv.why,
            Self::Components => "they check format and lints",
            Self::Deny => {
                "it checks the licences and sources of all dependencies; about a minute to build"
            }
            Self::Nightly => "libFuzzer needs code that counts its branches",
            Self::Fuzz => "it builds and runs fuzz targets; about a minute to build",
            Self::Targets => "engine and firmware are built for the processors that they are for",
            Self::ArmCompilers => {
                "kiln-run is linked by one, the example firmware in C built by the other"
            }
            Self::Emulator => {
                "the tests of the engine's kernels for Arm run in one, kiln-run in both"
            }
            Self::Boards => {
                "the firmware runs in it, with its serial line and its display, and the tests of the \
                 engine's kernels for microcontrollers"
            }
            Self::Node => {
                "the tests of the engine's kernels for WebAssembly run in it, and what drives the browser"
            }
            Self::Npm => "it installs what drives the browser",
            Self::NodePackages(npm) => npm.why,
            Self::Chromium => "the tests of the page run in it",
        }
    }

    fn present(self, repo: &Repo) -> bool {
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
    fn needs_root(self) -> bool {
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

    fn install(self, repo: &Repo) -> Result<()> {
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

    fn commands(self, repo: &Repo) -> Vec<Command> {
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

/// Installs what is missing, and says what and why before it does.
///
/// # Errors
/// An installation fails, or needs rights that this user has not: the error gives the command.
pub fn ensure(repo: &Repo, needs: &[Need], stages: &mut Stages) -> Result<()> {
    stages.need("setup", || {
        for need in needs.iter().filter(|need| !need.present(repo)) {
            eprintln!("missing: {}; {}.", need.what(), need.why());
            if need.needs_root() && !can_use_apt(repo) {
                let commands: Vec<_> = need
                    .commands(repo)
                    .iter()
                    .map(|c| format!("sudo {}", shown(c)))
                    .collect();
                bail!(
                    "{} is missing, and installing it needs root. On Debian: {}",
                    need.what(),
                    commands.join(" && ")
                );
            }
            need.install(repo)
                .with_context(|| format!("cannot install {}", need.what()))?;
        }
        Ok(())
    })
}

/// Prints what [`ensure`] would do.
pub fn describe(repo: &Repo, needs: &[Need]) -> Result<()> {
    for need in needs {
        if need.present(repo) {
            println!("{}: there", need.what());
            continue;
        }
        println!("{}: missing; {}", need.what(), need.why());
        for command in need.commands(repo) {
            println!("    $ {}", shown(&command));
        }
    }
    Ok(())
}

fn can_use_apt(repo: &Repo) -> bool {
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
