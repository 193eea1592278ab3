//! ONNX's own tests of single operators, and those of layers that PyTorch exported: floats through the
//! loader and through tract, integers through the engine. Each is computed rightly, or refused by name.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use kiln_runtime::engine::{Input, LoadedModel, OfGraph};
use kiln_runtime::float::FloatModel;
use kiln_runtime::float_graph::FloatGraph;
use kiln_runtime::fold::fold;
use kiln_runtime::graph::{Axis, Layout};
use kiln_runtime::load::{Loaded, load_with_axes};
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::quantized::from_graph;
use kiln_tests::npy::Array;
use kiln_tests::{python, script, succeed};
use serde_json::Value;

#[path = "onnx_backend/refused.rs"]
mod refused;

/// What became of a case.
#[derive(Debug, PartialEq)]
enum Outcome {
    Equal,
    Refused(String),
    Wrong(String),
}

/// The values in the file's order of axes.
fn in_file_order(loaded: &Loaded, values: &[f32]) -> Vec<f32> {
    let shape = loaded.graph.shape(loaded.graph.output);
    let (height, width, channels) = (
        shape.height as usize,
        shape.width as usize,
        shape.channels as usize,
    );
    let of = |axis: &Axis| match axis {
        Axis::Rows => (height, width * channels),
        Axis::Columns => (width, channels),
        Axis::Channels => (channels, 1),
    };
    let mut from = vec![0];
    for (steps, stride) in loaded.output_axes.iter().flatten().map(of) {
        let next = |base: &usize| (0..steps).map(|at| base + at * stride).collect::<Vec<_>>();
        from = from.iter().flat_map(next).collect();
    }
    from.into_iter().map(|index| values[index]).collect()
}

fn nhwc(loaded: &Loaded, values: &[f32]) -> Vec<f32> {
    if loaded.graph.layout == Layout::Nhwc {
        return values.to_vec();
    }
    let shape = loaded.graph.shape(loaded.graph.input);
    let (pixels, channels) = (shape.pixels(), shape.channels as usize);
    let at = |index: usize| index % channels * pixels + index / channels;
    (0..values.len()).map(|index| values[at(index)]).collect()
}

fn softmax(values: &mut [f32]) {
    let most = values.iter().copied().fold(f32::MIN, f32::max);
    values
        .iter_mut()
        .for_each(|value| *value = (*value - most).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}

fn close(found: &[f32], expected: &[f32], tolerance: f32) -> Outcome {
    if found.len() != expected.len() {
        return Outcome::Wrong(format!("{} values, not {}", found.len(), expected.len()));
    }
    let most = expected
        .iter()
        .fold(1.0f32, |most, value| most.max(value.abs()));
    let mut pairs = found.iter().zip(expected);
    match pairs.find(|(found, expected)| {
        let difference = (**found - **expected).abs();
        difference.is_nan() || difference > tolerance * most
    }) {
        Some((found, expected)) => Outcome::Wrong(format!("{found}, not {expected}")),
        None => Outcome::Equal,
    }
}

fn floats(loaded: &Loaded, input: &[f32], expected: &[f32], log: bool) -> Outcome {
    let mut both = [loaded.graph.clone(), fold(&loaded.graph)]
        .into_iter()
        .map(|graph| {
            let mut found = match FloatGraph::new(&graph).run(&nhwc(loaded, input), &mut |_, _| ())
            {
                Ok(found) => in_file_order(loaded, &found),
                Err(error) => return Outcome::Wrong(error.to_string()),
            };
            if graph.softmax {
                softmax(&mut found);
            }
            // It is left to the caller as Softmax is.
            if log {
                found.iter_mut().for_each(|value| *value = value.ln());
            }
            close(&found, expected, 1e-4)
        });
    both.find(|outcome| *outcome != Outcome::Equal)
        .unwrap_or(Outcome::Equal)
}

fn integers(loaded: &Loaded, input: &[f32], expected: &[f32]) -> Outcome {
    let run = || -> Result<Vec<f32>, String> {
        let graph =
            from_graph(&loaded.graph).map_err(|nodes| format!("{}; {}", nodes[0], nodes.len()))?;
        let model = LoadedModel::of(&graph).map_err(|error| error.to_string())?;
        let logits = model
            .engine()
            .logits(Input::Tensor(input, loaded.graph.layout));
        logits.map_err(|error| error.to_string())
    };
    match run() {
        Ok(found) => close(&in_file_order(loaded, &found), expected, 0.0),
        Err(error) => Outcome::Refused(error),
    }
}

fn case(folder: &Path, case: &Value) -> Outcome {
    let at = |ending: &str| folder.join(format!("{}{ending}", case["name"].as_str().unwrap()));
    let loaded = OnnxFile::load(&at(".onnx")).map_err(|error| error.to_string());
    let loaded = loaded.and_then(|file| load_with_axes(&file).map_err(|error| error.to_string()));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Outcome::Refused(error),
    };
    let (inputs, expected) = (
        Array::read(&at(".inputs.npy")),
        Array::read(&at(".expected.npy")),
    );
    let log = case["name"] == "LogSoftmax";
    let run = |input: &[f32], expected: &[f32]| match case["integers"] == true {
        true => integers(&loaded, input, expected),
        false => floats(&loaded, input, expected, log),
    };
    let mut outcomes = inputs
        .rows()
        .zip(expected.rows())
        .map(|(input, expected)| run(input, expected));
    outcomes
        .find(|outcome| *outcome != Outcome::Equal)
        .unwrap_or(Outcome::Equal)
}

