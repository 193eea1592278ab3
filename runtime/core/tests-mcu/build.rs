//! The memory of the emulated boards mps2-an386, mps2-an505 and mps3-an547, and the linker's script.

use std::path::PathBuf;
use std::{env, fs};

use kiln_core::Model;
use kiln_core::operators::Set;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    println!("cargo::rustc-check-cfg=cfg(vectors)");
    let (flash, ram) = match env::var("TARGET")?.starts_with("thumbv8m") {
        true if flags.contains("target-cpu=cortex-m55") => {
            println!("cargo::rustc-cfg=vectors");
            ("0x00000000, LENGTH = 512K", "0x20000000, LENGTH = 512K")
        }
        true => ("0x10000000, LENGTH = 4M", "0x38000000, LENGTH = 2M"),
        false => ("0x00000000, LENGTH = 4M", "0x20000000, LENGTH = 4M"),
    };
    let memory = format!("MEMORY {{ FLASH : ORIGIN = {flash} RAM : ORIGIN = {ram} }}");
    fs::write(out.join("memory.x"), memory)?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rustc-link-arg=--nmagic");
    println!("cargo::rerun-if-changed=build.rs");
    // The model whose layers `layers` counts, and whose bytes `hostile` changes.
    println!("cargo::rerun-if-env-changed=KILN_MODEL");
    let tiny = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../tests/tiny.kiln");
    let path = env::var_os("KILN_MODEL").map_or(tiny, PathBuf::from);
    println!("cargo::rustc-env=KILN_MODEL={}", path.display());
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path)?;
    let operators = Set::of(&Model::new(&bytes)?).bits();
    println!("cargo::rustc-env=KILN_OPERATORS={operators}");
    Ok(())
}
