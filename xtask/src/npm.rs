//! Packages of npm in the target folder, from lists that pin them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::repo::Repo;

/// One folder of packages.
pub struct Npm {
    /// What it brings, for people.
    pub what: &'static str,
    /// What that is for.
    pub why: &'static str,
    folder: &'static str,
    /// The folder with package.json and package-lock.json.
    list: &'static str,
}

const LOCK: &str = "package-lock.json";

impl Npm {
    /// For the tests of the page.
    pub const PAGE: Self = Self {
        what: "playwright-core",
        why: "it drives the browser in the tests of the page; kept in the target folder",
        folder: "node",
        list: "web/tests",
    };

    /// For the comparison of inference speed in a browser.
    pub const PEER: Self = Self {
        what: "ONNX Runtime for web pages, and playwright-core",
        why: "one is the peer, the other drives the browser; kept in the target folder",
        folder: "node-bench",
        list: "benches/web",
    };

    /// Where `node_modules` is.
    pub fn folder(&self, repo: &Repo) -> PathBuf {
        repo.target.join(self.folder)
    }

    /// What installs them, or brings them up to date. The packages' own scripts do not run.
    pub fn commands(&self, repo: &Repo) -> Vec<Command> {
        let folder = self.folder(repo);
        let mut create = repo.command("mkdir");
        create.arg("-p").arg(&folder);
        let mut copy = repo.command("cp");
        copy.arg(format!("{}/package.json", self.list));
        copy.arg(format!("{}/{LOCK}", self.list)).arg(&folder);
        let mut install = repo.command("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        install.arg("--prefix").arg(&folder);
        vec![create, copy, install]
    }

    /// Whether they were installed from the list as it is now.
    pub fn is_current(&self, repo: &Repo) -> bool {
        let wanted = fs::read(repo.root.join(self.list).join(LOCK)).ok();
        let folder = self.folder(repo);
        // npm writes the second when it is done.
        let done = folder.join("node_modules").join(format!(".{LOCK}"));
        wanted.is_some() && wanted == fs::read(folder.join(LOCK)).ok() && done.is_file()
    }
}
