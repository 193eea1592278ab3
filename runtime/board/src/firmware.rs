//! Builds a board's program around a model, with cargo, from Kiln's source tree.
//!
//! What was built is kept under the tree's `target/firmware`, by model, board and state of the sources:
//! a second start takes no build.

use std::path::{Path, PathBuf};

use kiln_source::{Build, SourceError};

use crate::boards::Emulated;

/// What a program is made of, below the source tree.
const SOURCES: [&str; 4] = ["Cargo.toml", "Cargo.lock", "firmware", "runtime/core"];

/// Why there is no program for a board.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// There are no sources, there is no compiler, or the build fails.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The model does not fit the board, or something else that the build says in words.
    #[error("{0}")]
    Refused(String),
}

/// Kiln's source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(kiln_source::Source);

impl Source {
    /// The tree that `KILN_SOURCE` names, else the one that this library was built from.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn find() -> Result<Self, FirmwareError> {
        Ok(Self(kiln_source::Source::find()?))
    }

    /// The tree's folder.
    pub fn root(&self) -> &Path {
        self.0.root()
    }

    /// The program (ELF) of a board with a model, the bytes of a `.kiln` file. `building` is called if
    /// it has to be built, which takes a minute the first time and seconds later.
    ///
    /// # Errors
    /// The model does not fit the board, in numbers; or the build fails.
    pub fn program(
        &self,
        board: &Emulated,
        model: &[u8],
        building: &mut dyn FnMut(),
    ) -> Result<PathBuf, FirmwareError> {
        self.variant(board, board.name, board.name, model, building)
    }

    /// [`program`](Self::program) for another of the firmware's binaries or other features, separated by
    /// commas.
    ///
    /// # Errors
    /// Those of [`program`](Self::program).
    pub fn variant(
        &self,
        board: &Emulated,
        bin: &str,
        features: &str,
        model: &[u8],
        building: &mut dyn FnMut(),
    ) -> Result<PathBuf, FirmwareError> {
        let mut args = vec![
            "build",
            "-p",
            "kiln-firmware",
            "--profile",
            "firmware",
            "--bin",
            bin,
            "--features",
            features,
        ];
        let engine = kiln_source::engine_args(board.triple, "firmware");
        args.extend(engine.iter().map(String::as_str));
        let build = Build {
            folder: "firmware",
            name: bin,
            ending: "elf",
            sources: &SOURCES,
            triple: board.triple,
            args: &args,
            rustflags: board.rustflags,
            built: &format!("firmware/{bin}"),
            input: Some(("KILN_MODEL", model, "kiln")),
        };
        self.0.build(&build, building).map_err(refused)
    }
}

/// What the build says in words, where it does.
fn refused(error: SourceError) -> FirmwareError {
    if let SourceError::Build { output, .. } = &error {
        let refusals: Vec<&str> = output.lines().filter_map(refusal).collect();
        if !refusals.is_empty() {
            return FirmwareError::Refused(refusals.join("; "));
        }
    }
    error.into()
}

/// What a line of cargo's says in words: from the firmware's build script, or from the linker, which has
/// the last word on sizes.
fn refusal(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("= note: ");
    if let Some(rest) = line.strip_prefix("error: kiln-firmware@") {
        return rest.split_once(": ").map(|(_, message)| message);
    }
    let message = line.strip_prefix("rust-lld: error: ")?;
    let sizes = ["will not fit in region", "leave less RAM", "overlap"];
    let about = sizes.iter().any(|part| message.contains(part));
    about.then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_said_in_words() {
        let script = "\
error: kiln-firmware@0.1.0: /m.kiln: too much RAM for lm3s6965evb: arena 90000 + stack 8192 = 98192 of 65536
error: build script logged errors
";
        let linker = "\
error: linking with `rust-lld` failed: exit status: 1
  |
  = note:  \"rust-lld\" \"-flavor\" \"gnu\" \"/tmp/x.o\"
  = note: rust-lld: error: section '.text' will not fit in region 'FLASH': overflowed by 812 bytes
          rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 4 bytes
";
        let cases = [
            (
                script,
                "/m.kiln: too much RAM for lm3s6965evb: arena 90000 + stack 8192 = 98192 of 65536",
            ),
            (
                linker,
                "section '.text' will not fit in region 'FLASH': overflowed by 812 bytes; \
                 section '.bss' will not fit in region 'RAM': overflowed by 4 bytes",
            ),
            (
                "error: something else",
                "the build of lm3s6965evb failed: error: something else",
            ),
        ];
        for (output, expected) in cases {
            let error = SourceError::Build {
                what: "lm3s6965evb".into(),
                output: output.into(),
            };
            assert_eq!(refused(error).to_string(), expected);
        }
    }
}
