//! Everything about a folder of pictures that would spoil a training or flatter its result.

mod groups;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::Split;
use super::decode::Limits;
use super::inspect::{Inspector, Look, Oddity, Seen};
use super::scan::{Found, Scan};

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// What a picture may cost.
    pub limits: Limits,
    /// Bits of 64 in which the hashes of pictures that look the same may differ, at most
    /// [`MAX_DISTANCE`](super::near::MAX_DISTANCE); none: only files of the same bytes are the same.
    pub near: Option<u32>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        CheckOptions {
            limits: Limits::default(),
            near: Some(10),
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The folder.
    pub data: String,
    /// Pictures, broken ones too.
    pub pictures: usize,
    /// The classes' names.
    pub classes: Vec<String>,
    /// What keeps the folder from being trained on.
    pub problems: Vec<String>,
    /// Pictures that cannot be decoded.
    pub broken: Vec<Broken>,
    /// Groups of pictures that lie in several splits.
    pub leaks: usize,
    /// Groups of pictures that lie in several classes.
    pub conflicts: usize,
    /// Pictures that are the same, in groups.
    pub groups: Vec<Group>,
    /// Pictures that are whole, and odd.
    pub odd: Vec<Odd>,
    /// Pictures by split (`all`, if there are no split folders) and class.
    pub balance: BTreeMap<&'static str, BTreeMap<String, usize>>,
    /// Pictures by format.
    pub formats: BTreeMap<&'static str, usize>,
    /// How large the pictures are. None if none is whole.
    pub sizes: Option<Sizes>,
    /// Files that are no pictures, by extension.
    pub ignored: BTreeMap<String, usize>,
}

/// A picture that cannot be decoded.
#[derive(Debug, Serialize)]
pub struct Broken {
    /// Relative to the data.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Pictures that are the same.
#[derive(Debug, Serialize)]
pub struct Group {
    /// In several splits.
    pub leak: bool,
    /// In several classes.
    pub conflict: bool,
    /// Two or more, in order of preference: test before val before train, plain before odd, large before
    /// small. Each repeats the first, and no first repeats another group's.
    pub files: Vec<Member>,
}

/// A picture of a [`Group`].
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Relative to the data.
    pub path: String,
    /// Its split folder's split.
    pub split: Option<&'static str>,
    /// Its class.
    pub class: String,
    /// Whether it has the bytes of the group's first. If not, it looks the same.
    pub exact: bool,
}

/// A picture that is whole, and odd.
#[derive(Debug, Serialize)]
pub struct Odd {
    /// Relative to the data.
    pub path: String,
    /// What is odd.
    pub oddity: Oddity,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The content's format.
    pub format: &'static str,
}

/// How large the pictures are.
#[derive(Debug, Serialize)]
pub struct Sizes {
    /// Columns.
    pub width: Range,
    /// Rows.
    pub height: Range,
    /// Bytes of the files.
    pub bytes: Range,
    /// The five most common sizes: width, height, pictures.
    pub common: Vec<(u32, u32, usize)>,
}

/// Of some numbers the least, the middle one and the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// As many are less as are greater.
    pub median: u64,
    /// The greatest.
    pub max: u64,
}

impl Report {
    /// Whether something should be put right before training: the folder's layout, broken pictures, leaks
    /// or conflicts.
    pub fn needs_attention(&self) -> bool {
        self.leaks + self.conflicts + self.problems.len() + self.broken.len() > 0
    }
}

/// Looks at every picture, calling `progress` after each, from any thread.
pub fn check(scan: &Scan, options: &CheckOptions, progress: impl Fn() + Sync) -> Report {
    let looks: Vec<Look> = scan
        .files
        .par_iter()
        .map_init(
            || Inspector::new(options.limits),
            |inspector, file| {
                let look = inspector.look(&scan.root.join(&file.path));
                progress();
                look
            },
        )
        .collect();
    let groups = groups::groups(scan, &looks, options.near);
    let mut report = Report {
        data: scan.root.display().to_string(),
        pictures: scan.files.len() + scan.unnameable.len(),
        classes: scan.classes.clone(),
        problems: scan.problems().iter().map(ToString::to_string).collect(),
        broken: Vec::new(),
        leaks: groups.iter().filter(|g| g.leak).count(),
        conflicts: groups.iter().filter(|g| g.conflict).count(),
        groups,
        odd: Vec::new(),
        balance: balance(scan),
        formats: BTreeMap::new(),
        sizes: sizes(&looks),
        ignored: BTreeMap::new(),
    };
    for (file, look) in scan.files.iter().zip(&looks) {
        match &look.picture {
            Ok(seen) => {
                *report.formats.entry(seen.format).or_default() += 1;
                report.odd.extend(odd(file, seen));
            }
            Err(fault) => report.broken.push(Broken {
                path: file.path.clone(),
                reason: fault.to_string(),
            }),
        }
    }
    for path in &scan.ignored {
        let extension = Path::new(path).extension().unwrap_or_default();
        let extension = extension.to_string_lossy().to_ascii_lowercase();
        *report.ignored.entry(extension).or_default() += 1;
    }
    report
}

