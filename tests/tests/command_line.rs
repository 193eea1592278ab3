//! The program from outside: exit codes, messages, the folders that it leaves.

use std::fs;
use std::path::Path;
use std::process::Output;

use kiln_tests::{draw_pictures, kiln, succeed};
use serde_json::Value;
use tempfile::TempDir;

fn output(args: &[&str]) -> (Output, String) {
    let output = kiln().args(args).output().expect("kiln starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

#[test]
fn help_names_every_stage() {
    let help = succeed(kiln().arg("--help"));
    for command in [
        "quickstart",
        "check",
        "train",
        "eval",
        "export",
        "report",
        "watch",
    ] {
        assert!(help.contains(command), "{command} is missing in:\n{help}");
        assert!(
            succeed(kiln().args([command, "--help"])).contains("Example"),
            "{command} --help has no example"
        );
    }
}

#[test]
fn errors_exit_with_2_and_say_what() {
    let cases: [(&[&str], &str); 6] = [
        (&["no-such-command"], "no-such-command"),
        // The tests' stdout is no terminal.
        (&["train", "no-such-folder", "--tui"], "leave --tui out"),
        (
            &["train", "no-such-folder", "--out", "never-made"],
            "no-such-folder",
        ),
        (&["train", "--out", "never-made"], "kiln train PICTURES"),
        (
            &["eval", "no-such-model.onnx", "no-such-folder"],
            "no-such-model.onnx",
        ),
        (&["export", "no-such-run"], "no-such-run"),
    ];
    for (args, named) in cases {
        let (output, stderr) = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(
            stderr.contains(named),
            "{args:?} does not name {named}: {stderr}"
        );
        assert!(output.stdout.is_empty(), "{args:?} prints on stdout");
    }
    assert!(!Path::new("never-made").exists());
}

#[test]
fn quickstart_learns_and_leaves_every_stages_result() {
    let temporary = TempDir::new().unwrap();
    let mut command = kiln();
    command
        .current_dir(&temporary)
        .env("KILN_CACHE", temporary.path().join("cache"));
    let told = succeed(command.args(["quickstart", "--device", "cpu"]));
    let stages = ["1. ", "2. ", "3. ", "4. ", "9. ", "Done", "A Cortex-M3"];
    for part in stages
        .into_iter()
        .chain(["synthetic", "kiln train YOUR_PICTURES"])
    {
        assert!(told.contains(part), "{part:?} is missing in:\n{told}");
    }
    let files = [
        "run.toml",
        "labels.json",
        "metrics.jsonl",
        "curves.png",
        "model.onnx",
        "evaluation/test-confusion.png",
        "screen.png",
    ];
    let run = temporary.path().join("quickstart/run");
    for file in files {
        let bytes = fs::read(run.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(!bytes.is_empty(), "{file} is empty");
    }
    let pictures = temporary.path().join("quickstart/pictures");
    let mut command = kiln();
    command
        .arg("eval")
        .arg(run.join("model.onnx"))
        .arg(pictures);
    let figures: Value = serde_json::from_str(&succeed(command.arg("--json"))).unwrap();
    let accuracy = figures["accuracy"].as_f64().unwrap();
    assert!(
        accuracy >= 0.85,
        "quickstart's model answers {accuracy} of the test pictures rightly"
    );
}

#[test]
fn a_run_is_not_replaced_by_accident_and_run_toml_repeats_it() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name).to_str().unwrap().to_owned();
    draw_pictures(Path::new(&at("pictures")), [12, 4, 4], 32);
    let (pictures, first, second, cache) = (at("pictures"), at("first"), at("second"), at("cache"));
    let common = ["--device", "cpu", "--cache", &cache];
    let options = [
        "--size", "24", "--epochs", "2", "--batch", "8", "--seed", "7",
    ];
    succeed(
        kiln()
            .args(["train", &pictures, "--out", &first])
            .args(options)
            .args(common),
    );

    let (again, stderr) = output(&["train", &pictures, "--out", &first]);
    assert_eq!(again.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("--overwrite") && stderr.contains("--resume"),
        "{stderr}"
    );

    let config = format!("{first}/run.toml");
    succeed(
        kiln()
            .args(["train", "--config", &config, "--out", &second])
            .args(common),
    );
    let logits = [&first, &second].map(|run| {
        let file = format!("{run}/logits.npy");
        succeed(kiln().args(["eval", run, &pictures, "--device", "cpu", "--logits", &file]));
        fs::read(file).unwrap()
    });
    assert!(logits[0] == logits[1], "the repeated run has other logits");

    // What kiln report shows as the run's own figures is of its pictures, as it sees them.
    let figures = format!("{first}/evaluation/test-figures.json");
    let own = fs::read(&figures).unwrap();
    draw_pictures(Path::new(&at("others")), [1, 1, 3], 32);
    let others = at("others");
    for options in [vec![&others[..]], vec![&pictures, "--crop-pct", "60"]] {
        let evaluated = kiln()
            .args(["eval", &first, "--device", "cpu"])
            .args(options)
            .output();
        assert!(evaluated.unwrap().status.success());
        assert!(fs::read(&figures).unwrap() == own);
    }

    // What is left of a run with no weights is somebody's work, too.
    fs::remove_file(format!("{second}/model.bpk")).unwrap();
    fs::remove_dir_all(format!("{second}/checkpoints")).unwrap();
    fs::write(format!("{second}/model.kiln"), "kept").unwrap();
    let (again, stderr) = output(&["train", &pictures, "--out", &second]);
    assert_eq!(again.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("holds a run already"), "{stderr}");
    assert_eq!(fs::read(format!("{second}/model.kiln")).unwrap(), b"kept");
}

#[test]
fn a_run_and_its_file_never_test_on_pictures_that_the_run_learnt_from() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name).to_str().unwrap().to_owned();
    draw_pictures(Path::new(&at("drawn")), [30, 1, 1], 32);
    // Class folders with no splits around them: the run draws its own.
    let (flat, run) = (at("drawn/train"), at("run"));
    let options = [
        "--size", "24", "--epochs", "1", "--batch", "8", "--seed", "3", "--device", "cpu",
    ];
    succeed(kiln().args(["train", &flat, "--out", &run]).args(options));
    succeed(kiln().args(["export", &run]));
    let split: Value =
        serde_json::from_slice(&fs::read(format!("{run}/split.json")).unwrap()).unwrap();
    let tested = |class: &str| split["test"][class].as_array().unwrap().len() as u64;

    let file = format!("{run}/model.onnx");
    let eval = |model: &str, part: &str, out: &str| -> Value {
        let mut command = kiln();
        // From another folder, by another path.
        command.current_dir(at("drawn"));
        command.args([
            "eval", model, "train", "--split", part, "--json", "--device", "cpu",
        ]);
        serde_json::from_str(&succeed(command.args(["--inputs", &at(out)]))).unwrap()
    };
    for model in [&run, &file] {
        let figures = eval(model, "test", "inputs.npy");
        let counts = [0, 1].map(|class| figures["classes"][class]["n"].as_u64().unwrap());
        assert_eq!(counts, [tested("cat"), tested("dog")], "{model}");
    }
    let inputs = [&run, &file].map(|model| {
        eval(model, "test", "inputs.npy");
        fs::read(at("inputs.npy")).unwrap()
    });
    assert!(inputs[0] == inputs[1], "other pictures are tested");
    assert_eq!(eval(&file, "all", "all.npy")["n"], 60);

    // All of a folder needs no draw, which one picture a class is too few for.
    for class in ["cat", "dog"] {
        fs::create_dir_all(at(&format!("few/{class}"))).unwrap();
        let (from, to) = (at("drawn/test"), at("few"));
        let drawn = fs::read_dir(format!("{from}/{class}")).unwrap().next();
        fs::copy(
            drawn.unwrap().unwrap().path(),
            format!("{to}/{class}/one.png"),
        )
        .unwrap();
    }
    let few = at("few");
    let json = succeed(kiln().args(["eval", &file, &few, "--split", "all", "--json"]));
    let figures: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["n"], 2);

    // A broken picture is one of all, not of the few that are drawn for val; one that is tested costs no other.
    for part in ["val", "test"] {
        let file = split[part]["cat"][0].as_str().unwrap();
        fs::write(format!("{flat}/{file}"), "no picture").unwrap();
    }
    let train = |out: &str, share: &str| {
        let mut command = kiln();
        command.args(["train", &flat, "--out", out, "--set", share]);
        command.args(options).output().unwrap()
    };
    let refused = train(&at("strict"), "data.broken=0.01");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("1 of 6 pictures cannot be used, 0 may be"),
        "{stderr}"
    );
    let again = at("again");
    let trained = train(&again, "data.broken=0.02");
    assert!(trained.status.success(), "{trained:?}");
    let json = succeed(kiln().args(["eval", &again, &flat, "--json", "--device", "cpu"]));
    let figures: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["n"], tested("cat") + tested("dog") - 1);

    // Weights that saw what another draw measures are told.
    let other = [
        "train",
        &flat,
        "--out",
        &at("other"),
        "--init",
        &again,
        "--set",
        "data.broken=0.02",
    ];
    let seed = ["--seed", "4", "--set", "data.seed=3"];
    for (extra, told) in [(&seed[..2], true), (&seed[..], false)] {
        let mut command = kiln();
        command.args(other).args(extra).args(&options[..6]);
        command.arg("--dry-run");
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert_eq!(stderr.contains("--set data.seed=3"), told, "{stderr}");
    }
}

