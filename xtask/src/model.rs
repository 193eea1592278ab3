//! Quantized models, compiled for cores that boards in QEMU have.

use std::path::Path;

use anyhow::Result;

use crate::cross::Machine;
use crate::repo::{Repo, call};
use crate::test::ALL;

/// Builds what compiles them.
pub fn build_compiler(repo: &Repo) -> Result<()> {
    call(repo.cargo(&["build", "--example", "compile_for"]).args(ALL))
}

/// Compiles an ONNX file for a core, with a golden vector.
pub fn compile(repo: &Repo, machine: &Machine, onnx: &Path, out: &Path) -> Result<()> {
    let mut compile = repo.command(repo.target.join("debug/examples/compile_for"));
    compile.arg(format!("cortex-{}", machine.core));
    call(compile.arg(onnx).arg(out))
}
