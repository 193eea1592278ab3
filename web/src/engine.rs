//! The engine for the page, built with cargo from Kiln's source tree: the package `kiln-wasm`.
//!
//! It is kept under the tree's `target/web`, by the state of the sources: a second time takes no build.

use std::fs;

use kiln_source::{Build, Source, SourceError};

/// What it is made of, below the source tree.
const SOURCES: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "runtime/core/Cargo.toml",
    "runtime/core/src",
    "web/wasm",
];

const BUILD: Build<'static> = Build {
    folder: "web",
    name: "kiln",
    ending: "wasm",
    sources: &SOURCES,
    triple: "wasm32-unknown-unknown",
    args: &[
        "rustc",
        "--package",
        "kiln-wasm",
        "--crate-type",
        "cdylib",
        "--profile",
        "web",
    ],
    rustflags: "-Ctarget-feature=+simd128",
    built: "web/kiln_wasm.wasm",
    input: None,
};

/// The engine: a WebAssembly module. `building` is called if it has to be built, which takes half a
/// minute.
///
/// # Errors
/// The source tree, cargo or the compiler's part for WebAssembly is missing, or the build fails.
pub fn build(building: &mut dyn FnMut()) -> Result<Vec<u8>, SourceError> {
    let path = Source::find()?.build(&BUILD, building)?;
    fs::read(&path).map_err(|source| SourceError::Io { path, source })
}
