//! Which picture files a folder holds, by split and class. Nothing is opened here.
//!
//! Two layouts are known, told apart by the names of the folders in the root:
//!
//! - `ROOT/<class>/…`: plain class folders.
//! - `ROOT/<split>/<class>/…`: split folders, named `train` or `training`; `val`, `valid` or
//!   `validation`; `test` or `testing` (in any case).
//!
//! Below a class folder, folders may be nested. Files whose extension is no picture's, hidden files and
//! hidden folders are ignored. Links are followed, unless they lead back to where they came from.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_run::pictures::{is_hidden, is_picture_name};
use walkdir::{DirEntry, WalkDir};

use super::Split;
use super::problems::DatasetError;

/// A picture file by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The split folder it lies in, if there are any.
    pub split: Option<Split>,
    /// The class folder it lies in: index into [`Scan::classes`].
    pub class: usize,
    /// Path relative to the root, with `/` between its parts.
    pub path: String,
}

/// What a folder holds.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The folder.
    pub root: PathBuf,
    /// The split folders and their names, or none where the root holds class folders.
    pub splits: Vec<(Split, String)>,
    /// Names of the class folders, also of empty ones, sorted.
    pub classes: Vec<String>,
    /// The class folders, as split and index into [`Scan::classes`], sorted.
    pub folders: Vec<(Option<Split>, usize)>,
    /// Pictures, sorted by path.
    pub files: Vec<Found>,
    /// Other files, relative to the root, sorted.
    pub ignored: Vec<String>,
    /// Pictures whose names are not UTF-8, as far as they can be written, sorted.
    pub unnameable: Vec<String>,
}

/// Lists a folder's pictures.
///
/// # Errors
/// The folder or one below it cannot be read, or its layout is neither of the two.
pub fn scan(root: &Path) -> Result<Scan, DatasetError> {
    let top = folders_in(root)?;
    let splits = split_folders(root, &top)?;
    let mut found = Listed::default();
    // One walk from the root, so that a link back to any folder on the way is noticed.
    let visible =
        |e: &DirEntry| e.depth() == 0 || !e.file_type().is_dir() || !is_hidden(e.file_name());
    let walk = WalkDir::new(root).min_depth(1).follow_links(true);
    for entry in walk.into_iter().filter_entry(visible) {
        match entry {
            Ok(e) if e.file_type().is_dir() => found.folder(root, e.path(), &splits)?,
            Ok(e) => found.file(root, e.path(), &splits),
            Err(e) if e.loop_ancestor().is_some() => {
                found.ignored.extend(e.path().map(|p| relative(root, p).0));
            }
            // A link that leads nowhere: whoever opens the picture will say so. What may be a folder is an error.
            Err(e)
                if e.path()
                    .is_some_and(|path| path.is_symlink() && is_file_name(path)) =>
            {
                found.file(root, e.path().unwrap_or(root), &splits);
            }
            Err(e) => {
                return Err(DatasetError::Unreadable {
                    path: e.path().unwrap_or(root).to_owned(),
                    reason: e.into_io_error().unwrap_or(io::ErrorKind::Other.into()),
                });
            }
        }
    }
    if found.folders.is_empty() {
        return Err(DatasetError::NoClasses(root.to_owned()));
    }
    Ok(found.finish(root, splits))
}

/// Whether a name is rather a file's than a folder's.
fn is_file_name(path: &Path) -> bool {
    path.extension().is_some() || path.file_name().is_some_and(is_hidden)
}

/// The split that a folder's name stands for.
fn split_of(name: &str) -> Option<Split> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Val),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// The root's split folders, in the order of the splits. Either all of its folders are, or none is.
fn split_folders(root: &Path, top: &[PathBuf]) -> Result<Vec<(Split, String)>, DatasetError> {
    let mut known: Vec<(Split, String)> = Vec::new();
    let mut other = None;
    for folder in top {
        let name = folder.to_string_lossy();
        match split_of(&name) {
            Some(split) => known.push((split, name.into())),
            None => other = Some(name),
        }
    }
    known.sort();
    if let (Some((_, split)), Some(other)) = (known.first(), other) {
        return Err(DatasetError::MixedFolders {
            root: root.to_owned(),
            split: split.clone(),
            other: other.into(),
        });
    }
    match known.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(DatasetError::SplitTwice {
            root: root.to_owned(),
            first: pair[0].1.clone(),
            second: pair[1].1.clone(),
        }),
        None => Ok(known),
    }
}

