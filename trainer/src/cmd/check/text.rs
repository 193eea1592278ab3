//! `kiln check`'s report for people: what must be put right first, then what may be looked at.

use std::borrow::Cow;
use std::path::Path;

use indicatif::{HumanBytes, HumanCount};

use super::table::balance;
use crate::data::Split;
use crate::data::check::{Group, Odd, Range, Report, Sizes};
use crate::data::clean::{Cleaned, REMOVED};
use crate::data::inspect::Oddity;
use crate::disk;

/// Findings of a kind that are shown without `--all`.
const FEW: usize = 10;
/// Pictures of a group that are shown without `--all`.
const FEW_MEMBERS: usize = 5;
/// Share of the pictures from which on looking the same is no exception.
const MANY_ALIKE: f64 = 0.05;
/// Extensions of pictures that Kiln does not read.
const FOREIGN: [&str; 12] = [
    "heic", "heif", "avif", "jxl", "jp2", "tif", "tiff", "svg", "dng", "cr2", "nef", "arw",
];

/// All that was found; of each kind the first few, unless `all`.
pub fn report(report: &Report, all: bool) -> String {
    let shown = Shown { all };
    let of_kind = |kind: fn(&Group) -> bool| {
        let groups = report.groups.iter().filter(|group| kind(group));
        groups.map(|group| shown.group(group)).collect()
    };
    let broken = report.broken.iter();
    let sections = [
        headline(report),
        shown.list(
            "CANNOT BE TRAINED ON",
            "",
            report.problems.iter().map(|p| plain(p).into()).collect(),
        ),
        shown.list(
            "LEAKS, the same picture in several splits",
            "what was learnt by heart counts as understood",
            of_kind(|group| group.leak),
        ),
        shown.list(
            "CONFLICTS, the same picture in several classes",
            "one of the labels is wrong",
            of_kind(|group| group.conflict),
        ),
        shown.list(
            "BROKEN",
            "training leaves them out",
            broken
                .map(|b| format!("{} {}", plain(&b.path), b.reason))
                .collect(),
        ),
        shown.list(
            "Doubled within a split and class",
            match report.balance.contains_key("all") {
                true => "a drawn split may make leaks of them",
                false => "they weigh more than others",
            },
            of_kind(|group| !group.leak && !group.conflict),
        ),
        alike(report),
        shown.oddities(&report.odd),
        balance(&report.balance, all),
        report
            .sizes
            .as_ref()
            .map(|s| sizes(s, report))
            .unwrap_or_default(),
    ];
    let sections: Vec<String> = sections.into_iter().filter(|s| !s.is_empty()).collect();
    sections.join("\n\n")
}

/// The last line: what there is to do.
pub fn verdict(report: &Report, data: &Path) -> String {
    let found = [
        (
            report.problems.len(),
            "folder that does not fit",
            "folders that do not fit",
        ),
        (report.leaks, "leak", "leaks"),
        (report.conflicts, "conflict", "conflicts"),
        (report.broken.len(), "broken file", "broken files"),
    ];
    let found: Vec<String> = found
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, more)| count(n, one, more))
        .collect();
    if !report.needs_attention() {
        return "Nothing that must be put right.".into();
    }
    let mut text = format!("To put right: {}.", found.join(", "));
    if report.leaks + report.conflicts + report.broken.len() > 0 {
        let data = disk::typed(data);
        text += &format!(
            "\n`kiln check {data} --fix NEW` writes a copy to NEW, without leaks, conflicts, doubles and \
             broken files."
        );
    }
    text
}

/// What became of `--fix`, and what still keeps the copy from being trained on.
pub fn cleaned(cleaned: &Cleaned, problems: &[String]) -> String {
    let mut text = format!(
        "Copied {} to {}.\nLeft out {}; {} says why.",
        count(cleaned.kept, "picture", "pictures"),
        cleaned.folder.display(),
        HumanCount(cleaned.removed as u64),
        cleaned.folder.join(REMOVED).display(),
    );
    for problem in problems {
        text += &format!("\nStill to put right: {}", plain(problem));
    }
    text
}

fn headline(report: &Report) -> String {
    let mut splits = Split::ALL.map(Split::name).to_vec();
    splits.retain(|split| report.balance.contains_key(split));
    let splits = match splits.as_slice() {
        [] => "no split folders, so splits will be drawn".to_owned(),
        names => format!("split into {}", names.join(", ")),
    };
    let pictures = count(report.pictures, "picture", "pictures");
    let classes = count(report.classes.len(), "class", "classes");
    format!("{}: {pictures}, {classes}, {splits}", plain(&report.data))
}

