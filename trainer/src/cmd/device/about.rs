//! `kiln device list` and `kiln device hello`

use std::process::ExitCode;

use clap::Args;
use kiln_board::{boards, port};
use serde_json::json;

use super::connect::Link;
use crate::cmd::ui;

/// `kiln device list`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kiln device list --json")]
pub struct ListArgs {
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `kiln device hello`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kiln device hello qemu:lm3s6965evb")]
pub struct HelloArgs {
    /// A serial port, or qemu:BOARD.
    #[arg(value_name = "PORT")]
    pub at: Option<String>,
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
    /// How to get there.
    #[command(flatten)]
    pub link: Link,
}

/// Names ports and boards.
pub fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let ports = port::found()?;
    if args.json {
        let serial = ports
            .iter()
            .map(|port| json!({"port": port.path, "what": port.words}));
        let emulated = boards::EMULATED.iter().map(|board| {
            json!({
                "port": format!("qemu:{}", board.name),
                "what": board.words,
                "target": board.target.name(),
            })
        });
        let all = json!({
            "serial": serial.collect::<Vec<_>>(),
            "emulated": emulated.collect::<Vec<_>>(),
        });
        ui::print(all.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for port in &ports {
        ui::print(format!("{:<18} {}", port.path, port.words))?;
    }
    if ports.is_empty() {
        ui::say("no serial ports; a board on a cable would be named here");
    }
    for board in &boards::EMULATED {
        ui::print(format!(
            "{:<18} {}",
            format!("qemu:{}", board.name),
            board.words
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a board is and holds.
pub fn hello(args: &HelloArgs) -> anyhow::Result<ExitCode> {
    let address = args.link.only(args.at.as_deref())?;
    let mut board = args.link.connect(&address)?.board;
    let memory = board.memory()?;
    let labels = board.labels()?;
    let about = board.about();
    let [rows, columns, channels] = about.input;
    let display = about.display;
    if args.json {
        let all = json!({
            "board": about.board,
            "model": about.model,
            "checksum": format!("{:08x}", about.checksum),
            "intact": about.intact,
            "input": about.input,
            "takes_pictures": about.takes_pictures,
            "largest": about.largest,
            "labels": labels,
            "layers": about.layers,
            "golden_vectors": about.vectors,
            "display": [display.width, display.height],
            "last_fault": about.last_fault,
            "memory": {
                "ram": memory.ram,
                "statics": memory.statics,
                "stack_reserved": memory.stack_reserved,
                "stack_used": memory.stack_used,
                "arena_reserved": memory.arena_reserved,
                "arena_used": memory.arena_used,
                "program": memory.program,
                "model": memory.model,
            },
        });
        ui::print(all.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let state = match about.intact {
        true => "intact",
        false => "its bytes in flash have changed: flash it anew",
    };
    let pictures = match (about.takes_pictures, about.largest) {
        (true, [width, height]) => format!("pictures up to {width}x{height}"),
        (false, _) => "tensors alone".to_owned(),
    };
    let lines = [
        ("board", about.board.clone()),
        (
            "model",
            format!("{}, checksum {:08x}, {state}", about.model, about.checksum),
        ),
        ("input", format!("{rows}x{columns}x{channels}, {pictures}")),
        ("classes", format!("{} {}", about.logits, labels.join(", "))),
        (
            "layers",
            format!("{}, golden vectors: {}", about.layers, about.vectors),
        ),
        ("display", format!("{}x{}", display.width, display.height)),
        (
            "flash",
            format!("{} bytes, and {} of model", memory.program, memory.model),
        ),
        (
            "RAM",
            format!(
                "{} of {} bytes, {} of them arena",
                memory.statics, memory.ram, memory.arena_reserved
            ),
        ),
        (
            "stack",
            format!("{} of {} bytes", memory.stack_used, memory.stack_reserved),
        ),
    ];
    for (name, text) in lines {
        ui::print(format!("{name:<8} {text}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
