//! What a teacher says of an epoch's batches: asked for, or read from what it said of the same batches in an
//! epoch before.
//!
//! With `views` in its configuration, epoch `views` shows the pictures of epoch 0 again, cropped and mixed
//! alike, and so on; the answers to the first ones lie in a NumPy file an epoch, `[pictures, logits and
//! features]` in 16-bit floats.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use npyz::half::f16;
use npyz::{NpyFile, NpyReader, NpyWriter, WriteOptions, WriterBuilder};

use kiln_core::preprocess::Recipe;

use super::TrainError;
use super::teacher::{Lesson, Teacher};
use crate::data::loader::Batch;

/// A teacher during one epoch.
pub struct Lessons<'a> {
    teacher: &'a Teacher,
    /// Which of the epochs, from 0, the pictures are those of.
    view: usize,
    notes: Notes,
}

enum Notes {
    /// Nobody will ask again.
    None,
    /// Written; under its own name once it is whole.
    Taken {
        writer: NpyWriter<f16, BufWriter<File>>,
        part: PathBuf,
        whole: PathBuf,
    },
    /// Read.
    Kept {
        reader: NpyReader<f16, BufReader<File>>,
        path: PathBuf,
    },
}

/// Removes what is kept in a run's folder for lessons.
pub fn forget(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

impl<'a> Lessons<'a> {
    /// For an epoch of so many `pictures`, in whole batches.
    pub fn new(
        teacher: &'a Teacher,
        folder: &Path,
        epoch: usize,
        pictures: usize,
    ) -> Result<Self, TrainError> {
        let Some(view) = epoch.checked_rem(teacher.views()) else {
            return Ok(Self {
                teacher,
                view: epoch,
                notes: Notes::None,
            });
        };
        let whole = folder.join(format!("{view}.npy"));
        let columns = teacher.classes() + teacher.features().unwrap_or(0);
        let shape = [pictures as u64, columns as u64];
        let notes = if whole.exists() {
            Notes::read(whole, shape)?
        } else {
            fs::create_dir_all(folder).map_err(at(folder))?;
            Notes::write(folder.join(format!("{view}.part")), whole, shape)?
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
            Notes::Kept { .. } => None,
            _ => self.teacher.recipe(),
        }
    }

    /// What the teacher says of the epoch's next batch.
    pub fn of(&mut self, batch: &Batch) -> Result<Lesson<Vec<f32>>, TrainError> {
        let classes = self.teacher.classes();
        let features = self.teacher.features();
        let columns = classes + features.unwrap_or(0);
        let rows = batch.labels.len();
        let noted: Vec<f16> = match &mut self.notes {
            Notes::None => return Ok(self.teacher.lesson(batch)?),
            Notes::Taken { writer, part, .. } => {
                let lesson = self.teacher.lesson(batch)?;
                // What is said at once is what will be read.
                let noted = rows_of(&lesson, rows);
                writer.extend(noted.iter().copied()).map_err(at(part))?;
                noted
            }
            Notes::Kept { reader, path } => {
                let values = reader.take(rows * columns).collect::<io::Result<Vec<_>>>();
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
            features: features.map(|_| part(classes, columns)),
        })
    }

    /// At the end of the epoch.
    pub fn done(self) -> Result<(), TrainError> {
        let Notes::Taken {
            writer,
            part,
            whole,
        } = self.notes
        else {
            return Ok(());
        };
        writer.finish().map_err(at(&part))?;
        fs::rename(&part, &whole).map_err(at(&whole))
    }
}

impl Notes {
    fn write(part: PathBuf, whole: PathBuf, shape: [u64; 2]) -> Result<Self, TrainError> {
        let file = BufWriter::new(File::create(&part).map_err(at(&part))?);
        let options = WriteOptions::new().default_dtype().shape(&shape);
        let writer = options.writer(file).begin_nd().map_err(at(&part))?;
        Ok(Self::Taken {
            writer,
            part,
            whole,
        })
    }

    fn read(path: PathBuf, shape: [u64; 2]) -> Result<Self, TrainError> {
        let file = BufReader::new(File::open(&path).map_err(at(&path))?);
        let array = NpyFile::new(file).map_err(read_from(&path))?;
        if array.shape() != shape {
            return Err(damaged(&path));
        }
        let reader = array.data().map_err(|_| damaged(&path))?;
        Ok(Self::Kept { reader, path })
    }
}

/// Logits and features of each of so many pictures, one after the other.
fn rows_of(lesson: &Lesson<Vec<f32>>, pictures: usize) -> Vec<f16> {
    let features = lesson.features.as_deref().unwrap_or_default();
    let parts = [&lesson.logits[..], features];
    let row = |picture| {
        let parts = parts.into_iter();
        parts.flat_map(move |values: &[f32]| {
            let width = values.len() / pictures;
            &values[picture * width..][..width]
        })
    };
    let values = (0..pictures).flat_map(row);
    values.map(|value| f16::from_f32(*value)).collect()
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

fn at(path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| TrainError::Io { path, source }
}
