//! What a teacher says of an epoch's batches: asked for, or read from what it said of the same batches in an
//! epoch before.
//!
//! With `views` in its configuration, epoch `views` shows the pictures of epoch 0 again, cropped and mixed
//! alike, and so on. The answers to the first ones lie in a NumPy file an epoch, `[pictures, logits and
//! features]` in 16-bit floats, until no epoch comes that reads them.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Seek};
use std::path::{Path, PathBuf};

use kiln_core::preprocess::Recipe;
use kiln_runtime::files::write_atomic;
use npyz::half::f16;
use npyz::{NpyFile, NpyHeader, NpyReader, NpyWriter, WriteOptions, WriterBuilder};

use super::TrainError;
use super::teacher::{Lesson, Teacher, side_by_side};
use crate::data::loader::Batch;
use crate::disk;

/// What is kept in a run's folder for all its epochs.
pub struct Kept {
    folder: PathBuf,
    views: usize,
    epochs: usize,
    /// Pictures of an epoch, numbers of each.
    shape: [usize; 2],
}

impl Kept {
    /// In `folder`, for runs of so many `epochs` of `pictures` in whole batches.
    pub fn new(folder: PathBuf, teacher: &Teacher, [epochs, pictures]: [usize; 2]) -> Self {
        Self {
            folder,
            views: teacher.views(),
            epochs,
            shape: [pictures, teacher.columns()],
        }
    }

    /// Makes the folder, if there will be something to keep; what another teacher said goes.
    pub fn begin(&self, teacher: &Teacher) -> Result<(), TrainError> {
        if self.views == 0 {
            return Ok(());
        }
        let whose = teacher.fingerprint()?;
        let note = self.folder.join("teacher");
        if fs::read_to_string(&note).ok().as_ref() != Some(&whose) {
            forget(&self.folder)?;
        }
        let files = self.views.min(self.epochs.saturating_sub(self.views)) as u64;
        let bytes = files * 2 * self.shape.map(|n| n as u64).iter().product::<u64>();
        disk::writable(&self.folder, bytes).map_err(TrainError::Disk)?;
        write_atomic(&note, whose.as_bytes()).map_err(TrainError::at(&note))
    }

    /// Whether an epoch shows the pictures of this one again.
    fn again(&self, epoch: usize) -> bool {
        epoch + self.views < self.epochs
    }
}

/// Removes what is kept in a run's folder.
pub fn forget(folder: &Path) -> Result<(), TrainError> {
    disk::if_there(fs::remove_dir_all(folder)).map_err(TrainError::at(folder))
}

/// A teacher during one epoch.
pub struct Lessons<'a> {
    teacher: &'a Teacher,
    /// Which of the epochs, from 0, the pictures are those of.
    view: usize,
    notes: Notes,
}

enum Notes {
    /// Nothing is kept.
    None,
    /// Nobody will read it, but what is said is rounded as if it were read.
    Rounded,
    /// Written; under its own name once it is whole.
    Taken(Box<Taken>),
    /// Read; removed at the end of the epoch if nobody will read it again.
    Read {
        reader: NpyReader<f16, BufReader<File>>,
        path: PathBuf,
        last: bool,
    },
}

struct Taken {
    writer: NpyWriter<f16, BufWriter<File>>,
    file: File,
    part: PathBuf,
    whole: PathBuf,
}

impl<'a> Lessons<'a> {
    /// For an epoch, from 0.
    pub fn new(teacher: &'a Teacher, kept: &Kept, epoch: usize) -> Result<Self, TrainError> {
        let Some(view) = epoch.checked_rem(kept.views) else {
            return Ok(Self {
                teacher,
                view: epoch,
                notes: Notes::None,
            });
        };
        let path = kept.folder.join(format!("{view}.npy"));
        let again = kept.again(epoch);
        let notes = match (path.exists(), again) {
            (true, _) => Notes::read(path, kept.shape, !again)?,
            (false, true) => Notes::Taken(Box::new(Taken::new(path, kept.shape)?)),
            (false, false) => Notes::Rounded,
        };
        Ok(Self {
            teacher,
            view,
            notes,
        })
    }

    /// The epoch, from 0, whose pictures these are.
    pub fn view(&self) -> usize {
        self.view
    }

    /// What the teacher takes, if it will see pictures of another size than its student's.
    pub fn recipe(&self) -> Option<Recipe> {
        match self.notes {
            Notes::Read { .. } => None,
            _ => self.teacher.recipe(),
        }
    }

