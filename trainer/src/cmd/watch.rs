//! `kiln watch`

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use anyhow::bail;
use clap::Args;
use kiln_run::answer::Answer;
use kiln_run::pictures;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::classify::{names, said, tell};
use super::ui::{self, STEPPING, STOP};
use crate::inference::{Foreign, Model};

/// How long a file must not have changed before it counts as written.
const SETTLE: Duration = Duration::from_millis(500);
/// The same for a file with nothing in it: who made it may still be at work on its contents.
const EMPTY: Duration = Duration::from_secs(10);
/// How often it is seen whether somebody wants to stop, or a file is written to its end.
const TICK: Duration = Duration::from_millis(100);
/// How often the folder is read where nothing tells of changes: also network drives, which do not.
const POLL: Duration = Duration::from_secs(1);

/// `kiln watch`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln watch model.kiln incoming
  kiln watch model.kiln incoming --json >> answers.jsonl
  kiln watch model.kiln incoming --all           first those that are there already

A picture is classified when its file has not changed for half a second; one that changes later is
classified again. A broken file is named on stderr and passed over. Ctrl-C ends with exit code 0.")]
pub struct WatchArgs {
    /// An ONNX file, float or quantized, or a .kiln file.
    pub model: PathBuf,
    /// The folder; folders in it are watched too.
    pub folder: PathBuf,
    /// First classify the pictures that are there already.
    #[arg(long)]
    pub all: bool,
    /// Name this many of the most probable classes.
    #[arg(long, default_value_t = 2)]
    pub top: usize,
    /// Print a JSON object a picture, one a line, as `kiln classify --json` does.
    #[arg(long)]
    pub json: bool,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

/// Watches until it is asked to stop.
pub fn run(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    let model = Model::open(&args.model, &args.foreign)?;
    let recipe = model.recipe()?;
    let answerer = model.answerer()?;
    let labels = names(&model, &answerer)?;
    let mut session = answerer.session();
    if !args.folder.is_dir() {
        bail!("{}: no such folder", args.folder.display());
    }
    ui::catch_interrupts()?;
    STEPPING.store(true, Ordering::Relaxed);
    let changes = Changes::of(&args.folder);
    let mut arrivals = Arrivals::default();
    if !args.all {
        arrivals.known = Listing::of(&args.folder)?.files.into_iter().collect();
    }
    ui::say(format!("watching {}; Ctrl-C ends", args.folder.display()));
    let mut scratch = Vec::new();
    let mut read = None;
    let mut told = HashSet::new();
    while !STOP.load(Ordering::Relaxed) {
        let changed = changes.wait(TICK);
        let now = Instant::now();
        let old = read.is_none_or(|read| now.duration_since(read) >= POLL);
        if !changed && !old && arrivals.waiting.is_empty() {
            continue;
        }
        read = Some(now);
        let listing = Listing::of(&args.folder)?;
        for error in &listing.unread {
            if told.insert(error.clone()) {
                ui::say(format!("kiln: {error}; passed over"));
            }
        }
        for file in arrivals.written(listing, now) {
            if STOP.load(Ordering::Relaxed) {
                break;
            }
            match said(&mut session, &file, &recipe, &mut scratch) {
                Ok(said) => {
                    let file = file.display().to_string();
                    tell(&Answer::new(file, &labels, said, args.top), args.json)?;
                }
                // It was there a moment ago: whoever took it away does not want to know.
                Err(_) if !file.exists() => {}
                Err(error) => ui::say(format!("kiln: {}", ui::reason(&error))),
            }
        }
    }
    STEPPING.store(false, Ordering::Relaxed);
    Ok(ExitCode::SUCCESS)
}

/// Tells that something changed, where the system does.
struct Changes {
    /// It ends with its owner.
    _watcher: Option<RecommendedWatcher>,
    events: Receiver<()>,
}

impl Changes {
    fn of(folder: &Path) -> Self {
        let (sender, events) = mpsc::channel();
        let tell = move |event: notify::Result<notify::Event>| {
            // Reading a file is no change. An error may hide one.
            if event.map_or(true, |event| !event.kind.is_access()) {
                // Nobody listens any more when the program ends.
                let _ = sender.send(());
            }
        };
        let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::warn!(
                "the system does not tell of changes ({error}); reading the folder every second"
            );
        }
        Self {
            _watcher: watcher.ok(),
            events,
        }
    }

