//! What the commands share: bars, plain progress lines, Ctrl-C, JSON, caches.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Set by the first Ctrl-C while steps are made.
pub static STOP: AtomicBool = AtomicBool::new(false);
/// Whether somebody looks at [`STOP`].
pub static STEPPING: AtomicBool = AtomicBool::new(false);
/// Whether the whole terminal is drawn on.
pub static DRAWING: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C and SIGTERM: while steps are made the first asks them to stop; any other ends the
/// process, which loses nothing, as files are there whole or not at all.
pub fn catch_interrupts() -> anyhow::Result<()> {
    match ctrlc::set_handler(stop) {
        // The quickstart runs several commands in one process.
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(error) => Err(error).context("cannot catch Ctrl-C"),
    }
}

/// The first time asks steps to stop; any other ends the process, and gives the terminal back before.
pub fn stop() {
    let drawing = DRAWING.load(Ordering::Relaxed);
    if !STEPPING.load(Ordering::Relaxed) || STOP.swap(true, Ordering::Relaxed) {
        if drawing {
            ratatui::restore();
        }
        say("\nkiln: stopped");
        std::process::exit(2);
    }
    if !drawing {
        say("\nkiln: stopping after what is being done; press Ctrl-C again to stop at once");
    }
}

/// A number of things that is not 0, on the command line.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "give a whole number, 1 or more".to_owned())
}

/// An error and its causes, each once: many say their cause themselves.
pub fn reason(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.contains(&cause) {
            true => said,
            false if said.is_empty() => cause,
            false => format!("{said}: {cause}"),
        }
    })
}

/// A bar on stderr; nothing where stderr is no terminal.
pub fn bar(total: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    let style = "{msg:<12} [{bar:32}] {pos}/{len}  {elapsed} (left {eta})";
    // The template is a constant: a test draws it.
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar.set_message(what.to_owned());
    bar
}

/// A bar that appears with its first event and follows `(done, total)`, from any thread.
#[derive(Default)]
pub struct LazyBar(Mutex<Option<(String, ProgressBar)>>);

impl LazyBar {
    /// Shows `done` of `total` under the name `what`; another name starts another bar.
    pub fn show(&self, what: &str, done: usize, total: usize) {
        self.update(what, done, total, None);
    }

    /// The same, with a text behind the name.
    pub fn show_with(&self, what: &str, done: usize, total: usize, text: String) {
        self.update(what, done, total, Some(text));
    }

    fn update(&self, what: &str, done: usize, total: usize, text: Option<String>) {
        let Ok(mut current) = self.0.lock() else {
            return;
        };
        if current.as_ref().is_none_or(|(name, _)| name != what) {
            *current = Some((what.to_owned(), bar(total, what)));
        }
        if let Some((name, bar)) = &*current {
            if let Some(text) = text {
                bar.set_message(format!("{name} {text}"));
            }
            bar.set_position(done as u64);
            if done == total {
                bar.finish_and_clear();
            }
        }
    }

    /// Prints a line on stderr without tearing the bar.
    pub fn line(&self, line: &str) {
        let current = self.0.lock();
        let bar = current.iter().flat_map(|bar| bar.iter()).next();
        match bar {
            Some((_, bar)) if !bar.is_finished() && io::stderr().is_terminal() => bar.println(line),
            _ => say(line),
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Ok(mut current) = self.0.lock()
            && let Some((_, bar)) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}

/// Text that leaves the terminal as it is: file names, labels and names in models may have any characters.
fn harmless(line: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    match line.contains(steers) {
        true => Cow::Owned(line.replace(steers, "\u{FFFD}")),
        false => Cow::Borrowed(line),
    }
}

/// Prints a line on stderr; where nobody reads it any more, the work goes on.
pub fn say(line: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(line.as_ref()));
}

/// Prints a line on stdout; a closed pipe is an error that `main` forgives.
pub fn print(line: impl AsRef<str>) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{}", harmless(line.as_ref())) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("the standard output")
        }
        done => Ok(done?),
    }
}

/// `1 h 02 m`, `3 m 05 s` or `4.2 s`.
pub fn time(seconds: f64) -> String {
    // Truncated; more than that many is some hundred billion years.
    let whole = seconds.max(0.0) as u64;
    match whole {
        3600.. => format!("{} h {:02} m", whole / 3600, whole / 60 % 60),
        60.. => format!("{} m {:02} s", whole / 60, whole % 60),
        _ => format!("{seconds:.1} s"),
    }
}

/// `1.5 M`, `12.3 k` or `999`.
pub fn count(n: usize) -> String {
    match n {
        1_000_000.. => format!("{:.2} M", n as f64 / 1e6),
        10_000.. => format!("{:.1} k", n as f64 / 1e3),
        _ => n.to_string(),
    }
}

/// Where decoded pictures are kept: `given`, `$KILN_CACHE`, or the user's cache folder.
pub fn cache_folder(given: Option<&Path>) -> Option<PathBuf> {
    // An empty variable is none, and the XDG specification ignores relative paths.
    let path = |name| env::var_os(name).map(PathBuf::from);
    let given_by = |name| path(name).filter(|path| !path.as_os_str().is_empty());
    let user = || {
        let xdg = given_by("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let home = || Some(given_by("HOME")?.join(".cache"));
        Some(xdg.or_else(home)?.join("kiln"))
    };
    let given = given.map(Path::to_owned);
    given.or_else(|| given_by("KILN_CACHE")).or_else(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_steers_the_terminal() {
        assert_eq!(harmless("a\tb\ncät ✓"), "a\tb\ncät ✓");
        assert_eq!(
            harmless("\u{1b}[2Jcat\u{7}\r"),
            "\u{FFFD}[2Jcat\u{FFFD}\u{FFFD}"
        );
    }

    #[test]
    fn a_cause_is_said_once() {
        let lost = || io::Error::other("no such file");
        let twice = anyhow::Error::new(lost()).context("model.onnx: no such file; export it");
        assert_eq!(reason(&twice), "model.onnx: no such file; export it");
        let once = anyhow::Error::new(lost()).context("model.onnx");
        assert_eq!(reason(&once), "model.onnx: no such file");
    }

    #[test]
    fn times_and_counts_read_well() {
        assert_eq!(
            [0.04, 59.9, 65.0, 3725.0].map(time),
            ["0.0 s", "59.9 s", "1 m 05 s", "1 h 02 m"]
        );
        assert_eq!(
            [999, 12_345, 1_500_000].map(count),
            ["999", "12.3 k", "1.50 M"]
        );
    }
}
