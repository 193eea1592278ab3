//! What the tests that cross crates share: the built program, Python, and pictures.
//!
//! The functions panic where something is missing that `cargo xtask test` provides; the message
//! names the command.

pub mod boards;
pub mod conformance;
pub mod npy;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `kiln` program that was built beside this test, with the same profile.
///
/// # Panics
/// It was not built.
pub fn kiln() -> Command {
    let mut command = program("kiln");
    // The user's own cache is not the tests' business.
    command.env("KILN_CACHE", env::temp_dir().join("kiln-tests-cache"));
    command
}

/// The `kiln-run` program that was built beside this test.
///
/// # Panics
/// It was not built.
pub fn kiln_run() -> Command {
    program("kiln-run")
}

fn program(name: &str) -> Command {
    let program = profile_folder().join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is missing. Build it: cargo build -p {name}, or run cargo xtask test",
        program.display()
    );
    Command::new(program)
}

/// Python with the pinned packages of `tests/python/requirements.txt`.
///
/// # Panics
/// It was not set up.
pub fn python() -> Command {
    // The target folder, or a level deeper with `--target`.
    let found = profile_folder()
        .ancestors()
        .skip(1)
        .take(2)
        .map(|at| at.join("venv/bin/python"))
        .find(|p| p.is_file());
    let Some(python) = found else {
        panic!("Python's packages are not set up in the target folder. Run: cargo xtask setup")
    };
    Command::new(python)
}

/// A script in `tests/python`.
///
/// # Panics
/// There is none of this name.
pub fn script(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join(name);
    assert!(path.is_file(), "{} does not exist", path.display());
    path
}

/// The folder of the models that are shipped, each in a folder of its own.
pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// The folder of real pictures, where there is one: `data` in `$KILN_SHARED`, or in `shared` beside
/// the workspace. Where there is none this is said on stderr, and the test makes its own pictures.
pub fn shared_data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = env::var_os("KILN_SHARED")
        .map_or_else(beside, PathBuf::from)
        .join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!(
        "no real pictures at {} (KILN_SHARED sets another place)",
        data.display()
    );
    None
}

/// Draws a synthetic set with `[train, val, test]` square pictures of each of its two classes.
///
/// # Panics
/// As [`succeed`].
pub fn draw_pictures(folder: &Path, splits: [u32; 3], side: u32) {
    let [train, val, test] = splits.map(|n| n.to_string());
    let sizes = [
        "--train",
        &train,
        "--val",
        &val,
        "--test",
        &test,
        "--side",
        &side.to_string(),
    ];
    succeed(kiln().arg("synth").arg(folder).args(sizes));
}

/// Runs a command and returns what it printed on stdout.
///
/// # Panics
/// It cannot start or does not exit with 0: the message holds the command and what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

/// `<target>/<profile>`, where cargo puts programs; the tests' own executables lie in its `deps`.
fn profile_folder() -> PathBuf {
    let own = env::current_exe().expect("a running test has a path");
    own.ancestors()
        .nth(2)
        .expect("a test lies in target/PROFILE/deps")
        .to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "exit status: 3\n\nbroken")]
    fn a_failing_command_is_shown_with_what_it_printed() {
        succeed(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]));
    }

    #[test]
    fn python_has_the_pinned_packages() {
        let names = ["onnx", "onnxruntime", "numpy"];
        let code = format!(
            "import {n}; print({v})",
            n = names.join(", "),
            v = names.map(|n| format!("{n}.__version__")).join(", ")
        );
        let printed = succeed(python().args(["-c", &code]));
        let list = include_str!("../python/requirements.txt");
        for (name, version) in names.iter().zip(printed.split_whitespace()) {
            assert!(
                list.contains(&format!("{name}=={version}\n")),
                "{name} {version} is not the pinned one"
            );
        }
    }
}