    /// Waits for a change, at most this long, and says whether there was one.
    fn wait(&self, time: Duration) -> bool {
        match self.events.recv_timeout(time) {
            Ok(()) => {
                // More of them come with each byte that is written; one look at the folder is enough.
                std::thread::sleep(time);
                while self.events.try_recv().is_ok() {}
                true
            }
            Err(mpsc::RecvTimeoutError::Timeout) => false,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                std::thread::sleep(time);
                false
            }
        }
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Picture files below the folder; those that vanish meanwhile are left out.
#[derive(Debug, Default)]
struct Listing {
    files: Vec<(PathBuf, Stamp)>,
    /// Why it is not the whole of it.
    unread: Vec<String>,
}

impl Listing {
    /// The folder itself must be there.
    fn of(folder: &Path) -> anyhow::Result<Self> {
        let mut unread = Vec::new();
        let files = pictures::files_below(folder, &mut |error| {
            // What has gone since the folder around it was read needs no word.
            if error.kind() != io::ErrorKind::NotFound {
                unread.push(error.to_string());
            }
            Ok(())
        })?;
        let stamp = |path: PathBuf| {
            let data = fs::metadata(&path).ok()?;
            let (bytes, modified) = (data.len(), data.modified().ok());
            Some((path, Stamp { bytes, modified }))
        };
        let files = files.into_iter().filter_map(stamp).collect();
        Ok(Self { files, unread })
    }
}

/// Which files are new and written to their end.
#[derive(Debug, Default)]
struct Arrivals {
    /// Done, in this state.
    known: HashMap<PathBuf, Stamp>,
    /// New or changed, in this state since then.
    waiting: HashMap<PathBuf, (Stamp, Instant)>,
}

impl Arrivals {
    /// The files of a listing, made at `now`, that are not known and have not changed for long enough;
    /// they are known from then on. Those that changed first come first.
    fn written(&mut self, listing: Listing, now: Instant) -> Vec<PathBuf> {
        let mut waiting = HashMap::new();
        let mut known = HashMap::new();
        let mut ready = Vec::new();
        for (path, stamp) in listing.files {
            if self.known.get(&path) == Some(&stamp) {
                known.insert(path, stamp);
                continue;
            }
            let since = match self.waiting.get(&path) {
                Some((before, since)) if *before == stamp => *since,
                _ => now,
            };
            let settle = if stamp.bytes == 0 { EMPTY } else { SETTLE };
            if now.duration_since(since) < settle {
                waiting.insert(path, (stamp, since));
                continue;
            }
            ready.push((stamp.modified, path.clone()));
            known.insert(path, stamp);
        }
        // What is in neither is gone, unless nobody could look: should it come back, it is new.
        if !listing.unread.is_empty() {
            for (path, stamp) in self.known.drain() {
                known.entry(path).or_insert(stamp);
            }
        }
        (self.waiting, self.known) = (waiting, known);
        ready.sort();
        ready.into_iter().map(|(_, path)| path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: u64) -> (PathBuf, Stamp) {
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(bytes));
        (name.into(), Stamp { bytes, modified })
    }

    #[test]
    fn a_file_is_ready_once_when_it_has_stopped_growing() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut arrivals = Arrivals::default();
        let mut look = |files: &[(&str, u64)], milliseconds| -> Vec<String> {
            let files = files.iter().map(|&(name, bytes)| file(name, bytes));
            let listing = Listing {
                files: files.collect(),
                unread: Vec::new(),
            };
            let ready = arrivals.written(listing, at(milliseconds));
            ready
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(look(&[("a", 10)], 0), [""; 0]);
        assert_eq!(look(&[("a", 20)], 400), [""; 0]);
        assert_eq!(look(&[("a", 20)], 800), [""; 0]);
        assert_eq!(look(&[("a", 20), ("b", 5)], 900), ["a"]);
        assert_eq!(look(&[("a", 20), ("b", 5)], 1300), [""; 0]);
        assert_eq!(look(&[("a", 20), ("b", 5)], 1400), ["b"]);
        // Changed, and gone and back again: new.
        assert_eq!(look(&[("a", 30)], 2000), [""; 0]);
        assert_eq!(look(&[("a", 30), ("b", 5)], 2600), ["a"]);
        assert_eq!(look(&[("a", 30), ("b", 5)], 3200), ["b"]);
    }

    #[test]
    fn an_empty_file_waits_longer_and_those_that_changed_first_come_first() {
        let start = Instant::now();
        let files = || Listing {
            files: vec![file("late", 9), file("early", 3), file("empty", 0)],
            unread: Vec::new(),
        };
        let mut arrivals = Arrivals::default();
        assert!(arrivals.written(files(), start).is_empty());
        let ready = arrivals.written(files(), start + SETTLE);
        assert_eq!(ready, ["early", "late"].map(PathBuf::from));
        let ready = arrivals.written(files(), start + EMPTY);
        assert_eq!(ready, [PathBuf::from("empty")]);
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_new_afterwards() {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        let with = |names: &[&str], unread: &[&str]| Listing {
            files: names.iter().map(|name| file(name, 7)).collect(),
            unread: unread.iter().map(|&error| error.to_owned()).collect(),
        };
        let mut look = |listing, seconds| arrivals.written(listing, start + SETTLE * seconds).len();
        assert_eq!(look(with(&["a", "b/c"], &[]), 0), 0);
        assert_eq!(look(with(&["a", "b/c"], &[]), 1), 2);
        assert_eq!(look(with(&["a"], &["b: Permission denied"]), 2), 0);
        assert_eq!(look(with(&["a", "b/c"], &[]), 3), 0);
        assert_eq!(look(with(&["a", "b/c"], &[]), 9), 0);
    }

    #[test]
    fn a_folder_that_goes_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("a.png"), b"x").unwrap();
        fs::write(path.join("a.png.part"), b"x").unwrap();
        assert_eq!(Listing::of(&path).unwrap().files.len(), 1);
        drop(folder);
        assert!(Listing::of(&path).is_err());
    }
}
