//! Quantized models beside ONNX Runtime: many in one process of Python, which takes a second to start.

use std::collections::BTreeMap;
use std::env;
use std::ops::Range;
use std::path::Path;

use kiln_core::Target;
use kiln_runtime::compile::{Options, compile};
use kiln_runtime::engine::{Input, LoadedModel, OfGraph};
use kiln_runtime::graph::Layout;
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::qgraph::QGraph;
use kiln_runtime::quantized::load_quantized;
use serde_json::Value;
use tempfile::TempDir;

use crate::npy::Array;
use crate::{python, script};

/// What ONNX Runtime has no integers for: QUANTIZATION.md's meaning is its float form.
pub const FLOAT: [&str; 1] = ["Sub"];

/// Models with inputs and with what Kiln's engine made of them, in a folder.
pub struct Batch {
    folder: TempDir,
    models: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// None yet.
    ///
    /// # Panics
    /// There is no temporary folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            models: 0,
        }
    }

    /// Adds a model. Inputs have their axes as the file's input has them.
    ///
    /// # Panics
    /// The file has not one input, or the file system says no.
    pub fn add(&mut self, name: &str, file: &OnnxFile, inputs: &[Vec<f32>], logits: &[Vec<f32>]) {
        let (_, axes) = file.input().expect("a model has one input");
        let at = |ending: &str| self.folder.path().join(format!("{name}{ending}"));
        file.save(&at(".onnx")).expect("a temporary file");
        Array::stack(&axes[1..], inputs).write(&at(".inputs.npy"));
        let classes = logits.first().map_or(0, Vec::len);
        Array::stack(&[classes], logits).write(&at(".logits.npy"));
        self.models += 1;
    }

    /// ONNX Runtime's word on each, by name. `allowed` are operators that may run in float.
    ///
    /// # Panics
    /// The script does not come to its end.
    pub fn reports(&self, allowed: &[&str]) -> BTreeMap<String, Value> {
        let mut command = python();
        command.arg(script("int8_conformance.py"));
        command.arg(self.folder.path());
        command.args(allowed.iter().flat_map(|op| ["--allow", op]));
        let output = command.output().expect("Python starts");
        let lines = String::from_utf8_lossy(&output.stdout);
        let reports: BTreeMap<String, Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON for each model"))
            .map(|report: Value| (report["model"].as_str().unwrap_or_default().into(), report))
            .collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(reports.len(), self.models, "{errors}");
        reports
    }

    /// Asserts that there is no complaint about any; `repeat` says how one is run again.
    ///
    /// # Panics
    /// There is one: the message names the models.
    pub fn check(&self, allowed: &[&str], repeat: impl Fn(&str) -> String) {
        let reports = self.reports(allowed);
        let bad: Vec<String> = reports
            .iter()
            .filter(|(_, report)| report["complaints"] != Value::Array(vec![]))
            .map(|(name, report)| format!("{}\n  repeat: {}", report["complaints"], repeat(name)))
            .collect();
        let shown = bad.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        let kept = match (bad.is_empty(), env::var_os("KILN_KEEP")) {
            (false, Some(folder)) => keep(self.folder.path(), Path::new(&folder)),
            _ => String::new(),
        };
        let models = self.models;
        assert!(
            bad.is_empty(),
            "{} of {models} models:\n{shown}\n{kept}",
            bad.len()
        );
    }
}

/// Copies a folder's files, so that they can be looked at.
fn keep(from: &Path, to: &Path) -> String {
    let copy = || -> std::io::Result<()> {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    };
    match copy() {
        Ok(()) => format!("kept in {}", to.display()),
        Err(error) => error.to_string(),
    }
}

/// The engine's logits of each input.
///
/// # Panics
/// The engine gives an error.
pub fn logits(model: &LoadedModel, inputs: &[Vec<f32>], layout: Layout) -> Vec<Vec<f32>> {
    let mut engine = model.engine();
    let run = |input: &Vec<f32>| engine.logits(Input::Tensor(input, layout));
    inputs
        .iter()
        .map(run)
        .map(|logits| logits.expect("the engine runs"))
        .collect()
}

/// What each target's file gives must be what the graph gives.
///
/// # Panics
/// It is not.
pub fn same_on_all_targets(graph: &QGraph, inputs: &[Vec<f32>], expected: &[Vec<f32>]) {
    for target in Target::ALL {
        let options = Options {
            target,
            ..Options::default()
        };
        let compiled = compile(graph, &options).expect("it compiles for every target");
        let model = LoadedModel::from_bytes(&compiled.bytes).expect("it loads");
        let found = logits(&model, inputs, graph.meta.layout);
        assert_eq!(found, expected, "{target:?}");
    }
}

/// What a file says, read again, must be what the graph says that it was written from.
///
/// # Panics
/// It is not.
pub fn same_when_read_again(file: &OnnxFile, inputs: &[Vec<f32>], expected: &[Vec<f32>]) {
    let graph = load_quantized(file).unwrap_or_else(|error| panic!("read again: {error}"));
    let model = LoadedModel::of(&graph).unwrap_or_else(|error| panic!("read again: {error}"));
    assert_eq!(
        logits(&model, inputs, graph.meta.layout),
        expected,
        "read again"
    );
}

/// Seeds that a test goes through: `KILN_SEEDS=FIRST..END` sets others.
///
/// # Panics
/// The variable is set to something else.
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = env::var("KILN_SEEDS") else {
        return usual;
    };
    let range = text
        .split_once("..")
        .and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.unwrap_or_else(|| panic!("KILN_SEEDS={text}; it is FIRST..END, like 17..18"))
}

/// How a test is run again for one seed.
pub fn repeat(test: &str, seed: &str) -> String {
    let end = seed.parse::<u64>().map_or(0, |seed| seed + 1);
    format!("KILN_SEEDS={seed}..{end} cargo xtask test {test}")
}
