//! `kiln device profile`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use kiln_board::About;
use kiln_board::client::LayerCost;
use serde_json::json;

use super::classify::classify;
use super::connect::Link;
use crate::cmd::ui;

/// `kiln device profile`
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "kiln device profile [OPTIONS] <PORT> [PICTURE]",
    after_help = "\
Examples:
  kiln device profile qemu:mps2-an386
  kiln device profile /dev/ttyACM0 photo.jpg --json

An emulated board counts executed instructions, a real one measures time."
)]
pub struct ProfileArgs {
    /// A serial port or qemu:BOARD, then a picture; without one the input is all zeros.
    #[arg(value_name = "PORT PICTURE")]
    pub words: Vec<PathBuf>,
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
    /// How to get there.
    #[command(flatten)]
    pub link: Link,
}

/// Profiles.
pub fn run(args: &ProfileArgs) -> anyhow::Result<ExitCode> {
    let (address, words) = args.link.first(&args.words)?;
    let mut connected = args.link.connect(&address)?;
    let inferred = match words {
        [] => connected.board.run_zeros()?,
        [picture] => classify(&mut connected, picture, |_, _| ())??,
        _ => bail!("one picture is enough: the layers cost the same with others"),
    };
    let layers = connected.board.profile()?;
    let about = connected.board.about();
    if args.json {
        let cost = |ticks: u32| json!({"ticks": ticks, "milliseconds": about.milliseconds(ticks), "instructions": about.instructions(ticks)});
        let layers = layers.iter().map(|layer| {
            let mut value = cost(layer.ticks);
            value["name"] = json!(layer.name);
            value
        });
        let all = json!({
            "board": about.board,
            "model": about.model,
            "preprocess": cost(inferred.preprocess_ticks),
            "model_cost": cost(inferred.infer_ticks),
            "layers": layers.collect::<Vec<_>>(),
        });
        ui::print(all.to_string())?;
    } else {
        ui::print(table(
            about,
            inferred.preprocess_ticks,
            inferred.infer_ticks,
            &layers,
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line a layer, with its share of the model's cost.
fn table(about: &About, preprocess: u32, infer: u32, layers: &[LayerCost]) -> String {
    let names = layers.iter().map(|layer| layer.name.chars().count());
    let width = names.max().unwrap_or(0).max("preprocessing".len());
    let line = |name: &str, ticks: u32, share: String| {
        let cost = match about.instructions(ticks) {
            Some(count) => format!("{count:>12}"),
            None => format!("{:>12.3}", about.milliseconds(ticks)),
        };
        format!("{name:<width$} {cost} {share:>7}")
            .trim_end()
            .to_owned()
    };
    let unit = match about.nanoseconds_per_instruction {
        0 => "ms",
        _ => "instructions",
    };
    let share = |ticks: u32| match infer {
        0 => String::new(),
        all => format!("{:.1}%", f64::from(ticks) * 100.0 / f64::from(all)),
    };
    let mut lines = vec![format!("{:<width$} {unit:>12} {:>7}", "layer", "share")];
    let of = |layer: &LayerCost| line(&layer.name, layer.ticks, share(layer.ticks));
    lines.extend(layers.iter().map(of));
    lines.push(line("the model", infer, share(infer)));
    if preprocess > 0 {
        lines.push(line("preprocessing", preprocess, String::new()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<LayerCost> {
        [("first", 300), ("a long name of a layer", 700)]
            .map(|(name, ticks)| LayerCost {
                name: name.to_owned(),
                ticks,
            })
            .to_vec()
    }

    #[test]
    fn instructions_where_they_are_counted_else_time() {
        let mut about = About {
            ticks_per_second: 1_000_000,
            nanoseconds_per_instruction: 16,
            ..About::default()
        };
        let expected = "\
layer                  instructions   share
first                         18750   30.0%
a long name of a layer        43750   70.0%
the model                     62500  100.0%
preprocessing                   125";
        assert_eq!(table(&about, 2, 1000, &layers()), expected);
        about.nanoseconds_per_instruction = 0;
        let expected = "\
layer                            ms   share
first                         0.300   30.0%
a long name of a layer        0.700   70.0%
the model                     1.000  100.0%";
        assert_eq!(table(&about, 0, 1000, &layers()), expected);
    }
}
