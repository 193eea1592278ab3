//! `cargo xtask cross`: the engine on the processors that it is for and this machine has not.
//!
//! Its tests run on each instruction set that has kernels of its own: 64-bit Arm in an emulator,
//! WebAssembly in node. For microcontrollers it is built, and their kernels are compared with the plain
//! loops on emulated boards. At last `kiln-run` and the example in C run there whole.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::elsewhere;
use crate::on_boards;
use crate::repo::Repo;
use crate::setup::{self, Need};
use crate::stages::Stages;

/// Built for, without the standard library: no atomics (M0), M3, M4 and M7, M33 and M55.
const MICROCONTROLLERS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
];
/// A core whose code a board in QEMU runs.
pub struct Machine {
    /// What it is called.
    pub core: &'static str,
    /// The comparison's stage.
    stage: &'static str,
    /// What it is built for.
    pub triple: &'static str,
    /// `-C target-cpu`, where the target's own is less.
    pub cpu: Option<&'static str>,
    /// QEMU's board.
    pub board: &'static str,
    /// The board's timer's.
    pub ticks_per_second: u32,
}

const fn machine(
    core: &'static str,
    stage: &'static str,
    triple: &'static str,
    board: &'static str,
    ticks_per_second: u32,
) -> Machine {
    Machine {
        core,
        stage,
        triple,
        cpu: None,
        board,
        ticks_per_second,
    }
}

/// One for each kind of kernels.
pub const MACHINES: [Machine; 5] = [
    machine(
        "m0plus",
        "kernels for M0+",
        MICROCONTROLLERS[0],
        "mps2-an386",
        25_000_000,
    ),
    machine(
        "m3",
        "kernels for M3",
        MICROCONTROLLERS[1],
        "mps2-an386",
        25_000_000,
    ),
    machine(
        "m4",
        "kernels for M4",
        MICROCONTROLLERS[2],
        "mps2-an386",
        25_000_000,
    ),
    machine(
        "m33",
        "kernels for M33",
        MICROCONTROLLERS[3],
        "mps2-an505",
        20_000_000,
    ),
    Machine {
        cpu: Some("cortex-m55"),
        ..machine(
            "m55",
            "kernels for M55",
            MICROCONTROLLERS[3],
            "mps3-an547",
            32_000_000,
        )
    },
];
/// 64-bit Arm with Linux.
pub const ARM: &str = "aarch64-unknown-linux-musl";
/// 32-bit Arm with Linux.
pub const ARMV7: &str = "armv7-unknown-linux-gnueabihf";
const WASM: &str = "wasm32-wasip1";
/// kiln-web builds the page's engine for it.
const PAGE: &str = "wasm32-unknown-unknown";

/// Debian's compiler has the standard library's sources, and a linker for each target.
pub const DEBIAN_ARM: &str = "aarch64-unknown-linux-gnu";
const DEBIAN: [&str; 5] = [
    "/usr/bin/rustc",
    "/usr/lib/rustlib/src/rust/library/vendor",
    "/usr/bin/wasm-ld-22",
    "/usr/lib/wasm32-wasi/libc.a",
    "/usr/bin/aarch64-linux-gnu-gcc",
];
/// It links for microcontrollers.
const DEBIAN_LINKER: &str = "/usr/bin/ld.lld-22";
/// The packages that bring it.
pub const DEBIAN_PACKAGES: [&str; 6] = [
    "rustc-web",
    "rust-web-src",
    "lld-22",
    "wasi-libc",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
];

/// Where the standard library for other processors comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// The compiler of every other build; rustup adds targets to it.
    Rustup,
    /// Debian's compiler, for machines that do not reach rustup's server: it builds the standard
    /// library from its sources.
    Debian,
}

