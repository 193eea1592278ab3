//! Builds programs for other processors with cargo, from Kiln's source tree: firmware for boards, the
//! engine for web pages.
//!
//! What was built is kept under the tree's `target`, by what went into it: a second time takes no build.

#[cfg(feature = "flash")]
mod flash;
mod stamp;
mod toolchain;

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "flash")]
pub use flash::flash;
use toolchain::cargo;

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This is not where Kiln's sources are.
    #[error(
        "{}: Kiln's source tree is not here; fetch it and set KILN_SOURCE to it",
        .0.display()
    )]
    NoSource(PathBuf),
    /// There is no cargo.
    #[error("cargo, which builds it, is not installed: https://rustup.rs")]
    NoCargo,
    /// The compiler lacks the target's core.
    #[error("the compiler lacks the core library of {0}: rustup target add {0}")]
    NoTarget(&'static str),
    /// The build failed otherwise.
    #[error("the build of {what} failed: {}", end(output))]
    Build {
        /// What was to be built.
        what: String,
        /// All that cargo said.
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

/// What is built, and of what.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The folder below `target` where it is built and kept.
    pub folder: &'static str,
    /// What it is called.
    pub name: &'a str,
    /// How the name of the built file ends.
    pub ending: &'static str,
    /// What it is made of, below the source tree.
    pub sources: &'a [&'a str],
    /// What it is compiled for.
    pub triple: &'static str,
    /// What is passed to cargo: the command, package, profile and features.
    pub args: &'a [&'a str],
    /// What is passed to rustc.
    pub rustflags: &'a str,
    /// The built file, below the folder and the triple's.
    pub built: &'a str,
    /// The name of a variable that names a file, the file's bytes, and how its name ends.
    pub input: Option<(&'static str, &'a [u8], &'static str)>,
}

/// What is passed to cargo so that the engine is built for speed where a profile builds it small: on Cortex-M0+
/// and M3, where more of it is Rust. Elsewhere what must be fast is in assembly.
pub fn engine_args(triple: &str, profile: &str) -> Vec<String> {
    match triple {
        "thumbv6m-none-eabi" | "thumbv7m-none-eabi" => vec![
            "--config".to_owned(),
            format!("profile.{profile}.package.kiln-core.opt-level=3"),
        ],
        _ => Vec::new(),
    }
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
    pub fn find() -> Result<Self, SourceError> {
        let built = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let root = env::var_os("KILN_SOURCE").map_or_else(built, PathBuf::from);
        Self::at(root)
    }

    /// The tree in this folder.
    ///
    /// # Errors
    /// It is none.
    pub fn at(root: PathBuf) -> Result<Self, SourceError> {
        match root.canonicalize() {
            Ok(root) if root.join("runtime/core/Cargo.toml").is_file() => Ok(Self { root }),
            _ => Err(SourceError::NoSource(root)),
        }
    }

    /// The tree's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that was built, now or before. `building` is called if it has to be built, which takes
    /// a minute the first time and seconds later.
    ///
    /// # Errors
    /// The build fails; the compiler or a part of it is missing.
    pub fn build(
        &self,
        build: &Build<'_>,
        building: &mut dyn FnMut(),
    ) -> Result<PathBuf, SourceError> {
        let target = self.root.join("target").join(build.folder);
        let kept = target.join("kept");
        fs::create_dir_all(&kept).map_err(at(&kept))?;
        let key = self.key(build)?;
        let file = kept.join(format!("{key}.{}", build.ending));
        // Two builds at once would take each other's files.
        let lock = kept.join("lock");
        let locked = File::create(&lock).map_err(at(&lock))?;
        locked.lock().map_err(at(&lock))?;
        if file.is_file() {
            return Ok(file);
        }
        building();
        let mut command = cargo(build, &self.root, &target);
        if let Some((variable, bytes, ending)) = build.input {
            let input = kept.join(format!("{key}.{ending}"));
            fs::write(&input, bytes).map_err(at(&input))?;
            command.env(variable, input);
        }
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SourceError::NoCargo,
            _ => at(&self.root)(error),
        })?;
        if !output.status.success() {
            return Err(failure(build, &String::from_utf8_lossy(&output.stderr)));
        }
        let built = target.join(build.triple).join(build.built);
        // Whole or not at all.
        let part = kept.join(format!("{key}.part"));
        fs::copy(&built, &part).map_err(at(&built))?;
        fs::rename(&part, &file).map_err(at(&file))?;
        Ok(file)
    }

    /// What tells builds apart.
    fn key(&self, build: &Build<'_>) -> Result<String, SourceError> {
        let mut hasher = DefaultHasher::new();
        (build.triple, build.rustflags, build.args).hash(&mut hasher);
        build.input.hash(&mut hasher);
        for source in build.sources {
            stamp::path(&self.root.join(source), &mut hasher)?;
        }
        Ok(format!("{}-{:016x}", build.name, hasher.finish()))
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Io { path, source }
}

