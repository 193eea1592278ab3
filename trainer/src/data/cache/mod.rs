//! Decoded pictures on disk, so that neither the second epoch nor the next run decodes JPEGs again.
//!
//! One file holds one split in one [`Form`]. It is made the first time, in parallel, and made anew when a
//! picture's size or time of change, the list of pictures, the form or Kiln's version is another, or when the
//! file is damaged. It is written under another name and renamed when whole.
//!
//! A picture file that cannot be decoded is left out and named ([`Cache::broken`]); more than a stated share
//! of them is an error.

mod file;
mod form;
mod job;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_core::preprocess::PreprocessError;

use self::file::{Entry, Store};
pub use self::form::Form;
pub use self::job::cached;
use self::job::{Fault, Job, file_name, key, write_file};
use super::Sample;
use super::decode::Limits;

/// The pictures of a split.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The split's name; part of the cache file's.
    pub name: &'a str,
    /// The folder that the samples' paths start from.
    pub root: &'a Path,
    /// The pictures.
    pub samples: &'a [Sample],
}

/// Where and how a cache is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheOptions {
    /// The folder of the cache files; made if it is not there. Without one, the pictures are held in memory
    /// and nothing is written.
    pub dir: Option<PathBuf>,
    /// A cache file of up to so many bytes is read into memory, a larger one is read picture by picture.
    pub memory_bytes: u64,
    /// More broken files are an error.
    pub most_broken: usize,
    /// What a picture file may cost.
    pub limits: Limits,
}

impl Default for CacheOptions {
    /// No folder, 1 GiB, however many are broken, the decoder's limits.
    fn default() -> Self {
        Self {
            dir: None,
            memory_bytes: 1 << 30,
            most_broken: usize::MAX,
            limits: Limits::default(),
        }
    }
}

/// A picture file that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Relative to the source's root.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why there is no cache, or no picture from it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Too many files are broken.
    #[error(
        "{broken} of {total} pictures cannot be used, {allowed} may be ({first}): \
         mend or delete them (kiln check names all), or allow a larger share: kiln train --set data.broken=0.2"
    )]
    Broken {
        /// How many are broken.
        broken: usize,
        /// Of how many.
        total: usize,
        /// How many may be.
        allowed: usize,
        /// The first few and what is wrong with them.
        first: String,
    },
    /// The form cannot be made of any picture.
    #[error("the preprocessing recipe cannot be used: {0}")]
    Form(PreprocessError),
    /// The cache file or its folder could not be written.
    #[error("{path}: {source}: free space there, or choose another cache folder")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The cache file was good when it was opened and is no more.
    #[error("{path}: picture {index} can no longer be read ({reason}): start again to rebuild it")]
    Damaged {
        /// The cache file.
        path: PathBuf,
        /// The picture, as an index into [`Cache::samples`].
        index: usize,
        /// What was found.
        reason: String,
    },
    /// There is no such picture.
    #[error("picture {index} was asked for, the cache has {len}")]
    Index {
        /// What was asked for.
        index: usize,
        /// [`Cache::len`].
        len: usize,
    },
}

/// A picture as it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Exact: [`Recipe::len`](kiln_core::preprocess::Recipe::len) bytes, NHWC. Working: `height * width * 3`
    /// bytes of RGB.
    pub bytes: &'a [u8],
}

/// The decoded pictures of a split.
#[derive(Debug)]
pub struct Cache {
    form: Form,
    store: Store,
    /// `[len]`, what `samples` points to in the file.
    entries: Vec<Entry>,
    samples: Vec<Sample>,
    broken: Vec<Broken>,
}

impl Cache {
    /// Opens the cache file of a split, or makes it. `progress` is told pictures done and in all, from
    /// several threads.
    ///
    /// # Errors
    ///
    /// Too many broken pictures, a recipe that cannot be used, or a cache that cannot be written.
    pub fn open(
        source: &Source<'_>,
        form: Form,
        options: &CacheOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, CacheError> {
        form.check().map_err(CacheError::Form)?;
        let job = Job {
            source,
            form,
            options,
            key: key(source, form, &options.limits),
        };
        let Some(dir) = &options.dir else {
            let mut bytes = Vec::new();
            return job
                .build(&mut bytes, progress)
                .and_then(|()| job.load(Store::Memory(bytes)))
                .map_err(|fault| fault.at(Path::new("memory")));
        };
        let path = dir.join(file_name(source, form, &options.limits));
        let kept = Store::open(&path, options.memory_bytes)
            .map_err(Fault::Stale)
            .and_then(|store| job.load(store))
            .and_then(|cache| job.still_holds(cache));
        match kept {
            Ok(cache) => {
                progress(source.samples.len(), source.samples.len());
                return Ok(cache);
            }
            Err(Fault::Stale(reason)) => tracing::debug!("making {}: {reason}", path.display()),
            Err(fault) => return Err(fault.at(&path)),
        }
        fs::create_dir_all(dir).map_err(|error| Fault::Write(error).at(dir))?;
        write_file(&path, |out| job.build(out, progress))
            .and_then(|()| Store::open(&path, options.memory_bytes).map_err(Fault::Stale))
            .and_then(|store| job.load(store))
            .map_err(|fault| fault.at(&path))
    }

    /// How many pictures there are: those that could be decoded.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The pictures' form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The pictures, in the source's order, without the broken ones.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The files that were left out, in the source's order.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Whether all pictures are held in memory.
    #[cfg(test)]
    pub fn in_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    /// A picture. `buffer` is used where the pictures are not in memory.
    ///
    /// # Errors
    ///
    /// No such picture, or the cache file was changed or lost since it was opened.
    pub fn picture<'a>(
        &'a self,
        index: usize,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Stored<'a>, CacheError> {
        let entry = self.entries.get(index).ok_or(CacheError::Index {
            index,
            len: self.len(),
        })?;
        let bytes = match &self.store {
            Store::Memory(bytes) => file::slice(bytes, entry),
            Store::File { path, file } => {
                file::read(file, entry, buffer).map_err(|reason| CacheError::Damaged {
                    path: path.clone(),
                    index,
                    reason,
                })?
            }
        };
        Ok(Stored {
            width: entry.width,
            height: entry.height,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests;
