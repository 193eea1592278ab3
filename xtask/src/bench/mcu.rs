//! `cargo xtask bench mcu`: executed instructions of an inference on Cortex-M, counted by QEMU, beside those
//! of TensorFlow Lite Micro with CMSIS-NN.
//!
//! With `-icount shift=0` an instruction takes a nanosecond of the board's time, so that its timer counts
//! them, 40 or 50 at a time. The count is the same in every run and on every machine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Serialize;

use super::{NETS, networks};
use crate::cross;
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;
use crate::test::ALL;

/// A core, and what TensorFlow Lite Micro with CMSIS-NN (-Ofast) takes on it, in millions.
struct Core {
    name: &'static str,
    /// What models are compiled for.
    target: &'static str,
    triple: &'static str,
    machine: &'static str,
    /// The timer's.
    ticks_per_second: u32,
    peer: [f64; 4],
}

const M4_PEER: [f64; 4] = [29.87, 24.72, 7.85, 0.582];

const CORES: [Core; 4] = [
    Core {
        name: "m0plus",
        target: "cortex-m0plus",
        triple: "thumbv6m-none-eabi",
        machine: "mps2-an386",
        ticks_per_second: 25_000_000,
        peer: [97.6, 86.9, 29.0, 1.76],
    },
    Core {
        name: "m3",
        target: "cortex-m3",
        triple: "thumbv7m-none-eabi",
        machine: "mps2-an386",
        ticks_per_second: 25_000_000,
        peer: [41.8, 32.1, 10.5, 0.956],
    },
    Core {
        name: "m4",
        target: "cortex-m4",
        triple: "thumbv7em-none-eabihf",
        machine: "mps2-an386",
        ticks_per_second: 25_000_000,
        peer: M4_PEER,
    },
    Core {
        name: "m33",
        target: "cortex-m33",
        triple: "thumbv8m.main-none-eabihf",
        machine: "mps2-an505",
        ticks_per_second: 20_000_000,
        peer: M4_PEER,
    },
];

#[derive(Parser)]
#[command(name = "mcu", no_binary_name = true)]
struct Args {
    /// A line for each layer too.
    #[arg(long)]
    layers: bool,
    /// A list of objects: core, net, instructions, arena.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Count {
    core: &'static str,
    net: &'static str,
    instructions: u64,
    /// Bytes.
    arena: u32,
    #[serde(skip)]
    peer: f64,
    #[serde(skip)]
    layers: String,
}

/// Compiles the networks for each core, runs them, prints what they took.
pub fn run(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    let args = Args::try_parse_from(args)?;
    setup::ensure(repo, &Need::FOR_MCU, stages)?;
    let models = networks(repo)?;
    let own = repo.target.join("bench/mcu");
    fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
    stages.need("build", || {
        call(repo.cargo(&["build", "--example", "compile_for"]).args(ALL))
    })?;
    let mut counts = Vec::new();
    stages.need("count", || {
        for core in &CORES {
            for (index, net) in NETS.into_iter().enumerate() {
                let model = own.join(format!("{net}.{}.kiln", core.name));
                let mut compile = repo.command(repo.target.join("debug/examples/compile_for"));
                compile.arg(core.target);
                compile.arg(models.join(format!("{net}.int8-qdq.onnx")));
                call(compile.arg(&model))?;
                counts.push(count(repo, core, index, net, &model)?);
            }
        }
        Ok(())
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&counts)?);
        return Ok(());
    }
    println!(
        "millions of instructions an inference; in brackets TensorFlow Lite Micro with CMSIS-NN"
    );
    for count in &counts {
        let millions = count.instructions as f64 / 1e6;
        println!(
            "{:8} {:5} {millions:8.3}  ({:6.3}, {:.2} times as many)  arena {:6}",
            count.core,
            count.net,
            count.peer,
            count.peer / millions,
            count.arena
        );
        if args.layers {
            print!("{}", count.layers);
        }
    }
    Ok(())
}

fn count(
    repo: &Repo,
    core: &'static Core,
    index: usize,
    net: &'static str,
    model: &Path,
) -> Result<Count> {
    let arena = fs::read(model)?
        .get(16..20)
        .and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)))
        .context("a model has a header")?;
    let mut run = cross::on_board(
        repo,
        "layers",
        core.triple,
        core.machine,
        &["-icount", "shift=0"],
    )?;
    run.env("KILN_MODEL", model);
    run.env("KILN_TICKS_PER_SECOND", core.ticks_per_second.to_string());
    let output = run.output().context("cargo does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = text.lines().find_map(|line| line.strip_prefix("total "));
    let Some((instructions, "right true")) = total.and_then(|line| line.split_once(' ')) else {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{net} on {}: {text}{said}", core.name);
    };
    let layers = text.lines().filter(|line| !line.starts_with("total "));
    Ok(Count {
        core: core.name,
        net,
        instructions: instructions.parse()?,
        arena,
        peer: core.peer[index],
        layers: layers.map(|line| format!("    {line}\n")).collect(),
    })
}
