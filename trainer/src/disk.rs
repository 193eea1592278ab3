//! What several parts ask of files: room for what is about to be written, a hash, whether two paths are one.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

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

/// Refuses a place for a result that is something that is read, or whose folder is not there.
pub fn for_result(out: &Path, read: &[&Path]) -> anyhow::Result<()> {
    if read.iter().any(|read| same(out, read)) {
        bail!(
            "{}: this is what is read, and the result would replace it; name another file",
            out.display()
        );
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            bail!("{}: no such folder; make it first", folder.display())
        }
        _ => Ok(()),
    }
}

/// A path or another word as it is typed into a shell: in quotes where a shell would take it apart.
pub fn typed(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "_./-+,:=@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Where a path leads, links followed, whether or not there is anything yet.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let there = absolute.ancestors().find_map(|ancestor| {
        let real = ancestor.canonicalize().ok()?;
        Some((real, absolute.strip_prefix(ancestor).ok()?))
    });
    let Some((mut real, rest)) = there else {
        return Ok(absolute);
    };
    for part in rest.components() {
        match part {
            Component::ParentDir => _ = real.pop(),
            part => real.push(part),
        }
    }
    Ok(real)
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
    fn what_is_typed_is_one_word() {
        let cases = [
            ("runs/first", "runs/first"),
            ("my runs", "'my runs'"),
            ("it's", r"'it'\''s'"),
            ("a=[1,2]", "'a=[1,2]'"),
            ("Käfer", "Käfer"),
            ("", "''"),
        ];
        for (word, typed_so) in cases {
            assert_eq!(typed(word), typed_so);
        }
    }

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
    fn a_result_replaces_nothing_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.onnx");
        std::fs::write(&model, b"").unwrap();
        let roundabout = folder
            .path()
            .join("..")
            .join(folder.path())
            .join("model.onnx");
        let error = for_result(&roundabout, &[&model]).unwrap_err().to_string();
        assert!(error.contains("would replace it"), "{error}");
        for_result(&folder.path().join("new.onnx"), &[&model]).unwrap();
        for_result(Path::new("new.onnx"), &[&model]).unwrap();
        let error = for_result(&folder.path().join("a").join("b"), &[&model]).unwrap_err();
        assert!(error.to_string().contains("no such folder"), "{error}");
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