fn odd<'a>(file: &'a Found, seen: &'a Seen) -> impl Iterator<Item = Odd> + 'a {
    seen.oddities.iter().map(|&oddity| Odd {
        path: file.path.clone(),
        oddity,
        width: seen.width,
        height: seen.height,
        format: seen.format,
    })
}

fn balance(scan: &Scan) -> BTreeMap<&'static str, BTreeMap<String, usize>> {
    let mut balance: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
    let name = |split: Option<Split>| split.map_or("all", Split::name);
    for (split, class) in &scan.folders {
        let counts = balance.entry(name(*split)).or_default();
        counts.insert(scan.classes[*class].clone(), 0);
    }
    for file in &scan.files {
        let counts = balance.entry(name(file.split)).or_default();
        *counts.entry(scan.classes[file.class].clone()).or_default() += 1;
    }
    balance
}

fn sizes(looks: &[Look]) -> Option<Sizes> {
    let whole = || {
        looks
            .iter()
            .filter_map(|l| Some((l, l.picture.as_ref().ok()?)))
    };
    let mut counts: HashMap<(u32, u32), usize> = HashMap::new();
    for (_, seen) in whole() {
        *counts.entry((seen.width, seen.height)).or_default() += 1;
    }
    let mut common: Vec<_> = counts.into_iter().map(|((w, h), n)| (w, h, n)).collect();
    common.sort_by_key(|&(w, h, n)| (Reverse(n), w, h));
    common.truncate(5);
    Some(Sizes {
        width: range(whole().map(|(_, s)| u64::from(s.width)))?,
        height: range(whole().map(|(_, s)| u64::from(s.height)))?,
        bytes: range(whole().map(|(l, _)| l.bytes))?,
        common,
    })
}

