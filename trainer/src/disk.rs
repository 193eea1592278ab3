//! What several parts ask of files: room for what is about to be written, a hash, whether two paths are one.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};

/// Makes `folder`, tries to write into it, and sees that its disk has room for `bytes`.
pub fn writable(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{}: cannot make this folder", folder.display()))?;
    tempfile::tempfile_in(folder)
        .and_then(|mut probe| probe.write_all(b"kiln"))
        .with_context(|| format!("{}: cannot write into this folder", folder.display()))?;
    let free = fs4::available_space(folder)
        .with_context(|| format!("{}: cannot tell the free space", folder.display()))?;
    if free < bytes {
        bail!(
            "{}: the disk has {} MB free, this needs about {} MB; free some, or use another folder",
            folder.display(),
            free / 1_000_000,
            bytes / 1_000_000 + 1
        );
    }
    Ok(())
}

/// The hash of what a file holds.
pub fn hash(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize())
}

/// Holds a folder until the file is dropped; `None` while another process holds it. Where files cannot be locked,
/// nobody is kept out.
pub fn hold(folder: &Path) -> io::Result<Option<File>> {
    let file = File::create(folder.join(".lock"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// What was done with a file or folder that need not be there.
pub fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether both paths lead to the same file or folder; not if one of them leads nowhere.
pub fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = hold(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(hold(folder.path()).unwrap().is_none());
        drop(first);
        assert!(hold(folder.path()).unwrap().is_some());
    }

    #[test]
    fn a_disk_that_is_too_small_is_said_with_numbers() {
        let folder = tempfile::tempdir().unwrap();
        writable(folder.path(), 1).unwrap();
        let error = writable(folder.path(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("MB free"), "{error}");
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = writable(&file.join("run"), 1).unwrap_err().to_string();
        assert!(error.contains("cannot make this folder"), "{error}");
    }
}
