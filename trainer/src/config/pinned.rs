//! The files that a run builds on, by their hashes: repeated or gone on with, it builds on the same.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::{InitConfig, TeacherConfig};
use crate::disk;

/// Why a run cannot build on a file.
#[derive(Debug, Error)]
pub enum PinError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is another than the run began with.
    #[error(
        "{path} is not the file that the run began with, by the `blake3` of its run.toml; take the right \
         one, or leave the key out"
    )]
    Other {
        /// The file.
        path: PathBuf,
    },
}

/// The hashes of the files among `paths`, which may be folders; other files than the noted ones are refused.
fn hashes(paths: &[PathBuf], noted: &[String]) -> Result<Vec<String>, PinError> {
    let files = paths.iter().filter(|path| !path.is_dir());
    let hashes = files.enumerate().map(|(index, path)| {
        let found = disk::hash(path).map_err(|source| PinError::Read {
            path: path.clone(),
            source,
        })?;
        let found = found.to_hex().to_string();
        match noted.get(index).is_none_or(|noted| *noted == found) {
            true => Ok(found),
            false => Err(PinError::Other { path: path.clone() }),
        }
    });
    hashes.collect()
}

impl InitConfig {
    /// Notes the files' hashes.
    ///
    /// # Errors
    /// A file cannot be read, or has another hash than is noted.
    pub fn pin(&mut self) -> Result<(), PinError> {
        self.blake3 = hashes(&self.weights, &self.blake3)?;
        Ok(())
    }
}

impl TeacherConfig {
    /// Notes the files' hashes.
    ///
    /// # Errors
    /// A file cannot be read, or has another hash than is noted.
    pub fn pin(&mut self) -> Result<(), PinError> {
        self.blake3 = hashes(&self.model, &self.blake3)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_noted_once_and_then_held_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("teacher.onnx");
        std::fs::write(&file, "a").unwrap();
        let mut teacher = TeacherConfig::new(folder.path().to_owned());
        teacher.model.push(file.clone());
        teacher.pin().unwrap();
        let noted = teacher.blake3.clone();
        assert_eq!(noted, [blake3::hash(b"a").to_hex().to_string()]);
        teacher.pin().unwrap();
        assert_eq!(teacher.blake3, noted);
        std::fs::write(&file, "b").unwrap();
        let error = teacher.pin().unwrap_err();
        assert!(matches!(error, PinError::Other { path } if path == file));
        std::fs::remove_file(&file).unwrap();
        let error = teacher.pin().unwrap_err().to_string();
        assert!(error.contains("teacher.onnx"), "{error}");
    }
}
