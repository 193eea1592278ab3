//! Virtual environments of Python in the target folder, from lists of pinned packages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::repo::Repo;

/// One environment.
pub struct Venv {
    /// What it brings, for people.
    pub what: &'static str,
    /// What that is for.
    pub why: &'static str,
    folder: &'static str,
    requirements: &'static str,
}

impl Venv {
    /// For the tests.
    pub const CONFORMANCE: Self = Self {
        what: "ONNX Runtime and the onnx checker",
        why: "they check the exported ONNX files; kept in the target folder",
        folder: "venv",
        requirements: "tests/python/requirements.txt",
    };

    /// For the comparison of training speed.
    pub const PYTORCH: Self = Self {
        what: "PyTorch",
        why: "it is the peer; PyPI's wheel brings CUDA along: a download of some 3 GB, 5.4 GB in the target folder",
        folder: "venv-bench",
        requirements: "benches/pytorch/requirements.txt",
    };

    /// For the comparison of inference speed.
    pub const PEERS: Self = Self {
        what: "LiteRT and ONNX Runtime",
        why: "they are the peers; kept in the target folder",
        folder: "venv-infer",
        requirements: "benches/infer/requirements.txt",
    };

    /// Its interpreter.
    pub fn python(&self, repo: &Repo) -> PathBuf {
        repo.target.join(self.folder).join("bin/python")
    }

    /// What makes it, or brings it up to date.
    pub fn commands(&self, repo: &Repo) -> Vec<Command> {
        let mut create = repo.command("python3");
        create
            .args(["-m", "venv"])
            .arg(repo.target.join(self.folder));
        let mut install = repo.command(self.python(repo));
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        install.args(["--requirement", self.requirements]);
        vec![create, install]
    }

    /// Whether its packages were installed from the list as it is now.
    pub fn is_current(&self, repo: &Repo) -> bool {
        let wanted = fs::read(repo.root.join(self.requirements)).ok();
        wanted.is_some() && wanted == fs::read(self.mark(repo)).ok()
    }

    /// Notes which list its packages were installed from.
    pub fn mark_current(&self, repo: &Repo) -> Result<()> {
        let list = repo.root.join(self.requirements);
        fs::copy(&list, self.mark(repo))
            .with_context(|| format!("cannot copy {}", list.display()))?;
        Ok(())
    }

    fn mark(&self, repo: &Repo) -> PathBuf {
        repo.target.join(self.folder).join("requirements.txt")
    }
}
