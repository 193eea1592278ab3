//! `cargo xtask screens`: what a person sees of Kiln, for docs/: the page, a board's display, a report.

use std::fs;

use anyhow::{Context, Result};

use crate::npm::Npm;
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;
use crate::test::ALL;

/// What is classified: drawn by `kiln synth`.
const PICTURE: &str = "web/tests/drawn-dog.jpg";
const MODEL: &str = "models/catsdogs-nano/model.int8.onnx";

/// As the test of the page names them, and as docs/ does.
const SCREENS: [[&str; 2]; 2] = [
    ["answer-wide-light.png", "page-wide-light.png"],
    ["answer-narrow-dark.png", "page-narrow-dark.png"],
];

/// Takes the pictures. The page's are those that its test takes.
pub fn run(repo: &Repo, stages: &mut Stages) -> Result<()> {
    let needs = [
        Need::Compiler,
        Need::Targets,
        Need::Node,
        Need::Npm,
        Need::NodePackages(&Npm::PAGE),
        Need::Chromium,
        Need::Boards,
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
    })?;
    stages.need("build", || call(repo.cargo(&["build"]).args(ALL)))?;
    stages.need("board", || {
        let board = [
            "device",
            "classify",
            "qemu:lm3s6965evb",
            PICTURE,
            "--screen",
            "docs/oled.png",
        ];
        call(kiln(repo).args(board))?;
        call(kiln(repo).args(["classify", MODEL, PICTURE, "--explain", "docs/why.png"]))
    })?;
    stages.need("report", || {
        let page = repo.target.join("report.html");
        call(
            kiln(repo)
                .args(["report", "models/catsdogs-nano/model.int8.onnx", "-o"])
                .arg(&page),
        )?;
        let chromium = setup::chromium(repo).context("no Chromium was found")?;
        let mut browser = repo.command(chromium);
        browser.args([
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--window-size=1000,1300",
        ]);
        browser.arg(format!(
            "--screenshot={}",
            repo.root.join("docs/report.png").display()
        ));
        call(browser.arg(format!("file://{}", page.display())))
    })
}

fn kiln(repo: &Repo) -> std::process::Command {
    repo.command(repo.target.join("debug/kiln"))
}
