//! Training from outside: repeated, killed, resumed, taught, spread over machines, diverging.

mod starts;
mod teachers;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_tests::{draw_pictures, kiln, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// Everything that a checkpoint must carry: moments, moving average, dropout, mixing.
const RICH: [&str; 12] = [
    "--model",
    "resnet",
    "--size",
    "24",
    "--batch",
    "16",
    "--set",
    "model.dropout=0.2",
    "--set",
    "training.ema=0.9",
    "--set",
    "augment.mixup=0.3",
];

fn pictures(temporary: &TempDir) -> std::path::PathBuf {
    let pictures = temporary.path().join("pictures");
    draw_pictures(&pictures, [48, 12, 12], 32);
    pictures
}

fn train(pictures: &Path, run: &Path, options: &[&str]) -> Command {
    let mut command = kiln();
    command.arg("train").arg(pictures).arg("--out").arg(run);
    command.arg("--cache").arg(run.with_extension("cache"));
    if !options.contains(&"--device") {
        command.args(["--device", "cpu"]);
    }
    command.args(options);
    command
}

/// The lines of `metrics.jsonl` without what the clock says.
fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let object = value.as_object_mut().unwrap();
        object.remove("seconds");
        object.remove("images_per_second");
        value
    });
    lines.collect()
}

/// Returns when a run in another process has finished some epochs.
fn wait_for_epochs(run: &Path, epochs: usize) {
    let start = Instant::now();
    while metrics(run).len() < epochs {
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(120),
            "{epochs} epochs take too long"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The exported weights, to the byte.
fn weights(run: &Path) -> Vec<u8> {
    succeed(kiln().arg("export").arg(run));
    fs::read(run.join("model.onnx")).unwrap()
}

/// Lets a run go on.
fn resume(run: &Path) -> Command {
    let mut resume = kiln();
    resume.args(["train", "--resume", "--device", "cpu", "--out"]);
    resume.arg(run);
    resume
}

/// Kills a run of 6 epochs after the second.
fn kill_after_two(pictures: &Path, run: &Path, options: &[&str]) {
    let mut child = train(pictures, run, options)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_epochs(run, 2);
    // SIGKILL: nothing is tidied up.
    child.kill().unwrap();
    child.wait().unwrap();
    let done = metrics(run).len();
    assert!(done < 6, "the run was killed too late to show anything");
}

/// The same, and lets it go on to its end.
fn kill_and_resume(pictures: &Path, run: &Path, options: &[&str]) {
    kill_after_two(pictures, run, options);
    succeed(&mut resume(run));
}

fn failure(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_killed_run_goes_on_to_the_same_metrics_and_weights() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let [whole, killed] = ["whole", "killed"].map(|name| temporary.path().join(name));
    let options = [&RICH[..], &["--epochs", "6"]].concat();
    succeed(&mut train(&pictures, &whole, &options));
    kill_and_resume(&pictures, &killed, &options);
    assert_eq!(metrics(&killed), metrics(&whole));
    assert_eq!(weights(&killed), weights(&whole));
    assert!(whole.join("curves.png").metadata().unwrap().len() > 1000);
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_says_how_to_go_on() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let run = temporary.path().join("run");
    let options = ["--size", "24", "--batch", "16", "--epochs", "1000"];
    let child = train(&pictures, &run, &options)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_epochs(&run, 1);
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("kiln train --resume --out"), "{said}");
    assert!(run.join("model.bpk").exists());
}

#[test]
fn a_seed_gives_its_weights_and_another_seed_gives_others() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let run = |name: &str, seed: &str| {
        let run = temporary.path().join(name);
        let options = [&RICH[..], &["--epochs", "2", "--seed", seed]].concat();
        succeed(&mut train(&pictures, &run, &options));
        weights(&run)
    };
    let first = run("first", "5");
    assert_eq!(first, run("second", "5"));
    assert_ne!(first, run("third", "6"));
}

