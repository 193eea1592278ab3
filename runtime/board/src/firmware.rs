//! Builds a board's program around a model, with cargo, from Kiln's source tree.
//!
//! What was built is kept under the tree's `target/firmware`, by model, board and state of the sources:
//! a second start takes no build.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crate::boards::Emulated;

/// What a program is made of, below the source tree.
const SOURCES: [&str; 4] = ["Cargo.toml", "Cargo.lock", "firmware", "runtime/core"];

/// Debian's compiler, its sources of the standard library, and a linker for boards: for machines that do
/// not reach rustup's server. The packages are rustc-web, rust-web-src and lld-22.
const DEBIAN: [&str; 3] = [
    "/usr/bin/rustc",
    "/usr/lib/rustlib/src/rust/library/core",
    "/usr/bin/ld.lld-22",
];

/// Why there is no program for a board.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// This is not where Kiln's sources are.
    #[error(
        "{}: Kiln's source tree is not here; fetch it and set KILN_SOURCE to it, or name a built program with \
         --firmware",
        .0.display()
    )]
    NoSource(PathBuf),
    /// There is no cargo.
    #[error("cargo, which builds the board's program, is not installed: https://rustup.rs")]
    NoCargo,
    /// The compiler lacks the board's core.
    #[error("the compiler lacks the board's core: rustup target add {0}")]
    NoTarget(&'static str),
    /// The model does not fit the board, or something else that the build says in words.
    #[error("{0}")]
    Refused(String),
    /// The build failed otherwise.
    #[error("the build for {board} failed: {output}")]
    Build {
        /// The board.
        board: &'static str,
        /// The end of what cargo said.
        output: String,
    },
    /// A file.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Kiln's source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    root: PathBuf,
}

impl Source {
    /// The tree that `KILN_SOURCE` names, else the one that this library was built from.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn find() -> Result<Self, FirmwareError> {
        let built = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let root = env::var_os("KILN_SOURCE").map_or_else(built, PathBuf::from);
        Self::at(root)
    }

    /// The tree in this folder.
    ///
    /// # Errors
    /// It is none.
    pub fn at(root: PathBuf) -> Result<Self, FirmwareError> {
        match root.canonicalize() {
            Ok(root) if root.join("firmware/Cargo.toml").is_file() => Ok(Self { root }),
            _ => Err(FirmwareError::NoSource(root)),
        }
    }

    /// The tree's folder.
    pub fn root(&self) -> &Path {
        &self.root
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
        let target = self.root.join("target").join("firmware");
        let kept = target.join("kept");
        fs::create_dir_all(&kept).map_err(at(&kept))?;
        let key = self.key(board, bin, features, model)?;
        let [elf, file] = ["elf", "kiln"].map(|ending| kept.join(format!("{key}.{ending}")));
        // Two builds at once would take each other's programs.
        let lock = kept.join("lock");
        let locked = File::create(&lock).map_err(at(&lock))?;
        locked.lock().map_err(at(&lock))?;
        if elf.is_file() {
            return Ok(elf);
        }
        building();
        fs::write(&file, model).map_err(at(&file))?;
        self.cargo(board, bin, features, &target, &file)?;
        let built = target.join(board.triple).join("firmware").join(bin);
        // Whole or not at all.
        let part = kept.join(format!("{key}.part"));
        fs::copy(&built, &part).map_err(at(&built))?;
        fs::rename(&part, &elf).map_err(at(&elf))?;
        Ok(elf)
    }

    /// What tells programs apart.
    fn key(
        &self,
        board: &Emulated,
        bin: &str,
        features: &str,
        model: &[u8],
    ) -> Result<String, FirmwareError> {
        let mut hasher = DefaultHasher::new();
        model.hash(&mut hasher);
        (board.triple, board.rustflags, features).hash(&mut hasher);
        for source in SOURCES {
            stamp(&self.root.join(source), &mut hasher)?;
        }
        Ok(format!("{bin}-{:016x}", hasher.finish()))
    }

    fn cargo(
        &self,
        board: &Emulated,
        bin: &str,
        features: &str,
        target: &Path,
        model: &Path,
    ) -> Result<(), FirmwareError> {
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(program);
        let mut flags = board.rustflags.to_owned();
        if !has_target(board.triple) && DEBIAN.iter().all(|path| Path::new(path).exists()) {
            let [compiler, _, linker] = DEBIAN;
            command.env("RUSTC", compiler).env("RUSTC_BOOTSTRAP", "1");
            command.arg("-Zbuild-std=core,panic_abort");
            flags += &format!(" -Clinker={linker} -Clinker-flavor=ld.lld");
        }
        let output = command
            .current_dir(&self.root)
            .args(["build", "--quiet", "--locked", "--color", "never"])
            .args(["-p", "kiln-firmware", "--bin", bin])
            .args(["--features", features, "--target", board.triple])
            .args(["--profile", "firmware", "--target-dir"])
            .arg(target)
            .env("KILN_MODEL", model)
            // Flags for the machine that this runs on are not the board's.
            .env("RUSTFLAGS", flags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output();
        let output = output.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FirmwareError::NoCargo,
            _ => at(&self.root)(error),
        })?;
        if output.status.success() {
            return Ok(());
        }
        Err(failure(board, &String::from_utf8_lossy(&output.stderr)))
    }
}

