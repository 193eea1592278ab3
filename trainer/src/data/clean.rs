//! A cleaned copy of a folder of pictures. The original is only read.
//!
//! Left out are broken pictures; of pictures that are the same, all but the preferred one (test before val
//! before train, so that leaks are taken out of train); and, where the same picture lies in several classes,
//! all of it, because which class is right is not known here. The rest is copied byte for byte under its
//! own path. `removed.tsv` lists what was left out, and why.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::check::Report;
use super::scan::Scan;
use crate::disk::real_path;

/// The list of what was left out.
pub const REMOVED: &str = "removed.tsv";

/// What was copied.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// The copy.
    pub folder: PathBuf,
    /// Pictures in it.
    pub kept: usize,
    /// Pictures left out.
    pub removed: usize,
}

/// A copy that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The folder for the copy has something in it.
    #[error("{}: is not empty; name a new folder for the cleaned copy", .0.display())]
    NotEmpty(PathBuf),
    /// The folder for the copy lies in the data.
    #[error("{}: lies in the data's folder, {}; name a folder elsewhere", folder.display(), data.display())]
    Inside {
        /// The folder for the copy.
        folder: PathBuf,
        /// The data.
        data: PathBuf,
    },
    /// The file system said no.
    #[error("{}: cannot be written ({reason}); what was copied so far can be deleted", path.display())]
    Unwritable {
        /// File or folder.
        path: PathBuf,
        /// Its reason.
        reason: io::Error,
    },
}

/// Says whether a cleaned copy may be put into a folder: a new or empty one outside of the data.
///
/// # Errors
/// [`CleanError::NotEmpty`], [`CleanError::Inside`].
pub fn check_target(data: &Path, folder: &Path) -> Result<(), CleanError> {
    let real = |path: &Path| real_path(path).map_err(unwritable(path));
    if real(folder)?.starts_with(real(data)?) {
        return Err(CleanError::Inside {
            folder: folder.to_owned(),
            data: data.to_owned(),
        });
    }
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CleanError::NotEmpty(folder.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(reason) => Err(unwritable(folder)(reason)),
    }
}

/// Copies what is good into `folder`, calling `progress` after each picture.
///
/// # Errors
/// Those of [`check_target`], and [`CleanError::Unwritable`].
pub fn write_clean(
    scan: &Scan,
    report: &Report,
    folder: &Path,
    progress: impl Fn(),
) -> Result<Cleaned, CleanError> {
    check_target(&scan.root, folder)?;
    let removed = removed(scan, report);
    let mut kept = 0;
    for file in &scan.files {
        progress();
        if !removed.contains_key(file.path.as_str()) {
            copy(&scan.root.join(&file.path), &folder.join(&file.path))?;
            kept += 1;
        }
    }
    let mut table = String::from("path\treason\n");
    for (path, reason) in &removed {
        table += &format!("{}\t{}\n", one_line(path), one_line(reason));
    }
    let list = folder.join(REMOVED);
    fs::create_dir_all(folder).map_err(unwritable(folder))?;
    fs::write(&list, table).map_err(unwritable(&list))?;
    Ok(Cleaned {
        folder: folder.to_owned(),
        kept,
        removed: removed.len(),
    })
}

/// What is left out, and why.
fn removed<'a>(scan: &'a Scan, report: &'a Report) -> BTreeMap<&'a str, String> {
    let mut removed = BTreeMap::new();
    for path in &scan.unnameable {
        removed.insert(path.as_str(), "its name is not UTF-8".to_owned());
    }
    for broken in &report.broken {
        removed.insert(&broken.path, broken.reason.clone());
    }
    for group in &report.groups {
        let first = &group.files[0];
        if group.conflict {
            for file in &group.files {
                let other = group.files.iter().find(|f| f.class != file.class);
                let other = other.map_or("", |f| f.path.as_str());
                let reason = format!("also lies under another class: {other}");
                removed.insert(&file.path, reason);
            }
            continue;
        }
        for file in &group.files[1..] {
            let same = if file.exact {
                "the same file as"
            } else {
                "looks the same as"
            };
            removed.insert(&file.path, format!("{same} {}", first.path));
        }
    }
    removed
}

