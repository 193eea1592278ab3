//! From a picture file to a model's pixels, and the picture files of a folder.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_core::preprocess::{PreprocessError, Recipe, preprocess};
use kiln_picture::{DecodeError, Limits, Picture, decode_file};

/// Why a picture is no input.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file is no picture.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The picture does not fit the recipe.
    #[error("{}: {source}", path.display())]
    Preprocess {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PreprocessError,
    },
}

/// Decodes a file and brings it to the recipe's pixels: u8, rows, columns, channels. `scratch` grows
/// to what is needed.
///
/// # Errors
/// What is wrong with the file, by its name.
pub fn pixels(
    path: &Path,
    recipe: &Recipe,
    scratch: &mut Vec<i32>,
) -> Result<Vec<u8>, PictureError> {
    let picture = decode_file(path, &Limits::default())?;
    preprocessed(&picture, path, recipe, scratch)
}

/// [`pixels`] of a picture that `path` was decoded to.
///
/// # Errors
/// It does not fit the recipe.
pub fn preprocessed(
    picture: &Picture,
    path: &Path,
    recipe: &Recipe,
    scratch: &mut Vec<i32>,
) -> Result<Vec<u8>, PictureError> {
    let mut pixels = vec![0; recipe.len()];
    let words = recipe.scratch_len(picture.width, picture.height);
    if scratch.len() < words {
        scratch.resize(words, 0);
    }
    picture
        .view()
        .and_then(|view| preprocess(view, recipe, scratch, &mut pixels))
        .map_err(|source| PictureError::Preprocess {
            path: path.to_owned(),
            source,
        })?;
    Ok(pixels)
}

/// Files as they are, and in place of a folder the files anywhere below it, behind links too, whose names
/// end as pictures' do, sorted; without [hidden](is_hidden) ones.
///
/// # Errors
/// A path is not there, or a folder cannot be read: by its name.
pub fn files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if fs::metadata(path).map_err(named(path))?.is_dir() {
            found.extend(files_below(path, &mut Err)?);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// The files anywhere below a folder as [`files`] gives them. `unread` decides about what cannot be read in it: an
/// error ends the search, else it is passed over.
///
/// # Errors
/// The folder itself cannot be read, or what `unread` gives.
pub fn files_below(
    folder: &Path,
    unread: &mut impl FnMut(io::Error) -> io::Result<()>,
) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(named(folder))?;
    let mut walk = Walk {
        way: vec![folder.canonicalize().map_err(named(folder))?],
        found: Vec::new(),
        unread,
    };
    walk.through(entries, folder)?;
    walk.found.sort();
    Ok(walk.found)
}

/// A walk through a folder. Links are followed, but to where it has come from.
struct Walk<'a, F> {
    /// The folders down to the one that is read, without links in their paths.
    way: Vec<PathBuf>,
    found: Vec<PathBuf>,
    unread: &'a mut F,
}

impl<F: FnMut(io::Error) -> io::Result<()>> Walk<'_, F> {
    fn through(&mut self, entries: fs::ReadDir, folder: &Path) -> io::Result<()> {
        for entry in entries {
            let path = match entry.map_err(named(folder)) {
                Ok(entry) if is_hidden(&entry.file_name()) => continue,
                Ok(entry) => entry.path(),
                Err(error) => {
                    (self.unread)(error)?;
                    continue;
                }
            };
            if path.is_dir() {
                self.into(&path)?;
            } else if is_picture_name(&path) {
                self.found.push(path);
            }
        }
        Ok(())
    }

    fn into(&mut self, folder: &Path) -> io::Result<()> {
        let opened = folder
            .canonicalize()
            .and_then(|real| Ok((real, fs::read_dir(folder)?)));
        match opened.map_err(named(folder)) {
            Ok((real, _)) if self.way.contains(&real) => Ok(()),
            Ok((real, entries)) => {
                self.way.push(real);
                self.through(entries, folder)?;
                self.way.pop();
                Ok(())
            }
            Err(error) => (self.unread)(error),
        }
    }
}

/// Adds what could not be read to an error that does not say so.
fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The extensions of pictures, in lower case.
const EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif",
];

/// Whether a file's name ends as a picture's does.
pub fn is_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|ending| ending.to_str());
    extension.is_some_and(|found| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(found)))
}

/// Whether a file or folder is what file managers, notebooks and archivers leave behind.
pub fn is_hidden(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || matches!(name, b"__MACOSX" | b"lost+found" | b"@eaDir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_their_pictures_and_files_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b")).unwrap();
        fs::create_dir_all(at("__MACOSX")).unwrap();
        for name in [
            "b/2.PNG",
            "b/1.jpg",
            "b/3.jfif",
            "b/._1.jpg",
            "__MACOSX/1.jpg",
            "a.webp",
            "notes.txt",
        ] {
            fs::write(at(name), b"x").unwrap();
        }
        let found = files(&[at("notes.txt"), folder.path().to_owned()]).unwrap();
        let expected = ["notes.txt", "a.webp", "b/1.jpg", "b/2.PNG", "b/3.jfif"].map(at);
        assert_eq!(found, expected);
        let error = files(&[at("missing")]).unwrap_err().to_string();
        assert!(error.contains("missing"), "{error}");
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("elsewhere/deep")).unwrap();
        fs::create_dir_all(at("photos/cat")).unwrap();
        fs::write(at("elsewhere/deep/1.jpg"), b"x").unwrap();
        symlink(at("elsewhere"), at("photos/dog")).unwrap();
        symlink(at("photos"), at("photos/cat/up")).unwrap();
        symlink(at("photos/cat"), at("photos/cat/self")).unwrap();
        symlink(at("nowhere"), at("photos/cat/gone.jpg")).unwrap();
        let found = files(&[at("photos")]).unwrap();
        assert_eq!(
            found,
            ["photos/cat/gone.jpg", "photos/dog/deep/1.jpg"].map(at)
        );
    }
}
