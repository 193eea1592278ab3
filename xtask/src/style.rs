//! `cargo xtask style`: format, lints, documentation, dependencies, the engine's public surface.

use anyhow::Result;

use crate::api;
use crate::repo::Repo;
use crate::setup::{self, Need};
use crate::stages::Stages;
use crate::test::ALL;

/// Runs every check, also after one has failed.
pub fn run(repo: &Repo, stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_STYLE, stages)?;
    stages.check("format", &mut repo.cargo(&["fmt", "--all", "--check"]));
    stages.check(
        "dependencies",
        &mut repo.cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"]),
    );
    let warnings = ["--", "--deny", "warnings"];
    stages.check(
        "lints",
        repo.cargo(&["clippy", "--all-targets"])
            .args(ALL)
            .args(warnings),
    );
    let mut doc = repo.cargo(&["doc", "--no-deps", "--document-private-items"]);
    stages.check(
        "documentation",
        doc.args(ALL).env("RUSTDOCFLAGS", "--deny warnings"),
    );
    stages.check(
        "hidden docs",
        api::rustdoc(repo).args([
            "--document-private-items",
            "--document-hidden-items",
            "--deny=warnings",
        ]),
    );
    stages.check_that("public surface", || api::check(repo));
    Ok(())
}
