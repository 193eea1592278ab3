//! Finding out whether a cache file still holds, and making it.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;

use super::super::decode::Limits;
use super::file::{Store, Writer};
use super::form::{Form, Made};
use super::{Broken, Cache, CacheError, CacheOptions, Source};

/// What came in the way of opening or making a cache.
pub(super) enum Fault {
    /// The file is not there, or not usable: make it.
    Stale(String),
    /// Writing failed.
    Write(io::Error),
    /// Nothing can be done.
    Final(CacheError),
}

impl Fault {
    /// The error, where making the file anew is no way out.
    pub(super) fn at(self, path: &Path) -> CacheError {
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
pub(super) struct Job<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) form: Form,
    pub(super) options: &'a CacheOptions,
    pub(super) key: [u8; 32],
}

impl Job<'_> {
    /// Decodes all pictures and writes the cache file's bytes.
    pub(super) fn build(
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
    pub(super) fn load(&self, store: Store) -> Result<Cache, Fault> {
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
    pub(super) fn still_holds(&self, cache: Cache) -> Result<Cache, Fault> {
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
        let allowed = self.options.most_broken;
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

/// How the names of whole files end.
const ENDING: &str = "kilncache";
/// How the names of files begin that are being written.
const UNFINISHED: &str = ".cache-";

/// Removes what processes left that were killed while they wrote: files that nobody has locked, nor has just made.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let Ok(file) = fs::File::open(entry.path()) else {
            continue;
        };
        let changed = file.metadata().and_then(|meta| meta.modified());
        let age = changed.ok().and_then(|changed| changed.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() >= 2) && file.try_lock().is_ok() {
            // If it cannot be removed, it is in nobody's way but the disk's.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Writes a file beside `path` and renames it when it is whole.
pub(super) fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let dir = path.parent().unwrap_or(Path::new("."));
    sweep(dir);
    let mut temporary = tempfile::Builder::new()
        .prefix(UNFINISHED)
        // As `File::create` does, and not for the owner alone: a cache may be shared.
        .make_in(dir, |path| fs::File::create_new(path))
        .map_err(Fault::Write)?;
    // Where files cannot be locked, nothing is swept either.
    let _ = temporary.as_file().try_lock();
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
pub(super) fn key(source: &Source<'_>, form: Form, limits: &Limits) -> [u8; 32] {
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
pub(super) fn file_name(source: &Source<'_>, form: Form, limits: &Limits) -> String {
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
    format!("{name}-{form}-{}.{ENDING}", &hash[..12])
}

/// Bytes of the decoded pictures that lie in `dir`.
pub fn cached(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let whole =
        |entry: &fs::DirEntry| Path::new(&entry.file_name()).extension() == Some(ENDING.as_ref());
    let files = entries
        .filter(whole)
        .filter_map(|entry| entry.metadata().ok());
    files.map(|file| file.len()).sum()
}
