//! `kiln worker`: lend this machine's device to a training on another one.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use crate::device::DeviceChoice;

/// `kiln worker`
#[derive(Debug, Args)]
#[command(after_help = "\
Example, on each machine:
  kiln worker --listen 192.168.1.20:3000
and on the one with the pictures:
  kiln train photos --out runs/big --device remote:192.168.1.20:3000,192.168.1.21:3000

The line is neither encrypted nor guarded: listen on a trusted network only.")]
pub struct WorkerArgs {
    /// The address and port to wait on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    /// What to compute on.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
}

/// Serves until Ctrl-C.
#[cfg(feature = "remote")]
pub fn run(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    use crate::cmd::ui;
    use anyhow::Context;
    use burn::tensor::server::{RemoteServer, WebSocketTransport};
    let failed = || format!("{}: cannot listen there", args.listen);
    let listener = std::net::TcpListener::bind(args.listen).with_context(failed)?;
    let address = listener.local_addr().with_context(failed)?;
    let devices = args.device.open()?;
    ui::say(format!(
        "kiln worker: {} on {address}; Ctrl-C ends it",
        devices.name
    ));
    RemoteServer::new(devices.list)
        .serve(WebSocketTransport::from_listener(listener))
        .with_context(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// Says that this binary was built without it.
#[cfg(not(feature = "remote"))]
pub fn run(_: &WorkerArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this kiln was built without workers; build with `--features remote`")
}