impl Toolchain {
    /// What this machine has.
    pub fn find(repo: &Repo) -> Option<Self> {
        let sysroot = repo.first_line("rustc", &["--print", "sysroot"])?;
        let libraries = Path::new(&sysroot).join("lib/rustlib");
        let added = |target: &&str| libraries.join(target).join("lib").is_dir();
        let sources = libraries.join("src/rust/library").is_dir();
        if sources && Self::targets().iter().all(added) {
            Some(Self::Rustup)
        } else if DEBIAN.iter().all(|file| Path::new(file).exists()) {
            Some(Self::Debian)
        } else {
            None
        }
    }

    /// What rustup is to add.
    pub fn targets() -> Vec<&'static str> {
        MICROCONTROLLERS
            .into_iter()
            .chain([ARM, ARMV7, WASM, PAGE])
            .collect()
    }

    fn arm(self) -> &'static str {
        match self {
            Self::Rustup => ARM,
            Self::Debian => DEBIAN_ARM,
        }
    }

    /// Lets a command of cargo build the standard library from its sources.
    pub fn with_sources(self, command: &mut Command) {
        if self == Self::Debian {
            command.env("RUSTC", DEBIAN[0]);
        }
        command.env("RUSTC_BOOTSTRAP", "1");
    }

    /// `cargo DO --package kiln-core`, but for targets.
    fn cargo(self, repo: &Repo, what: &str, crates: &str) -> Command {
        let mut command = repo.cargo(&[what, "--locked", "--package", "kiln-core", "--lib"]);
        if self == Self::Debian {
            command
                .arg(format!("-Zbuild-std={crates}"))
                .arg("--target-dir")
                .arg(repo.target.join("cross"));
            self.with_sources(&mut command);
        }
        command
    }

    /// Sets linker and flags of a target that runs.
    pub fn set(self, command: &mut Command, target: &str) {
        let (linker, flags): (_, &[&str]) = match (self, target) {
            (Self::Rustup, ARM) => (Some("rust-lld"), &[]),
            (_, ARMV7) => (
                Some("arm-linux-gnueabihf-gcc"),
                &["-Ctarget-feature=+crt-static"],
            ),
            (Self::Rustup, _) => (None, &["-Ctarget-feature=+simd128"]),
            (Self::Debian, DEBIAN_ARM) => (
                Some("aarch64-linux-gnu-gcc"),
                &["-Ctarget-feature=+crt-static"],
            ),
            // This C library is older than Rust's; it lacks functions of threads, which nobody calls.
            (Self::Debian, _) => (
                Some("wasm-ld-22"),
                &[
                    "-Ctarget-feature=+simd128",
                    "-Clinker-flavor=wasm-ld",
                    "-Clink-self-contained=no",
                    "-L/usr/lib/wasm32-wasi",
                    "-Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o",
                    "-Clink-arg=--unresolved-symbols=ignore-all",
                ],
            ),
        };
        if let Some(linker) = linker {
            command.args(["--config", &format!("target.{target}.linker={linker:?}")]);
        }
        if !flags.is_empty() {
            command.args(["--config", &format!("target.{target}.rustflags={flags:?}")]);
        }
    }
}

/// The emulator of a processor; Debian's static build has a name of its own.
pub fn emulator(repo: &Repo, processor: &str) -> Option<String> {
    [
        format!("qemu-{processor}"),
        format!("qemu-{processor}-static"),
    ]
    .into_iter()
    .find(|name| repo.first_line(name, &["--version"]).is_some())
}

