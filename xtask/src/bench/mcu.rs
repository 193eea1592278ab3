//! `cargo xtask bench mcu`: executed instructions of an inference on Cortex-M, counted by QEMU, beside those
//! of TensorFlow Lite Micro with CMSIS-NN.
//!
//! With `-icount shift=0` an instruction takes a nanosecond of the board's time, so that its timer counts
//! them, 40 or 50 at a time. The count is the same in every run and on every machine: what is counted has
//! budgets.

mod budgets;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Parser;
use kiln_source::flash;
use serde::{Deserialize, Serialize};

use super::{NETS, networks};
use crate::cross::{self, MACHINES, Machine};
use crate::model;
use crate::on_boards;
use crate::repo::Repo;
use crate::setup::{self, Need};
use crate::stages::Stages;

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
    /// A list of objects: core, net, instructions, arena, code.
    #[arg(long)]
    json: bool,
    /// Make what was counted the budgets: for a change that is worth what it costs.
    #[arg(long)]
    write: bool,
}

/// What a network takes on a core.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    core: String,
    net: String,
    instructions: u64,
    /// Bytes.
    arena: u64,
    /// Bytes of flash but the model's: the engine with all of its operators, start-up, and printing what
    /// was counted.
    code: u64,
    #[serde(skip)]
    layers: String,
}

/// Counts, prints, and compares with the budgets.
pub fn run(repo: &Repo, args: &[String], stages: &mut Stages) -> Result<()> {
    let args = Args::try_parse_from(args)?;
    let counts = count_all(repo, stages)?;
    match args.json {
        true => println!("{}", serde_json::to_string(&counts)?),
        false => print(&counts, args.layers),
    }
    match args.write {
        true => budgets::write(repo, &counts)?,
        false => stages.check_that("budgets", || budgets::compare(repo, &counts)),
    }
    Ok(())
}

/// Counts and compares with the budgets. Where the networks are not, it says so.
pub fn check(repo: &Repo, stages: &mut Stages) -> Result<()> {
    if let Err(error) = networks(repo) {
        eprintln!("\nno instructions are counted: {error:#}");
        return Ok(());
    }
    let counts = count_all(repo, stages)?;
    print(&counts, false);
    stages.check_that("budgets", || budgets::compare(repo, &counts));
    Ok(())
}

/// Compiles the networks for each core and runs them.
fn count_all(repo: &Repo, stages: &mut Stages) -> Result<Vec<Count>> {
    setup::ensure(repo, &Need::FOR_MCU, stages)?;
    let models = networks(repo)?;
    let own = repo.target.join("bench/mcu");
    fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
    stages.need("build", || model::build_compiler(repo))?;
    let mut counts = Vec::new();
    stages.need("count", || {
        for machine in &MACHINES {
            for net in NETS {
                let onnx = models.join(format!("{net}.int8-qdq.onnx"));
                let file = own.join(format!("{net}.{}.kiln", machine.core));
                model::compile(repo, machine, &onnx, &file)?;
                counts.push(count(repo, machine, net, &file)?);
            }
        }
        Ok(())
    })?;
    Ok(counts)
}

fn print(counts: &[Count], layers: bool) {
    println!(
        "millions of instructions an inference; in brackets TensorFlow Lite Micro with CMSIS-NN"
    );
    for count in counts {
        let millions = count.instructions as f64 / 1e6;
        let index = NETS.iter().position(|net| *net == count.net);
        let peer = peer(&count.core)[index.unwrap_or(0)];
        println!(
            "{:8} {:5} {millions:8.3}  ({peer:6.3}, {:.2} times as many)  arena {:6}  code {:6}",
            count.core,
            count.net,
            peer / millions,
            count.arena,
            count.code,
        );
        if layers {
            print!("{}", count.layers);
        }
    }
}

fn count(repo: &Repo, machine: &Machine, net: &str, model: &Path) -> Result<Count> {
    // What is written down of the arena is what it takes.
    on_boards::on(repo, machine, "arena", model)?;
    let file = fs::read(model)?;
    let arena = file
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
    let program = cross::program(repo, "layers", machine);
    let program = fs::read(&program).with_context(|| program.display().to_string())?;
    Ok(Count {
        core: machine.core.into(),
        net: net.into(),
        instructions: instructions.parse()?,
        arena: arena.into(),
        code: flash(&program)?.saturating_sub(file.len() as u64),
        layers: layers.map(|line| format!("    {line}\n")).collect(),
    })
}
