use image::{Rgb, RgbImage};
use kiln_core::preprocess::{Color, Fit, PictureView, preprocess};

use super::super::Sample;
use super::super::cache::{CacheOptions, Source};
use super::*;

const RECIPE: Recipe = Recipe {
    width: 10,
    height: 6,
    fit: Fit::Stretch,
    crop_pct: 100,
    color: Color::Rgb,
    mean: [0.4, 0.5, 0.6],
    std: [0.2, 0.25, 0.3],
};

/// What a teacher takes: a pixel is a quarter of one of [`RECIPE`]'s.
const LARGER: Recipe = Recipe {
    width: 20,
    height: 12,
    ..RECIPE
};

/// 23 pictures of three classes, all different.
fn cache(form: Form, memory: bool) -> (tempfile::TempDir, Arc<Cache>) {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<Sample> = (0..23u32)
        .map(|i| {
            let picture = RgbImage::from_fn(24, 16 + i % 3, |x, y| {
                Rgb([(x * 10) as u8, (y * 12 + i) as u8, (i * 11) as u8])
            });
            let path = format!("{i:02}.png");
            picture.save(dir.path().join(&path)).unwrap();
            let class = i as usize % 3;
            Sample { path, class }
        })
        .collect();
    let source = Source {
        name: "train",
        root: dir.path(),
        samples: &samples,
    };
    let options = CacheOptions {
        dir: (!memory).then(|| dir.path().join("cache")),
        memory_bytes: 0,
        ..CacheOptions::default()
    };
    let cache = Cache::open(&source, form, &options, &|_, _| ()).unwrap();
    (dir, Arc::new(cache))
}

const WORKING: Form = Form::Working { side: 20 };

fn everything() -> AugmentConfig {
    AugmentConfig {
        rotate: 30.0,
        flip_vertical: true,
        hue: 0.1,
        erase: 0.3,
        mixup: 0.3,
        cutmix: 1.0,
        mix_probability: 0.7,
        ..AugmentConfig::default()
    }
}

