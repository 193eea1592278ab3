//! What may change between versions.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use semver::{Version, VersionReq};

/// What a release showed.
pub struct Released {
    pub version: Version,
    items: Vec<String>,
}

impl Released {
    /// `# kiln-core VERSION`, then an item a line.
    ///
    /// # Errors
    /// The first line is another.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let version = lines
            .next()
            .and_then(|line| line.strip_prefix("# kiln-core "));
        let version = version.context("the first line does not say `# kiln-core VERSION`")?;
        Ok(Self {
            version: version.parse()?,
            items: lines.map(str::to_owned).collect(),
        })
    }
}

/// The last release that a changelog names, the newest first: `## 1.2.3`, with whatever is behind it. What is
/// not released yet is below `## Unreleased`.
///
/// # Errors
/// A heading is neither.
pub fn last_release(changelog: &str) -> Result<Option<Version>> {
    let mut headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "));
    let heading = headings.find(|heading| *heading != "Unreleased");
    let Some(heading) = heading else {
        return Ok(None);
    };
    let word = heading.split_whitespace().next().unwrap_or_default();
    let version = word.parse();
    version.map(Some).with_context(|| {
        format!("CHANGELOG.md: `## {heading}` is neither Unreleased nor a version")
    })
}

/// Whether a version may show these items after a release: the same version the same ones, a compatible one
/// (as cargo has it: before 1.0 the same minor number) what breaks no program, any other later one whatever it
/// likes.
///
/// # Errors
/// What breaks programs, and which number has to change.
pub fn judge(released: &Released, version: &Version, items: &[String]) -> Result<()> {
    let last = &released.version;
    if version < last {
        bail!(
            "{last} is released and the crate's version is {version}: state a later one in Cargo.toml"
        );
    }
    if version == last && released.items != items {
        bail!(
            "kiln-core {last} is released and showed something else: state the next version in Cargo.toml"
        );
    }
    let broken = broken(&released.items, items);
    let compatible = VersionReq::parse(&format!("^{last}"))?.matches(version);
    if compatible && !broken.is_empty() {
        let number = if last.major == 0 { "minor" } else { "major" };
        bail!(
            "{version} is to be compatible with {last}, but breaks what uses that; undo it or state a version \
             with the next {number} number in Cargo.toml\n{}",
            broken.join("\n")
        );
    }
    Ok(())
}

/// What is gone or different; and what is new in an enum, a struct or a trait that programs may match, make or
/// implement whole.
fn broken(old: &[String], new: &[String]) -> Vec<String> {
    let gone = old.iter().filter(|item| !new.contains(item));
    let gone = gone.map(|item| format!("- {item}"));
    let owners: HashMap<String, &String> = old
        .iter()
        .filter_map(|item| Some((path(item)?, item)))
        .collect();
    let added = new.iter().filter(|item| !old.contains(item));
    let breaking = added.filter(|item| {
        let path = path(item).unwrap_or_default();
        let owner = path
            .rsplit_once("::")
            .and_then(|(owner, _)| owners.get(owner));
        owner.is_some_and(|owner| {
            let member = item.contains(&format!("pub {path}"));
            member && !owner.contains("#[non_exhaustive]") || owner.contains(" trait ")
        })
    });
    gone.chain(breaking.map(|item| format!("+ {item}")))
        .collect()
}

