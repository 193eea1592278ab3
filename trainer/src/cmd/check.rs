//! `kiln check`

mod table;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ui;
use crate::data::check::{CheckOptions, Report, check};
use crate::data::clean::{Cleaned, check_target, write_clean};
use crate::data::decode::Limits;
use crate::data::near::MAX_DISTANCE;
use crate::data::scan::{Scan, scan};

/// `kiln check`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln check photos                       what is wrong with a folder of pictures
  kiln check photos --all                 every finding, not only the first ten of a kind
  kiln check photos --fix photos-clean    and a cleaned copy; photos stays as it is
  kiln check photos --near off            only files of the same bytes count as the same
  kiln check photos --json > report.json

Exit codes: 0 nothing to put right, or a cleaned copy was written; 1 broken pictures, leaks,
conflicts, or folders that cannot be trained on; 2 an error.")]
pub struct CheckArgs {
    /// The pictures: DATA/CLASS/… or DATA/SPLIT/CLASS/… with train, val and test.
    pub data: PathBuf,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write a copy to this new folder, without broken and doubled pictures.
    #[arg(long, value_name = "DIR")]
    pub fix: Option<PathBuf>,
    /// How far the hashes of pictures that look the same may be apart, 0 to 16 bits of 64; or `off`.
    #[arg(long, value_name = "N", default_value = "10", value_parser = near)]
    pub near: Near,
    /// List every finding.
    #[arg(long, conflicts_with = "json")]
    pub all: bool,
}

/// The value of `--near`; none stands for `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near(pub Option<u32>);

fn near(text: &str) -> Result<Near, String> {
    match text.parse() {
        Ok(bits) if bits <= MAX_DISTANCE => Ok(Near(Some(bits))),
        _ if text == "off" => Ok(Near(None)),
        _ => Err(format!("give a number from 0 to {MAX_DISTANCE}, or off")),
    }
}

/// The report as JSON.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    report: &'a Report,
    needs_attention: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cleaned: Option<&'a Cleaned>,
    /// What keeps the copy from being trained on, or is missing from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    still: Option<&'a Vec<String>>,
}

/// Checks, prints what was found, and writes the cleaned copy if one is wanted.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let scan = scan(&args.data)?;
    // Better said before looking at every picture than after.
    if let Some(folder) = &args.fix {
        check_target(&args.data, folder)?;
    }
    let options = CheckOptions {
        limits: Limits::default(),
        near: args.near.0,
    };
    let bar = ui::bar(scan.files.len(), "looking");
    let report = check(&scan, &options, || bar.inc(1));
    bar.finish_and_clear();
    if !args.json {
        ui::print(text::report(&report, args.all))?;
        ui::print("")?;
    }

    let mut needs_attention = report.needs_attention();
    let mut cleaned = None;
    let mut problems = Vec::new();
    if let Some(folder) = &args.fix {
        let bar = ui::bar(scan.files.len(), "copying");
        cleaned = Some(write_clean(&scan, &report, folder, || bar.inc(1))?);
        bar.finish_and_clear();
        problems = problems_of(folder, &scan);
        needs_attention = !problems.is_empty();
    }
    if args.json {
        let output = Output {
            report: &report,
            needs_attention,
            cleaned: cleaned.as_ref(),
            still: cleaned.is_some().then_some(&problems),
        };
        ui::print(serde_json::to_string_pretty(&output)?)?;
    } else if let Some(cleaned) = &cleaned {
        ui::print(text::cleaned(cleaned, &problems))?;
    } else {
        ui::print(text::verdict(&report, &args.data))?;
    }
    Ok(ExitCode::from(u8::from(needs_attention)))
}

/// What keeps a copy from being trained on, and which of the classes and splits are not in it any more.
fn problems_of(folder: &Path, original: &Scan) -> Vec<String> {
    let copy = match scan(folder) {
        Ok(copy) => copy,
        Err(error) => return vec![error.to_string()],
    };
    let mut problems: Vec<_> = copy.problems().iter().map(ToString::to_string).collect();
    let classes = original.classes.iter();
    let classes = classes.filter(|class| !copy.classes.contains(class));
    problems.extend(classes.map(|class| format!("class {class:?} has no picture left")));
    let is_left = |split| copy.splits.iter().any(|(left, _)| *left == split);
    let splits = original.splits.iter().filter(|(split, _)| !is_left(*split));
    problems.extend(splits.map(|(_, name)| format!("{name:?} has no picture left")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes of two pictures each.
    fn pictures() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (i, path) in ["cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png"]
            .iter()
            .enumerate()
        {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let turn = |x: u32, y: u32| [(x, y), (y, x), (40 - x, y), (y, 40 - x)][i];
            let picture = image::GrayImage::from_fn(40, 40, |x, y| {
                let (x, y) = turn(x, y);
                image::Luma([(x * x / 10 + y) as u8])
            });
            picture.save(path).unwrap();
        }
        root
    }

    #[test]
    fn the_exit_code_tells() {
        let root = pictures();
        let copies = tempfile::tempdir().unwrap();
        let check = |fix: Option<&str>| {
            run(&CheckArgs {
                data: root.path().into(),
                json: true,
                fix: fix.map(|name| copies.path().join(name)),
                near: Near(Some(10)),
                all: false,
            })
        };
        assert_eq!(check(None).unwrap(), ExitCode::SUCCESS);
        std::fs::write(root.path().join("dog/broken.png"), "no").unwrap();
        assert_eq!(check(None).unwrap(), ExitCode::from(1));
        assert_eq!(check(Some("clean")).unwrap(), ExitCode::SUCCESS);
        assert!(copies.path().join("clean/dog/3.png").exists());
        assert!(!copies.path().join("clean/dog/broken.png").exists());
        // A class that has nothing but broken pictures is missing from the copy.
        for name in ["2.png", "3.png"] {
            std::fs::write(root.path().join("dog").join(name), "no").unwrap();
        }
        assert_eq!(check(Some("one class")).unwrap(), ExitCode::from(1));
        // Nor does it go unsaid where two others are left.
        for name in ["0.png", "1.png"] {
            let [from, to] = ["cat", "cow"].map(|class| root.path().join(class).join(name));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            image::open(from).unwrap().rotate180().save(to).unwrap();
        }
        let copy = copies.path().join("two classes");
        assert_eq!(check(Some("two classes")).unwrap(), ExitCode::from(1));
        let problems = problems_of(&copy, &scan(root.path()).unwrap());
        assert_eq!(problems, ["class \"dog\" has no picture left"]);
        let error = check(Some("clean")).unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error}");
    }

    #[test]
    fn near_is_a_few_bits_or_off() {
        assert_eq!(near("0"), Ok(Near(Some(0))));
        assert_eq!(near("16"), Ok(Near(Some(16))));
        assert_eq!(near("off"), Ok(Near(None)));
        for wrong in ["17", "-1", "on", ""] {
            assert!(near(wrong).unwrap_err().contains("0 to 16"), "{wrong}");
        }
    }
}
