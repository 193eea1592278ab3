//! Programs that take a model, on emulated cores. `hostile`: the engine as a board has it, with the operators of that
//! model, refuses files that lie or runs within its arena. `arena`: the model takes every byte of its arena.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cross::{MACHINES, Machine, on_board};
use crate::model;
use crate::repo::Repo;

const MODEL: &str = "models/catsdogs-nano/model.int8.onnx";

/// Compiles a model for each core and runs a program with it there.
///
/// # Errors
/// On a core it crashed, hung, or said no.
pub fn run(repo: &Repo, program: &str) -> Result<()> {
    model::build_compiler(repo)?;
    let folder = repo.target.join("on_boards");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    MACHINES.iter().try_for_each(|machine| {
        let file = folder.join(format!("{}.kiln", machine.core));
        model::compile(repo, machine, &repo.root.join(MODEL), &file)?;
        on(repo, machine, program, &file)
    })
}

/// Runs a program with a compiled model.
///
/// # Errors
/// It crashed, hung, or said no.
pub fn on(repo: &Repo, machine: &Machine, program: &str, model: &Path) -> Result<()> {
    let mut run = on_board(repo, program, machine, &[])?;
    let output = run
        .env("KILN_MODEL", model)
        .output()
        .context("cargo does not start")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let (core, model) = (machine.core, model.display());
        bail!("{core}, {model}: {}: {said}{errors}", output.status);
    }
    eprintln!("{}: {}", machine.core, said.trim());
    Ok(())
}
