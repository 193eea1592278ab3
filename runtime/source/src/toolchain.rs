//! Which compiler and linker build for another processor.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::Build;

/// Debian's compiler and its sources of the standard library: for machines that do not reach rustup's
/// server. The packages are rustc-web, rust-web-src and lld-22.
const DEBIAN: [&str; 2] = ["/usr/bin/rustc", "/usr/lib/rustlib/src/rust/library/core"];

/// Linkers of the same package, and what rustc calls them: for WebAssembly, and for boards.
const LINKERS: [[&str; 2]; 2] = [
    ["/usr/bin/wasm-ld-22", "wasm-ld"],
    ["/usr/bin/ld.lld-22", "ld.lld"],
];

/// The command that builds.
pub fn cargo(build: &Build<'_>, root: &Path, target: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(build.args);
    command.args(["--quiet", "--locked", "--color", "never"]);
    command.args(["--target", build.triple, "--target-dir"]);
    command.arg(target);
    let mut flags = build.rustflags.to_owned();
    let [linker, flavor] = LINKERS[usize::from(!build.triple.starts_with("wasm32"))];
    let there = |path: &&str| Path::new(path).exists();
    if !has_target(build.triple) && DEBIAN.iter().all(there) && there(&linker) {
        command
            .env("RUSTC", DEBIAN[0])
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zbuild-std=core,panic_abort");
        flags += &format!(" -Clinker={linker} -Clinker-flavor={flavor}");
    }
    // Flags for the machine that this runs on are not the other's.
    command
        .env("RUSTFLAGS", flags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
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
