//! `kiln synth`: the synthetic set on its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ui;
use crate::data::synthetic::{SyntheticOptions, write_synthetic};

/// `kiln synth`
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kiln synth drawn --train 200 && kiln train drawn --out runs/drawn"
)]
pub struct SynthArgs {
    /// The folder to make; it must not exist yet.
    pub folder: PathBuf,
    /// Training pictures of each class.
    #[arg(long, default_value_t = SyntheticOptions::default().train)]
    pub train: u32,
    /// Validation pictures of each class.
    #[arg(long, default_value_t = SyntheticOptions::default().val)]
    pub val: u32,
    /// Test pictures of each class.
    #[arg(long, default_value_t = SyntheticOptions::default().test)]
    pub test: u32,
    /// Rows and columns of a picture.
    #[arg(long, default_value_t = SyntheticOptions::default().side)]
    pub side: u32,
    /// Another seed draws other pictures.
    #[arg(long, default_value_t = SyntheticOptions::default().seed)]
    pub seed: u64,
}

/// Draws the set.
pub fn run(args: &SynthArgs) -> anyhow::Result<ExitCode> {
    let options = SyntheticOptions {
        seed: args.seed,
        side: args.side,
        train: args.train,
        val: args.val,
        test: args.test,
    };
    let bar = ui::LazyBar::default();
    write_synthetic(&args.folder, &options, &|done, total| {
        bar.show("drawing", done, total)
    })?;
    let pictures = 2 * (args.train + args.val + args.test);
    ui::print(format!(
        "{pictures} synthetic pictures in {}",
        args.folder.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