/// Whether the compiler has the standard library's `core` for a target.
fn has_target(triple: &str) -> bool {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(compiler)
        .args(["--print", "target-libdir", "--target", triple])
        .output();
    asked.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&folder).is_dir()
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FirmwareError {
    let path = path.to_owned();
    move |source| FirmwareError::Io { path, source }
}

/// Names, sizes and times of the files at and below `path`.
fn stamp(path: &Path, hasher: &mut DefaultHasher) -> Result<(), FirmwareError> {
    let meta = fs::metadata(path).map_err(at(path))?;
    path.hash(hasher);
    if !meta.is_dir() {
        let time = meta.modified().ok();
        let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        (meta.len(), time).hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(at(path))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().try_for_each(|path| stamp(path, hasher))
}

/// What is wrong, from what cargo says.
fn failure(board: &Emulated, output: &str) -> FirmwareError {
    if output.contains("can't find crate for `core`") {
        return FirmwareError::NoTarget(board.triple);
    }
    let mut refusals = output.lines().filter_map(refusal).peekable();
    if refusals.peek().is_some() {
        return FirmwareError::Refused(refusals.collect::<Vec<_>>().join("; "));
    }
    let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rev().take(20).rev();
    FirmwareError::Build {
        board: board.name,
        output: last.copied().collect::<Vec<_>>().join("\n"),
    }
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
    use crate::boards::EMULATED;

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
        let core = "\
error[E0463]: can't find crate for `core`
  |
  = note: the `thumbv7m-none-eabi` target may not be installed
";
        let long: String = (0..50)
            .map(|line| format!("error: line {line}\n\n"))
            .collect();
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
                core,
                "the compiler lacks the board's core: rustup target add thumbv7m-none-eabi",
            ),
        ];
        for (output, expected) in cases {
            assert_eq!(failure(&EMULATED[0], output).to_string(), expected);
        }
        let error = failure(&EMULATED[0], &long).to_string();
        assert!(
            error.starts_with("the build for lm3s6965evb failed: error: line 30\n"),
            "{error}"
        );
        assert!(error.ends_with("error: line 49"), "{error}");
    }

    #[test]
    fn the_source_tree_is_found_or_missed_with_a_hint() {
        let source = Source::find().unwrap();
        assert!(source.root().join("runtime/board").is_dir());
        let folder = tempfile::tempdir().unwrap();
        let error = Source::at(folder.path().to_owned())
            .unwrap_err()
            .to_string();
        assert!(error.contains("KILN_SOURCE"), "{error}");
    }

    /// A tree with what counts for a program, and a program that is kept in it.
    fn tree(folder: &Path) -> Source {
        for path in ["firmware/src", "runtime/core"] {
            fs::create_dir_all(folder.join(path)).unwrap();
        }
        for path in [
            "Cargo.toml",
            "Cargo.lock",
            "firmware/Cargo.toml",
            "firmware/src/lib.rs",
        ] {
            fs::write(folder.join(path), path).unwrap();
        }
        Source::at(folder.to_owned()).unwrap()
    }

    #[test]
    fn a_program_is_kept_by_model_board_and_sources() {
        let folder = tempfile::tempdir().unwrap();
        let source = tree(folder.path());
        let key = |board: usize, model: &[u8]| {
            let board = &EMULATED[board];
            source.key(board, board.name, board.name, model).unwrap()
        };
        let first = key(0, b"model");
        let kept = source.root().join("target/firmware/kept");
        fs::create_dir_all(&kept).unwrap();
        let elf = kept.join(format!("{first}.elf"));
        fs::write(&elf, b"ELF").unwrap();
        let found = source.program(&EMULATED[0], b"model", &mut || panic!("nothing is built"));
        assert_eq!(found.unwrap(), elf);
        assert_eq!(key(0, b"model"), first);
        assert_ne!(key(0, b"other"), first);
        assert_ne!(key(1, b"model"), first);
        fs::write(source.root().join("firmware/src/lib.rs"), "another length").unwrap();
        assert_ne!(key(0, b"model"), first);
    }

    #[test]
    fn a_build_that_fails_leaves_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let source = tree(folder.path());
        let mut built = 0;
        for round in 1..3 {
            let error = source
                .program(&EMULATED[0], b"model", &mut || built += 1)
                .unwrap_err();
            assert!(matches!(error, FirmwareError::Build { .. }), "{error}");
            assert_eq!(built, round);
        }
    }
}