/// What is wrong, from what cargo says.
fn failure(build: &Build<'_>, output: &str) -> SourceError {
    if output.contains("can't find crate for `core`") {
        return SourceError::NoTarget(build.triple);
    }
    SourceError::Build {
        what: build.name.to_owned(),
        output: output.to_owned(),
    }
}

/// The last lines of what cargo said.
fn end(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: Build<'_> = Build {
        folder: "thing",
        name: "it",
        ending: "elf",
        sources: &["Cargo.toml", "runtime/core"],
        triple: "thumbv7m-none-eabi",
        args: &["build", "--package", "it"],
        rustflags: "",
        built: "release/it",
        input: Some(("KILN_MODEL", b"model", "kiln")),
    };

    /// A tree with what counts.
    fn tree(folder: &Path) -> Source {
        fs::create_dir_all(folder.join("runtime/core/src")).unwrap();
        for path in [
            "Cargo.toml",
            "runtime/core/Cargo.toml",
            "runtime/core/src/lib.rs",
        ] {
            fs::write(folder.join(path), path).unwrap();
        }
        Source::at(folder.to_owned()).unwrap()
    }

    #[test]
    fn the_source_tree_is_found_or_missed_with_a_hint() {
        let source = Source::find().unwrap();
        assert!(source.root().join("runtime/source").is_dir());
        let folder = tempfile::tempdir().unwrap();
        let error = Source::at(folder.path().to_owned()).unwrap_err();
        assert!(error.to_string().contains("KILN_SOURCE"), "{error}");
    }

    #[test]
    fn what_was_built_is_kept_by_all_that_went_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let source = tree(folder.path());
        let key = |build: &Build<'_>| source.key(build).unwrap();
        let first = key(&BUILD);
        let kept = source.root().join("target/thing/kept");
        fs::create_dir_all(&kept).unwrap();
        let elf = kept.join(format!("{first}.elf"));
        fs::write(&elf, b"ELF").unwrap();
        let found = source.build(&BUILD, &mut || panic!("nothing is built"));
        assert_eq!(found.unwrap(), elf);
        let others = [
            Build {
                input: None,
                ..BUILD
            },
            Build {
                triple: "thumbv6m-none-eabi",
                ..BUILD
            },
            Build {
                args: &["build"],
                ..BUILD
            },
            Build {
                rustflags: "-g",
                ..BUILD
            },
            Build {
                name: "other",
                ..BUILD
            },
        ];
        for other in others {
            assert_ne!(key(&other), first, "{other:?}");
        }
        assert_eq!(key(&BUILD), first);
        fs::write(
            source.root().join("runtime/core/src/lib.rs"),
            "another length",
        )
        .unwrap();
        assert_ne!(key(&BUILD), first);
    }

    #[test]
    fn a_build_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let source = tree(folder.path());
        let mut built = 0;
        for round in 1..3 {
            let error = source.build(&BUILD, &mut || built += 1).unwrap_err();
            assert!(matches!(error, SourceError::Build { .. }), "{error}");
            assert_eq!(built, round);
        }
    }

    #[test]
    fn failures_are_said_in_words() {
        let core = "\
error[E0463]: can't find crate for `core`
  |
  = note: the `thumbv7m-none-eabi` target may not be installed
";
        let error = failure(&BUILD, core).to_string();
        assert!(
            error.ends_with("rustup target add thumbv7m-none-eabi"),
            "{error}"
        );
        let long: String = (0..50)
            .map(|line| format!("error: line {line}\n\n"))
            .collect();
        let error = failure(&BUILD, &long).to_string();
        assert!(
            error.starts_with("the build of it failed: error: line 30\n"),
            "{error}"
        );
        assert!(error.ends_with("error: line 49"), "{error}");
    }
}
