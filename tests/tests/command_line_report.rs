//! `kiln report` from outside: what the page holds, of a run and of a file.

use std::fs;
use std::path::Path;

use kiln_runtime::onnx::OnnxFile;
use kiln_tests::{draw_pictures, kiln, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A run of one epoch with all that is made of it.
fn pipeline(temporary: &TempDir) -> [String; 2] {
    let at = |name: &str| temporary.path().join(name).to_str().unwrap().to_owned();
    let (pictures, run) = (at("pictures"), at("run"));
    draw_pictures(Path::new(&pictures), [12, 6, 6], 32);
    let options = [
        "--size", "24", "--epochs", "2", "--batch", "8", "--device", "cpu",
    ];
    succeed(
        kiln()
            .args(["train", &pictures, "--out", &run])
            .args(options),
    );
    [pictures, run]
}

fn integers(run: &str, pictures: &str) {
    let file = |name: &str| format!("{run}/{name}");
    succeed(kiln().args(["export", run]));
    let (float, int8) = (file("model.onnx"), file("model.int8.onnx"));
    let report = file("quantize.json");
    succeed(kiln().args([
        "quantize",
        &float,
        "--calibrate",
        pictures,
        "--report",
        &report,
    ]));
    succeed(kiln().args(["compile", &int8]));
}

fn report(args: &[&str]) -> Value {
    let mut command = kiln();
    command
        .arg("report")
        .args(args)
        .args(["--json", "--device", "cpu"]);
    serde_json::from_str(&succeed(&mut command)).unwrap()
}

#[test]
fn a_run_with_all_that_was_made_of_it_gives_every_section() {
    let temporary = TempDir::new().unwrap();
    let [pictures, run] = pipeline(&temporary);
    // Nothing but the run yet: its curves and its card.
    let early = report(&[&run]);
    assert_eq!(early["training"]["epochs"].as_array().unwrap().len(), 2);
    for part in ["memory", "costs", "quantization"] {
        assert_eq!(early[part], Value::Null, "{part}");
    }
    assert_eq!(early["evaluations"], json!([]));

    integers(&run, &pictures);
    let compiled = fs::read(format!("{run}/model.kiln")).unwrap();
    let whole = report(&[&run, &pictures, "--mistakes", "2"]);
    let evaluations = whole["evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), 2, "{whole}");
    for (evaluation, model) in evaluations.iter().zip(["model.onnx", "model.int8.onnx"]) {
        let mut command = kiln();
        command.args(["eval", &format!("{run}/{model}"), &pictures, "--json"]);
        let figures: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
        for figure in ["n", "accuracy", "loss", "ece", "confusion"] {
            assert_eq!(evaluation[figure], figures[figure], "{model}: {figure}");
        }
        assert!(evaluation["mistakes"].as_array().unwrap().len() <= 2);
    }
    assert_eq!(whole["sizes"][0]["bytes"], compiled.len());
    assert!(
        !whole["quantization"]["layers"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let blocks = whole["memory"]["blocks"].as_array().unwrap();
    let end = |block: &Value| block["offset"].as_u64().unwrap() + block["bytes"].as_u64().unwrap();
    assert!(blocks.iter().map(end).max() <= whole["memory"]["arena"].as_u64());

    let page = fs::read_to_string(format!("{run}/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"), "{}", &page[..40]);
    let sections = [
        "accuracy",
        "reliability",
        "training",
        "quantization",
        "costs",
        "memory",
        "card",
    ];
    for section in sections {
        assert!(
            page.contains(&format!("<section id=\"{section}\">")),
            "{section}"
        );
    }
    assert!(!page.contains("<script") && !page.contains("http://localhost"));
}

#[test]
fn what_kiln_eval_left_is_used_and_a_file_is_enough() {
    let temporary = TempDir::new().unwrap();
    let [pictures, run] = pipeline(&temporary);
    succeed(kiln().args(["eval", &run, &pictures, "--device", "cpu"]));
    let found = report(&[&run]);
    let figures: Value =
        serde_json::from_slice(&fs::read(format!("{run}/evaluation/test-figures.json")).unwrap())
            .unwrap();
    assert_eq!(found["evaluations"][0]["accuracy"], figures["accuracy"]);
    assert!(
        !found["evaluations"][0]["bins"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    integers(&run, &pictures);
    let alone = temporary.path().join("<b>alone & 'quoted'.kiln");
    fs::copy(format!("{run}/model.kiln"), &alone).unwrap();
    let page = temporary.path().join("page.html");
    let found = report(&[alone.to_str().unwrap(), "-o", page.to_str().unwrap()]);
    assert_eq!(found["training"], Value::Null);
    assert_eq!(found["title"], "<b>alone & 'quoted'");
    let page = fs::read_to_string(page).unwrap();
    assert!(!page.contains("<b>alone") && page.contains("&lt;b&gt;alone"));
}

#[test]
fn a_float_file_from_elsewhere_is_judged_by_what_its_integers_say() {
    let temporary = TempDir::new().unwrap();
    let [pictures, run] = pipeline(&temporary);
    integers(&run, &pictures);
    let brought = temporary.path().join("brought");
    fs::create_dir(&brought).unwrap();
    for name in ["model.int8.onnx", "model.kiln"] {
        fs::copy(format!("{run}/{name}"), brought.join(name)).unwrap();
    }
    let mut float = OnnxFile::load(Path::new(&format!("{run}/model.onnx"))).unwrap();
    float.proto.metadata_props.clear();
    float.save(&brought.join("model.onnx")).unwrap();
    let kiln = brought.join("model.kiln");
    let found = report(&[kiln.to_str().unwrap(), &pictures, "--split", "all"]);
    let evaluations = found["evaluations"].as_array().unwrap();
    let models: Vec<_> = evaluations
        .iter()
        .map(|e| e["model"].as_str().unwrap())
        .collect();
    assert_eq!(models, ["float: model.onnx", "int8: model.int8.onnx"]);
}

#[test]
fn what_does_not_belong_is_an_error_that_names_it() {
    let temporary = TempDir::new().unwrap();
    let [pictures, run] = pipeline(&temporary);
    integers(&run, &pictures);
    let profile = json!({"board": "other", "layers": [
        {"name": "of another model", "milliseconds": 1.0, "instructions": null}
    ]});
    let other = temporary.path().join("other.json");
    fs::write(&other, profile.to_string()).unwrap();
    let broken = temporary.path().join("broken.json");
    fs::write(&broken, "{").unwrap();
    // Of another quantization of the same network.
    let kept = format!("{run}/quantize.json");
    let mut noise: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    for layer in noise["layers"].as_array_mut().unwrap() {
        let point = layer["zero_point"].as_i64().unwrap();
        layer["zero_point"] = json!(if point < 0 { point + 5 } else { point - 5 });
    }
    let former = temporary.path().join("former.json");
    fs::write(&former, noise.to_string()).unwrap();
    let [other, broken, former] = [&other, &broken, &former].map(|path| path.to_str().unwrap());
    let cases: [(&[&str], &str); 5] = [
        (&[&run, "--quantization", former], "another quantization"),
        (&[&run, "--profile", other], "of another model"),
        (&[&run, "--profile", broken], "broken.json"),
        (&[&run, "--quantization", "missing.json"], "missing.json"),
        (&["no-such-model"], "no-such-model"),
    ];
    for (args, named) in cases {
        let output = kiln().arg("report").args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
    assert!(!Path::new(&run).join("report.html").exists());
    assert!(report(&[&run])["quantization"].is_object());
    fs::copy(former, &kept).unwrap();
    assert_eq!(report(&[&run])["quantization"], Value::Null);

    // Quantized anew, and not compiled: what is told is of one of the two.
    let int8 = format!("{run}/model.int8.onnx");
    let float = format!("{run}/model.onnx");
    let other = [
        "--calibrate",
        &pictures,
        "--method",
        "min-max",
        "--pictures",
        "2",
    ];
    succeed(kiln().args(["quantize", &float]).args(other));
    let kiln_file = format!("{run}/model.kiln");
    for (named, left_out) in [(&int8, "model.kiln"), (&kiln_file, "model.int8.onnx")] {
        let output = kiln().args(["report", named]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(
            stderr.contains(&format!("{left_out}, which holds")),
            "{stderr}"
        );
    }
    // Nor does a page replace what it is of.
    let output = kiln()
        .args(["report", &kiln_file, "-o", &kiln_file])
        .output();
    let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(stderr.contains("would replace it"), "{stderr}");
}
