//! Chromium, driven by `drive.mjs`.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Names of Chromium, and of what is built from it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page.
pub struct Browser {
    child: Child,
    steps: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts it.
    pub fn start() -> Self {
        let chromium = chromium()
            .expect("Chromium is not installed. Run: cargo xtask setup, or set KILN_CHROMIUM");
        let packages = packages().expect(
            "the packages of web/tests/package.json are not set up in the target folder. Run: cargo xtask setup",
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drive.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .args([packages, chromium])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is not installed. Run: cargo xtask setup");
        let answers = BufReader::new(child.stdout.take().unwrap());
        let steps = child.stdin.take();
        Self {
            child,
            steps,
            answers,
        }
    }

    /// Takes a step.
    pub fn ask(&mut self, step: Value) -> Value {
        let steps = self.steps.as_mut().unwrap();
        writeln!(steps, "{step}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the browser is gone, after {step:.200}"));
        assert_eq!(answer["error"], Value::Null, "{step:.200}");
        answer["answer"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // No more steps: it ends, and with it the browser.
        drop(self.steps.take());
        let _ = self.child.wait();
    }
}

fn chromium() -> Option<PathBuf> {
    if let Some(named) = env::var_os("KILN_CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let mut places = env::split_paths(&path).flat_map(|at| NAMES.map(|name| at.join(name)));
    places.find(|place| place.is_file())
}

/// The folder with `node_modules`: in the target folder, or a level higher with `--target`.
fn packages() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let mut folders = own.ancestors().skip(3).take(2).map(|at| at.join("node"));
    folders.find(|at| at.join("node_modules/playwright-core").is_dir())
}
