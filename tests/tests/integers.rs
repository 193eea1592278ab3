//! From a run to integers, by the program: quantize, compile, verify, classify, run, eval; the answers
//! are those of ONNX Runtime, to the bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use kiln_tests::{draw_pictures, kiln, kiln_run, python, script, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// A trained, exported, quantized and compiled model, and its pictures; made once.
fn model() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        draw_pictures(&at("pictures"), [60, 12, 20], 48);
        let mut train = kiln();
        train
            .arg("train")
            .arg(at("pictures"))
            .arg("--out")
            .arg(at("run"));
        train.args([
            "--size", "32", "--epochs", "3", "--batch", "16", "--device", "cpu",
        ]);
        train.args(["--seed", "1", "--set", "model.channels=[8, 16, 24, 32]"]);
        succeed(train.arg("--cache").arg(at("cache")));
        succeed(kiln().arg("export").arg(at("run")));
        let mut quantize = kiln();
        quantize.arg("quantize").arg(at("run/model.onnx"));
        quantize.arg("--calibrate").arg(at("pictures"));
        succeed(quantize.args(["--pictures", "60", "--max-drop", "100"]));
        let mut compile = kiln();
        compile.arg("compile").arg(at("run/model.int8.onnx"));
        succeed(compile.args(["--golden", "4"]));
        folder
    })
    .path()
}

fn at(name: &str) -> PathBuf {
    model().join(name)
}

