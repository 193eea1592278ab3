//! Every relative link of README.md, of docs/ and of what lies beside the code leads somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// The Markdown files below a folder, but for what is built or fetched.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

fn links(text: &str) -> Vec<String> {
    let links = Parser::new(text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.into_string())
        }
        _ => None,
    });
    links.collect()
}

/// What GitHub calls the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let (mut anchors, mut heading): (Vec<String>, Option<String>) = (Vec::new(), None);
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
                let text = heading.take().unwrap_or_default().to_lowercase();
                anchors.push(
                    text.chars()
                        .filter(kept)
                        .collect::<String>()
                        .replace(' ', "-"),
                );
            }
            _ => {}
        }
    }
    anchors
}

/// What is wrong with a link of a page.
fn wrong(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(path)
    };
    if !target.exists() {
        return Some(format!("{}: {link}: there is no such file", page.display()));
    }
    let text = fs::read_to_string(&target).unwrap_or_default();
    let known = anchor.is_empty() || anchors(&text).iter().any(|known| known == anchor);
    (!known).then(|| format!("{}: {link}: there is no such heading", page.display()))
}

#[test]
fn relative_links_lead_to_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut found, mut problems, mut count) = (Vec::new(), Vec::new(), 0);
    pages(root, &mut found);
    for page in &found {
        for link in links(&fs::read_to_string(page).unwrap()) {
            count += 1;
            problems.extend(wrong(page, &link));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let of = |name: &str| found.contains(&root.join(name));
    assert!(
        of("README.md") && of("docs/README.md") && count > 50,
        "{count} links in {found:?}"
    );
}

#[test]
fn a_link_to_nothing_is_found() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    assert_eq!(links("a [b](c.md) `[d](e)` ![f](g.png)"), ["c.md", "g.png"]);
    assert_eq!(
        anchors("# What it is: a `b`, c_d\n"),
        ["what-it-is-a-b-c_d"]
    );
    for link in ["nowhere.md", "README.md#nothing", "#nothing"] {
        assert!(wrong(&page, link).is_some(), "{link}");
    }
    for link in ["https://example.org/x", "README.md#kiln", "LICENSE-MIT"] {
        assert_eq!(wrong(&page, link), None);
    }
}
