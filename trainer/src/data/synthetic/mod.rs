//! A picture set to try Kiln on before one has pictures: cats' and dogs' faces, drawn by formulas.
//!
//! Coat, build, ears, pose, size, background, light, noise and JPEG quality vary, and cats and dogs share
//! their colours, so that a network must look at shapes. A picture depends on the seed, the split, the class
//! and its number alone.

mod cat;
mod dog;
mod fur;
mod scene;
mod shape;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::codecs::jpeg::JpegEncoder;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use self::cat::Cat;
use self::dog::Dog;
use self::fur::Ink;
use self::scene::{Camera, Scene};
use self::shape::{Point, at};
use super::random::stream;
use super::{Picture, Split};

/// The classes' names, in label order.
pub const CLASSES: [&str; 2] = ["cat", "dog"];

const README: &str = "\
These pictures are synthetic: Kiln drew them by formulas. They are no photographs, and no animal was
asked. They are here to show Kiln's whole way before you have pictures of your own; a network trained
on them has learnt to tell drawings apart and knows nothing of real cats and dogs.

They carry no rights of others: use them as you like.
";

/// How many pictures to draw, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticOptions {
    /// Another seed, another set.
    pub seed: u64,
    /// Width and height of each picture, in pixels.
    pub side: u32,
    /// Pictures of each class to learn from.
    pub train: u32,
    /// Pictures of each class to choose by.
    pub val: u32,
    /// Pictures of each class to report on.
    pub test: u32,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            side: 96,
            train: 800,
            val: 100,
            test: 200,
        }
    }
}

/// Why the set could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SyntheticError {
    /// The folder is there and holds something.
    #[error("{0} is not empty: name a new folder, or delete this one")]
    Exists(PathBuf),
    /// The pictures' side is out of range.
    #[error("a side of {0} pixels: choose 16 to 1024")]
    Side(u32),
    /// A file or folder could not be written.
    #[error("{path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture could not be encoded or written.
    #[error("{path}: {source}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
}

/// Draws picture `index` of a class (0 = cat, anything else = dog) of a split.
pub fn draw(options: &SyntheticOptions, split: Split, class: usize, index: u32) -> Picture {
    render(options, split, class, index).0
}