#[test]
fn a_run_goes_on_as_its_integers_and_they_answer_as_it_does() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let [first, rounded] = ["first", "rounded"].map(|name| temporary.path().join(name));
    let common = [
        "--size",
        "24",
        "--batch",
        "16",
        "--epochs",
        "3",
        "--model",
        "mobilenet-v2",
    ];
    succeed(&mut train(&pictures, &first, &common));
    let mut tune = kiln();
    tune.args(["train", "--qat", "--device", "cpu", "--init"])
        .arg(&first);
    tune.arg("--out")
        .arg(&rounded)
        .arg("--cache")
        .arg(temporary.path().join("cache"));
    succeed(tune.args(["--epochs", "1"]));
    let mut resume = resume(&rounded);
    resume.arg("--cache").arg(temporary.path().join("cache"));
    succeed(resume.args(["--epochs", "2"]));
    assert_eq!(metrics(&rounded).len(), 2);
    let scales: Value =
        serde_json::from_str(&fs::read_to_string(rounded.join("scales.json")).unwrap()).unwrap();
    assert!(scales.as_array().unwrap().len() > 20, "{scales}");

    succeed(kiln().arg("export").arg(&rounded));
    let mut quantize = kiln();
    quantize.arg("quantize").arg(rounded.join("model.onnx"));
    quantize.arg("--calibrate").arg(&pictures).arg("--json");
    let report: Value = serde_json::from_str(&succeed(&mut quantize)).unwrap();
    assert_eq!(report["method"], "trained");
    let losses = [&rounded, &rounded.join("model.int8.onnx")].map(|model| {
        let mut eval = kiln();
        eval.arg("eval").arg(model).arg(&pictures).arg("--json");
        let found: Value = serde_json::from_str(&succeed(&mut eval)).unwrap();
        found["loss"].as_f64().unwrap()
    });
    assert!((losses[0] - losses[1]).abs() < 0.02, "{losses:?}");

    let mut other = train(&pictures, &temporary.path().join("other"), &common);
    let (code, said) = failure(other.args(["--qat", "--init"]).arg(&pictures));
    assert_eq!(code, Some(2));
    assert!(said.contains("no run's folder"), "{said}");
}

#[test]
fn a_diverging_run_stops_and_keeps_the_last_good_checkpoint() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let run = temporary.path().join("run");
    let common = ["--size", "24", "--batch", "16"];
    let good = [&common[..], &["--epochs", "2"]].concat();
    succeed(&mut train(&pictures, &run, &good));
    let bad = [
        "train", "--resume", "--epochs", "4", "--lr", "1e30", "--device", "cpu", "--out",
    ];
    let (code, said) = failure(kiln().args(bad).arg(&run));
    assert_eq!(code, Some(2));
    assert!(said.contains("NaN or infinite in epoch"), "{said}");
    assert!(said.contains("is kept in"), "{said}");
    let last = metrics(&run).len();
    let checkpoint = format!("checkpoints/epoch-{last:05}/network.bpk");
    assert!(run.join(checkpoint).exists());
}

/// A `kiln worker` on a free port of this machine.
struct Worker {
    child: Child,
    address: String,
}

impl Worker {
    fn start() -> Self {
        let mut child = kiln()
            .args(["worker", "--device", "cpu", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines
            .next()
            .expect("the worker says where it listens")
            .unwrap();
        let (_, rest) = line.split_once(" on ").expect(&line);
        let address = rest.split(';').next().unwrap().to_owned();
        // Whatever else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_machines_train_one_model_and_a_lost_one_is_an_error() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let run = temporary.path().join("run");
    let (first, second) = (Worker::start(), Worker::start());
    let device = format!("remote:{},{}", first.address, second.address);
    let common = ["--size", "24", "--batch", "16", "--device", &device];
    let options = [&common[..], &["--epochs", "6", "--set", "training.ema=0.9"]].concat();
    succeed(&mut train(&pictures, &run, &options));
    let losses: Vec<_> = metrics(&run)
        .iter()
        .map(|epoch| epoch["train_loss"].as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 6);
    assert!(losses[5] < losses[0], "{losses:?}");

    // A seed gives its weights there, too, whatever they draw and whoever is done first.
    let drops = [
        &common[..],
        &["--epochs", "2", "--set", "model.dropout=0.4"],
    ]
    .concat();
    let [once, again] = ["once", "again"].map(|name| {
        let run = temporary.path().join(name);
        succeed(&mut train(&pictures, &run, &drops));
        weights(&run)
    });
    assert_eq!(once, again);

    let lost = temporary.path().join("lost");
    let options = [&common[..], &["--epochs", "1000"]].concat();
    let child = train(&pictures, &lost, &options)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_epochs(&lost, 1);
    drop(second);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--resume"), "{said}");
}