fn batches(cache: &Arc<Cache>, config: &AugmentConfig, options: &LoaderOptions) -> Vec<Batch> {
    Loader::new(Arc::clone(cache), &RECIPE, config, options)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn batches_do_not_depend_on_threads_or_on_where_pictures_lie() {
    let (_dir, memory) = cache(WORKING, true);
    let (_dir, disk) = cache(WORKING, false);
    let options = LoaderOptions::training(3, 4, 7, 2);
    let want = batches(&memory, &everything(), &options);
    assert_eq!(want.len(), 5);
    for (threads, ahead) in [(1, 1), (2, 0), (4, 3), (9, 1)] {
        for cache in [&memory, &disk] {
            let options = LoaderOptions {
                threads,
                ahead,
                ..options.clone()
            };
            assert_eq!(
                batches(cache, &everything(), &options),
                want,
                "{threads} threads"
            );
        }
    }
    for other in [
        LoaderOptions {
            seed: 8,
            ..options.clone()
        },
        LoaderOptions {
            epoch: 3,
            ..options.clone()
        },
    ] {
        assert_ne!(batches(&memory, &everything(), &other), want);
    }
}

#[test]
fn an_epoch_has_each_picture_once_and_its_own_order() {
    let (_dir, cache) = cache(WORKING, true);
    let order = |epoch: u64, drop_last: bool| -> Vec<usize> {
        let options = LoaderOptions {
            drop_last,
            ..LoaderOptions::training(3, 4, 1, epoch)
        };
        let batches = batches(&cache, &everything(), &options);
        batches.into_iter().flat_map(|b| b.indices).collect()
    };
    let (one, two) = (order(0, false), order(1, false));
    assert_ne!(one, two);
    assert_eq!(order(0, true), one[..20]);
    for mut order in [one, two] {
        order.sort_unstable();
        assert_eq!(order, (0..23).collect::<Vec<_>>());
    }
}

#[test]
fn evaluation_gives_the_normalised_preprocessed_pictures_in_order() {
    for color in [Color::Rgb, Color::Grey] {
        let recipe = Recipe { color, ..RECIPE };
        let (dir, cache) = cache(Form::Exact(recipe), true);
        let options = LoaderOptions {
            threads: 3,
            ..LoaderOptions::evaluation(3, 5)
        };
        let loader = Loader::new(cache, &recipe, &AugmentConfig::off(), &options).unwrap();
        let mut seen = 0;
        for batch in loader {
            let batch = batch.unwrap();
            let n = batch.indices.len();
            assert_eq!(n, if batch.number == 4 { 3 } else { 5 });
            assert_eq!(batch.inputs.shape, [n, recipe.channels(), 6, 10]);
            for (row, &index) in batch.indices.iter().enumerate() {
                assert_eq!(index, seen);
                seen += 1;
                assert_eq!(batch.labels[row], index % 3);
                let hot: Vec<f32> = (0..3).map(|c| f32::from(c == index % 3)).collect();
                assert_eq!(batch.targets[row * 3..][..3], hot);
                let picture = image::open(dir.path().join(format!("{index:02}.png"))).unwrap();
                let (w, h) = (picture.width(), picture.height());
                let rgb = picture.into_rgb8();
                let view = PictureView::new(w, h, &rgb).unwrap();
                let mut bytes = vec![0; recipe.len()];
                let mut scratch = vec![0; recipe.scratch_len(w, h)];
                preprocess(view, &recipe, &mut scratch, &mut bytes).unwrap();
                for c in 0..recipe.channels() {
                    for y in 0..6 {
                        for x in 0..10 {
                            let byte = bytes[(y * 10 + x) * recipe.channels() + c];
                            let plane = row * recipe.channels() + c;
                            let got = batch.inputs.values()[(plane * 6 + y) * 10 + x];
                            assert_eq!(got, recipe.normalise(c, byte), "{c} {y} {x}");
                        }
                    }
                }
            }
        }
        assert_eq!(seen, 23);
    }
}

#[test]
fn targets_sum_to_one_and_are_soft_where_mixed() {
    let (_dir, cache) = cache(WORKING, true);
    let config = AugmentConfig {
        mixup: 0.5,
        ..AugmentConfig::off()
    };
    let mut soft = 0;
    for batch in batches(&cache, &config, &LoaderOptions::training(3, 8, 1, 0)) {
        for row in batch.targets.chunks_exact(3) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
            soft += usize::from(row.iter().all(|&target| target < 1.0));
        }
    }
    assert!(soft > 0);
}

#[test]
fn a_loader_dropped_midway_ends_its_threads() {
    let (_dir, cache) = cache(WORKING, true);
    for taken in 0..3 {
        let options = LoaderOptions {
            threads: 3,
            ahead: 1,
            ..LoaderOptions::training(3, 2, 1, 0)
        };
        let mut loader = Loader::new(Arc::clone(&cache), &RECIPE, &everything(), &options).unwrap();
        for number in 0..taken {
            assert_eq!(loader.next().unwrap().unwrap().number, number);
        }
        drop(loader);
        assert_eq!(
            Arc::strong_count(&cache),
            1,
            "a worker still holds the cache"
        );
    }
}

