//! The cache file, byte by byte. Numbers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | magic `kilnpics` | 8 |
//! | version, 1 | 4 |
//! | key: the hash of all that the pictures depend on | 32 |
//! | the pictures' bytes, one after the other | … |
//! | index, for each sample: width, height (u32), the first 8 bytes of its pixels' BLAKE3 | 16 each |
//! | … or, for a broken one: 0, the reason's length (u32), the reason in UTF-8 | 8 + … |
//! | the index's length | 8 |
//! | BLAKE3 of magic, version, key and index | 32 |

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::form::Made;

const MAGIC: &[u8; 8] = b"kilnpics";
const VERSION: u32 = 1;
const HEAD: u64 = 8 + 4 + 32;
const FOOT: u64 = 8 + 32;

/// Where a picture lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    offset: u64,
    len: usize,
    pub(super) width: u32,
    pub(super) height: u32,
    check: [u8; 8],
}

impl Entry {
    fn holds(&self, bytes: &[u8]) -> bool {
        checksum(bytes) == self.check
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let hash = blake3::hash(bytes);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

fn head(key: &[u8; 32]) -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), key].concat()
}

/// Writes a cache file from front to end.
pub(super) struct Writer<'a, W> {
    out: &'a mut W,
    head: Vec<u8>,
    index: Vec<u8>,
}

impl<'a, W: Write> Writer<'a, W> {
    pub(super) fn new(out: &'a mut W, key: &[u8; 32]) -> io::Result<Self> {
        let head = head(key);
        out.write_all(&head)?;
        Ok(Self {
            out,
            head,
            index: Vec::new(),
        })
    }

    /// Adds the next sample's picture, or why it has none.
    pub(super) fn push(&mut self, picture: Result<Made, String>) -> io::Result<()> {
        match picture {
            Ok((width, height, bytes)) => {
                self.index.extend(width.to_le_bytes());
                self.index.extend(height.to_le_bytes());
                self.index.extend(checksum(&bytes));
                self.out.write_all(&bytes)
            }
            Err(reason) => {
                self.index.extend(0u32.to_le_bytes());
                self.index.extend((reason.len() as u32).to_le_bytes());
                self.index.extend(reason.as_bytes());
                Ok(())
            }
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.out.write_all(&self.index)?;
        self.out
            .write_all(&(self.index.len() as u64).to_le_bytes())?;
        let hash = blake3::hash(&[&self.head[..], &self.index].concat());
        self.out.write_all(hash.as_bytes())
    }
}

/// A cache file, in memory or on disk.
#[derive(Debug)]
pub(super) enum Store {
    Memory(Vec<u8>),
    File { path: PathBuf, file: File },
}

impl Store {
    /// Opens a file; one of up to `memory_bytes` is read whole.
    pub(super) fn open(path: &Path, memory_bytes: u64) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let len = file.metadata().map_err(|error| error.to_string())?.len();
        if len > memory_bytes {
            return Ok(Self::File {
                path: path.to_owned(),
                file,
            });
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|error| error.to_string())?];
        read_at(&file, &mut bytes, 0).map_err(|error| error.to_string())?;
        Ok(Self::Memory(bytes))
    }

    fn len(&self) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::File { file, .. } => Ok(file.metadata()?.len()),
        }
    }

    fn part(&self, offset: u64, len: u64) -> Result<Vec<u8>, String> {
        let mut part = vec![0; usize::try_from(len).map_err(|error| error.to_string())?];
        match self {
            Self::Memory(bytes) => {
                let start = offset as usize;
                let bytes = bytes.get(start..start + part.len()).ok_or(CUT_SHORT)?;
                part.copy_from_slice(bytes);
            }
            Self::File { file, .. } => {
                read_at(file, &mut part, offset).map_err(|error| error.to_string())?;
            }
        }
        Ok(part)
    }

    /// Checks all but the pixels and gives, for each sample, its picture or the reason why it has none.
    ///
    /// # Errors
    ///
    /// Why the file cannot be used.
    pub(super) fn index(
        &self,
        key: &[u8; 32],
        channels: usize,
    ) -> Result<Vec<Result<Entry, String>>, String> {
        let len = self.len().map_err(|error| error.to_string())?;
        let body = len.checked_sub(HEAD + FOOT).ok_or(CUT_SHORT)?;
        let head = head(key);
        if self.part(0, HEAD)? != head {
            return Err("it was made from other pictures or by another version".into());
        }
        let foot = self.part(len - FOOT, FOOT)?;
        let (index_len, hash) = foot.split_first_chunk::<8>().ok_or(CUT_SHORT)?;
        let index_len = u64::from_le_bytes(*index_len);
        let pixels = body.checked_sub(index_len).ok_or(CUT_SHORT)?;
        let index = self.part(HEAD + pixels, index_len)?;
        if blake3::hash(&[&head[..], &index].concat()).as_bytes() != hash {
            return Err("its index is damaged".into());
        }
        parse(&index, pixels, channels).ok_or_else(|| "its index does not fit it".into())
    }

    /// Checks a picture's bytes against its checksum.
    pub(super) fn verify(&self, entry: &Entry, buffer: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Memory(bytes) if entry.holds(slice(bytes, entry)) => Ok(()),
            Self::Memory(_) => Err("a picture in it is damaged".into()),
            Self::File { file, .. } => read(file, entry, buffer).map(|_| ()),
        }
    }
}

