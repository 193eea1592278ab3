//! What tells one state of the sources from another.

use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::{SourceError, at};

/// Names, sizes and times of the files at and below a path.
pub fn path(path: &Path, hasher: &mut impl Hasher) -> Result<(), SourceError> {
    let meta = fs::metadata(path).map_err(at(path))?;
    path.hash(hasher);
    if !meta.is_dir() {
        let time = meta.modified().ok();
        let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        (meta.len(), time).hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(at(path))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().try_for_each(|path| self::path(path, hasher))
}
