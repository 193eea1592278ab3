//! What an ONNX file that Kiln did not write lacks: class names and the recipe.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use kiln_runtime::load;
use kiln_runtime::onnx::{self, OnnxFile};
use kiln_runtime::recipe::RecipeText;

/// For ONNX files that Kiln did not write.
#[derive(Clone, Debug, Default, Args)]
pub struct Foreign {
    /// Class names in the order of the logits, one a line, for an ONNX file that carries none, or others.
    #[arg(long, value_name = "FILE", help_heading = "Models from elsewhere")]
    pub labels: Option<PathBuf>,
    /// How a picture becomes an input, for an ONNX file that does not say or says otherwise: a TOML file with width, height,
    /// fit, crop_pct, color, mean and std, like the table `recipe` of a run.toml; what is left out is 64x64, stretch, 100,
    /// rgb, 0.5 and 0.25.
    #[arg(long, value_name = "FILE", help_heading = "Models from elsewhere")]
    pub recipe: Option<PathBuf>,
}

impl Foreign {
    /// Refuses to say anything of a model that keeps what it carries.
    pub fn refuse(&self, path: &Path, what: &str) -> anyhow::Result<()> {
        if self.labels.is_some() || self.recipe.is_some() {
            bail!(
                "{}: {what} keeps its labels and recipe; --labels and --recipe are for ONNX files",
                path.display()
            );
        }
        Ok(())
    }

    /// Adds to the file's metadata what is given, and the layout where it is not there.
    pub fn complete(&self, file: &mut OnnxFile) -> anyhow::Result<()> {
        if let Some(path) = &self.labels {
            let text = text(path)?;
            // Windows' editors begin a file with a byte order mark.
            let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
            let labels: Vec<String> = lines
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect();
            if labels.is_empty() {
                bail!("{}: no class names; write one a line", path.display());
            }
            file.set_json(onnx::LABELS, &labels);
        }
        if let Some(path) = &self.recipe {
            let named = || path.display().to_string();
            let recipe: RecipeText = toml::from_str(&text(path)?).with_context(named)?;
            kiln_core::preprocess::Recipe::from(recipe)
                .check()
                .with_context(named)?;
            file.set_json(onnx::RECIPE, &recipe);
        }
        // A file that the loader does not understand may still run in tract.
        if file.get(onnx::LAYOUT).is_err()
            && let Ok(graph) = load::load(file)
        {
            file.set(onnx::LAYOUT, graph.layout.name());
        }
        Ok(())
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
