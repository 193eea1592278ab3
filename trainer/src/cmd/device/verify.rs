//! `kiln device verify`

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::connect::Link;
use crate::cmd::ui::{self, LazyBar};

/// `kiln device verify`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln device verify qemu:lm3s6965evb
  kiln device verify /dev/ttyACM0 --model model.kiln

Golden vectors lie in the .kiln file, where `kiln compile` puts them. The board compares the output of every
layer with what the host computed.

Exit codes: 0 all are the same, 1 one differs, 2 an error.")]
pub struct VerifyArgs {
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

/// Verifies.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let address = args.link.only(args.at.as_deref())?;
    let mut board = args.link.connect(&address)?.board;
    let about = board.about().clone();
    if about.vectors == 0 {
        bail!(
            "{address}: `{}` has no golden vectors; compile it with --golden 1",
            about.model
        );
    }
    let bar = LazyBar::default();
    let mut differs = None;
    for vector in 0..about.vectors {
        differs = board.verify(vector)?.map(|found| (vector, found));
        if differs.is_some() {
            break;
        }
        let done = usize::from(vector) + 1;
        bar.show("verifying", done, usize::from(about.vectors));
    }
    bar.clear();
    if args.json {
        let found = differs.as_ref().map(
            |(vector, found)| json!({"vector": vector, "layer": found.layer, "name": found.name}),
        );
        let all = json!({
            "model": about.model,
            "checksum": format!("{:08x}", about.checksum),
            "intact": about.intact,
            "golden_vectors": about.vectors,
            "layers": about.layers,
            "differs": found,
        });
        ui::print(all.to_string())?;
    } else if let Some((vector, found)) = &differs {
        ui::print(format!(
            "golden vector {vector}: layer {} `{}` is the first that differs",
            found.layer, found.name
        ))?;
    } else {
        ui::print(format!(
            "golden vectors: {}, each of {} layers as on the host",
            about.vectors, about.layers
        ))?;
    }
    if !about.intact {
        ui::say("kiln: the model's bytes in flash have changed; flash it anew");
    }
    Ok(match differs.is_none() && about.intact {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}
