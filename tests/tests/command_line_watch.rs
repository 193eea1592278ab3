//! `kiln watch` from outside: pictures that appear, broken ones, Ctrl-C.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use kiln_tests::{draw_pictures, kiln, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// Far longer than anything takes; only a failure waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

struct Watching {
    child: Child,
    answers: Receiver<String>,
    told: Receiver<String>,
}

impl Watching {
    fn start(model: &Path, folder: &Path, options: &[&str]) -> Self {
        let mut command = kiln();
        command.arg("watch").arg(model).arg(folder).args(options);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kiln starts");
        let answers = lines(child.stdout.take().unwrap());
        let told = lines(child.stderr.take().unwrap());
        let watching = Self {
            child,
            answers,
            told,
        };
        // A system that does not tell of changes is said first.
        let mut told = watching.told.iter();
        assert!(told.any(|line| line.starts_with("watching")), "{command:?}");
        watching
    }

    fn answer(&self) -> Value {
        let line = self.answers.recv_timeout(PATIENCE).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Presses Ctrl-C and gives the exit code and what was not yet read from stdout.
    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        let id = self.child.id().to_string();
        succeed(Command::new("kill").args(["-INT", &id]));
        let code = self.child.wait().unwrap().code();
        (code, self.answers.iter().collect())
    }
}

fn model(temporary: &TempDir) -> (std::path::PathBuf, std::path::PathBuf) {
    let at = |name: &str| temporary.path().join(name);
    let (pictures, run) = (at("pictures"), at("run"));
    draw_pictures(&pictures, [8, 4, 4], 32);
    let options = [
        "--size", "24", "--epochs", "1", "--batch", "8", "--device", "cpu",
    ];
    let mut command = kiln();
    command.arg("train").arg(&pictures).arg("--out").arg(&run);
    succeed(command.args(options));
    succeed(kiln().arg("export").arg(&run));
    (run.join("model.onnx"), pictures.join("test/cat"))
}

fn pictures_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

#[test]
fn what_appears_is_classified_as_kiln_classify_does_and_ctrl_c_ends_it() {
    let temporary = TempDir::new().unwrap();
    let (model, cats) = model(&temporary);
    let folder = temporary.path().join("incoming");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let cats = pictures_in(&cats);
    let ending = cats[0].extension().unwrap().to_str().unwrap();
    fs::copy(&cats[0], folder.join(format!("before.{ending}"))).unwrap();
    let watching = Watching::start(&model, &folder, &["--json"]);

    let new = folder.join(format!("deeper/new.{ending}"));
    fs::copy(&cats[1], &new).unwrap();
    let answer = watching.answer();
    assert_eq!(answer["file"], new.to_str().unwrap());
    let mut command = kiln();
    command.arg("classify").arg(&model).arg(&new).arg("--json");
    let expected: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
    assert_eq!(answer, expected);

    // A broken file is named and passed over; what is no picture by its name is not looked at.
    fs::write(folder.join("broken.jpg"), b"no picture").unwrap();
    let told = watching
        .told
        .recv_timeout(PATIENCE)
        .expect("a line on stderr");
    assert!(told.contains("broken.jpg"), "{told}");
    fs::copy(&cats[2], folder.join("picture.part")).unwrap();
    let renamed = folder.join(format!("renamed.{ending}"));
    fs::rename(folder.join("picture.part"), &renamed).unwrap();
    assert_eq!(watching.answer()["file"], renamed.to_str().unwrap());
    assert_eq!(watching.interrupt(), (Some(0), Vec::new()));
}

#[test]
fn those_that_are_there_come_first_if_asked_for() {
    let temporary = TempDir::new().unwrap();
    let (model, cats) = model(&temporary);
    let watching = Watching::start(&model, &cats, &["--json", "--all"]);
    let mut files: Vec<String> = pictures_in(&cats)
        .iter()
        .map(|_| watching.answer()["file"].as_str().unwrap().to_owned())
        .collect();
    files.sort();
    let expected: Vec<_> = pictures_in(&cats)
        .iter()
        .map(|p| p.display().to_string())
        .collect();
    assert_eq!(files, expected);
    assert_eq!(watching.interrupt(), (Some(0), Vec::new()));
    // A folder that goes away is an error.
    let folder = temporary.path().join("goes");
    fs::create_dir(&folder).unwrap();
    let mut watching = Watching::start(&model, &folder, &[]);
    fs::remove_dir(&folder).unwrap();
    assert_eq!(watching.child.wait().unwrap().code(), Some(2));
    let told: Vec<String> = watching.told.iter().collect();
    assert!(told.join("\n").contains("goes"), "{told:?}");
}

#[test]
fn what_is_no_folder_is_an_error() {
    let temporary = TempDir::new().unwrap();
    let (model, _) = model(&temporary);
    let output = kiln()
        .arg("watch")
        .arg(&model)
        .arg("no-such-folder")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("no-such-folder"), "{stderr}");
}