/// Writes the set as `dir/train/cat/0000.jpg` and so on, with a README.txt that says what it is.
///
/// All is written beside `dir` first and renamed at the end, so `dir` is either whole or not there.
/// `progress` is told pictures done and in all, from several threads. Fails where `dir` holds anything.
pub fn write_synthetic(
    dir: &Path,
    options: &SyntheticOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(), SyntheticError> {
    if !(16..=1024).contains(&options.side) {
        return Err(SyntheticError::Side(options.side));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SyntheticError::Write { path, source }
    };
    if dir.exists() && dir.read_dir().map_err(failed(dir))?.next().is_some() {
        return Err(SyntheticError::Exists(dir.to_owned()));
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let work = tempfile::Builder::new()
        .prefix(".synthetic-")
        .tempdir_in(parent)
        .map_err(failed(parent))?;
    let set = work.path().join("set");
    write_set(&set, options, progress)?;
    if dir.exists() {
        fs::remove_dir(dir).map_err(failed(dir))?;
    }
    fs::rename(&set, dir).map_err(failed(dir))
}

fn write_set(
    set: &Path,
    options: &SyntheticOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(), SyntheticError> {
    let mut jobs = Vec::new();
    for (split, name, count) in [
        (Split::Train, "train", options.train),
        (Split::Val, "val", options.val),
        (Split::Test, "test", options.test),
    ] {
        for (class, class_name) in CLASSES.iter().enumerate() {
            let folder = set.join(name).join(class_name);
            fs::create_dir_all(&folder).map_err(|source| SyntheticError::Write {
                path: folder.clone(),
                source,
            })?;
            jobs.extend(
                (0..count)
                    .map(|index| (split, class, index, folder.join(format!("{index:04}.jpg")))),
            );
        }
    }
    let readme = set.join("README.txt");
    fs::write(&readme, README).map_err(|source| SyntheticError::Write {
        path: readme,
        source,
    })?;
    let done = AtomicUsize::new(0);
    jobs.par_iter().try_for_each(|(split, class, index, path)| {
        let (picture, quality) = render(options, *split, *class, *index);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode(
                &picture.rgb,
                picture.width,
                picture.height,
                image::ExtendedColorType::Rgb8,
            )
            .map_err(|source| SyntheticError::Encode {
                path: path.clone(),
                source,
            })?;
        fs::write(path, bytes).map_err(|source| SyntheticError::Write {
            path: path.clone(),
            source,
        })?;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        Ok(())
    })
}

enum Animal {
    Cat(Cat),
    Dog(Dog),
}

/// Where the face is in the picture: turns a point of the picture (0..1) into one of the face.
struct Pose {
    centre: Point,
    /// The face's unit, as a share of the picture's side.
    unit: f32,
    stretch: f32,
    angle: f32,
}

impl Pose {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        Self {
            centre: at(rng.random_range(0.36..0.64), rng.random_range(0.42..0.62)),
            unit: rng.random_range(0.19..0.36),
            stretch: rng.random_range(0.92..1.08),
            angle: rng.random_range(-0.3..0.3) + rng.random_range(-0.2..0.2),
        }
    }

    fn to_face(&self, p: Point) -> Point {
        let q = (p - self.centre).turned(-self.angle) * (1.0 / self.unit);
        at(q.x * self.stretch, q.y)
    }
}

fn render(options: &SyntheticOptions, split: Split, class: usize, index: u32) -> (Picture, u8) {
    let split = match split {
        Split::Train => 0,
        Split::Val => 1,
        Split::Test => 2,
    };
    let mut rng = stream(
        "synthetic",
        &[options.seed, split, class as u64, u64::from(index)],
    );
    let scene = Scene::random(&mut rng);
    let camera = Camera::random(&mut rng);
    let pose = Pose::random(&mut rng);
    let turn = at(rng.random_range(-0.45..0.45), rng.random_range(-0.2..0.2));
    let animal = if class == 0 {
        Animal::Cat(Cat::random(&mut rng, turn))
    } else {
        Animal::Dog(Dog::random(&mut rng, turn))
    };
    let side = options.side as usize;
    let pixel = 1.0 / side as f32;
    let mut pixels = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let p = at((x as f32 + 0.5) * pixel, (y as f32 + 0.5) * pixel);
            let mut ink = Ink {
                color: [0.0; 3],
                pixel,
            };
            scene.paint_behind(p, &mut ink);
            ink.pixel = pixel / pose.unit;
            match &animal {
                Animal::Cat(cat) => cat.paint(pose.to_face(p), &mut ink),
                Animal::Dog(dog) => dog.paint(pose.to_face(p), &mut ink),
            }
            ink.pixel = pixel;
            scene.paint_in_front(p, &mut ink);
            pixels.push(camera.expose(p, ink.color));
        }
    }
    let picture = Picture {
        width: options.side,
        height: options.side,
        rgb: camera.develop(pixels, side, &mut rng),
    };
    (picture, camera.quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: SyntheticOptions = SyntheticOptions {
        seed: 5,
        side: 24,
        train: 3,
        val: 1,
        test: 2,
    };

    #[test]
    fn a_picture_depends_on_seed_split_class_and_index_alone() {
        let one = draw(&SMALL, Split::Train, 0, 7);
        assert_eq!(one.rgb.len(), 24 * 24 * 3);
        assert_eq!(one, draw(&SMALL, Split::Train, 0, 7));
        let more = SyntheticOptions { train: 99, ..SMALL };
        assert_eq!(one, draw(&more, Split::Train, 0, 7));
        let others = [
            draw(&SyntheticOptions { seed: 6, ..SMALL }, Split::Train, 0, 7),
            draw(&SMALL, Split::Val, 0, 7),
            draw(&SMALL, Split::Train, 1, 7),
            draw(&SMALL, Split::Train, 0, 8),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn no_pixel_tells_the_classes_apart() {
        let (mut sums, count) = ([vec![0.0; 24 * 24], vec![0.0; 24 * 24]], 60);
        for (class, sum) in sums.iter_mut().enumerate() {
            for index in 0..count {
                let picture = draw(&SMALL, Split::Train, class, index);
                for (total, rgb) in sum.iter_mut().zip(picture.rgb.chunks_exact(3)) {
                    *total += f64::from(rgb[1]) / f64::from(count);
                }
            }
        }
        let [cats, dogs] = sums;
        let worst = cats
            .iter()
            .zip(&dogs)
            .map(|(cat, dog)| (cat - dog).abs())
            .fold(0.0, f64::max);
        assert!(worst > 1.0, "the classes differ nowhere");
        assert!(worst < 64.0, "a pixel's mean differs by {worst} of 255");
    }

    #[test]
    fn the_set_is_written_whole_or_not_at_all() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("new/set");
        let last = AtomicUsize::new(0);
        write_synthetic(&dir, &SMALL, &|done, total| {
            assert_eq!(total, 12);
            last.fetch_max(done, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(last.into_inner(), 12);
        for (folder, count) in [("train/cat", 3), ("val/dog", 1), ("test/cat", 2)] {
            assert_eq!(
                dir.join(folder).read_dir().unwrap().count(),
                count,
                "{folder}"
            );
        }
        let jpeg = image::open(dir.join("train/dog/0002.jpg")).unwrap();
        assert_eq!((jpeg.width(), jpeg.height()), (24, 24));
        let readme = fs::read_to_string(dir.join("README.txt")).unwrap();
        assert!(readme.contains("synthetic"));
        let left: Vec<_> = parent.path().join("new").read_dir().unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");

        let again = write_synthetic(&dir, &SMALL, &|_, _| ()).unwrap_err();
        assert!(matches!(again, SyntheticError::Exists(_)), "{again}");
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let tiny = SyntheticOptions { side: 8, ..SMALL };
        let error = write_synthetic(&parent.path().join("set"), &tiny, &|_, _| ()).unwrap_err();
        assert_eq!(error.to_string(), "a side of 8 pixels: choose 16 to 1024");
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }
}
