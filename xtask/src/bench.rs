//! `cargo xtask bench NAME`: side by side with a peer, alternating, as a ratio.

pub mod mcu;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::npm::Npm;
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;
use crate::test::ALL;
use crate::venv::Venv;

/// What can be measured.
#[derive(Clone, Copy, ValueEnum)]
pub enum Bench {
    /// Training on the CPU, against PyTorch: images a second.
    Train,
    /// Int8 inference on one thread, against LiteRT, ONNX Runtime and tract: microseconds.
    Infer,
    /// Int8 inference on emulated Cortex-M: executed instructions.
    Mcu,
    /// Int8 inference in a browser, against ONNX Runtime for web pages: microseconds.
    Web,
}

/// Builds Kiln's side, then runs both sides in turns.
pub fn run(repo: &Repo, bench: Bench, args: &[String], stages: &mut Stages) -> Result<()> {
    match bench {
        Bench::Train => train(repo, args, stages),
        Bench::Infer => infer(repo, args, stages),
        Bench::Mcu => mcu::run(repo, args, stages),
        Bench::Web => web(repo, args, stages),
    }
}

fn web(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_WEB, stages)?;
    let engine = repo.target.join("kiln.wasm");
    stages.need("build", || {
        let mut build = repo.cargo(&["run", "--locked", "--package", "kiln-web"]);
        call(build.args(["--example", "engine"]).arg(&engine))
    })?;
    let mut node = repo.command("node");
    node.arg("benches/web/compare.mjs").args(args);
    node.arg("--packages").arg(Npm::PEER.folder(repo));
    stages.need("bench", || call(node.arg("--engine").arg(&engine)))
}

/// The packages whose checks cost speed: the workspace's manifest gives them to builds that tests share, and no
/// release has them.
fn checked(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().zip(manifest.lines().skip(1));
    lines.filter_map(|(head, next)| {
        let package = head
            .strip_prefix("[profile.dev.package.")?
            .strip_suffix(']')?;
        (next == "debug-assertions = true").then_some(package)
    })
}

fn train(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_BENCH, stages)?;
    // Kiln's side as it ships, with all that has no checks from the build that tests share.
    stages.need("build", || {
        let mut build = repo.cargo(&["build", "--example", "train_speed"]);
        let manifest = std::fs::read_to_string(repo.root.join("Cargo.toml"))?;
        for package in checked(&manifest) {
            for check in ["debug-assertions", "overflow-checks"] {
                build.arg("--config");
                build.arg(format!("profile.dev.package.{package}.{check}=false"));
            }
        }
        call(build.args(ALL))
    })?;
    let mut python = repo.command(Venv::PYTORCH.python(repo));
    python.arg("benches/compare.py").args(args);
    python
        .arg("--side")
        .arg(repo.target.join("debug/examples/train_speed"));
    python.arg("--side").arg("benches/pytorch/train_speed.py");
    stages.need("bench", || call(&mut python))
}

/// MLPerf Tiny's models, quantized and float.
const NETS: [&str; 4] = ["ic", "vww", "kws", "ad"];

/// Their folder.
fn networks(repo: &Repo) -> Result<PathBuf> {
    let models = std::env::var_os("KILN_SHARED").map_or("../shared".into(), PathBuf::from);
    let models = repo.root.join(models).join("models/mlperf-tiny");
    if !models.is_dir() {
        bail!(
            "{} is not there: set KILN_SHARED to the folder with models/mlperf-tiny",
            models.display()
        );
    }
    Ok(models)
}

fn infer(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    setup::ensure(repo, &Need::FOR_INFER, stages)?;
    let models = networks(repo)?;
    // Kiln's side as it ships, without checks of overflow, in a folder of its own: a few seconds.
    let own = repo.target.join("bench");
    stages.need("build", || {
        let names = ["compile_host", "tract_speed"];
        let mut build = repo.cargo(&["build", "--locked", "--package", "kiln-runtime"]);
        call(build.args(names.iter().flat_map(|name| ["--example", name])))?;
        let mut build = repo.cargo(&["build", "--locked", "--release", "--package", "kiln-core"]);
        call(
            build
                .args(["--example", "infer_speed"])
                .env("CARGO_TARGET_DIR", &own),
        )
    })?;
    let examples = repo.target.join("debug/examples");
    let compiled = own.join("models");
    std::fs::create_dir_all(&compiled)
        .with_context(|| format!("cannot make {}", compiled.display()))?;
    stages.need("compile", || {
        NETS.iter().try_for_each(|net| {
            let mut compile = repo.command(examples.join("compile_host"));
            compile.arg(models.join(format!("{net}.int8-qdq.onnx")));
            compile.arg(compiled.join(format!("{net}.kiln")));
            call(compile.arg(compiled.join(format!("{net}.onnx"))))
        })
    })?;
    let mut python = repo.command(Venv::PEERS.python(repo));
    python.arg("benches/infer.py").args(args);
    python
        .arg("--kiln")
        .arg(own.join("release/examples/infer_speed"));
    python.arg("--tract").arg(examples.join("tract_speed"));
    python.arg("--compiled").arg(&compiled);
    python.arg("--models").arg(&models);
    stages.need("bench", || call(&mut python))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_of_training_has_no_checks_of_tests() {
        let found: Vec<&str> = checked(include_str!("../../Cargo.toml")).collect();
        for package in ["kiln", "kiln-core", "kiln-runtime"] {
            assert!(found.contains(&package), "{found:?}");
        }
        let manifest = "[profile.dev.package.a]\nopt-level = 1\n[profile.dev.package.b]\ndebug-assertions = true";
        assert_eq!(checked(manifest).collect::<Vec<_>>(), ["b"]);
    }
}
