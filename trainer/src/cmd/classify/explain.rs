//! `kiln classify --explain`: the places that speak for the answer, painted over the picture.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kiln_core::preprocess::Recipe;
use kiln_picture::{Limits, decode_file};
use kiln_run::engine::{Engine, Input};
use kiln_run::explain::{self, Method};
use kiln_run::pictures::preprocessed;

use crate::cmd::ui;
use crate::inference::{Answerer, Session};

/// The engine that explains, and the only picture.
///
/// # Errors
/// Several pictures, or a model of floats.
pub fn subject<'f>(
    answerer: &Answerer,
    files: &'f [PathBuf],
) -> anyhow::Result<(Engine, &'f Path)> {
    let [file] = files else {
        bail!("--explain paints one picture; {} were named", files.len());
    };
    let Session::Engine(engine) = answerer.session() else {
        bail!("--explain reads the integers of an inference; first: kiln quantize");
    };
    Ok((engine, file))
}

/// Paints a picture's map for its most probable class.
pub fn write(mut engine: Engine, file: &Path, recipe: &Recipe, out: &Path) -> anyhow::Result<()> {
    let picture = decode_file(file, &Limits::default())?;
    let pixels = preprocessed(&picture, file, recipe, &mut Vec::new())?;
    let [best] = engine.run(Input::Pixels(&pixels))?.top();
    let map = explain::explain(&mut engine, &pixels, best.index)?;
    let painted = explain::paint(&picture, recipe, &map);
    let painted = painted.with_context(|| file.display().to_string())?;
    explain::save_png(&painted, out)?;
    let how = match map.method {
        Method::Activation => "class activation map",
        Method::Occlusion => "occlusion map",
    };
    ui::say(format!(
        "{}: {how}, {}×{}",
        out.display(),
        map.columns,
        map.rows
    ));
    Ok(())
}