#[test]
fn what_fails_to_start_leaves_the_run_as_it_was() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name).to_str().unwrap().to_owned();
    draw_pictures(Path::new(&at("pictures")), [8, 4, 4], 32);
    let (pictures, run) = (at("pictures"), at("run"));
    let options = [
        "--size", "24", "--epochs", "1", "--batch", "8", "--device", "cpu",
    ];
    succeed(
        kiln()
            .args(["train", &pictures, "--out", &run])
            .args(options),
    );
    let before = ["model.bpk", "run.toml", "metrics.jsonl"].map(|file| {
        let path = format!("{run}/{file}");
        (path.clone(), fs::read(path).unwrap())
    });
    let weights = format!("{run}/model.bpk");
    let cases: [(&[&str], &str); 13] = [
        (&["--overwrite", "--device", "cuda"], "--features cuda"),
        (
            &["--overwrite", "--batch", "8", "--init", &run],
            "would remove it",
        ),
        (
            &["--overwrite", "--batch", "8", "--teacher", &weights],
            "would remove it",
        ),
        (
            &["--overwrite", "--batch", "8", "--init", "absent.pth"],
            "absent.pth",
        ),
        (
            &["--overwrite", "--batch", "8", "--teacher", "absent.onnx"],
            "absent.onnx",
        ),
        (&["--overwrite", "--batch", "64"], "do not fill one batch"),
        (&["--resume", "--teacher", "absent.onnx"], "absent.onnx"),
        (&["--resume", "--set", "data.val=0.4"], "data.val"),
        (&["--resume", "--set", "training.ema=0.9"], "training.ema"),
        (&["--resume", "--size", "32"], "[recipe] changed"),
        (&["--resume", "--model", "resnet"], "[model] changed"),
        (
            &["--resume", "--set", "data.val=0.5", "--seed", "9"],
            "seed changed",
        ),
        (&["--overwrite", "--set", "data.path='nowhere'"], "nowhere"),
    ];
    for (options, message) in cases {
        let mut args = vec!["train", "--out", &run];
        if options[0] == "--overwrite" && options[1] != "--set" {
            args.push(&pictures);
        }
        let (output, stderr) = output(&[&args[..], options].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}: {stderr}");
        assert!(stderr.contains(message), "{options:?}: {stderr}");
        for (path, bytes) in &before {
            assert!(
                fs::read(path).unwrap() == *bytes,
                "{options:?} changed {path}"
            );
        }
    }
    // While another process trains it.
    let lock = fs::File::create(format!("{run}/.lock")).unwrap();
    lock.try_lock().unwrap();
    let held: [&[&str]; 2] = [&["--resume", "--epochs", "2"], &[&pictures, "--overwrite"]];
    for options in held {
        let common = ["--out", &run, "--batch", "8", "--device", "cpu"];
        let (output, stderr) = output(&[&["train"], options, &common].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}: {stderr}");
        assert!(
            stderr.contains("another kiln trains"),
            "{options:?}: {stderr}"
        );
    }
    drop(lock);
    for (path, bytes) in &before {
        assert!(fs::read(path).unwrap() == *bytes, "{path}");
    }
    // One more picture is another set of pictures.
    let cats = format!("{pictures}/train/cat");
    let first = fs::read_dir(&cats).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(first).unwrap();
    let (output, stderr) = output(&["train", "--resume", "--out", &run]);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("the pictures changed"), "{stderr}");
}