fn output(args: &[&str], paths: &[&Path]) -> (Output, String) {
    let output = kiln().args(args).args(paths).output().expect("kiln starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn the_quantized_file_gives_onnx_runtimes_bits() {
    let mut eval = kiln();
    eval.arg("eval")
        .arg(at("run/model.kiln"))
        .arg(at("pictures"));
    eval.args(["--split", "all", "--json"]);
    eval.arg("--inputs")
        .arg(at("in.npy"))
        .arg("--logits")
        .arg(at("out.npy"));
    let figures: Value = serde_json::from_str(&succeed(&mut eval)).unwrap();
    assert_eq!(figures["n"], 184);
    let mut check = python();
    check
        .arg(script("onnx_conformance.py"))
        .arg(at("run/model.int8.onnx"));
    check
        .arg("--inputs")
        .arg(at("in.npy"))
        .arg("--logits")
        .arg(at("out.npy"));
    check.args([
        "--tolerance",
        "0",
        "--metadata",
        "kiln.labels",
        "--metadata",
        "kiln.recipe",
    ]);
    let report: Value = serde_json::from_str(&succeed(&mut check)).unwrap();
    assert_eq!(report["n"], 184);
    assert_eq!(report["max_abs_difference"], 0.0);
}

#[test]
fn every_form_of_the_model_is_evaluated_and_the_integers_agree() {
    let figures = ["model.onnx", "model.int8.onnx", "model.kiln"].map(|name| {
        let mut eval = kiln();
        eval.arg("eval")
            .arg(at("run").join(name))
            .arg(at("pictures"));
        let text = succeed(eval.arg("--json"));
        serde_json::from_str::<Value>(&text).unwrap()
    });
    assert_eq!(figures[1], figures[2]);
    let [float, int8] = [0, 1].map(|which| figures[which]["accuracy"].as_f64().unwrap());
    assert!(
        (float - int8).abs() <= 0.05,
        "{float} in floats, {int8} in integers"
    );
}

#[test]
fn verify_agrees_and_notices_another_model() {
    let said = succeed(
        kiln()
            .arg("verify")
            .arg(at("run"))
            .arg(at("pictures/test"))
            .arg("--json"),
    );
    let outcome: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(outcome["pictures"], 40);
    assert_eq!(outcome["same_bytes"], 40);
    assert_eq!(outcome["tract_within"], 40);
    assert_eq!(outcome["golden"], 4);
    assert_eq!(outcome["first_difference"], Value::Null);
    // On this machine no layer is narrowed.
    assert!(outcome["layers"]["whole"].as_u64().unwrap() > 3);
    assert_eq!(outcome["layers"]["narrowed"], 0);

    // Other scales: the same layers with other bytes.
    let other = at("other.int8.onnx");
    let mut quantize = kiln();
    quantize
        .arg("quantize")
        .arg(at("run/model.onnx"))
        .arg("-o")
        .arg(&other);
    quantize.arg("--calibrate").arg(at("pictures/val"));
    succeed(quantize.args(["--method", "min-max", "--no-equalize", "--pictures", "3"]));
    let (found, stderr) = output(
        &["verify", "--json", "--int8"],
        &[&other, &at("run/model.kiln"), &at("pictures/test")],
    );
    assert_eq!(found.status.code(), Some(1), "{stderr}");
    let outcome: Value = serde_json::from_slice(&found.stdout).unwrap();
    let layer = outcome["first_difference"]["layer"].as_str().unwrap();
    assert!(layer.starts_with("blocks.0"), "{layer}");
}

#[test]
fn classify_run_and_the_lean_runner_say_the_same() {
    let broken = at("broken");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("cut.jpg"), b"\xff\xd8\xff\xe0 not whole").unwrap();
    let test = at("pictures/test");
    let kiln_file = at("run/model.kiln");
    let classify = |program: &mut std::process::Command| {
        let found = program.output().expect("it starts");
        let stderr = String::from_utf8_lossy(&found.stderr).into_owned();
        assert_eq!(found.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("cut.jpg"), "{stderr}");
        lines(&String::from_utf8(found.stdout).unwrap())
    };
    let answers = classify(
        kiln()
            .args(["classify", "--json"])
            .args([&kiln_file, &broken, &test]),
    );
    let lean = classify(kiln_run().arg("--json").args([&kiln_file, &broken, &test]));
    assert_eq!(answers.len(), 40);
    assert_eq!(answers, lean);
    for answer in &answers {
        let top = answer["top"].as_array().unwrap();
        assert_eq!(top[0]["label"], answer["label"]);
        let sum: f64 = top
            .iter()
            .map(|guess| guess["probability"].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-6, "{answer}");
    }

    let picture = answers[7]["file"].as_str().unwrap();
    for model in ["run/model.kiln", "run/model.int8.onnx"] {
        let said = succeed(kiln().arg("run").arg(at(model)).arg(picture));
        let logits: Vec<f32> = said
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let expected = answers[7]["logits"].as_array().unwrap();
        let expected: Vec<f32> = expected
            .iter()
            .map(|value| value.as_f64().unwrap() as f32)
            .collect();
        assert_eq!(logits, expected, "{model}");
    }

    // A picture's tensor gives the picture's logits.
    let (tensor, first, second) = (at("tensor.npy"), at("first.npy"), at("second.npy"));
    let int8 = at("run/model.int8.onnx");
    let mut run = kiln();
    run.arg("run")
        .arg(&int8)
        .arg(picture)
        .arg("--input-tensor")
        .arg(&tensor);
    succeed(run.arg("--logits").arg(&first));
    succeed(
        kiln()
            .arg("run")
            .arg(&int8)
            .arg(&tensor)
            .arg("--logits")
            .arg(&second),
    );
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap());
}

#[test]
fn a_file_is_compiled_for_each_target_and_says_where_its_bytes_go() {
    let int8 = at("run/model.int8.onnx");
    for target in ["generic", "cortex-m3", "cortex-m4", "cortex-m55", "wasm32"] {
        let out = at(&format!("{target}.kiln"));
        let mut compile = kiln();
        compile
            .arg("compile")
            .arg(&int8)
            .args(["--target", target, "--json", "-o"])
            .arg(&out);
        let report: Value = serde_json::from_str(&succeed(&mut compile)).unwrap();
        assert_eq!(
            report["file"],
            fs::metadata(&out).unwrap().len(),
            "{target}"
        );
        assert!(
            report["macs"].as_u64().unwrap() > 100_000,
            "{target}: {report}"
        );
        let verified = succeed(
            kiln()
                .arg("verify")
                .arg(&out)
                .arg(at("pictures/test"))
                .arg("--int8")
                .arg(&int8)
                .args(["--pictures", "6"]),
        );
        assert!(verified.contains("6 of 6 pictures"), "{target}: {verified}");
    }
}

