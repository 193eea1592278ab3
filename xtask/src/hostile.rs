//! Files that lie, on emulated cores: the engine as a board has it, with the operators of one model, refuses
//! them or runs within its arena.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::cross::{MACHINES, Machine, on_board};
use crate::model;
use crate::repo::Repo;

const MODEL: &str = "models/catsdogs-nano/model.int8.onnx";

/// Compiles a model for each core and lets the core change its bytes.
///
/// # Errors
/// A core crashed, hung, wrote beside its arena, or refused nothing.
pub fn run(repo: &Repo) -> Result<()> {
    model::build_compiler(repo)?;
    let folder = repo.target.join("hostile");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    MACHINES.iter().try_for_each(|machine| on(repo, machine))
}

fn on(repo: &Repo, machine: &Machine) -> Result<()> {
    let file = repo.target.join(format!("hostile/{}.kiln", machine.core));
    model::compile(repo, machine, &repo.root.join(MODEL), &file)?;
    let mut run = on_board(repo, "hostile", machine, &[])?;
    let output = run
        .env("KILN_MODEL", &file)
        .output()
        .context("cargo does not start")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}: {said}{errors}", machine.core, output.status);
    }
    eprintln!("{}: {}", machine.core, said.trim());
    Ok(())
}
