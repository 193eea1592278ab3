//! Puts a board's memory map on the linker's path, and the model that `KILN_MODEL` names into the
//! program, if it fits.

use std::path::{Path, PathBuf};
use std::{env, fs};

use kiln_core::operators::Set;
use kiln_core::{Model, Target};

#[path = "src/plan.rs"]
mod plan;

use plan::{BOARDS, LM3S6965EVB, Limits, OTHER_RAM, PROGRAM, Plan};

/// The memory map of the feature `engine`, whose model is not told to the board.
const ENGINE: Limits = Limits {
    name: "engine",
    frame: 0,
    ..LM3S6965EVB
};

fn main() {
    println!("cargo::rerun-if-env-changed=KILN_MODEL");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rerun-if-changed=memory");
    let chosen = |board: &Limits| {
        let feature = board.name.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{feature}")).is_some()
    };
    let boards: Vec<Limits> = BOARDS.into_iter().chain([ENGINE]).filter(chosen).collect();
    let result = match boards[..] {
        [] => Ok(()),
        [board] => prepare(&board),
        _ => Err("more than one board: build one at a time, with `--features BOARD`".into()),
    };
    if let Err(message) = result {
        println!("cargo::error={}", message.replace('\n', " "));
    }
}

fn prepare(board: &Limits) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let map = format!("memory/{}.x", board.name);
    let text = fs::read_to_string(&map).map_err(|error| format!("{map}: {error}"))?;
    write(&out.join("memory.x"), text.as_bytes())?;
    write(
        &out.join("stack.x"),
        b"ASSERT(_stack_start - _stack_end >= _stack_reserved, \"the statics leave less RAM than \
          _stack_reserved for the stack: take a model with a smaller arena\");\n",
    )?;
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    if has("EMULATED") || has("ENGINE") {
        // No interrupt has a handler of its own. With a real chip, its crate says which have one.
        write(&out.join("device.x"), b"")?;
    }
    println!("cargo::rustc-link-search={}", out.display());
    for argument in ["-Tlink.x", "-Tstack.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    let (path, bytes) = model_file()?;
    let model = Model::new(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let plan = Plan::of(&model, board.largest);
    fits(&plan, board, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    write(&out.join("model.kiln"), &bytes)?;
    let core = core()?;
    let (here, there) = (Set::on(core, &model).bits(), Set::of(&model).bits());
    if here & !there != 0 {
        let (from, to) = (model.target().name(), core.name());
        println!(
            "cargo::warning={}: it is compiled for {from}: slow here; `kiln compile --target {to}` makes it fast",
            path.display()
        );
    }
    let sizes = format!(
        "const ARENA: usize = {};\nconst LAYERS: usize = {};\nconst OPERATORS: u32 = {};\n",
        plan.arena, plan.layers, here
    );
    write(&out.join("sizes.rs"), sizes.as_bytes())
}

/// The core that the program is built for, as kiln-core's build script takes it: M7 and M33 have the kernels of M4,
/// and vectors need floats in registers.
fn core() -> Result<Target, String> {
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut cpus = ["target-cpu=cortex-m55", "target-cpu=cortex-m85"].into_iter();
    let vectors = target.ends_with("eabihf") && cpus.any(|cpu| flags.contains(cpu));
    match target.split('-').next().unwrap_or_default() {
        "thumbv6m" => Ok(Target::CortexM0),
        "thumbv7m" => Ok(Target::CortexM3),
        "thumbv7em" => Ok(Target::CortexM4),
        "thumbv8m.main" if vectors => Ok(Target::CortexM55),
        "thumbv8m.main" => Ok(Target::CortexM33),
        _ => Err(format!(
            "{target} is no Cortex-M: build with `--target`, as docs/board.md has it"
        )),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn model_file() -> Result<(PathBuf, Vec<u8>), String> {
    let path = env::var_os("KILN_MODEL").map(PathBuf::from);
    let path = path.filter(|path| path.is_absolute()).ok_or(
        "KILN_MODEL does not name the model for the board: set it to the whole path of a .kiln file, \
         as `kiln compile MODEL.int8.onnx --target cortex-m4 -o MODEL.kiln` writes it",
    )?;
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((path, bytes))
}

/// Refuses what cannot fit. The linker has the last word, to the byte.
fn fits(plan: &Plan, board: &Limits, map: &str) -> Result<(), String> {
    let name = board.name;
    let size = |of: &str| number(map, of).ok_or(format!("memory/{name}.x: no {of}"));
    let (flash, ram, stack) = (size("FLASH")?, size("RAM")?, size("_stack_reserved")?);
    let needed = plan.model + PROGRAM;
    if needed > flash {
        return Err(format!(
            "too much flash for {name}: model {} + program {PROGRAM} = {needed} of {flash} bytes. Train a \
             smaller network, compile with fewer golden vectors, or take a larger board",
            plan.model
        ));
    }
    let needed = plan.ram() + board.frame + OTHER_RAM + stack;
    if needed > ram {
        return Err(format!(
            "too much RAM for {name}: arena {} + times of layers {} + frame buffer {} + link {OTHER_RAM} + \
             stack {stack} = {needed} of {ram} bytes. Train with a smaller --size or a narrower network, or \
             take a larger board",
            plan.arena,
            plan.layers * 4,
            board.frame
        ));
    }
    Ok(())
}

/// The bytes that a memory map gives to a region (`NAME : …, LENGTH = 64K`) or a symbol (`NAME = 64K`).
fn number(map: &str, name: &str) -> Option<usize> {
    let mut lines = map.lines().map(str::trim);
    let line = lines.find(|line| line.split([' ', ':']).next() == Some(name))?;
    let text = line.rsplit('=').next()?.trim().trim_end_matches(';');
    let (digits, unit) = match text.chars().last()? {
        'K' => (text.trim_end_matches('K'), 1 << 10),
        'M' => (text.trim_end_matches('M'), 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok().map(|number| number * unit)
}