/// Whether tract gives what the case expects; none where tract does not take it.
fn by_tract(folder: &Path, name: &str) -> Option<Outcome> {
    let at = |ending: &str| folder.join(format!("{name}{ending}"));
    let file = OnnxFile::load(&at(".onnx")).ok()?;
    let model = FloatModel::new(&file).ok()?;
    let ends_in_softmax = load_with_axes(&file).is_ok_and(|loaded| loaded.graph.softmax);
    let (inputs, expected) = (
        Array::read(&at(".inputs.npy")),
        Array::read(&at(".expected.npy")),
    );
    let run = |input: &[f32]| {
        let mut found = model.run(input).ok()?;
        if ends_in_softmax {
            softmax(&mut found);
        }
        if name == "LogSoftmax" {
            found.iter_mut().for_each(|value| *value = value.ln());
        }
        Some(found)
    };
    let found = inputs.rows().map(run).collect::<Option<Vec<_>>>()?;
    Some(close(&found.concat(), &expected.values, 1e-4))
}

#[test]
fn onnx_s_own_cases_are_computed_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    succeed(python().arg(script("backend_cases.py")).arg(folder.path()));
    let cases = std::fs::read(folder.path().join("cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    let reasons: BTreeMap<&str, &str> = refused::REFUSED
        .iter()
        .flat_map(|(why, names)| names.iter().map(move |name| (*name, *why)))
        .collect();
    let (mut bad, mut equal, mut tract) = (vec![], 0, 0);
    for entry in &cases {
        let name = entry["name"].as_str().unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| case(folder.path(), entry)));
        let listed = reasons.get(name);
        match outcome {
            Err(_) => bad.push(format!("{name}: a panic")),
            Ok(Outcome::Equal) if listed.is_some() => {
                bad.push(format!("{name}: computed rightly, but listed as refused"));
            }
            Ok(Outcome::Equal) => equal += 1,
            // What is refused is named, with what to do.
            Ok(Outcome::Refused(error)) if listed.is_some() && error.contains("; ") => {}
            Ok(outcome) => bad.push(format!("{name}: {outcome:?}")),
        }
        if entry["integers"] != true && listed.is_none() {
            match by_tract(folder.path(), name) {
                Some(Outcome::Equal) => tract += 1,
                None if refused::NOT_BY_TRACT.contains(&name) => {}
                outcome => bad.push(format!("{name}: tract: {outcome:?}")),
            }
        }
    }
    eprintln!(
        "{} cases: {equal} equal, {} refused, {tract} equal by tract",
        cases.len(),
        reasons.len()
    );
    assert!(bad.is_empty(), "{} cases:\n{}", bad.len(), bad.join("\n"));
    let unknown = reasons
        .keys()
        .filter(|name| !cases.iter().any(|case| case["name"] == **name));
    assert_eq!(
        unknown.collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "listed, but no case"
    );
}