/// Where many pictures look the same, that may be how they were taken.
fn alike(report: &Report) -> String {
    let members = report.groups.iter().flat_map(|group| &group.files);
    let alike = members.filter(|file| !file.exact).count();
    if alike as f64 <= MANY_ALIKE * report.pictures as f64 {
        return String::new();
    }
    "Many pictures look the same (~). If they come from a camera that does not move, or show the same \
     thing each time,\nthat is their nature, and no fault: use `--near off`, or a smaller N with `--near N`."
        .to_owned()
}

fn sizes(sizes: &Sizes, report: &Report) -> String {
    let range = |Range { min, median, max }| match min == max {
        true => min.to_string(),
        false => format!("{min} to {max} (half of them up to {median})"),
    };
    let bytes = |n| HumanBytes(n).to_string();
    let Range { min, median, max } = sizes.bytes;
    let formats: Vec<String> = report
        .formats
        .iter()
        .map(|(format, n)| format!("{} {format}", HumanCount(*n as u64)))
        .collect();
    let mut lines = vec![
        format!("Width   {}", range(sizes.width)),
        format!("Height  {}", range(sizes.height)),
        format!(
            "Files   {} to {} (half of them up to {})",
            bytes(min),
            bytes(max),
            bytes(median)
        ),
        format!("Formats {}", formats.join(", ")),
    ];
    if sizes.common.len() > 1 {
        let common = sizes.common.iter();
        let common = common.map(|(w, h, n)| format!("{w}x{h} ({})", HumanCount(*n as u64)));
        lines.push(format!("Sizes   {}", common.collect::<Vec<_>>().join(", ")));
    }
    if !report.ignored.is_empty() {
        let ignored = report.ignored.iter().map(|(extension, n)| {
            let name = match extension.as_str() {
                "" => "without extension".into(),
                extension => format!(".{}", plain(extension)),
            };
            format!("{} {name}", HumanCount(*n as u64))
        });
        lines.push(format!(
            "Ignored {}",
            ignored.collect::<Vec<_>>().join(", ")
        ));
        if report.ignored.keys().any(|e| FOREIGN.contains(&e.as_str())) {
            lines.push(
                "        Some of these are pictures; convert them to JPEG or PNG to use them."
                    .into(),
            );
        }
    }
    lines.join("\n")
}

/// How much is shown.
struct Shown {
    all: bool,
}

impl Shown {
    fn few(&self, count: usize, few: usize) -> usize {
        if self.all { count } else { count.min(few) }
    }

    /// A title with the count, then the first few.
    fn list(&self, title: &str, why: &str, items: Vec<String>) -> String {
        if items.is_empty() {
            return String::new();
        }
        let few = self.few(items.len(), FEW);
        let mut lines = vec![format!("{title}: {}", HumanCount(items.len() as u64))];
        if !why.is_empty() {
            lines[0] += &format!(" ({why})");
        }
        lines.extend(items[..few].iter().map(|item| format!("  {item}")));
        if few < items.len() {
            let more = HumanCount((items.len() - few) as u64);
            lines.push(format!("  … and {more} more; --all lists them"));
        }
        lines.join("\n")
    }

    /// The picture to keep, and below it the others: `=` the same file, `~` looks the same.
    fn group(&self, group: &Group) -> String {
        let (first, others) = match group.files.split_first() {
            Some((first, others)) => (plain(&first.path), others),
            None => return String::new(),
        };
        let few = self.few(others.len(), FEW_MEMBERS);
        let mut lines = vec![first.into_owned()];
        for file in &others[..few] {
            let (sign, how) = match file.exact {
                true => ("=", "the same file"),
                false => ("~", "looks the same"),
            };
            lines.push(format!("    {sign} {}  ({how})", plain(&file.path)));
        }
        if few < others.len() {
            lines.push(format!(
                "    … and {}",
                HumanCount((others.len() - few) as u64)
            ));
        }
        lines.join("\n")
    }

