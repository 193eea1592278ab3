//! A folder of pictures as three lists of samples, and its fingerprint.
//!
//! What [`scan`](super::scan) finds becomes splits like this:
//!
//! | folders | train | val | test |
//! |---|---|---|---|
//! | classes only | drawn | drawn | drawn |
//! | train, val, test | as given | as given | as given |
//! | train, val | as given | as given | empty |
//! | train, test | the rest | drawn from train | as given |
//! | train | the rest | drawn from train | empty |
//! | no train (for evaluation) | empty | as given | as given |
//!
//! Drawing is stratified: of each class the stated share, rounded, at least one. It depends on the seed
//! and the pictures' relative paths alone, and a picture that is added moves hardly any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use super::problems::DatasetError;
use super::scan::{Scan, scan};
use super::{Dataset, Sample, Split};
use crate::disk;

/// How splits are drawn where the folders do not give them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitOptions {
    /// Share of each class for validation, 0..1. With 0 none is drawn.
    pub val: f64,
    /// Share of each class for the test, 0..=1. With 0 none is drawn; with 1 all is.
    pub test: f64,
    /// Another seed, another draw.
    pub seed: u64,
}

impl SplitOptions {
    /// No draw: all pictures that lie in no split's folder are training's.
    pub const NONE: SplitOptions = SplitOptions {
        val: 0.0,
        test: 0.0,
        seed: 0,
    };
}

impl Default for SplitOptions {
    /// A tenth each.
    fn default() -> Self {
        SplitOptions {
            val: 0.1,
            test: 0.1,
            seed: 0,
        }
    }
}

impl Split {
    /// All three.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub const fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Dataset {
    /// Lists a folder's pictures and splits them. The pictures themselves are not opened.
    ///
    /// # Errors
    /// The folder cannot be read or is no data set: see [`DatasetError`].
    pub fn open(root: &Path, options: &SplitOptions) -> Result<Dataset, DatasetError> {
        let SplitOptions { val, test, .. } = *options;
        if !(val >= 0.0 && test >= 0.0 && val + test <= 1.0) {
            return Err(DatasetError::Shares { val, test });
        }
        let scan = scan(root)?;
        let drawn = val + test > 0.0;
        let counts =
            |problem: &DatasetError| drawn || !matches!(problem, DatasetError::TooFew { .. });
        if let Some(problem) = scan.problems().into_iter().find(counts) {
            return Err(problem);
        }
        if !scan.ignored.is_empty() {
            tracing::debug!(
                "{}: {} files are no pictures and ignored",
                root.display(),
                scan.ignored.len()
            );
        }
        Dataset::split_up(scan, options)
    }

    /// Numbers the classes as `labels` has them, a model's for example. Whether both are the same names;
    /// else nothing changes.
    pub fn label_as(&mut self, labels: &[String]) -> bool {
        let place = |class| labels.iter().position(|label| label == class);
        let Some(places) = self.classes.iter().map(place).collect::<Option<Vec<_>>>() else {
            return false;
        };
        if labels.len() != places.len() {
            return false;
        }
        for samples in [&mut self.train, &mut self.val, &mut self.test] {
            for sample in samples {
                sample.class = places[sample.class];
            }
        }
        self.classes = labels.to_vec();
        true
    }

    /// The samples of a split.
    pub fn split(&self, split: Split) -> &[Sample] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }

    /// The samples of all splits, each with its split.
    pub fn samples(&self) -> impl Iterator<Item = (Split, &Sample)> {
        Split::ALL
            .into_iter()
            .flat_map(|split| self.split(split).iter().map(move |sample| (split, sample)))
    }

    /// Where a sample's file lies.
    pub fn file(&self, sample: &Sample) -> PathBuf {
        self.root.join(&sample.path)
    }

    /// A hash, in hex, of everything that training sees of the data: each picture's split, class, path
    /// and content. Pictures that cannot be read count as such. `progress` gets the number of pictures
    /// done and of all pictures, from any thread.
    pub fn fingerprint(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> String {
        let samples: Vec<_> = self.samples().collect();
        let done = AtomicUsize::new(0);
        let contents: Vec<Option<blake3::Hash>> = samples
            .par_iter()
            .map(|(_, sample)| {
                let content = hash_of(&self.file(sample));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, samples.len());
                content
            })
            .collect();
        let mut rows: Vec<_> = samples.iter().zip(contents).collect();
        rows.sort_by_key(|((split, sample), _)| (*split, sample.class, &sample.path));
        let mut hasher = blake3::Hasher::new();
        for ((split, sample), content) in rows {
            for text in [split.name(), &self.classes[sample.class], &sample.path] {
                // A length before each text, so that no two lists of texts run into the same bytes.
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            hasher.update(content.map_or([0; 32], Into::into).as_slice());
        }
        hasher.finalize().to_hex().to_string()
    }

    fn split_up(scan: Scan, options: &SplitOptions) -> Result<Dataset, DatasetError> {
        let given = |split| scan.splits.iter().any(|(s, _)| *s == split);
        let drawn = SplitOptions {
            val: if given(Split::Val) { 0.0 } else { options.val },
            test: if scan.splits.is_empty() {
                options.test
            } else {
                0.0
            },
            ..*options
        };
        let mut lists: [Vec<Sample>; 3] = Default::default();
        let mut undivided: Vec<Vec<Sample>> = vec![Vec::new(); scan.classes.len()];
        for file in scan.files {
            let sample = Sample {
                path: file.path,
                class: file.class,
            };
            match file.split {
                None | Some(Split::Train) => undivided[file.class].push(sample),
                Some(split) => lists[split as usize].push(sample),
            }
        }
        if scan.splits.is_empty() || given(Split::Train) {
            for (class, samples) in scan.classes.iter().zip(undivided) {
                draw(class, samples, &drawn, &mut lists)?;
            }
        }
        for list in &mut lists {
            list.sort_by(|a, b| a.path.cmp(&b.path));
        }
        let [train, val, test] = lists;
        Ok(Dataset {
            given: !scan.splits.is_empty(),
            root: scan.root,
            classes: scan.classes,
            train,
            val,
            test,
        })
    }
}

