//! The boards that QEMU plays.

use kiln_core::Target;

/// A board that QEMU plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emulated {
    /// As it is named on the command line, and the firmware's binary and feature.
    pub name: &'static str,
    /// QEMU's name.
    pub machine: &'static str,
    /// What it is, for people.
    pub words: &'static str,
    /// What models are compiled for.
    pub target: Target,
    /// What the firmware is compiled for.
    pub triple: &'static str,
    /// More for rustc.
    pub rustflags: &'static str,
    /// Where QEMU draws the board's display: pixels of a screendump, across and down, for each of the
    /// display's.
    pub zoom: Option<u32>,
}

/// All of them, the smallest core first.
pub const EMULATED: [Emulated; 5] = [
    Emulated {
        name: "lm3s6965evb",
        machine: "lm3s6965evb",
        words: "Cortex-M3, 256 KB flash, 64 KB RAM, 128x64 OLED",
        target: Target::CortexM3,
        triple: "thumbv7m-none-eabi",
        rustflags: "",
        zoom: Some(4),
    },
    Emulated {
        name: "mps2-an386",
        machine: "mps2-an386",
        words: "Cortex-M4F, 4 MB flash, 4 MB RAM",
        target: Target::CortexM4,
        triple: "thumbv7em-none-eabihf",
        rustflags: "",
        zoom: None,
    },
    Emulated {
        name: "mps2-an500",
        machine: "mps2-an500",
        words: "Cortex-M7, 4 MB flash, 4 MB RAM",
        target: Target::CortexM7,
        triple: "thumbv7em-none-eabihf",
        rustflags: "",
        zoom: None,
    },
    Emulated {
        name: "mps2-an505",
        machine: "mps2-an505",
        words: "Cortex-M33, 4 MB flash, 2 MB RAM",
        target: Target::CortexM33,
        triple: "thumbv8m.main-none-eabihf",
        rustflags: "",
        zoom: None,
    },
    Emulated {
        name: "mps3-an547",
        machine: "mps3-an547",
        words: "Cortex-M55 with MVE, 512 KB flash, 512 KB RAM",
        target: Target::CortexM55,
        triple: "thumbv8m.main-none-eabihf",
        rustflags: "-C target-cpu=cortex-m55",
        zoom: None,
    },
];

/// The board of that name.
pub fn find(name: &str) -> Option<&'static Emulated> {
    EMULATED.iter().find(|board| board.name == name)
}

/// Their names, for messages.
pub fn names() -> String {
    EMULATED.map(|board| board.name).join(", ")
}
