//! The whole way on photographs, where the machine has them: check, train, evaluate, export, and ONNX
//! Runtime's word on the file.

use std::fs;
use std::path::PathBuf;

use kiln_tests::{draw_pictures, kiln, python, script, shared_data, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// The photographs of cats and dogs, or a drawn set: the folder, and the pictures in its test split.
fn pictures(temporary: &TempDir) -> (PathBuf, u64) {
    match shared_data() {
        Some(data) => (data.join("catsdogs"), 2506),
        None => {
            let drawn = temporary.path().join("drawn");
            draw_pictures(&drawn, [800, 100, 260], 48);
            (drawn, 520)
        }
    }
}

#[test]
fn photographs_become_a_model_that_onnx_runtime_answers_alike() {
    let temporary = TempDir::new().unwrap();
    let (pictures, tested) = pictures(&temporary);
    let at = |name: &str| temporary.path().join(name);
    succeed(kiln().arg("check").arg(&pictures));

    let mut train = kiln();
    train
        .arg("train")
        .arg(&pictures)
        .arg("--out")
        .arg(at("run"));
    train.arg("--cache").arg(at("cache"));
    train.args(["--size", "32", "--epochs", "3", "--device", "cpu"]);
    succeed(train.args(["--set", "schedule.warmup=0.5"]));
    succeed(kiln().arg("export").arg(at("run")));

    let mut eval = kiln();
    eval.arg("eval").arg(at("run/model.onnx")).arg(&pictures);
    eval.arg("--inputs").arg(at("inputs.npy"));
    eval.arg("--logits").arg(at("logits.npy"));
    let figures: Value = serde_json::from_str(&succeed(eval.arg("--json"))).unwrap();
    assert_eq!(figures["n"], tested);
    let accuracy = figures["accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.70, "three epochs give {accuracy}");

    let mut check = python();
    check
        .arg(script("onnx_conformance.py"))
        .arg(at("run/model.onnx"));
    check.arg("--inputs").arg(at("inputs.npy"));
    check.arg("--logits").arg(at("logits.npy"));
    let report: Value = serde_json::from_str(&succeed(&mut check)).unwrap();
    assert_eq!(report["n"], tested);

    // In integers, from pixels to logits: the same bits.
    let mut quantize = kiln();
    quantize.arg("quantize").arg(at("run/model.onnx"));
    quantize.arg("--calibrate").arg(&pictures);
    succeed(quantize.args(["--pictures", "200", "--max-drop", "2"]));
    succeed(kiln().arg("compile").arg(at("run/model.int8.onnx")));
    let integers = at("integers");
    fs::create_dir(&integers).unwrap();
    fs::copy(at("run/model.int8.onnx"), integers.join("model.onnx")).unwrap();
    let mut eval = kiln();
    eval.arg("eval").arg(at("run/model.kiln")).arg(&pictures);
    eval.arg("--inputs").arg(integers.join("model.inputs.npy"));
    eval.arg("--logits").arg(integers.join("model.logits.npy"));
    let figures: Value = serde_json::from_str(&succeed(eval.arg("--json"))).unwrap();
    let in_integers = figures["accuracy"].as_f64().unwrap();
    assert!(
        in_integers >= accuracy - 0.02,
        "{in_integers}, not {accuracy}"
    );
    let mut check = python();
    check.arg(script("int8_conformance.py")).arg(&integers);
    let report: Value = serde_json::from_str(&succeed(&mut check)).unwrap();
    assert_eq!(report["n"], tested);
    assert_eq!(report["different"], 0);
}
