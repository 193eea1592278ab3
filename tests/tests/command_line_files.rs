//! Where commands write, and what they are given beside a model: nothing that is read is replaced, and what does
//! not fit is refused before anything is done.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_tests::{draw_pictures, kiln};
use tempfile::TempDir;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/catsdogs-nano");

/// A folder with pictures, a float model, a quantized and a compiled one.
struct Setting(TempDir);

impl Setting {
    fn new() -> Self {
        let setting = Self(TempDir::new().unwrap());
        draw_pictures(&setting.path("pictures"), [2, 2, 2], 24);
        for name in ["model.onnx", "model.int8.onnx", "model.kiln"] {
            fs::copy(Path::new(MODELS).join(name), setting.path(name)).unwrap();
        }
        let picture = fs::read_dir(setting.path("pictures/train/cat")).unwrap();
        let picture = picture.map(|entry| entry.unwrap().path()).next().unwrap();
        fs::copy(picture, setting.path("a.png")).unwrap();
        fs::write(setting.path("labels.txt"), "cat\ndog\n").unwrap();
        fs::write(setting.path("recipe.toml"), "width = 64\nheight = 10\n").unwrap();
        setting
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command here; its exit code, and what it says on stderr.
    fn run(&self, words: &str) -> (Option<i32>, String) {
        let mut command = kiln();
        command.current_dir(self.0.path()).args(words.split(' '));
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), stderr)
    }

    /// All files here that are not pictures' folders.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

#[test]
fn nothing_is_done_where_something_does_not_fit() {
    let setting = Setting::new();
    let before = setting.files();
    let cases = [
        // Results in the place of what is read.
        (
            "quantize model.onnx --calibrate pictures -o model.onnx",
            "would replace it",
        ),
        (
            "quantize model.onnx --calibrate pictures --report ./model.onnx",
            "would replace it",
        ),
        (
            "compile model.int8.onnx -o model.int8.onnx",
            "would replace it",
        ),
        (
            "classify model.kiln a.png --explain a.png",
            "would replace it",
        ),
        (
            "run model.kiln a.png --logits model.kiln",
            "would replace it",
        ),
        (
            "eval model.kiln pictures --logits model.kiln",
            "would replace it",
        ),
        // Folders that are not there.
        (
            "quantize model.onnx --calibrate pictures --report no/report.json",
            "no: no such folder",
        ),
        // Runs among their pictures.
        (
            "train pictures --out pictures",
            "lies in the pictures' folder",
        ),
        (
            "train pictures --out pictures/train/cat/run",
            "lies in the pictures' folder",
        ),
        ("quickstart --out pictures", "holds something else"),
        // Recipes and labels that are not the model's.
        (
            "run model.onnx a.png --recipe recipe.toml",
            "its recipe gives 64×10",
        ),
        (
            "classify model.onnx a.png --recipe recipe.toml",
            "its recipe gives 64×10",
        ),
        (
            "classify model.kiln a.png --labels labels.txt",
            "a compiled file keeps its labels",
        ),
        (
            "classify model.kiln a.png --recipe absent.toml",
            "a compiled file keeps its labels",
        ),
        // Numbers that are none.
        (
            "quantize model.onnx --calibrate pictures --pictures 0",
            "1 or more",
        ),
        (
            "quantize model.onnx --calibrate pictures --max-drop nan",
            "a number of points",
        ),
        ("verify model.kiln pictures --pictures 0", "1 or more"),
        ("train pictures --size 100000", "each is 1 to 65535"),
        ("verify absent.kiln pictures", "absent.kiln: no such file"),
    ];
    for (words, message) in cases {
        let (code, stderr) = setting.run(words);
        assert_eq!(code, Some(2), "{words}: {stderr}");
        assert!(stderr.contains(message), "{words}: {stderr}");
        assert!(!stderr.contains("panicked"), "{words}: {stderr}");
    }
    assert!(setting.files() == before, "a file changed");
    assert!(!setting.path("pictures/run.toml").exists());
}

#[test]
fn labels_in_another_number_than_logits_are_refused_first() {
    let setting = Setting::new();
    fs::write(setting.path("one.txt"), "cat\n").unwrap();
    let quantize = "quantize model.onnx --calibrate pictures --labels one.txt";
    let (code, stderr) = setting.run(quantize);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("1 labels for 2 logits"), "{stderr}");
    let (code, stderr) = setting.run("classify model.onnx a.png --labels one.txt");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("2 logits, and 1 labels"), "{stderr}");
}

#[test]
fn an_error_says_its_cause_once() {
    let setting = Setting::new();
    for words in [
        "train pictures --out run --init absent.pth --batch 2",
        "export pictures",
        "classify absent.kiln a.png",
    ] {
        let (code, stderr) = setting.run(words);
        assert_eq!(code, Some(2), "{words}: {stderr}");
        let causes = stderr.matches("No such file").count();
        assert_eq!(causes, 1, "{words}: {stderr}");
    }
}

#[test]
fn a_dry_run_is_a_result() {
    let setting = Setting::new();
    let mut command = kiln();
    command.current_dir(setting.0.path());
    let output = command.args(["train", "pictures", "--dry-run"]).output();
    let output = output.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout.contains("parameters") && stdout.contains("for a training step"),
        "{stdout}"
    );
    assert!(!setting.path("runs").exists());
}
