//! `cargo xtask api`: what `kiln-core` shows to its users, an item a line, and what may become of it.
//!
//! `API.txt` is what the code shows now: `cargo xtask style` compares. `API-released.txt` is what the last
//! release showed. CHANGELOG.md says which that is: as soon as it names another, the check asks for what that
//! one shows to be kept. From then on the crate's version says what may change: the rule is [`promise::judge`]'s.

mod promise;

use std::collections::HashSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use semver::Version;
use serde::Deserialize;

use crate::repo::{Repo, call};
use promise::{Released, judge, last_release};

const LISTING: &str = "runtime/core/API.txt";
const RELEASED: &str = "runtime/core/API-released.txt";

/// What the code shows.
struct Surface {
    /// Of the crate.
    version: Version,
    items: Vec<String>,
}

/// Writes the listing anew, and keeps it as the release's where CHANGELOG.md names a new one.
///
/// # Errors
/// The crate's version does not allow of what has changed.
pub fn write(repo: &Repo) -> Result<()> {
    let surface = Surface::of_code(repo)?;
    let (released, last) = (released(repo)?, last_release(&read(repo, "CHANGELOG.md")?)?);
    if let Some(released) = &released {
        judge(released, &surface.version, &surface.items)?;
    }
    let text = surface.items.join("\n") + "\n";
    if let Some(last) = last
        && released.is_none_or(|released| released.version != last)
    {
        if last != surface.version {
            bail!(
                "CHANGELOG.md says that {last} is the last release, but the crate is {}: release what it is",
                surface.version
            );
        }
        put(repo, RELEASED, &format!("# kiln-core {last}\n{text}"))?;
    }
    put(repo, LISTING, &text)
}

/// The listing is that of the code, and the code shows what its version promises.
///
/// # Errors
/// Which lines differ, or what the next version must be.
pub fn check(repo: &Repo) -> Result<()> {
    let surface = Surface::of_code(repo)?;
    let listing = read(repo, LISTING)?;
    let listed: Vec<&str> = listing.lines().collect();
    let items: Vec<&str> = surface.items.iter().map(String::as_str).collect();
    if listed != items {
        bail!(
            "what kiln-core shows is not what {LISTING} lists; `cargo xtask api` writes it anew\n{}",
            differences(&listed, &items).join("\n")
        );
    }
    let released = released(repo)?;
    let kept = released.as_ref().map(|released| &released.version);
    let last = last_release(&read(repo, "CHANGELOG.md")?)?;
    if kept != last.as_ref() {
        let name = |version: Option<&Version>| version.map_or("none".into(), Version::to_string);
        bail!(
            "the last release is {} in CHANGELOG.md and {} in {RELEASED}; `cargo xtask api` keeps what the \
             former shows",
            name(last.as_ref()),
            name(kept),
        );
    }
    released.map_or(Ok(()), |released| {
        judge(&released, &surface.version, &surface.items)
    })
}

/// `cargo rustdoc` of the crate, with what only unstable options of it give: in a folder of its own, so that
/// nothing else is built anew.
pub fn rustdoc(repo: &Repo) -> Command {
    let mut command = repo.cargo(&["rustdoc", "--locked", "--package", "kiln-core", "--lib"]);
    command.arg("--target-dir").arg(repo.target.join("api"));
    command
        .args(["--", "-Zunstable-options"])
        .env("RUSTC_BOOTSTRAP", "1");
    command
}

impl Surface {
    fn of_code(repo: &Repo) -> Result<Self> {
        #[derive(Deserialize)]
        struct Crate {
            crate_version: String,
        }
        call(rustdoc(repo).args(["--output-format", "json"]))?;
        let path = repo.target.join("api/doc/kiln_core.json");
        let list = |derived: bool| {
            public_api::Builder::from_rustdoc_json(&path)
                .omit_blanket_impls(true)
                .omit_auto_trait_impls(true)
                .omit_auto_derived_impls(!derived)
                .build()
                .map(|api| api.items().map(ToString::to_string).collect())
                .context(
                    "`public-api` does not know what this compiler's rustdoc writes; it knows what Rust 1.95 \
                     does: `rustup run 1.95.0 cargo xtask api`",
                )
        };
        let items = items(list(true)?, &list(false)?)?;
        let Crate { crate_version } = serde_json::from_str(&fs::read_to_string(&path)?)?;
        Ok(Self {
            version: crate_version.parse()?,
            items,
        })
    }
}

/// Each item once; of what is derived that it is, without the methods that come with it.
fn items(all: Vec<String>, written: &[String]) -> Result<Vec<String>> {
    let written: HashSet<&String> = written.iter().collect();
    let mut seen = HashSet::new();
    let mut kept = all;
    kept.retain(|item| {
        // The compiler's own, which nobody can name.
        let derived = item.starts_with("impl") && !item.contains("StructuralPartialEq");
        (derived || written.contains(item)) && seen.insert(item.clone())
    });
    if let Some(item) = kept.iter().find(|item| item.starts_with("pub use")) {
        bail!(
            "`{item}` shows what a hidden module has, which no listing goes into: define it in one that is not"
        );
    }
    Ok(kept)
}

/// Lines that one has and the other has not.
fn differences(old: &[&str], new: &[&str]) -> Vec<String> {
    let lacks = |lines: &[&str], line: &&str| !lines.contains(line);
    let gone = old.iter().filter(|line| lacks(new, line));
    let added = new.iter().filter(|line| lacks(old, line));
    let gone = gone.map(|line| format!("- {line}"));
    gone.chain(added.map(|line| format!("+ {line}"))).collect()
}

fn released(repo: &Repo) -> Result<Option<Released>> {
    if !repo.root.join(RELEASED).exists() {
        return Ok(None);
    }
    let released = Released::parse(&read(repo, RELEASED)?);
    released.with_context(|| RELEASED).map(Some)
}

fn read(repo: &Repo, path: &str) -> Result<String> {
    fs::read_to_string(repo.root.join(path)).with_context(|| path.to_owned())
}

fn put(repo: &Repo, path: &str, text: &str) -> Result<()> {
    eprintln!("writing {path}");
    fs::write(repo.root.join(path), text).with_context(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_derived_is_a_line_and_its_methods_are_none() {
        let all = lines(&[
            "pub struct a::B",
            "impl core::clone::Clone for a::B",
            "pub fn a::B::clone(&self) -> a::B",
            "impl core::marker::StructuralPartialEq for a::B",
            "impl core::fmt::Display for a::B",
            "pub fn a::B::fmt(&self)",
            "impl core::fmt::Display for a::B",
        ]);
        let written = [&all[0], &all[4], &all[5]].map(String::clone);
        let expected = [&all[0], &all[1], &all[4], &all[5]].map(String::clone);
        assert_eq!(items(all.clone(), &written).unwrap(), expected);
    }

    #[test]
    fn what_the_listing_cannot_show_is_refused() {
        let all = lines(&["pub mod a", "pub use a::B"]);
        let error = items(all.clone(), &all).unwrap_err().to_string();
        assert!(error.contains("`pub use a::B`"), "{error}");
    }

    #[test]
    fn differences_are_named() {
        let found = differences(&["a", "b", "c"], &["b", "d", "c"]);
        assert_eq!(found, ["- a", "+ d"]);
        assert_eq!(differences(&["a"], &["a"]), [""; 0]);
    }
}
