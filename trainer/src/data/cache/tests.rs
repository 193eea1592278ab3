use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use image::{Rgb, RgbImage};
use kiln_core::preprocess::{Color, Fit, PictureView, Recipe, preprocess};

use super::*;

const RECIPE: Recipe = Recipe {
    width: 9,
    height: 5,
    fit: Fit::Crop,
    crop_pct: 100,
    color: Color::Grey,
    mean: [0.5; 3],
    std: [0.25; 3],
};

/// Writes `count` PNGs of different sizes, none square.
fn folder(count: u32) -> (tempfile::TempDir, Vec<Sample>) {
    let dir = tempfile::tempdir().unwrap();
    let samples = (0..count)
        .map(|i| {
            let picture = RgbImage::from_fn(20 + i, 40 + 2 * i, |x, y| {
                Rgb([(x * 9 + i) as u8, (y * 5) as u8, (x * y) as u8])
            });
            let path = format!("{i}.png");
            picture.save(dir.path().join(&path)).unwrap();
            Sample {
                path,
                class: i as usize % 2,
            }
        })
        .collect();
    (dir, samples)
}

fn open(root: &Path, samples: &[Sample], form: Form, options: &CacheOptions) -> (Cache, usize) {
    let calls = AtomicUsize::new(0);
    let source = Source {
        name: "train",
        root,
        samples,
    };
    let cache = Cache::open(&source, form, options, &|_, total| {
        assert_eq!(total, samples.len());
        calls.fetch_add(1, Ordering::Relaxed);
    });
    (cache.unwrap(), calls.into_inner())
}

fn pictures(cache: &Cache) -> Vec<(u32, u32, Vec<u8>)> {
    (0..cache.len())
        .map(|i| {
            let mut buffer = Vec::new();
            let picture = cache.picture(i, &mut buffer).unwrap();
            (picture.width, picture.height, picture.bytes.to_vec())
        })
        .collect()
}

fn on_disk(dir: &Path) -> CacheOptions {
    CacheOptions {
        dir: Some(dir.join("cache")),
        ..CacheOptions::default()
    }
}

fn cache_file(dir: &Path) -> PathBuf {
    let files: Vec<_> = dir.join("cache").read_dir().unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].as_ref().unwrap().path()
}

#[test]
fn pictures_are_the_same_in_memory_on_disk_and_by_reads() {
    let (dir, samples) = folder(6);
    for form in [Form::Exact(RECIPE), Form::Working { side: 16 }] {
        let (memory, _) = open(dir.path(), &samples, form, &CacheOptions::default());
        let (made, made_calls) = open(dir.path(), &samples, form, &on_disk(dir.path()));
        let by_reads = CacheOptions {
            memory_bytes: 10,
            ..on_disk(dir.path())
        };
        let (read, read_calls) = open(dir.path(), &samples, form, &by_reads);
        assert_eq!((made_calls, read_calls), (6, 1), "made once, then found");
        assert!(memory.in_memory() && made.in_memory() && !read.in_memory());
        assert_eq!(memory.samples(), samples);
        assert_eq!(pictures(&memory), pictures(&made));
        assert_eq!(pictures(&memory), pictures(&read));
    }
}

#[test]
fn exact_pictures_are_preprocessed_and_working_copies_bounded() {
    let (dir, samples) = folder(3);
    let options = CacheOptions::default();
    let (exact, _) = open(dir.path(), &samples, Form::Exact(RECIPE), &options);
    for (i, (width, height, bytes)) in pictures(&exact).into_iter().enumerate() {
        let picture = image::open(dir.path().join(format!("{i}.png"))).unwrap();
        let (columns, rows) = (picture.width(), picture.height());
        let rgb = picture.into_rgb8();
        let view = PictureView::new(columns, rows, &rgb).unwrap();
        let mut scratch = vec![0; RECIPE.scratch_len(columns, rows)];
        let mut want = vec![0; RECIPE.len()];
        preprocess(view, &RECIPE, &mut scratch, &mut want).unwrap();
        assert_eq!((width, height, bytes), (9, 5, want));
    }
    let (working, _) = open(dir.path(), &samples, Form::Working { side: 21 }, &options);
    let sizes: Vec<_> = pictures(&working).iter().map(|p| (p.0, p.1)).collect();
    assert_eq!(sizes, [(20, 40), (21, 42), (21, 42)]);
}

#[test]
fn a_damaged_cut_or_foreign_file_is_made_anew() {
    let (dir, samples) = folder(4);
    let form = Form::Working { side: 16 };
    let options = on_disk(dir.path());
    let want = pictures(&open(dir.path(), &samples, form, &options).0);
    let path = cache_file(dir.path());
    let good = fs::read(&path).unwrap();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for bytes in [
        damaged,
        good[..good.len() / 3].to_vec(),
        b"hello".to_vec(),
        Vec::new(),
    ] {
        for memory_bytes in [0, 1 << 30] {
            fs::write(&path, &bytes).unwrap();
            let options = CacheOptions {
                memory_bytes,
                ..options.clone()
            };
            let (cache, calls) = open(dir.path(), &samples, form, &options);
            assert_eq!(calls, 4, "it was not made anew");
            assert_eq!(pictures(&cache), want);
            assert_eq!(fs::read(cache_file(dir.path())).unwrap(), good);
        }
    }
}

