//! A model that is compiled for another processor than this one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kiln_core::Target;
use kiln_run::engine::LoadedModel;
use kiln_runtime::compile::{self, Options};

use crate::cmd::compile::{GOLDEN, stem};
use crate::inference::{Foreign, Model};

/// A compiled model, in bytes and checked.
pub struct ModelFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// The same, for this machine's engine.
    pub loaded: LoadedModel,
}

/// The model that emulated boards get where none is named.
pub fn default_path(source: &Path) -> anyhow::Result<PathBuf> {
    let path = source.join("models/catsdogs-nano/model.int8.onnx");
    if !path.is_file() {
        bail!(
            "{}: it is not there; name a model with --model",
            path.display()
        );
    }
    Ok(path)
}

impl ModelFile {
    /// Reads a `.kiln` file, or compiles a quantized ONNX file for a target.
    pub fn open(path: &Path, foreign: &Foreign, target: Target) -> anyhow::Result<Self> {
        let graph = match Model::open(path, foreign)? {
            Model::Kiln(..) => return Self::compiled(path),
            Model::Int8(_, graph, _) => graph,
            Model::Float(_) | Model::Run(_) => bail!(
                "{}: it is not quantized; give what `kiln quantize` writes",
                path.display()
            ),
        };
        let options = Options {
            target,
            name: Some(&name(path)),
            golden: GOLDEN,
            ..Options::default()
        };
        let compiled = compile::compile(&graph, &options);
        let bytes = compiled.with_context(|| path.display().to_string())?.bytes;
        let loaded = LoadedModel::from_bytes(&bytes)?;
        Ok(Self { bytes, loaded })
    }

    /// Reads a `.kiln` file.
    pub fn compiled(path: &Path) -> anyhow::Result<Self> {
        let named = || path.display().to_string();
        let bytes = fs::read(path).with_context(named)?;
        let loaded = LoadedModel::from_bytes(&bytes).with_context(|| {
            format!(
                "{}: give a .kiln file; a board's is the one that it was built with",
                path.display()
            )
        })?;
        Ok(Self { bytes, loaded })
    }
}

/// What a display shows: the file's name, or its folder's where all such files have the same.
pub fn name(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name);
    match (stem(path), folder) {
        (stem, Some(folder)) if stem == "model" => folder.to_string_lossy().into_owned(),
        (stem, _) => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_called_by_file_or_folder() {
        let cases = [
            ("models/catsdogs-nano/model.int8.onnx", "catsdogs-nano"),
            ("photos.int8.onnx", "photos"),
            ("runs/first/other.int8.onnx", "other"),
            ("model.int8.onnx", "model"),
            ("runs/first/model.kiln", "first"),
            ("cats.cortex-m4.kiln", "cats"),
            ("net.v1.onnx", "net.v1"),
            ("net.v2.int8.onnx", "net.v2"),
            ("net", "net"),
        ];
        for (path, expected) in cases {
            assert_eq!(name(Path::new(path)), expected, "{path}");
        }
    }
}
