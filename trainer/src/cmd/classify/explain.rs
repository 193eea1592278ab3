//! `kiln classify --explain`: the places that speak for the answer, painted over the picture.

use std::path::Path;

use anyhow::{Context, bail};
use kiln_picture::{Limits, decode_file};
use kiln_run::engine::Input;
use kiln_run::explain::{self, Method};
use kiln_run::pictures::preprocessed;

use crate::cmd::ui;
use crate::inference::{Answerer, Model, Session};

/// Refuses what cannot be painted, before anything is classified.
pub fn check(answerer: &Answerer, files: &[impl AsRef<Path>]) -> anyhow::Result<()> {
    if files.len() != 1 {
        bail!("--explain paints one picture; {} were named", files.len());
    }
    match answerer.session() {
        Session::Engine(_) => Ok(()),
        _ => bail!("--explain reads the integers of an inference; first: kiln quantize"),
    }
}

/// Paints one picture's map for its most probable class.
pub fn write(model: &Model, files: &[impl AsRef<Path>], out: &Path) -> anyhow::Result<()> {
    let answerer = model.answerer()?;
    check(&answerer, files)?;
    let ([file], Session::Engine(mut engine)) = (files, answerer.session()) else {
        return Ok(());
    };
    let file = file.as_ref();
    let named = || file.display().to_string();
    let recipe = model.recipe()?;
    let picture = decode_file(file, &Limits::default())?;
    let pixels = preprocessed(&picture, file, &recipe, &mut Vec::new())?;
    let [best] = engine.run(Input::Pixels(&pixels))?.top();
    let map = explain::explain(&mut engine, &pixels, best.index)?;
    let painted = explain::paint(&picture, &recipe, &map).with_context(named)?;
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
