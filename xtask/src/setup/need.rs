//! What chores need.

use crate::npm::Npm;
use crate::venv::Venv;

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

    /// Its name, for people.
    pub fn what(self) -> &'static str {
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

    /// What it is for.
    pub fn why(self) -> &'static str {
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
}