/// Runs the tests and builds.
pub fn run(repo: &Repo, stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_CROSS, stages)?;
    let toolchain = Toolchain::find(repo).context("no targets were found")?;
    let emulator = emulator(repo, "aarch64").context("no emulator was found")?;
    let wasi = repo.root.join("xtask/wasi.mjs");

    let on = |cpu: &str| [&emulator, "-cpu", cpu].map(PathBuf::from).to_vec();
    let node = vec!["node".into(), "--no-warnings".into(), wasi];
    let arm = toolchain.arm();
    // Only kernels find out on which processor they run. What WebAssembly has captured of a test is
    // lost when that fails.
    let runs: [(_, _, _, &[&str]); 3] = [
        ("Arm with dotprod", arm, on("max"), &[]),
        ("Arm without", arm, on("cortex-a53"), &["arch::"]),
        ("WebAssembly", WASM, node, &["--nocapture"]),
    ];
    for (stage, target, runner, args) in runs {
        let mut tests = tests(repo, toolchain, target, &runner);
        stages.check(stage, tests.arg("--").args(args));
    }

    if toolchain == Toolchain::Rustup {
        let mut lints = toolchain.cargo(repo, "clippy", "");
        lints.args(["--tests", "--target", ARM, "--target", WASM]);
        for target in [ARM, WASM] {
            toolchain.set(&mut lints, target);
        }
        stages.check("lints", lints.args(["--", "--deny", "warnings"]));
    }

    let mut build = toolchain.cargo(repo, "build", "core");
    build.args(
        MICROCONTROLLERS
            .iter()
            .flat_map(|target| ["--target", target]),
    );
    stages.check("microcontrollers", &mut build);
    for machine in &MACHINES {
        stages.check(machine.stage, &mut on_board(repo, "kernels", machine, &[])?);
    }
    stages.check_that("hostile files on boards", || {
        on_boards::run(repo, "hostile")
    });
    stages.check_that("arenas on boards", || on_boards::run(repo, "arena"));
    stages.check_that("kiln-run elsewhere", || {
        elsewhere::kiln_run(repo, toolchain)
    });
    stages.check_that("firmware for RP2350", || {
        elsewhere::firmware_of_a_real_board(repo, toolchain)
    });
    stages.check_that("firmware in C", || {
        elsewhere::firmware_in_c(repo, toolchain)
    });
    Ok(())
}

/// Runs a program of `runtime/core/tests-mcu` on an emulated board.
///
/// # Errors
/// There is no compiler for it.
pub fn on_board(repo: &Repo, program: &str, machine: &Machine, more: &[&str]) -> Result<Command> {
    let target = machine.triple;
    let cpu = machine.cpu.map(|cpu| format!("-Ctarget-cpu={cpu}"));
    let mut flags: Vec<String> = cpu.into_iter().collect();
    let toolchain = Toolchain::find(repo).context("no targets were found")?;
    let mut command = repo.cargo(&["run", "--locked", "--release", "--bin", program]);
    command
        .args(["--target", target, "--manifest-path"])
        .arg(repo.root.join("runtime/core/tests-mcu/Cargo.toml"))
        .arg("--target-dir")
        .arg(repo.target.join("mcu"));
    if toolchain == Toolchain::Debian {
        command.arg("-Zbuild-std=core");
        command.args([
            "--config",
            &format!("target.{target}.linker={DEBIAN_LINKER:?}"),
        ]);
        flags.push("-Clinker-flavor=ld.lld".into());
        toolchain.with_sources(&mut command);
    }
    command.args(["--config", &format!("target.{target}.rustflags={flags:?}")]);
    // As firmware is built.
    command.args(kiln_source::engine_args(target, "release"));
    // A board that hangs is ended.
    let mut runner = vec![
        "timeout",
        "600",
        "qemu-system-arm",
        "-machine",
        machine.board,
    ];
    for silent in ["-display", "-serial", "-monitor"] {
        runner.extend([silent, "none"]);
    }
    runner.extend(["-semihosting-config", "enable=on,target=native"]);
    runner.extend(more);
    runner.push("-kernel");
    command.args(["--config", &format!("target.{target}.runner={runner:?}")]);
    Ok(command)
}

/// Where the program lies that [`on_board`] ran last.
pub fn program(repo: &Repo, program: &str, machine: &Machine) -> PathBuf {
    let folder = repo.target.join("mcu").join(machine.triple);
    folder.join("release").join(program)
}

fn tests(repo: &Repo, toolchain: Toolchain, target: &str, runner: &[PathBuf]) -> Command {
    let mut command = toolchain.cargo(repo, "test", "std,panic_abort,test");
    command.args(["--target", target]);
    toolchain.set(&mut command, target);
    command.args(["--config", &format!("target.{target}.runner={runner:?}")]);
    command
}
