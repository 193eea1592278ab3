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
use crate::cross::{self, MACHINES, Machine};
use crate::repo::{Repo, call};
use crate::setup::{self, Need};
use crate::stages::Stages;
use crate::test::ALL;

/// What TensorFlow Lite Micro with CMSIS-NN (-Ofast) takes on a core, in millions.
fn peer(core: &str) -> [f64; 4] {
    match core {
        "m0plus" => [97.6, 86.9, 29.0, 1.76],
        "m3" => [41.8, 32.1, 10.5, 0.956],
        "m55" => [4.81, 6.43, 1.79, 0.286],
        _ => [29.87, 24.72, 7.85, 0.582],
    }
}

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
        for machine in &MACHINES {
            for (index, net) in NETS.into_iter().enumerate() {
                let model = own.join(format!("{net}.{}.kiln", machine.core));
                let mut compile = repo.command(repo.target.join("debug/examples/compile_for"));
                compile.arg(format!("cortex-{}", machine.core));
                compile.arg(models.join(format!("{net}.int8-qdq.onnx")));
                call(compile.arg(&model))?;
                counts.push(count(repo, machine, index, net, &model)?);
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
    machine: &'static Machine,
    index: usize,
    net: &'static str,
    model: &Path,
) -> Result<Count> {
    let arena = fs::read(model)?
        .get(16..20)
        .and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)))
        .context("a model has a header")?;
    let mut run = cross::on_board(repo, "layers", machine, &["-icount", "shift=0"])?;
    run.env("KILN_MODEL", model);
    run.env(
        "KILN_TICKS_PER_SECOND",
        machine.ticks_per_second.to_string(),
    );
    let output = run.output().context("cargo does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = text.lines().find_map(|line| line.strip_prefix("total "));
    let Some((instructions, "right true")) = total.and_then(|line| line.split_once(' ')) else {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{net} on {}: {text}{said}", machine.core);
    };
    let layers = text.lines().filter(|line| !line.starts_with("total "));
    Ok(Count {
        core: machine.core,
        net,
        instructions: instructions.parse()?,
        arena,
        peer: peer(machine.core)[index],
        layers: layers.map(|line| format!("    {line}\n")).collect(),
    })
}