fn range(values: impl Iterator<Item = u64>) -> Option<Range> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    Some(Range {
        min: *values.first()?,
        median: *values.get(values.len() / 2)?,
        max: *values.last()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::scan::scan;
    use super::*;
    use image::imageops::{self, FilterType};
    use image::{Rgb, RgbImage};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A picture of its own for each seed.
    fn picture(seed: u64) -> RgbImage {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let small = RgbImage::from_fn(12, 12, |_, _| Rgb(rng.random()));
        imageops::resize(&small, 64, 48, FilterType::CatmullRom)
    }

    /// Writes a picture, whose format follows from the name.
    pub fn put(root: &Path, path: &str, picture: &RgbImage) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }

    /// Three splits of two classes of four good pictures each, and one of every trouble.
    pub fn messy() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let mut seed = 0;
        for split in ["train", "val", "test"] {
            for class in ["cat", "dog"] {
                for i in 0..4 {
                    put(
                        root.path(),
                        &format!("{split}/{class}/{i}.png"),
                        &picture(seed),
                    );
                    seed += 1;
                }
            }
        }
        let copy = |from: &str, to: &str| fs::copy(at(from), at(to)).unwrap();
        copy("test/cat/1.png", "train/cat/leak.png");
        copy("train/cat/2.png", "train/cat/twice.png");
        copy("val/dog/3.png", "val/cat/conflict.png");
        let small = imageops::resize(&picture(14), 48, 36, FilterType::Triangle);
        put(root.path(), "train/dog/near leak.jpg", &small);
        let png = fs::read(at("train/cat/0.png")).unwrap();
        fs::write(at("train/dog/cut.png"), &png[..png.len() / 2]).unwrap();
        for (name, value) in [("black", 0), ("grey", 99)] {
            let blank = RgbImage::from_pixel(64, 48, Rgb([value; 3]));
            put(root.path(), &format!("train/cat/{name}.png"), &blank);
        }
        fs::write(at("train/notes.TXT"), "none").unwrap();
        root
    }

    fn paths(groups: &[Group], kind: fn(&Group) -> bool) -> Vec<Vec<&str>> {
        let of_kind = groups.iter().filter(|group| kind(group));
        of_kind
            .map(|g| g.files.iter().map(|f| f.path.as_str()).collect())
            .collect()
    }

    #[test]
    fn every_trouble_is_found_and_nothing_else() {
        let root = messy();
        let calls = AtomicUsize::new(0);
        let scan = scan(root.path()).unwrap();
        let report = check(&scan, &CheckOptions::default(), || {
            calls.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(calls.into_inner(), report.pictures);
        assert_eq!(report.pictures, 24 + 7);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!((report.leaks, report.conflicts), (2, 1));
        assert_eq!(
            paths(&report.groups, |g| g.leak),
            [
                ["test/cat/1.png", "train/cat/leak.png"],
                ["val/dog/2.png", "train/dog/near leak.jpg"],
            ]
        );
        assert_eq!(
            paths(&report.groups, |g| g.conflict),
            [["val/cat/conflict.png", "val/dog/3.png"]]
        );
        assert_eq!(
            paths(&report.groups, |g| !g.leak && !g.conflict),
            [["train/cat/2.png", "train/cat/twice.png"]]
        );
        let near: Vec<_> = report
            .groups
            .iter()
            .flat_map(|g| &g.files)
            .filter(|f| !f.exact)
            .collect();
        assert_eq!(near.len(), 1);
        assert_eq!(near[0].path, "train/dog/near leak.jpg");

        assert_eq!(report.broken.len(), 1);
        assert_eq!(report.broken[0].path, "train/dog/cut.png");
        let odd: Vec<_> = report
            .odd
            .iter()
            .map(|o| (o.path.as_str(), o.oddity))
            .collect();
        assert_eq!(
            odd,
            [
                ("train/cat/black.png", Oddity::Blank),
                ("train/cat/grey.png", Oddity::Blank)
            ]
        );
        assert_eq!(report.balance["train"]["cat"], 8);
        assert_eq!(report.balance["val"]["dog"], 4);
        assert_eq!(report.formats, [("JPEG", 1), ("PNG", 29)].into());
        assert_eq!(report.ignored, [("txt".to_owned(), 1)].into());
        let sizes = report.sizes.as_ref().unwrap();
        assert_eq!(
            (sizes.width.min, sizes.width.median, sizes.height.max),
            (48, 64, 48)
        );
        assert_eq!(sizes.common, [(64, 48, 29), (48, 36, 1)]);
        assert!(report.needs_attention());
    }

    #[test]
    fn with_near_off_only_bytes_count() {
        let root = messy();
        let options = CheckOptions {
            near: None,
            ..CheckOptions::default()
        };
        let report = check(&scan(root.path()).unwrap(), &options, || ());
        assert_eq!(
            (report.leaks, report.conflicts, report.groups.len()),
            (1, 1, 3)
        );
        assert!(report.groups.iter().flat_map(|g| &g.files).all(|f| f.exact));
    }

    #[test]
    fn a_clean_folder_needs_no_attention() {
        let root = tempfile::tempdir().unwrap();
        for i in 0..6 {
            put(
                root.path(),
                &format!("{}/{i}.png", ["cat", "dog"][i as usize % 2]),
                &picture(i),
            );
        }
        let report = check(&scan(root.path()).unwrap(), &CheckOptions::default(), || ());
        assert!(!report.needs_attention(), "{report:?}");
        assert!(
            report.groups.is_empty() && report.odd.is_empty(),
            "{report:?}"
        );
        assert_eq!(
            report.balance["all"],
            [("cat".into(), 3), ("dog".into(), 3)].into()
        );
    }

    #[test]
    fn folders_that_cannot_be_trained_on_need_attention() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "cat/0.png", &picture(0));
        let report = check(&scan(root.path()).unwrap(), &CheckOptions::default(), || ());
        assert!(report.problems[0].contains("one class only"), "{report:?}");
        assert!(report.needs_attention());
    }
}
