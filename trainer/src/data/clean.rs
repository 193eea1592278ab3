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
    #[error("{}: cannot be written ({source}); what was copied so far can be deleted", path.display())]
    Unwritable {
        /// File or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

/// Says whether a cleaned copy may be put into a folder: a new or empty one outside of the data.
///
/// # Errors
/// [`CleanError::NotEmpty`], [`CleanError::Inside`].
pub fn check_target(data: &Path, folder: &Path) -> Result<(), CleanError> {
    let real_data = data.canonicalize();
    let real_data = real_data.map_err(unwritable(data))?;
    if real_path(folder)?.starts_with(&real_data) {
        return Err(CleanError::Inside {
            folder: folder.to_owned(),
            data: data.to_owned(),
        });
    }
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CleanError::NotEmpty(folder.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(unwritable(folder)(source)),
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

/// A path's real place, of which the last parts need not exist yet.
fn real_path(path: &Path) -> Result<PathBuf, CleanError> {
    let absolute = std::path::absolute(path).map_err(unwritable(path))?;
    let there = absolute.ancestors().find_map(|ancestor| {
        let real = ancestor.canonicalize().ok()?;
        Some((real, absolute.strip_prefix(ancestor).ok()?))
    });
    Ok(match there {
        Some((real, rest)) => real.join(rest),
        None => absolute.clone(),
    })
}

fn one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> CleanError {
    let path = path.to_owned();
    |source| CleanError::Unwritable { path, source }
}