const CUT_SHORT: &str = "it is cut short";

/// The entries of an index for `pixels` bytes; none if they do not fill them exactly.
fn parse(mut index: &[u8], pixels: u64, channels: usize) -> Option<Vec<Result<Entry, String>>> {
    fn number(bytes: &mut &[u8]) -> Option<u32> {
        bytes
            .split_off(..4)?
            .try_into()
            .ok()
            .map(u32::from_le_bytes)
    }
    let (mut slots, mut offset) = (Vec::new(), HEAD);
    while !index.is_empty() {
        let width = number(&mut index)?;
        let height = number(&mut index)?;
        if width == 0 {
            let reason = index.split_off(..height as usize)?;
            slots.push(Err(String::from_utf8(reason.to_vec()).ok()?));
            continue;
        }
        let len = (width as usize)
            .checked_mul(height as usize)?
            .checked_mul(channels)?;
        slots.push(Ok(Entry {
            offset,
            len,
            width,
            height,
            check: index.split_off(..8)?.try_into().ok()?,
        }));
        offset = offset.checked_add(len as u64)?;
    }
    (offset == HEAD + pixels).then_some(slots)
}

/// A picture's bytes in a file in memory whose index has been checked.
pub(super) fn slice<'a>(bytes: &'a [u8], entry: &Entry) -> &'a [u8] {
    &bytes[entry.offset as usize..][..entry.len]
}

/// Reads a picture from the file into `buffer`, and checks it.
pub(super) fn read<'a>(
    file: &File,
    entry: &Entry,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], String> {
    buffer.resize(entry.len, 0);
    read_at(file, buffer, entry.offset).map_err(|error| error.to_string())?;
    if entry.holds(buffer) {
        Ok(buffer)
    } else {
        Err("a picture in it is damaged".into())
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
use read_at_by_seeking as read_at;

/// For systems without positioned reads: one reader at a time.
#[cfg(any(not(unix), test))]
fn read_at_by_seeking(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_file() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, &[9; 32]).unwrap();
        writer.push(Ok((2, 1, vec![1, 2, 3, 4, 5, 6]))).unwrap();
        writer.push(Err("is empty".into())).unwrap();
        writer.push(Ok((1, 1, vec![7, 8, 9]))).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let bytes = sample_file();
        assert_eq!(bytes[..12], *b"kilnpics\x01\0\0\0");
        assert_eq!(bytes[12..44], [9; 32]);
        assert_eq!(bytes[44..53], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(bytes[53..61], [2, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[69..85], *b"\0\0\0\0\x08\0\0\0is empty");
        assert_eq!(bytes[101..109], 48u64.to_le_bytes());
        assert_eq!(bytes.len(), 109 + 32);
    }

    #[test]
    fn what_was_written_is_read_back() {
        let bytes = sample_file();
        let slots = Store::Memory(bytes.clone()).index(&[9; 32], 3).unwrap();
        let [Ok(one), Err(reason), Ok(two)] = &slots[..] else {
            panic!("{slots:?}");
        };
        assert_eq!((one.width, one.height), (2, 1));
        assert_eq!(slice(&bytes, one), [1, 2, 3, 4, 5, 6]);
        assert_eq!(reason, "is empty");
        assert_eq!(slice(&bytes, two), [7, 8, 9]);
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let good = sample_file();
        let usable = |bytes: Vec<u8>| {
            let store = Store::Memory(bytes);
            store.index(&[9; 32], 3).is_ok_and(|slots| {
                let entries = slots.iter().flatten();
                slots.len() == 3
                    && entries
                        .into_iter()
                        .all(|entry| store.verify(entry, &mut Vec::new()).is_ok())
            })
        };
        assert!(usable(good.clone()));
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            assert!(!usable(bytes), "a change at byte {at} went unnoticed");
            assert!(!usable(good[..at].to_vec()), "a cut at {at} went unnoticed");
        }
        assert!(!usable([&good[..], &[0]].concat()));
        assert!(Store::Memory(good).index(&[8; 32], 3).is_err());
    }

    #[test]
    fn both_ways_to_read_at_a_position_agree() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&(0..=255).collect::<Vec<u8>>()).unwrap();
        for offset in [200, 3, 100] {
            let (mut one, mut two) = ([0; 7], [0; 7]);
            read_at(&file, &mut one, offset).unwrap();
            read_at_by_seeking(&file, &mut two, offset).unwrap();
            assert_eq!(one, two);
            assert_eq!(u64::from(one[6]), offset + 6);
        }
        assert!(read_at(&file, &mut [0; 7], 250).is_err());
        assert!(read_at_by_seeking(&file, &mut [0; 7], 250).is_err());
    }
}