fn copy(from: &Path, to: &Path) -> Result<(), CleanError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
    }
    fs::copy(from, to).map_err(unwritable(to))?;
    Ok(())
}

fn one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> CleanError {
    let path = path.to_owned();
    |reason| CleanError::Unwritable { path, reason }
}

#[cfg(test)]
mod tests {
    use super::super::check::{CheckOptions, check, tests::messy};
    use super::super::scan::scan;
    use super::*;
    use std::collections::BTreeMap;

    fn clean(data: &Path, folder: &Path) -> Result<Cleaned, CleanError> {
        let scan = scan(data).unwrap();
        let report = check(&scan, &CheckOptions::default(), || ());
        write_clean(&scan, &report, folder, || ())
    }

    /// All files below a folder, with their contents.
    fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = walkdir::WalkDir::new(folder)
            .into_iter()
            .map(Result::unwrap);
        let files = files.filter(|entry| entry.file_type().is_file());
        files
            .map(|entry| {
                let name = entry.path().strip_prefix(folder).unwrap().to_owned();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_copy_is_clean_and_the_original_untouched() {
        let data = messy();
        let before = contents(data.path());
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join("new/copy");
        let cleaned = clean(data.path(), &folder).unwrap();
        assert_eq!(contents(data.path()), before);

        let removed = fs::read_to_string(folder.join(REMOVED)).unwrap();
        let want = [
            "path\treason",
            "train/cat/leak.png\tthe same file as test/cat/1.png",
            "train/cat/twice.png\tthe same file as train/cat/2.png",
            "train/dog/cut.png\tis cut short; fetch it again or delete it",
            "train/dog/near leak.jpg\tlooks the same as val/dog/2.png",
            "val/cat/conflict.png\talso lies under another class: val/dog/3.png",
            "val/dog/3.png\talso lies under another class: val/cat/conflict.png",
        ];
        assert_eq!(removed.lines().collect::<Vec<_>>(), want);
        assert_eq!((cleaned.kept, cleaned.removed), (25, 6));

        let mut after = contents(&folder);
        after.remove(Path::new(REMOVED)).unwrap();
        assert_eq!(after.len(), 25);
        for (path, bytes) in &after {
            assert_eq!(bytes, &before[path], "{}", path.display());
        }
        let again = check(&scan(&folder).unwrap(), &CheckOptions::default(), || ());
        assert!(
            !again.needs_attention() && again.groups.is_empty(),
            "{again:?}"
        );
    }

    #[test]
    fn folders_in_the_data_or_in_use_are_refused() {
        let data = messy();
        let before = contents(data.path());
        let inside = [
            data.path().to_owned(),
            data.path().join("copy"),
            data.path().join("train/../new/copy"),
            data.path().join("no/../copy"),
        ];
        for folder in inside {
            let error = clean(data.path(), &folder).unwrap_err();
            assert!(matches!(error, CleanError::Inside { .. }), "{error}");
        }
        let used = tempfile::tempdir().unwrap();
        fs::write(used.path().join("thesis.txt"), "years").unwrap();
        let error = clean(data.path(), used.path()).unwrap_err();
        assert!(matches!(error, CleanError::NotEmpty(_)), "{error}");
        // The data lies in a folder that is not empty.
        let above = clean(&data.path().join("train"), data.path()).unwrap_err();
        assert!(matches!(above, CleanError::NotEmpty(_)), "{above}");
        assert_eq!(contents(data.path()), before);
        assert_eq!(contents(used.path()).len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_into_the_data_is_seen_through() {
        let data = messy();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(data.path(), &link).unwrap();
        let error = clean(data.path(), &link.join("copy")).unwrap_err();
        assert!(matches!(error, CleanError::Inside { .. }), "{error}");
    }
}