/// The names of a folder's visible folders, sorted.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let entries: Vec<fs::DirEntry> =
        fs::read_dir(folder)
            .and_then(Iterator::collect)
            .map_err(|reason| DatasetError::Unreadable {
                path: folder.to_owned(),
                reason,
            })?;
    let folders = entries.iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|e| PathBuf::from(e.file_name())).collect();
    names.retain(|name| !is_hidden(name.as_os_str()));
    names.sort();
    Ok(names)
}

/// What has been found so far, classes by name.
#[derive(Default)]
struct Listed {
    folders: BTreeSet<(Option<Split>, String)>,
    files: Vec<(Option<Split>, String, String)>,
    ignored: Vec<String>,
    unnameable: Vec<String>,
}

type Splits = [(Split, String)];

impl Listed {
    fn folder(&mut self, root: &Path, path: &Path, splits: &Splits) -> Result<(), DatasetError> {
        let (name, whole) = relative(root, path);
        let parts: Vec<&str> = name.split('/').collect();
        let (split, class) = match (parts.as_slice(), splits) {
            ([class], []) => (None, class),
            ([split, class], [_, ..]) => (split_of(split), class),
            _ => return Ok(()),
        };
        if !whole {
            return Err(DatasetError::NotUtf8(path.to_owned()));
        }
        if class.contains(char::is_control) {
            return Err(DatasetError::Control(path.to_owned()));
        }
        self.folders.insert((split, (*class).to_owned()));
        Ok(())
    }

    fn file(&mut self, root: &Path, path: &Path, splits: &Splits) {
        let (name, whole) = relative(root, path);
        let parts: Vec<&str> = name.split('/').collect();
        let (split, class) = match (parts.as_slice(), splits) {
            ([class, _, ..], []) => (None, *class),
            ([split, class, _, ..], [_, ..]) => (split_of(split), *class),
            _ => return self.ignored.push(name),
        };
        let hidden = path.file_name().is_some_and(is_hidden);
        if hidden || !is_picture_name(path) {
            self.ignored.push(name);
        } else if !whole {
            self.unnameable.push(name);
        } else {
            self.files.push((split, class.to_owned(), name));
        }
    }