    /// What the teacher says of the epoch's next batch.
    pub fn of(&mut self, batch: &Batch) -> Result<Lesson<Vec<f32>>, TrainError> {
        let (classes, columns) = (self.teacher.classes(), self.teacher.columns());
        let pictures = batch.labels.len();
        let ask = || Ok::<_, TrainError>(rows_of(&self.teacher.lesson(batch)?, pictures));
        // What is said at once is what will be read.
        let noted = match &mut self.notes {
            Notes::None => return Ok(self.teacher.lesson(batch)?),
            Notes::Rounded => ask()?,
            Notes::Taken(taken) => taken.note(ask()?)?,
            Notes::Read { reader, path, .. } => {
                let values = reader.take(pictures * columns);
                let values = values.collect::<io::Result<Vec<_>>>();
                values.map_err(read_from(path))?
            }
        };
        let part = |from: usize, to: usize| {
            let rows = noted.chunks_exact(columns);
            rows.flat_map(move |row| row[from..to].iter().map(|value| value.to_f32()))
                .collect()
        };
        Ok(Lesson {
            logits: part(0, classes),
            features: (columns > classes).then(|| part(classes, columns)),
        })
    }

    /// At the end of the epoch.
    pub fn done(self) -> Result<(), TrainError> {
        match self.notes {
            Notes::Taken(taken) => taken.done(),
            Notes::Read {
                path, last: true, ..
            } => fs::remove_file(&path).map_err(TrainError::at(&path)),
            _ => Ok(()),
        }
    }
}

impl Notes {
    fn read(path: PathBuf, shape: [usize; 2], last: bool) -> Result<Self, TrainError> {
        let mut file = BufReader::new(File::open(&path).map_err(TrainError::at(&path))?);
        let header = NpyHeader::from_reader(&mut file).map_err(read_from(&path))?;
        let start = file.stream_position().map_err(TrainError::at(&path))?;
        let len = file
            .get_ref()
            .metadata()
            .map_err(TrainError::at(&path))?
            .len();
        let shape = shape.map(|n| n as u64);
        if header.shape() != shape || len != start + 2 * shape[0] * shape[1] {
            return Err(damaged(&path));
        }
        let reader = NpyFile::with_header(header, file).data();
        let reader = reader.map_err(|_| damaged(&path))?;
        Ok(Self::Read { reader, path, last })
    }
}

impl Taken {
    fn new(whole: PathBuf, shape: [usize; 2]) -> Result<Self, TrainError> {
        let part = whole.with_extension("part");
        let open = || {
            let file = File::create(&part)?;
            let shape = shape.map(|n| n as u64);
            let options = WriteOptions::new().default_dtype().shape(&shape);
            let writer = options.writer(BufWriter::new(file.try_clone()?));
            Ok((writer.begin_nd()?, file))
        };
        let (writer, file) = open().map_err(TrainError::at(&part))?;
        Ok(Self {
            writer,
            file,
            part,
            whole,
        })
    }

    /// Writes rows down, and gives them back.
    fn note(&mut self, rows: Vec<f16>) -> Result<Vec<f16>, TrainError> {
        let written = self.writer.extend(rows.iter().copied());
        written.map_err(|error| given_up(&self.part, error))?;
        Ok(rows)
    }

    fn done(self) -> Result<(), TrainError> {
        let written = (self.writer.finish())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.part, &self.whole));
        written.map_err(|error| given_up(&self.part, error))
    }
}

/// Logits and features of each of so many pictures, one after the other.
fn rows_of(lesson: &Lesson<Vec<f32>>, pictures: usize) -> Vec<f16> {
    let features = lesson.features.as_deref().unwrap_or_default();
    let rows = side_by_side(&[&lesson.logits, features], pictures);
    rows.into_iter().map(f16::from_f32).collect()
}

/// A full disk is not filled further by what was not finished.
fn given_up(part: &Path, error: io::Error) -> TrainError {
    let _ = fs::remove_file(part);
    TrainError::at(part)(error)
}

/// What becomes of an error in reading.
fn read_from(path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => damaged(&path),
        _ => TrainError::Io { path, source },
    }
}

fn damaged(path: &Path) -> TrainError {
    TrainError::Lessons {
        path: path.to_owned(),
    }
}