#[test]
fn damage_after_opening_is_an_error_that_names_the_file() {
    let (dir, samples) = folder(2);
    let options = CacheOptions {
        memory_bytes: 0,
        ..on_disk(dir.path())
    };
    let (cache, _) = open(dir.path(), &samples, Form::Working { side: 16 }, &options);
    let path = cache_file(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[50] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = cache.picture(0, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("kilncache: picture 0"), "{error}");
    assert!(cache.picture(1, &mut Vec::new()).is_ok());
    let error = cache.picture(2, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "picture 2 was asked for, the cache has 2");
}

#[test]
fn a_changed_picture_makes_the_cache_anew_in_the_same_file() {
    let (dir, samples) = folder(3);
    let (form, options) = (Form::Exact(RECIPE), on_disk(dir.path()));
    let (old, _) = open(dir.path(), &samples, form, &options);
    let white = RgbImage::from_pixel(30, 30, Rgb([255; 3]));
    white.save(dir.path().join("1.png")).unwrap();
    let (new, calls) = open(dir.path(), &samples, form, &options);
    assert_eq!(calls, 3);
    assert_eq!(pictures(&new)[1].2, [255; 45]);
    assert_eq!(pictures(&new)[0], pictures(&old)[0]);
    cache_file(dir.path());
    let (_, calls) = open(dir.path(), &samples[..2], form, &options);
    assert_eq!(calls, 2, "another list of pictures");
    cache_file(dir.path());
}

#[test]
fn broken_files_are_left_out_and_named_and_tried_again() {
    let (dir, samples) = folder(5);
    fs::write(dir.path().join("1.png"), b"not a picture").unwrap();
    fs::rename(dir.path().join("3.png"), dir.path().join("away")).unwrap();
    let options = on_disk(dir.path());
    let form = Form::Working { side: 16 };
    for _ in 0..2 {
        let (cache, _) = open(dir.path(), &samples, form, &options);
        let kept: Vec<&str> = cache.samples().iter().map(|s| s.path.as_str()).collect();
        assert_eq!(kept, ["0.png", "2.png", "4.png"]);
        assert_eq!(cache.len(), 3);
        let broken: Vec<&str> = cache.broken().iter().map(|b| b.path.as_str()).collect();
        assert_eq!(broken, ["1.png", "3.png"]);
        assert!(!cache.broken()[0].reason.is_empty());
    }
    fs::rename(dir.path().join("away"), dir.path().join("3.png")).unwrap();
    assert_eq!(open(dir.path(), &samples, form, &options).0.len(), 4);
}

#[test]
fn too_many_broken_files_are_an_error_with_the_first_of_them() {
    let (dir, samples) = folder(5);
    for i in 0..2 {
        fs::write(dir.path().join(format!("{i}.png")), b"").unwrap();
    }
    let source = Source {
        name: "train",
        root: dir.path(),
        samples: &samples,
    };
    for dir in [None, Some(dir.path().join("cache"))] {
        let options = CacheOptions {
            dir: dir.clone(),
            most_broken: 1,
            ..CacheOptions::default()
        };
        let opened = Cache::open(&source, Form::Exact(RECIPE), &options, &|_, _| ());
        let error = opened.unwrap_err().to_string();
        assert!(
            error.starts_with("2 of 5 pictures cannot be used, 1 may be (0.png "),
            "{error}"
        );
        if let Some(dir) = dir {
            assert_eq!(dir.read_dir().unwrap().count(), 0, "a file was left");
        }
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let (dir, samples) = folder(1);
    fs::write(dir.path().join("cache"), b"a file, not a folder").unwrap();
    let source = Source {
        name: "val",
        root: dir.path(),
        samples: &samples,
    };
    let opened = Cache::open(
        &source,
        Form::Exact(RECIPE),
        &on_disk(dir.path()),
        &|_, _| (),
    );
    let error = opened.unwrap_err();
    assert!(matches!(error, CacheError::Write { .. }), "{error:?}");
    assert!(error.to_string().contains("cache"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (dir, samples) = folder(1);
    let (options, form) = (CacheOptions::default(), Form::Exact(RECIPE));
    let source = Source {
        name: "val",
        root: dir.path(),
        samples: &samples,
    };
    let job = Job {
        source: &source,
        form,
        options: &options,
        key: [0; 32],
    };
    let fault = job.build(&mut &full, &|_, _| ()).unwrap_err();
    let error = fault.at(Path::new("val.kilncache")).to_string();
    assert!(error.starts_with("val.kilncache: No space left"), "{error}");
    assert!(error.ends_with("choose another cache folder"), "{error}");
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let (root, samples) = folder(2);
    let dir = root.path().join("cache");
    fs::create_dir(&dir).unwrap();
    let old = SystemTime::now() - Duration::from_secs(60);
    let make = |name: &str| {
        let file = fs::File::create(dir.join(name)).unwrap();
        file.set_modified(old).unwrap();
        file
    };
    make(".cache-left");
    let other = make(".cache-busy");
    other.lock().unwrap();
    make("notes.txt");
    open(
        root.path(),
        &samples,
        Form::Exact(RECIPE),
        &on_disk(root.path()),
    );
    assert!(!dir.join(".cache-left").exists());
    assert!(dir.join(".cache-busy").exists() && dir.join("notes.txt").exists());
}