/// The path of what a line is about, without generic parameters; none for `impl`.
fn path(item: &str) -> Option<String> {
    let (_, shown) = item.split_once("pub ")?;
    let (mut path, mut depth) = (String::new(), 0);
    let mut rest = shown[shown.find("kiln_core")?..].chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth > 0 => {}
            ':' if rest.peek() == Some(&':') => {
                rest.next();
                path.push_str("::");
            }
            letter if letter.is_alphanumeric() || letter == '_' => path.push(letter),
            _ => break,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: [&str; 9] = [
        "pub mod kiln_core",
        "pub enum kiln_core::Error",
        "pub kiln_core::Error::Short",
        "#[non_exhaustive] pub enum kiln_core::Problem",
        "pub struct kiln_core::Model<'m, O>",
        "pub const fn kiln_core::Model<'m, O>::name(&self) -> &'m str",
        "pub trait kiln_core::Operators: core::marker::Copy",
        "pub trait kiln_core::Take<'a, T>",
        "impl core::clone::Clone for kiln_core::Error",
    ];

    fn items() -> Vec<String> {
        ITEMS.map(str::to_owned).to_vec()
    }

    fn judged(version: &str, items: &[String]) -> Result<(), String> {
        let released = Released::parse(&format!("# kiln-core 0.1.2\n{}\n", ITEMS.join("\n")));
        let judged = judge(&released.unwrap(), &version.parse().unwrap(), items);
        judged.map_err(|error| error.to_string())
    }

    #[test]
    fn a_released_version_stays_as_it_is() {
        assert_eq!(judged("0.1.2", &items()), Ok(()));
        let mut more = items();
        more.push("pub fn kiln_core::more()".to_owned());
        assert!(judged("0.1.2", &more).unwrap_err().contains("next version"));
        assert_eq!(judged("0.1.3", &more), Ok(()));
        assert!(
            judged("0.1.1", &items())
                .unwrap_err()
                .contains("a later one")
        );
    }

    #[test]
    fn what_is_gone_takes_an_incompatible_version() {
        for (at, gone) in ITEMS.into_iter().enumerate() {
            let mut less = items();
            less.remove(at);
            let error = judged("0.1.9", &less).unwrap_err();
            assert!(error.contains(&format!("\n- {gone}")), "{error}");
            assert!(error.contains("next minor number"), "{error}");
            for version in ["0.2.0", "1.0.0"] {
                assert_eq!(judged(version, &less), Ok(()), "{gone}");
            }
        }
    }

    #[test]
    fn after_1_0_it_takes_a_major_number() {
        let released = Released::parse("# kiln-core 1.2.0\npub mod kiln_core\n").unwrap();
        let version = |text: &str| text.parse().unwrap();
        let error = judge(&released, &version("1.3.0"), &[]).unwrap_err();
        assert!(error.to_string().contains("next major number"), "{error}");
        assert!(judge(&released, &version("2.0.0"), &[]).is_ok());
    }

    #[test]
    fn some_of_what_is_new_breaks_programs_too() {
        let cases = [
            ("pub kiln_core::Error::Long", true),
            ("pub kiln_core::Error::Short::needed: usize", true),
            ("pub kiln_core::Model::name: u32", true),
            ("pub const kiln_core::Operators::MORE: usize", true),
            ("pub fn kiln_core::Take<'a, T>::more(&'a self)", true),
            ("pub kiln_core::Problem::Other(u8)", false),
            ("pub fn kiln_core::Model<'m, O>::more(&self)", false),
            ("pub fn kiln_core::Error::more(&self)", false),
            ("pub enum kiln_core::Other", false),
            ("pub kiln_core::Other::First", false),
            ("impl core::marker::Copy for kiln_core::Error", false),
        ];
        for (item, breaks) in cases {
            let mut more = items();
            more.push(item.to_owned());
            let judged = judged("0.1.3", &more);
            assert_eq!(judged.is_err(), breaks, "{item}");
            if let Err(error) = judged {
                assert!(error.contains(&format!("\n+ {item}")), "{error}");
            }
        }
    }

    #[test]
    fn the_last_release_is_the_first_that_a_changelog_names() {
        let version = |text: &str| last_release(text).map_err(|error| error.to_string());
        assert_eq!(
            version("# Changelog\n\n## Unreleased\n\n- 0.1.0\n"),
            Ok(None)
        );
        let text = "## Unreleased\n\n## 0.2.0 - 1 May\n### More\n## 0.1.0\n";
        assert_eq!(version(text), Ok(Some(Version::new(0, 2, 0))));
        assert!(version("## v0.1.0\n").unwrap_err().contains("`## v0.1.0`"));
    }

    #[test]
    fn what_a_release_showed_names_it() {
        assert!(Released::parse("pub mod kiln_core\n").is_err());
        assert!(Released::parse("").is_err());
    }
}
