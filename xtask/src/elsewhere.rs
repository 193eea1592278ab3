//! Whole programs on processors that this machine has not: `kiln-run` on Linux, C on a microcontroller.
//! Both give the bits that they give here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cross::{ARM, ARMV7, DEBIAN_ARM, Toolchain, emulator};
use crate::repo::{Repo, call, shown};

/// A checked-in model; its file says of itself how it was made.
const MODEL: &str = "models/catsdogs-nano/model.kiln";
/// PNG and JPEG, colour and grey: the formats of `kiln-run`.
const PICTURES: [&str; 5] = [
    "firmware/tests/screens",
    "runtime/picture/tests/pictures/quarters-cmyk.jpg",
    "runtime/picture/tests/pictures/quarters-palette.png",
    "runtime/picture/tests/pictures/quarters-progressive.jpg",
    "runtime/picture/tests/pictures/quarters-ycck.jpg",
];
/// There are at least so many.
const LEAST: usize = 30;

/// The processors of `kiln-run`: target, emulator.
fn machines(toolchain: Toolchain) -> [(&'static str, &'static str); 2] {
    let arm = match toolchain {
        Toolchain::Rustup => ARM,
        Toolchain::Debian => DEBIAN_ARM,
    };
    [(arm, "aarch64"), (ARMV7, "arm")]
}

/// Builds `kiln-run` for 64-bit and 32-bit Arm Linux, and compares its logits with this machine's.
///
/// # Errors
/// It does not build, does not run, or answers otherwise.
pub fn kiln_run(repo: &Repo, toolchain: Toolchain) -> Result<()> {
    call(&mut repo.cargo(&["build", "--locked", "--package", "kiln-run"]))?;
    let here = logits(&mut repo.command(repo.target.join("debug/kiln-run")))?;
    if here.len() < LEAST {
        bail!("only {} pictures were found", here.len());
    }
    for (target, processor) in machines(toolchain) {
        let program = build(repo, toolchain, target)?;
        let emulator =
            emulator(repo, processor).with_context(|| format!("no emulator of {processor}"))?;
        let there = logits(repo.command(emulator).arg(program))?;
        if let Some((here, there)) = here.iter().zip(&there).find(|(here, there)| here != there) {
            bail!("{target}: {there:?}, but here {here:?}");
        }
        if here.len() != there.len() {
            bail!("{target}: {} answers of {}", there.len(), here.len());
        }
        eprintln!(
            "{target}: the logits of {} pictures are the same",
            there.len()
        );
    }
    Ok(())
}

fn build(repo: &Repo, toolchain: Toolchain, target: &str) -> Result<PathBuf> {
    let mut command = repo.cargo(&["build", "--locked", "--package", "kiln-run"]);
    let mut folder = repo.target.clone();
    if toolchain == Toolchain::Debian {
        folder = folder.join("cross");
        command.arg("-Zbuild-std=std,panic_abort");
        toolchain.with_sources(&mut command);
    }
    command
        .args(["--target", target, "--target-dir"])
        .arg(&folder);
    toolchain.set(&mut command, target);
    call(&mut command)?;
    Ok(folder.join(target).join("debug/kiln-run"))
}

/// Each picture's name and logits, as they are printed. Probabilities are left out: they take the C
/// library's `exp`.
fn logits(program: &mut Command) -> Result<Vec<(String, String)>> {
    let text = output(program.args([MODEL, "--json"]).args(PICTURES))?;
    let answers = text.lines().map(|line| {
        let answer: Value = serde_json::from_str(line)?;
        Ok((answer["file"].to_string(), answer["logits"].to_string()))
    });
    answers.collect()
}

