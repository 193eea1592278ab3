//! Everything about a folder of pictures that would spoil a training or flatter its result.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::Split;
use super::decode::Limits;
use super::inspect::{Inspector, Look, Oddity, Seen};
use super::near::repeats;
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
            near: Some(8),
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

/// Pictures that are the same. The first is the one to keep.
#[derive(Debug, Serialize)]
pub struct Group {
    /// In several splits.
    pub leak: bool,
    /// In several classes.
    pub conflict: bool,
    /// Two or more, in order of preference: test before val before train, then the larger.
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
    let groups = groups(scan, &looks, options.near);
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

/// Brings together the pictures that are the same, in order of their first paths.
fn groups(scan: &Scan, looks: &[Look], near: Option<u32>) -> Vec<Group> {
    let mut order: Vec<(usize, &Seen)> = (0..looks.len())
        .filter_map(|i| Some((i, looks[i].picture.as_ref().ok()?)))
        .collect();
    order.sort_by_key(|&(i, seen)| {
        let pixels = u64::from(seen.width) * u64::from(seen.height);
        let file = &scan.files[i];
        (Reverse(file.split), Reverse(pixels), &file.path)
    });

    // First by content. Each list begins with the picture that is preferred.
    let mut lists: Vec<Vec<usize>> = Vec::new();
    let mut list_of: HashMap<[u8; 32], usize> = HashMap::new();
    for &(i, _) in &order {
        let next = lists.len();
        match *list_of.entry(looks[i].content).or_insert(next) {
            list if list == next => lists.push(vec![i]),
            list => lists[list].push(i),
        }
    }

    // Then by looks, content by content. All blank pictures look the same, which says nothing.
    if let Some(max_distance) = near {
        let blank = |seen: &&Seen| seen.oddities.contains(&Oddity::Blank);
        let seen_of = |list: &[usize]| looks[list[0]].picture.as_ref().ok();
        let (compared, prints): (Vec<usize>, Vec<_>) = lists
            .iter()
            .enumerate()
            .filter_map(|(at, list)| Some((at, &seen_of(list).filter(|s| !blank(s))?.print)))
            .unzip();
        for (at, original) in repeats(&prints, max_distance).into_iter().enumerate() {
            if let Some(original) = original {
                let more = std::mem::take(&mut lists[compared[at]]);
                lists[compared[original]].extend(more);
            }
        }
    }

    let mut groups: Vec<Group> = lists
        .into_iter()
        .filter(|list| list.len() > 1)
        .map(|list| group(scan, looks, &list))
        .collect();
    groups.sort_by(|a, b| a.files[0].path.cmp(&b.files[0].path));
    groups
}

fn group(scan: &Scan, looks: &[Look], list: &[usize]) -> Group {
    let splits: BTreeSet<_> = list.iter().map(|&i| scan.files[i].split).collect();
    let classes: BTreeSet<_> = list.iter().map(|&i| scan.files[i].class).collect();
    let member = |&i: &usize| {
        let file = &scan.files[i];
        Member {
            path: file.path.clone(),
            split: file.split.map(Split::name),
            class: scan.classes[file.class].clone(),
            exact: looks[i].content == looks[list[0]].content,
        }
    };
    Group {
        leak: splits.len() > 1,
        conflict: classes.len() > 1,
        files: list.iter().map(member).collect(),
    }
}
