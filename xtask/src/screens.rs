//! `cargo xtask screens`: what the page looks like, for docs/.

use std::fs;

use anyhow::{Context, Result};

use crate::npm::Npm;
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;

/// As the test of the page names them, and as docs/ does.
const SCREENS: [[&str; 2]; 2] = [
    ["answer-wide-light.png", "page-wide-light.png"],
    ["answer-narrow-dark.png", "page-narrow-dark.png"],
];

/// Lets the test of the page take its pictures, and copies some to docs/.
pub fn run(repo: &Repo, stages: &mut Stages) -> Result<()> {
    let needs = [
        Need::Compiler,
        Need::Targets,
        Need::Node,
        Need::Npm,
        Need::NodePackages(&Npm::PAGE),
        Need::Chromium,
    ];
    setup::ensure(repo, &needs, stages)?;
    stages.need("screens", || {
        let mut test = repo.cargo(&["test", "--locked", "--package", "kiln-web"]);
        call(test.args(["--test", "browser", "the_page_fits"]))?;
        let docs = repo.root.join("docs");
        fs::create_dir_all(&docs).with_context(|| docs.display().to_string())?;
        for [from, to] in SCREENS {
            let from = repo.root.join("target/web/screens").join(from);
            fs::copy(&from, docs.join(to)).with_context(|| from.display().to_string())?;
        }
        Ok(())
    })
}