    fn oddities(&self, odd: &[Odd]) -> String {
        let kinds = [
            (Oddity::Blank, "Worth a look: blank, one colour or nearly"),
            (
                Oddity::Tiny,
                "Worth a look: tiny, a side shorter than 32 pixels",
            ),
            (
                Oddity::Long,
                "Worth a look: long, one side four times the other or more",
            ),
            (Oddity::Huge, "Worth a look: huge, more than 36 megapixels"),
            (
                Oddity::Extension,
                "Worth a look: extension and content differ, the content counts",
            ),
            (
                Oddity::Animated,
                "Worth a look: animated, the first frame counts",
            ),
        ];
        let lists = kinds.map(|(kind, title)| {
            let of_kind = odd.iter().filter(|odd| odd.oddity == kind);
            let show = |odd: &Odd| {
                let Odd {
                    width,
                    height,
                    format,
                    ..
                } = odd;
                format!("{}  {width}x{height} {format}", plain(&odd.path))
            };
            self.list(title, "", of_kind.map(show).collect())
        });
        let lists: Vec<String> = lists.into_iter().filter(|l| !l.is_empty()).collect();
        lists.join("\n\n")
    }
}

/// `1 picture`, `22,474 pictures`.
pub(super) fn count(n: usize, one: &str, more: &str) -> String {
    format!(
        "{} {}",
        HumanCount(n as u64),
        if n == 1 { one } else { more }
    )
}

/// A name with nothing in it that a terminal would obey.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    match name.contains(char::is_control) {
        true => name.escape_debug().to_string().into(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::check::{Broken, Member};

    fn group(leak: bool, conflict: bool, paths: &[(&str, bool)]) -> Group {
        let member = |&(path, exact): &(&str, bool)| Member {
            path: path.into(),
            split: None,
            class: "cat".into(),
            exact,
        };
        Group {
            leak,
            conflict,
            files: paths.iter().map(member).collect(),
        }
    }

    fn sample() -> Report {
        let counts = |n| [("cat".to_owned(), n), ("dog".to_owned(), n)].into();
        let broken = |i| Broken {
            path: format!("train/cat/{i}.jpg"),
            reason: "is empty".into(),
        };
        Report {
            data: "photos".into(),
            pictures: 2048,
            classes: vec!["cat".into(), "dog".into()],
            problems: Vec::new(),
            broken: (0..12).map(broken).collect(),
            leaks: 1,
            conflicts: 0,
            groups: vec![
                group(
                    false,
                    false,
                    &[("train/cat/a.png", true), ("train/cat/b.png", true)],
                ),
                group(
                    true,
                    false,
                    &[("test/cat/c\x1b[31m.png", true), ("train/cat/d.png", false)],
                ),
            ],
            odd: Vec::new(),
            balance: [("train", counts(1000)), ("test", counts(24))].into(),
            formats: [("JPEG", 2036)].into(),
            sizes: None,
            ignored: Default::default(),
        }
    }

    #[test]
    fn what_must_be_put_right_comes_first() {
        let text = report(&sample(), false);
        let want = "\
photos: 2,048 pictures, 2 classes, split into train, test

LEAKS, the same picture in several splits: 1 (what was learnt by heart counts as understood)
  test/cat/c\\u{1b}[31m.png
    ~ train/cat/d.png  (looks the same)

BROKEN: 12 (training leaves them out)
  train/cat/0.jpg is empty
";
        assert!(text.starts_with(want), "{text}");
        assert!(text.contains("  train/cat/9.jpg is empty\n  … and 2 more; --all lists them\n\n"));
        assert!(
            text.contains("    = train/cat/b.png  (the same file)"),
            "{text}"
        );
        assert!(!text.contains("Many pictures look the same"), "{text}");
        assert!(report(&sample(), true).contains("train/cat/11.jpg"));
    }

    #[test]
    fn the_verdict_counts_and_says_what_to_do() {
        let mut found = sample();
        let text = verdict(&found, Path::new("photos"));
        let want = "To put right: 1 leak, 12 broken files.\n`kiln check photos --fix NEW` writes";
        assert!(text.starts_with(want), "{text}");
        found.broken.clear();
        found.leaks = 0;
        found.problems.push("photos/cow: holds no picture".into());
        let text = verdict(&found, Path::new("photos"));
        assert_eq!(text, "To put right: 1 folder that does not fit.");
        found.problems.clear();
        assert_eq!(
            verdict(&found, Path::new("photos")),
            "Nothing that must be put right."
        );
    }

    #[test]
    fn many_alike_are_taken_for_their_nature() {
        let mut found = sample();
        found.pictures = 10;
        assert!(report(&found, false).contains("`--near off`"));
    }
}