#[test]
fn an_error_comes_through_in_its_place_and_ends_the_epoch() {
    let (dir, cache) = cache(WORKING, false);
    let path = dir.path().join("cache");
    let path = path.read_dir().unwrap().next().unwrap().unwrap().path();
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(len / 2)
        .unwrap();
    let options = LoaderOptions {
        threads: 2,
        ..LoaderOptions::evaluation(3, 2)
    };
    let mut loader = Loader::new(cache, &RECIPE, &everything(), &options).unwrap();
    let mut good = 0;
    let error = loop {
        match loader.next().expect("no error came") {
            Ok(batch) => assert_eq!(batch.number, good),
            Err(error) => break error,
        }
        good += 1;
    };
    assert!((2..10).contains(&good), "{good} batches before the error");
    let text = error.to_string();
    assert!(text.contains("kilncache: picture "), "{text}");
    assert!(loader.next().is_none());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (_dir, exact) = cache(Form::Exact(RECIPE), true);
    let training = LoaderOptions::training(3, 4, 0, 0);
    let (off, crop) = (AugmentConfig::off(), AugmentConfig::default());
    let grey = Recipe {
        color: Color::Grey,
        ..RECIPE
    };
    let few = LoaderOptions {
        classes: 2,
        ..training.clone()
    };
    let empty = LoaderOptions {
        batch: 0,
        ..training.clone()
    };
    let bad_erase = AugmentConfig { erase: 2.0, ..off };
    let taught = LoaderOptions {
        teacher: Some(LARGER),
        ..training.clone()
    };
    let cases = [
        (RECIPE, crop, &training, "working copies"),
        (RECIPE, off, &taught, "teacher"),
        (grey, off, &training, "another recipe"),
        (RECIPE, off, &few, "02.png is of class 2"),
        (RECIPE, off, &empty, "at least 1"),
        (RECIPE, bad_erase, &training, "augment.erase"),
        (Recipe { width: 0, ..RECIPE }, off, &training, "recipe"),
    ];
    for (recipe, config, options, says) in cases {
        let error = Loader::new(Arc::clone(&exact), &recipe, &config, options).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let darker = Recipe {
        mean: [0.1; 3],
        ..RECIPE
    };
    assert!(Loader::new(exact, &darker, &off, &training).is_ok());
}

#[test]
fn bytes_for_the_device_are_the_same_pictures() {
    let (_dir, cache) = cache(WORKING, true);
    let options = LoaderOptions::training(3, 4, 7, 2);
    let for_device = LoaderOptions {
        bytes: true,
        ..options.clone()
    };
    let plain = AugmentConfig::default();
    let want = batches(&cache, &plain, &options);
    let found = batches(&cache, &plain, &for_device);
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(&want) {
        assert!(matches!(found.inputs.pixels, Pixels::Bytes(..)));
        assert_eq!(found.inputs.values(), want.inputs.values());
        assert_eq!(found.inputs.shape, want.inputs.shape);
        assert_eq!(found.targets, want.targets);
    }
    // Mixed pictures are no bytes any more.
    assert_eq!(
        batches(&cache, &everything(), &for_device),
        batches(&cache, &everything(), &options)
    );
}

/// What a student sees of a pixel, from the four pixels of its teacher.
fn mean_of_four(teacher: &[f32], shape: [usize; 4]) -> Vec<f32> {
    let [n, channels, height, width] = shape;
    let at = |plane: usize, y: usize, x: usize| teacher[(plane * 2 * height + y) * 2 * width + x];
    let mut means = Vec::new();
    for plane in 0..n * channels {
        for y in 0..height {
            for x in 0..width {
                let (y, x) = (2 * y, 2 * x);
                let four = [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)];
                means.push(four.map(|(y, x)| at(plane, y, x)).iter().sum::<f32>() / 4.0);
            }
        }
    }
    means
}

#[test]
fn a_teacher_sees_what_its_student_sees_in_its_own_size() {
    let (_dir, cache) = cache(WORKING, true);
    let alone = LoaderOptions::training(3, 4, 7, 2);
    let taught = LoaderOptions {
        teacher: Some(LARGER),
        ..alone.clone()
    };
    let config = AugmentConfig {
        erase: 0.0,
        cutmix: 0.0,
        ..everything()
    };
    let without = batches(&cache, &config, &alone);
    let with = batches(&cache, &config, &taught);
    assert_eq!(with.len(), without.len());
    let mut apart = Vec::new();
    for (with, without) in with.iter().zip(&without) {
        assert_eq!(with.inputs, without.inputs);
        assert_eq!(with.targets, without.targets);
        assert_eq!(without.teacher, None);
        let teacher = with.teacher.as_ref().unwrap();
        let shape = with.inputs.shape;
        assert_eq!(teacher.shape, [4, 3, 12, 20]);
        let means = mean_of_four(&teacher.values(), shape);
        let student = with.inputs.values();
        apart.extend(means.iter().zip(student.iter()).map(|(a, b)| (a - b).abs()));
        // Another picture of the batch is something else.
        let mut turned = student.to_vec();
        turned.rotate_left(with.inputs.values_of_one());
        let other = means.iter().zip(&turned).map(|(a, b)| (a - b).abs());
        assert!(other.sum::<f32>() / turned.len() as f32 > 0.3);
    }
    // Values have a standard deviation near 1. A byte is 0.02; what is enlarged is blurred at the rim.
    let mean = apart.iter().sum::<f32>() / apart.len() as f32;
    assert!(mean < 0.05, "{mean}");
}
