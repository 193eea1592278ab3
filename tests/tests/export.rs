//! Every family of networks, from pictures to ONNX: ONNX Runtime gives the logits that Kiln computed.

use std::fs;
use std::path::Path;

use kiln_tests::{draw_pictures, kiln, python, script, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// What a reader of the file may rely on, beside ONNX itself.
const METADATA: [&str; 4] = ["kiln.labels", "kiln.recipe", "kiln.layout", "kiln.version"];
const CLASSES: usize = 2;
const TEST_PICTURES: usize = 2 * 16;

fn train(folder: &Path, pictures: &Path, options: &[&str]) {
    let mut command = kiln();
    command.arg("train").arg(pictures).arg("--out").arg(folder);
    command.arg("--cache").arg(folder.with_extension("cache"));
    succeed(
        command
            .args(["--epochs", "2", "--batch", "16", "--device", "cpu"])
            .args(options),
    );
}

/// Evaluates `model` and returns the figures; logits and inputs go to the folder `out`.
fn evaluate(model: &Path, pictures: &Path, out: &Path) -> Value {
    fs::create_dir_all(out).unwrap();
    let mut command = kiln();
    command
        .arg("eval")
        .arg(model)
        .arg(pictures)
        .args(["--split", "test", "--device", "cpu", "--json"]);
    command
        .arg("--logits")
        .arg(out.join("logits.npy"))
        .arg("--inputs")
        .arg(out.join("inputs.npy"));
    serde_json::from_str(&succeed(&mut command)).expect("`kiln eval --json` prints JSON")
}

/// Trains, exports, and compares both ways of computing with ONNX Runtime.
fn conforms(options: &[&str]) {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    draw_pictures(&at("pictures"), [32, 8, 16], 48);
    train(&at("run"), &at("pictures"), options);
    let exported = succeed(kiln().arg("export").arg(at("run")).arg("--json"));
    let exported: Value =
        serde_json::from_str(&exported).expect("`kiln export --json` prints JSON");
    assert!(
        exported["largest_difference"].as_f64().unwrap() <= 1e-3,
        "{exported}"
    );

    let model = at("run/model.onnx");
    let of_run = evaluate(&at("run"), &at("pictures"), &at("of-run"));
    let of_file = evaluate(&model, &at("pictures"), &at("of-file"));
    assert_eq!(of_run["n"], TEST_PICTURES);
    assert_eq!(of_run["confusion"], of_file["confusion"]);
    assert_eq!(of_run["classes"].as_array().unwrap().len(), CLASSES);

    for way in ["of-run", "of-file"] {
        let mut check = python();
        check.arg(script("onnx_conformance.py")).arg(&model);
        check.arg("--inputs").arg(at(way).join("inputs.npy"));
        check.arg("--logits").arg(at(way).join("logits.npy"));
        check.args(METADATA.iter().flat_map(|key| ["--metadata", key]));
        let report: Value =
            serde_json::from_str(&succeed(&mut check)).expect("the script prints JSON");
        assert_eq!(report["n"], TEST_PICTURES, "{way}: {report}");
    }
}

#[test]
fn cnn_conforms() {
    conforms(&["--model", "cnn", "--size", "40x32"]);
}

#[test]
fn a_flattening_cnn_conforms() {
    let layers = [
        "model.pooling=flatten",
        "model.hidden=[20]",
        "model.batch_norm=false",
    ];
    let set = layers.iter().flat_map(|layer| ["--set", layer]);
    conforms(
        &["--size", "40x32"]
            .into_iter()
            .chain(set)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn resnet_conforms() {
    conforms(&["--model", "resnet", "--size", "32x24"]);
}

#[test]
fn mobilenet_v1_conforms() {
    conforms(&["--model", "mobilenet-v1", "--size", "40x32"]);
}

#[test]
fn mobilenet_v2_conforms() {
    conforms(&["--model", "mobilenet-v2", "--size", "40x32"]);
}

#[test]
fn ds_cnn_conforms() {
    conforms(&["--model", "ds-cnn", "--size", "40x32"]);
}

#[test]
fn a_grey_letterboxed_recipe_conforms() {
    let recipe = [
        "--set",
        "recipe.color=grey",
        "--set",
        "recipe.fit=letterbox",
    ];
    conforms(&[&["--size", "40x32"], &recipe[..]].concat());
}

#[test]
fn shares_of_a_picture_are_compared_and_the_best_goes_along() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    draw_pictures(&at("pictures"), [32, 8, 16], 48);
    train(&at("run"), &at("pictures"), &["--size", "32"]);
    let eval = |model: &str, shares: &str| {
        let mut command = kiln();
        command.arg("eval").arg(at(model)).arg(at("pictures"));
        command.args(["--device", "cpu", "--json", "--crop-pct", shares]);
        command
    };
    let answer = |model: &str, shares: &str| -> Value {
        serde_json::from_str(&succeed(&mut eval(model, shares))).unwrap()
    };
    let compared = answer("run", "60,100");
    let [middle, whole] = &compared.as_array().unwrap()[..] else {
        panic!("{compared}");
    };
    assert_ne!(middle["loss"], whole["loss"]);
    for (share, expected) in [("60", middle), ("100", whole)] {
        let alone = answer("run", share);
        for figure in ["n", "accuracy", "loss"] {
            assert_eq!(alone[figure], expected[figure], "{share}%: {figure}");
        }
    }

    let mut export = kiln();
    export
        .arg("export")
        .arg(at("run"))
        .args(["--crop-pct", "60"]);
    succeed(&mut export);
    let exported = evaluate(&at("run/model.onnx"), &at("pictures"), &at("of-file"));
    let loss = |figures: &Value| figures["loss"].as_f64().unwrap();
    assert!((loss(&exported) - loss(middle)).abs() < 1e-5, "{exported}");
    let mut quantize = kiln();
    quantize.arg("quantize").arg(at("run/model.onnx"));
    succeed(quantize.arg("--calibrate").arg(at("pictures")));
    succeed(kiln().arg("compile").arg(at("run/model.int8.onnx")));
    let [of_file, of_kiln] = ["run/model.int8.onnx", "run/model.kiln"]
        .map(|model| evaluate(&at(model), &at("pictures"), &at("of-file")));
    assert_eq!(of_kiln["loss"], of_file["loss"]);
    assert_ne!(
        answer("run/model.int8.onnx", "100")["loss"],
        of_file["loss"]
    );

    for (model, shares, cause) in [
        ("run/model.kiln", "90", "compiled file keeps its crop_pct"),
        ("run", "0", "1..=100"),
        ("run", "101", "1..=100"),
    ] {
        let refused = eval(model, shares).output().unwrap();
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains(cause), "{text}");
    }
    let several = eval("run", "60,100").arg("--logits").arg(at("x")).output();
    assert_eq!(several.unwrap().status.code(), Some(2));
}