#[test]
fn a_drop_of_accuracy_is_exit_1_and_bad_input_exit_2() {
    let at = |name: &str| at(name);
    let model = at("run/model.onnx");
    let pictures = at("pictures");
    let (found, stderr) = output(
        &[
            "quantize",
            "--max-drop=-200",
            "--pictures",
            "20",
            "--calibrate",
        ],
        &[&pictures, &model, Path::new("-o"), &at("dropped.int8.onnx")],
    );
    assert_eq!(found.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("points"), "{stderr}");

    // Other pictures have the word where there are some.
    let (found, stderr) = output(
        &[
            "quantize",
            "--max-drop=-200",
            "--pictures",
            "20",
            "--evaluate",
        ],
        &[
            &pictures,
            Path::new("--calibrate"),
            &at("pictures/test"),
            &model,
            Path::new("-o"),
            &at("dropped.int8.onnx"),
        ],
    );
    assert_eq!(found.status.code(), Some(1), "{stderr}");
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(text.contains("held out"), "{text}");

    let empty = at("empty");
    fs::create_dir_all(&empty).unwrap();
    let whole = fs::read(at("run/model.kiln")).unwrap();
    fs::write(at("cut.kiln"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(at("flipped.kiln"), flipped).unwrap();
    let onnx = fs::read(&model).unwrap();
    fs::write(at("cut.onnx"), &onnx[..onnx.len() / 3]).unwrap();
    let one = at("pictures/test/cat");
    let hollow = at("hollow");
    for class in ["bird", "cat", "dog"] {
        fs::create_dir_all(hollow.join(class)).unwrap();
    }
    let cases: [(&[&str], &[&Path], &str); 9] = [
        // Not calibrated with all pictures, as if they had no classes.
        (
            &["quantize", "--calibrate"],
            &[&hollow, &model],
            "holds no picture",
        ),
        (
            &["quantize", "--calibrate"],
            &[&empty, &model],
            "no pictures",
        ),
        (
            &["quantize", "--calibrate"],
            &[&pictures, &at("run/model.int8.onnx")],
            "quantized already",
        ),
        (&["compile"], &[&model], "kiln quantize"),
        (&["classify"], &[&at("cut.kiln"), &one], "cut.kiln"),
        (&["classify"], &[&at("flipped.kiln"), &one], "checksum"),
        (&["classify"], &[&at("cut.onnx"), &one], "cut.onnx"),
        (
            &["classify"],
            &[&at("run/model.kiln"), &at("missing")],
            "missing",
        ),
        (
            &["verify"],
            &[&model, &pictures, Path::new("--int8"), &at("missing.onnx")],
            "missing.onnx",
        ),
    ];
    for (args, paths, named) in cases {
        let (found, stderr) = output(args, paths);
        assert_eq!(found.status.code(), Some(2), "{args:?} {paths:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?} {paths:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn a_model_from_elsewhere_is_given_its_labels_and_recipe() {
    // The same network without Kiln's metadata, as another program would have written it.
    let bare = at("bare.onnx");
    let strip = "import onnx, sys; m = onnx.load(sys.argv[1]); del m.metadata_props[:]; onnx.save(m, sys.argv[2])";
    succeed(
        python()
            .args(["-c", strip])
            .arg(at("run/model.onnx"))
            .arg(&bare),
    );
    let (labels, recipe) = (at("labels.txt"), at("recipe.toml"));
    fs::write(&labels, "cat\ndog\n").unwrap();
    let text = "width = 32\nheight = 32\nfit = \"stretch\"\ncolor = \"rgb\"\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n";
    fs::write(&recipe, text).unwrap();
    let (found, stderr) = output(&["quantize", "--calibrate"], &[&at("pictures"), &bare]);
    assert_eq!(found.status.code(), Some(2));
    assert!(stderr.contains("--recipe"), "{stderr}");
    let mut quantize = kiln();
    quantize
        .arg("quantize")
        .arg(&bare)
        .arg("--calibrate")
        .arg(at("pictures"));
    quantize
        .arg("--labels")
        .arg(&labels)
        .arg("--recipe")
        .arg(&recipe);
    succeed(quantize.args(["--pictures", "40", "--max-drop", "100"]));
    let said = succeed(
        kiln()
            .arg("classify")
            .arg(at("bare.int8.onnx"))
            .arg(at("pictures/test/cat")),
    );
    assert!(
        said.lines()
            .all(|line| line.contains("cat ") && line.contains("dog ")),
        "{said}"
    );
}