/// Deals one class's samples out to the three lists, in the order of a seeded hash of their paths.
fn draw(
    class: &str,
    mut samples: Vec<Sample>,
    options: &SplitOptions,
    lists: &mut [Vec<Sample>; 3],
) -> Result<(), DatasetError> {
    let count = samples.len();
    let share = |share: f64| match (share * count as f64).round() as usize {
        0 if share > 0.0 => 1,
        n => n.min(count),
    };
    let wants_train = options.val + options.test < 1.0;
    let val = share(options.val);
    let test = match wants_train {
        true => share(options.test),
        false => count - val,
    };
    if val + test + usize::from(wants_train) > count {
        return Err(DatasetError::TooFew {
            class: class.to_owned(),
            pictures: count,
        });
    }
    let key = blake3::derive_key("kiln 2026 split of a data set", &options.seed.to_le_bytes());
    samples.sort_by_cached_key(|s| *blake3::keyed_hash(&key, s.path.as_bytes()).as_bytes());
    let [train_list, val_list, test_list] = lists;
    test_list.extend(samples.drain(..test));
    val_list.extend(samples.drain(..val));
    train_list.extend(samples);
    Ok(())
}

/// The hash of a file's bytes; none where it cannot be read, or is a pipe, whose writer might never come.
fn hash_of(path: &Path) -> Option<blake3::Hash> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    disk::hash(path).ok()
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::folder_with;
    use super::*;
    use std::collections::BTreeSet;

    fn names(classes: &[(&str, usize)]) -> Vec<String> {
        classes
            .iter()
            .flat_map(|(folder, count)| (0..*count).map(move |i| format!("{folder}/{i}.png")))
            .collect()
    }

    fn folder(classes: &[(&str, usize)]) -> tempfile::TempDir {
        let names = names(classes);
        folder_with(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn open(root: &tempfile::TempDir, val: f64, test: f64, seed: u64) -> Dataset {
        Dataset::open(root.path(), &SplitOptions { val, test, seed }).unwrap()
    }

    /// Pictures a class in each split: train, val, test.
    fn counts(dataset: &Dataset) -> [Vec<usize>; 3] {
        Split::ALL.map(|split| {
            let mut counts = vec![0; dataset.classes.len()];
            for sample in dataset.split(split) {
                counts[sample.class] += 1;
            }
            counts
        })
    }

    #[test]
    fn a_draw_is_stratified_whole_and_seeded() {
        let root = folder(&[("cat", 100), ("dog", 31)]);
        let a = open(&root, 0.1, 0.2, 7);
        assert_eq!(counts(&a), [vec![70, 22], vec![10, 3], vec![20, 6]]);
        let all: BTreeSet<_> = a.samples().map(|(_, s)| s.path.clone()).collect();
        assert_eq!(
            all,
            names(&[("cat", 100), ("dog", 31)]).into_iter().collect()
        );
        for (_, sample) in a.samples() {
            assert_eq!(
                sample.path.starts_with("cat/"),
                a.classes[sample.class] == "cat"
            );
        }
        assert!(a.train.is_sorted_by_key(|s| &s.path));

        let again = open(&root, 0.1, 0.2, 7);
        assert_eq!(
            (&a.train, &a.val, &a.test),
            (&again.train, &again.val, &again.test)
        );
        assert_ne!(open(&root, 0.1, 0.2, 8).test, a.test);
    }

    #[test]
    fn the_draw_does_not_change_from_version_to_version() {
        let root = folder(&[("cat", 6), ("dog", 6)]);
        let dataset = open(&root, 0.2, 0.2, 1);
        let paths = |list: &[Sample]| list.iter().map(|s| s.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&dataset.val), ["cat/1.png", "dog/2.png"]);
        assert_eq!(paths(&dataset.test), ["cat/3.png", "dog/0.png"]);
    }

    #[test]
    fn a_new_picture_moves_hardly_any_other() {
        let root = folder(&[("cat", 200), ("dog", 200)]);
        let before = open(&root, 0.1, 0.1, 0);
        fs::write(root.path().join("cat/new.png"), "new").unwrap();
        let after = open(&root, 0.1, 0.1, 0);
        let split_of = |d: &Dataset| -> BTreeSet<(Split, String)> {
            d.samples()
                .map(|(split, s)| (split, s.path.clone()))
                .collect()
        };
        assert!(split_of(&before).difference(&split_of(&after)).count() <= 2);
    }

    #[test]
    fn given_splits_are_kept_and_val_is_drawn_when_it_lacks() {
        let train = [("train/cat", 10), ("train/dog", 20)];
        let val = [("valid/cat", 3), ("valid/dog", 4)];
        let test = [("test/cat", 5), ("test/dog", 6)];
        let cases: [(Vec<_>, [[usize; 2]; 3]); 5] = [
            ([train, val, test].concat(), [[10, 20], [3, 4], [5, 6]]),
            ([train, val].concat(), [[10, 20], [3, 4], [0, 0]]),
            ([train, test].concat(), [[8, 16], [2, 4], [5, 6]]),
            (train.to_vec(), [[8, 16], [2, 4], [0, 0]]),
            (test.to_vec(), [[0, 0], [0, 0], [5, 6]]),
        ];
        for (folders, want) in cases {
            let dataset = open(&folder(&folders), 0.2, 0.3, 0);
            assert_eq!(counts(&dataset), want.map(Vec::from), "{folders:?}");
        }
    }

    #[test]
    fn shares_are_checked() {
        let root = folder(&[("cat", 3), ("dog", 2)]);
        let open = |val, test| {
            let options = SplitOptions { val, test, seed: 0 };
            Dataset::open(root.path(), &options)
        };
        for (val, test) in [(-0.1, 0.1), (0.1, f64::NAN), (0.6, 0.5)] {
            let error = open(val, test).unwrap_err();
            assert!(matches!(error, DatasetError::Shares { .. }), "{error}");
        }
        let small = open(0.1, 0.1).unwrap_err();
        assert!(
            matches!(&small, DatasetError::TooFew { class, pictures: 2 } if class == "dog"),
            "{small}"
        );
        assert_eq!(
            counts(&open(0.0, 0.1).unwrap()),
            [[2, 1], [0, 0], [1, 1]].map(Vec::from)
        );
        assert_eq!(
            counts(&open(0.0, 1.0).unwrap()),
            [[0, 0], [0, 0], [3, 2]].map(Vec::from)
        );
        assert_eq!(
            counts(&open(0.5, 0.5).unwrap()),
            [[0, 0], [2, 1], [1, 1]].map(Vec::from)
        );
    }

    #[test]
    fn the_fingerprint_sees_names_splits_classes_and_contents() {
        let base = [
            ("train/cat", 4),
            ("train/dog", 4),
            ("test/cat", 2),
            ("test/dog", 2),
        ];
        let root = folder(&base);
        let dataset = open(&root, 0.25, 0.0, 0);
        let calls = AtomicUsize::new(0);
        let first = dataset.fingerprint(&|done, all| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert!((1..=12).contains(&done) && all == 12, "{done} of {all}");
        });
        assert_eq!(calls.into_inner(), 12);
        let fingerprint = |dataset: &Dataset| dataset.fingerprint(&|_, _| ());
        assert_eq!(first.len(), 64);
        assert_eq!(
            fingerprint(&open(&folder(&base), 0.25, 0.0, 0)),
            first,
            "the root's place"
        );

        let mut moved = dataset.clone();
        let sample = moved.train.pop().unwrap();
        moved.val.push(sample);
        assert_ne!(fingerprint(&moved), first, "a split");

        let mut renamed = dataset.clone();
        renamed.classes[0] = "lion".into();
        assert_ne!(fingerprint(&renamed), first, "a class");

        let victim = root.path().join("train/cat/0.png");
        fs::write(&victim, "other").unwrap();
        let changed = fingerprint(&dataset);
        assert_ne!(changed, first, "a content");
        fs::remove_file(victim).unwrap();
        assert_ne!(fingerprint(&dataset), changed, "a picture gone");
    }

    #[test]
    fn classes_are_numbered_as_labels_are() {
        let root = folder(&[("bird", 4), ("cat", 2), ("dog", 3)]);
        let mut dataset = open(&root, 0.0, 0.0, 0);
        let labels = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<_>>();
        assert!(dataset.label_as(&labels(&["dog", "bird", "cat"])));
        assert_eq!(dataset.classes, ["dog", "bird", "cat"]);
        assert_eq!(counts(&dataset)[0], [3, 4, 2]);
        for sample in &dataset.train {
            assert!(sample.path.starts_with(&dataset.classes[sample.class]));
        }
        let before = dataset.train.clone();
        for others in [
            &["dog", "bird"][..],
            &["dog", "bird", "lion"],
            &["dog", "bird", "cat", "lion"],
        ] {
            assert!(!dataset.label_as(&labels(others)), "{others:?}");
        }
        assert_eq!(dataset.train, before);
        assert_eq!(dataset.classes, ["dog", "bird", "cat"]);
    }
}
