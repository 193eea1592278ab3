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

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use kiln_core::preprocess::PreprocessError;
use rayon::prelude::*;

pub use self::form::Form;

use self::file::{Entry, Store, Writer};
use self::form::Made;
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
    /// A larger share of broken files, 0..=1, is an error.
    pub broken_share: f64,
    /// What a picture file may cost.
    pub limits: Limits,
}

impl Default for CacheOptions {
    /// No folder, 1 GiB, 1%, the decoder's limits.
    fn default() -> Self {
        Self {
            dir: None,
            memory_bytes: 1 << 30,
            broken_share: 0.01,
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
         mend or delete them, or allow a larger share"
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

/// What came in the way of opening or making a cache.
enum Fault {
    /// The file is not there, or not usable: make it.
    Stale(String),
    /// Writing failed.
    Write(io::Error),
    /// Nothing can be done.
    Final(CacheError),
}

impl Fault {
    /// The error, where making the file anew is no way out.
    fn at(self, path: &Path) -> CacheError {
        let source = match self {
            Self::Final(error) => return error,
            Self::Write(source) => source,
            Self::Stale(reason) => io::Error::other(reason),
        };
        CacheError::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// Pictures that are decoded before they are written.
const CHUNK: usize = 256;

/// One cache, to be opened or made.
struct Job<'a> {
    source: &'a Source<'a>,
    form: Form,
    options: &'a CacheOptions,
    key: [u8; 32],
}

impl Job<'_> {
    /// Decodes all pictures and writes the cache file's bytes.
    fn build(
        &self,
        out: &mut impl Write,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(), Fault> {
        let total = self.source.samples.len();
        let done = AtomicUsize::new(0);
        let mut writer = Writer::new(out, &self.key).map_err(Fault::Write)?;
        let mut broken = Vec::new();
        for samples in self.source.samples.chunks(CHUNK) {
            let pictures: Vec<_> = samples
                .par_iter()
                .map_init(Vec::new, |scratch, sample| {
                    let picture = self.make(&sample.path, scratch);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                    picture
                })
                .collect();
            for (picture, sample) in pictures.into_iter().zip(samples) {
                if let Err(reason) = &picture {
                    broken.push(Broken {
                        path: sample.path.clone(),
                        reason: reason.clone(),
                    });
                }
                writer.push(picture).map_err(Fault::Write)?;
            }
        }
        self.refuse_if_many(&broken)?;
        writer.finish().map_err(Fault::Write)
    }

    fn make(&self, path: &str, scratch: &mut Vec<i32>) -> Result<Made, String> {
        let path = self.source.root.join(path);
        self.form.make(&path, &self.options.limits, scratch)
    }

    /// Checks every byte of a cache file.
    fn load(&self, store: Store) -> Result<Cache, Fault> {
        let slots = store
            .index(&self.key, self.form.channels())
            .map_err(Fault::Stale)?;
        if slots.len() != self.source.samples.len() {
            return Err(Fault::Stale("it has another number of pictures".into()));
        }
        let (mut entries, mut samples, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for (slot, sample) in slots.into_iter().zip(self.source.samples) {
            match slot {
                Ok(entry) => {
                    entries.push(entry);
                    samples.push(sample.clone());
                }
                Err(reason) => broken.push(Broken {
                    path: sample.path.clone(),
                    reason,
                }),
            }
        }
        entries
            .par_iter()
            .try_for_each_init(Vec::new, |buffer, entry| store.verify(entry, buffer))
            .map_err(Fault::Stale)?;
        Ok(Cache {
            form: self.form,
            store,
            entries,
            samples,
            broken,
        })
    }

    /// Tries the broken pictures again, which may have been out of reach for a while.
    fn still_holds(&self, cache: Cache) -> Result<Cache, Fault> {
        let back = cache
            .broken
            .par_iter()
            .find_any(|broken| self.make(&broken.path, &mut Vec::new()).is_ok());
        if let Some(broken) = back {
            return Err(Fault::Stale(format!("{} can be read again", broken.path)));
        }
        self.refuse_if_many(&cache.broken)?;
        Ok(cache)
    }

    fn refuse_if_many(&self, broken: &[Broken]) -> Result<(), Fault> {
        let total = self.source.samples.len();
        let allowed = (total as f64 * self.options.broken_share).floor() as usize;
        if broken.len() <= allowed {
            return Ok(());
        }
        let first: Vec<String> = broken
            .iter()
            .take(3)
            .map(|Broken { path, reason }| format!("{path} {reason}"))
            .collect();
        let more = if broken.len() > 3 { "; …" } else { "" };
        Err(Fault::Final(CacheError::Broken {
            broken: broken.len(),
            total,
            allowed,
            first: first.join("; ") + more,
        }))
    }
}

/// Writes a file beside `path` and renames it when it is whole.
fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .prefix(".cache-")
        // As `File::create` does, and not for the owner alone: a cache may be shared.
        .make_in(dir, |path| fs::File::create_new(path))
        .map_err(Fault::Write)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    fill(&mut out)?;
    out.flush().map_err(Fault::Write)?;
    drop(out);
    match temporary.persist(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::Write(error.error)),
    }
}

/// Everything that the pictures' bytes depend on.
fn key(source: &Source<'_>, form: Form, limits: &Limits) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(concat!("kiln picture cache 1, ", env!("CARGO_PKG_VERSION")).as_bytes());
    form.hash(&mut hasher);
    hasher.update(&limits.max_bytes.to_le_bytes());
    hasher.update(&limits.max_pixels.to_le_bytes());
    for sample in source.samples {
        hasher.update(&(sample.path.len() as u64).to_le_bytes());
        hasher.update(sample.path.as_bytes());
        let (size, changed) = fs::metadata(source.root.join(&sample.path))
            .map(|meta| (meta.len(), meta.modified().ok()))
            .unwrap_or((u64::MAX, None));
        let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        hasher.update(&size.to_le_bytes());
        hasher.update(&changed.map_or(0, |time| time.as_nanos()).to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The same for a split of a folder in a form, so that a new file replaces the one it makes useless.
fn file_name(source: &Source<'_>, form: Form, limits: &Limits) -> String {
    let root = source.root.canonicalize();
    let root = root.as_deref().unwrap_or(source.root);
    let mut hasher = blake3::Hasher::new();
    form.hash(&mut hasher);
    hasher.update(&limits.max_bytes.to_le_bytes());
    hasher.update(&limits.max_pixels.to_le_bytes());
    hasher.update(root.as_os_str().as_encoded_bytes());
    let name: String = source
        .name
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let hash = hasher.finalize().to_hex();
    format!("{name}-{form}-{}.kilncache", &hash[..12])
}

#[cfg(test)]
mod tests;