    fn finish(mut self, root: &Path, splits: Vec<(Split, String)>) -> Scan {
        let names: BTreeSet<String> = self.folders.iter().map(|(_, name)| name.clone()).collect();
        let classes: Vec<String> = names.into_iter().collect();
        let index = |name: &String| classes.binary_search(name).unwrap_or_default();
        let folders = self.folders.iter();
        let folders = folders.map(|(split, name)| (*split, index(name))).collect();
        let mut files: Vec<Found> = self
            .files
            .into_iter()
            .map(|(split, name, path)| Found {
                split,
                class: index(&name),
                path,
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        self.ignored.sort();
        self.unnameable.sort();
        Scan {
            root: root.to_owned(),
            splits,
            classes,
            folders,
            files,
            ignored: self.ignored,
            unnameable: self.unnameable,
        }
    }
}

/// The path below the root with `/` between its parts, and whether that is its whole name.
fn relative(root: &Path, path: &Path) -> (String, bool) {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    (parts.join("/"), below.to_str().is_some())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with files of these relative paths, each holding its own path. `/` at the end: a folder.
    pub fn folder_with(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in paths {
            let full = root.path().join(path);
            if path.ends_with('/') {
                fs::create_dir_all(full).unwrap();
            } else {
                fs::create_dir_all(full.parent().unwrap()).unwrap();
                fs::write(full, path).unwrap();
            }
        }
        root
    }

    fn paths(scan: &Scan) -> Vec<(Option<Split>, &str, &str)> {
        scan.files
            .iter()
            .map(|f| (f.split, scan.classes[f.class].as_str(), f.path.as_str()))
            .collect()
    }

    #[test]
    fn class_folders_are_walked_to_the_bottom() {
        let root = folder_with(&[
            "dog/b.JPG",
            "dog/deep/er/a.webp",
            "cat/x.png",
            "cat/notes.txt",
            "cat/.hidden.png",
            "cat/.cache/y.png",
            "cat/deep/__MACOSX/z.png",
            ".git/w.png",
            "readme.md",
            "loose.png",
        ]);
        let found = scan(root.path()).unwrap();
        assert!(found.splits.is_empty());
        assert_eq!(found.classes, ["cat", "dog"]);
        assert_eq!(
            paths(&found),
            [
                (None, "cat", "cat/x.png"),
                (None, "dog", "dog/b.JPG"),
                (None, "dog", "dog/deep/er/a.webp"),
            ]
        );
        assert_eq!(
            found.ignored,
            ["cat/.hidden.png", "cat/notes.txt", "loose.png", "readme.md"]
        );
    }

    #[test]
    fn split_folders_go_by_several_names() {
        let root = folder_with(&[
            "Train/cat/a.png",
            "train.csv",
            "validation/cat/b.png",
            "validation/loose.png",
            "testing/cat/c.png",
        ]);
        let found = scan(root.path()).unwrap();
        assert_eq!(
            paths(&found),
            [
                (Some(Split::Train), "cat", "Train/cat/a.png"),
                (Some(Split::Test), "cat", "testing/cat/c.png"),
                (Some(Split::Val), "cat", "validation/cat/b.png"),
            ]
        );
        assert_eq!(found.ignored, ["train.csv", "validation/loose.png"]);
    }

    #[test]
    fn layouts_that_mean_nothing_are_refused() {
        let cases: [(&[&str], &str); 4] = [
            (&["a.png", ".git/b/c.png"], "has no class folders"),
            (&["train/a.png", "val/b.png"], "has no class folders"),
            (
                &["train/cat/a.png", "bus/b.png"],
                "has a split folder, \"train\", beside \"bus\"",
            ),
            (
                &["train/cat/a.png", "val/cat/b.png", "valid/cat/c.png"],
                "\"val\" and \"valid\" mean the same split",
            ),
        ];
        for (files, message) in cases {
            let root = folder_with(files);
            let error = scan(root.path()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert!(error.contains(root.path().to_str().unwrap()), "{error}");
        }
        let missing = scan(Path::new("no/such/folder")).unwrap_err();
        assert!(
            matches!(missing, DatasetError::Unreadable { .. }),
            "{missing}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let store = folder_with(&["a.png", "more/b.png"]);
        let root = folder_with(&["cat/", "dog/d.png"]);
        symlink(store.path().join("a.png"), root.path().join("cat/a.png")).unwrap();
        symlink(store.path().join("more"), root.path().join("cat/more")).unwrap();
        symlink(root.path(), root.path().join("dog/circle")).unwrap();
        symlink("nowhere", root.path().join("dog/gone.png")).unwrap();
        let found = scan(root.path()).unwrap();
        let names: Vec<_> = found.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            names,
            ["cat/a.png", "cat/more/b.png", "dog/d.png", "dog/gone.png"]
        );
        assert_eq!(found.ignored, ["dog/circle"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf8_are_told() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let root = folder_with(&["cat/a.png", "dog/b.png"]);
        fs::write(
            root.path().join("cat").join(OsStr::from_bytes(b"\xFF.png")),
            "x",
        )
        .unwrap();
        let found = scan(root.path()).unwrap();
        assert_eq!(found.files.len(), 2);
        assert_eq!(found.unnameable, ["cat/\u{FFFD}.png"]);
        let problem = found.problems().remove(0).to_string();
        assert!(
            problem.contains("cat/\u{FFFD}.png: its name is not UTF-8"),
            "{problem}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn names_that_tear_lines_apart_are_refused() {
        let root = folder_with(&["cat/a.png", "new\nline/b.png"]);
        let error = scan(root.path()).unwrap_err().to_string();
        assert!(error.contains("new\\nline"), "{error}");
    }
}