fn output(command: &mut Command) -> Result<String> {
    let words = shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{words}`"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{words}` failed ({}): {errors}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

const CORTEX_M33: &str = "thumbv8m.main-none-eabihf";
const CORTEX_M4: &str = "thumbv7em-none-eabihf";
/// The model's arena, and some more.
const ARENA: usize = 64 * 1024;

/// Compiles the example firmware in C with the static library for a Cortex-M4, runs it on a board that
/// QEMU plays, and compares what it prints with the same program here. Nothing in it can panic.
///
/// # Errors
/// It does not build, does not run, or prints something else.
pub fn firmware_in_c(repo: &Repo, toolchain: Toolchain) -> Result<()> {
    let folder = repo.target.join("c");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (here, board) = (folder.join("here"), folder.join("board.elf"));

    let mut host = repo.cargo(&["rustc", "--locked", "--package", "kiln-capi", "--lib"]);
    host.args(["--crate-type", "staticlib", "--target-dir"])
        .arg(&folder);
    call(&mut host)?;
    call(compile(repo, "cc", &here, &folder.join("debug")).args(["-lpthread", "-ldl", "-lm"]))?;

    let mut library = repo.cargo(&["rustc", "--locked", "--package", "kiln-capi", "--lib"]);
    library.args(["--crate-type", "staticlib", "--profile", "firmware"]);
    if toolchain == Toolchain::Debian {
        library.arg("-Zbuild-std=core");
        toolchain.with_sources(&mut library);
    }
    library
        .args(["--target", CORTEX_M4, "--target-dir"])
        .arg(&folder);
    call(&mut library)?;
    let built = folder.join(CORTEX_M4).join("firmware");
    let examples = repo.root.join("runtime/capi/examples/cortex-m4");
    let mut command = compile(repo, "arm-none-eabi-gcc", &board, &built);
    command.args([
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=hard",
        "-mfpu=fpv4-sp-d16",
    ]);
    command.args([
        "-ffreestanding",
        "-nostdlib",
        "-Wl,--gc-sections,-z,noexecstack",
    ]);
    command.arg(examples.join("startup.c"));
    command
        .arg("-T")
        .arg(examples.join("memory.ld"))
        .arg("-lgcc");
    call(&mut command)?;

    let symbols = output(repo.command("arm-none-eabi-nm").arg(&board))?;
    if let Some(symbol) = symbols.lines().find(|line| line.contains("panic")) {
        bail!("the firmware can panic: {symbol}");
    }
    let expected = output(&mut repo.command(&here))?;
    let mut qemu = repo.command("qemu-system-arm");
    qemu.args("-machine mps2-an386 -display none -serial none -monitor none".split(' '));
    // What the program says goes to stderr unless it is led elsewhere.
    qemu.args(["-chardev", "stdio,id=line", "-semihosting-config"]);
    qemu.arg("enable=on,target=native,chardev=line");
    let found = output(qemu.arg("-kernel").arg(&board))?;
    if found != expected || found.lines().count() != 4 {
        bail!("on the board: {found:?}, here: {expected:?}");
    }
    eprint!("{found}");
    Ok(())
}

/// Builds the firmware of the board that no emulator plays, down to its linked program.
///
/// # Errors
/// It does not build.
pub fn firmware_of_a_real_board(repo: &Repo, toolchain: Toolchain) -> Result<()> {
    let mut build = repo.cargo(&["build", "--locked", "--package", "kiln-firmware"]);
    build.args("--profile firmware --bin rp2350 --features rp2350".split(' '));
    build.args(["--target", CORTEX_M33, "--config"]);
    build.arg(format!(
        "target.\"{CORTEX_M33}\".rustflags=[\"-Ctarget-cpu=cortex-m33\"]"
    ));
    if toolchain == Toolchain::Debian {
        build.arg("-Zbuild-std=core");
        toolchain.with_sources(&mut build);
    }
    build.env("KILN_MODEL", repo.root.join(MODEL));
    call(&mut build)
}

/// The example's compilation; what the linker takes after the library is the caller's.
fn compile(repo: &Repo, compiler: &str, out: &Path, library: &Path) -> Command {
    let root = repo.root.join("runtime/capi");
    let mut command = repo.command(compiler);
    command.args(["-std=c11", "-Os", "-Wall", "-Wextra", "-Werror"]);
    command.arg(format!(
        "-DKILN_MODEL=\"{}\"",
        repo.root.join(MODEL).display()
    ));
    command.arg(format!("-DKILN_ARENA={ARENA}"));
    command.arg("-I").arg(root.join("include"));
    command.arg(root.join("examples/firmware.c"));
    command
        .arg("-o")
        .arg(out)
        .arg(library.join("libkiln_capi.a"));
    command
}
