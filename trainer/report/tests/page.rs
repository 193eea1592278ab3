//! The page, as a browser's parser reads it.

#[path = "page/full.rs"]
mod full;

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use kiln_report::{Card, Report, render};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use self::full::full;

/// Everything that could end a tag, an attribute, a style or the text, and what is no text at all.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&amp;</style>\
                       </title>{{ 7 * 7 }}{% endif %}";

/// Gets an element's name, attributes and text.
type Visit<'a> = dyn FnMut(&str, &[(String, String)], &str) + 'a;

struct Page {
    dom: RcDom,
    html: String,
}

impl Page {
    fn new(report: &Report) -> Self {
        let html = render(report).unwrap();
        let options = ParseOpts::default();
        let dom = parse_document(RcDom::default(), options).one(&html[..]);
        Self { dom, html }
    }

    /// Calls `visit` with the name, the attributes and the text of each element.
    fn visit(&self, visit: &mut Visit<'_>) {
        walk(&self.dom.document, visit);
    }

    fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        self.visit(&mut |name, attributes, _| {
            let id = attributes.iter().find(|(key, _)| key == "id");
            ids.extend(id.filter(|_| name == "section").map(|(_, id)| id.clone()));
        });
        ids
    }

    fn text(&self) -> String {
        text(&self.dom.document)
    }
}

fn walk(node: &Handle, visit: &mut Visit<'_>) {
    if let NodeData::Element { name, attrs, .. } = &node.data {
        let pair = |a: &html5ever::Attribute| (a.name.local.to_string(), a.value.to_string());
        let attributes: Vec<_> = attrs.borrow().iter().map(pair).collect();
        visit(&name.local, &attributes, &text(node));
    }
    for child in node.children.borrow().iter() {
        walk(child, visit);
    }
}

fn text(node: &Handle) -> String {
    match &node.data {
        NodeData::Text { contents } => contents.borrow().to_string(),
        _ => node.children.borrow().iter().map(text).collect(),
    }
}

const ALL: [&str; 8] = [
    "accuracy",
    "mistakes",
    "reliability",
    "training",
    "quantization",
    "costs",
    "memory",
    "sizes",
];

#[test]
fn the_page_is_well_formed_and_has_every_section_and_number() {
    let page = Page::new(&full("a name"));
    assert_eq!(*page.dom.errors.borrow(), [""; 0], "{}", page.html);
    let mut expected = ALL.to_vec();
    expected.push("card");
    assert_eq!(page.ids(), expected);
    let text = page.text();
    for number in [
        "87.54%",
        "0.3217",
        "0.0156",
        "12,345",
        "4,096",
        "23",
        "98.7%",
        "0.4563",
        "81.25%",
        "98.76%",
        "27.3 dB",
        "31.4 dB",
        "0.46 points",
        "29,435",
        "12,288",
        "17,147",
        "663,552",
        "1,234,567",
        "960",
        "82,632 bytes",
        "1 m 30 s",
    ] {
        assert!(text.contains(number), "{number}: {text}");
    }
}

#[test]
fn hostile_names_are_text() {
    let page = Page::new(&full(HOSTILE));
    assert_eq!(*page.dom.errors.borrow(), [""; 0]);
    let mut seen = 0;
    page.visit(&mut |name, attributes, text| {
        assert!(
            !["script", "iframe", "object", "link", "base", "form"].contains(&name),
            "{name}"
        );
        for (key, value) in attributes {
            assert!(!key.starts_with("on"), "{key}={value}");
            let address = ["src", "href", "data", "action", "xlink:href"].contains(&&key[..]);
            assert!(
                !address || value.starts_with("data:image/jpeg;base64,"),
                "{key}={value}"
            );
            assert!(
                key != "style" || !value.contains(['<', '"', ';', '{']),
                "{value}"
            );
        }
        seen += usize::from(text == HOSTILE);
    });
    // Title, head line, labels, layers, files, card, …
    assert!(seen > 20, "{seen}");
    assert!(page.text().contains("{{ 7 * 7 }}"));
    assert!(!page.html.contains("<script"));
}

#[test]
fn what_html_forbids_and_text_that_runs_backwards_do_no_harm() {
    let page = Page::new(&full("a\0b\u{1b}[2J\u{202e}gpj\u{ffff}\r\u{85}"));
    assert_eq!(*page.dom.errors.borrow(), [""; 0]);
    let forbidden = |c: &char| c.is_control() && *c != '\n' && *c != '\t';
    assert_eq!(page.html.chars().find(forbidden), None);
    assert!(page.text().contains("a\u{fffd}b"));
}

#[test]
fn what_is_missing_is_left_out() {
    let nothing = Page::new(&Report::default());
    assert_eq!(*nothing.dom.errors.borrow(), [""; 0]);
    assert_eq!(nothing.ids(), [""; 0]);
    let whole = full("a name");
    let without = |change: &dyn Fn(&mut Report), gone: &[&str]| {
        let mut report = whole.clone();
        change(&mut report);
        let found = Page::new(&report).ids();
        let kept = |id: &&str| !gone.contains(id);
        let expected: Vec<_> = ALL.into_iter().chain(["card"]).filter(kept).collect();
        assert_eq!(found, expected);
    };
    without(&|r| r.training = None, &["training"]);
    without(
        &|r| r.evaluations.clear(),
        &["accuracy", "mistakes", "reliability"],
    );
    without(&|r| r.evaluations[0].bins.clear(), &["reliability"]);
    without(&|r| r.evaluations[0].mistakes.clear(), &["mistakes"]);
    without(&|r| r.quantization = None, &["quantization"]);
    without(&|r| r.memory = None, &["memory"]);
    without(&|r| r.costs = None, &["costs"]);
    without(&|r| r.sizes.clear(), &["sizes"]);
    without(&|r| r.card = Card::default(), &["card"]);
}

#[test]
fn numbers_that_are_none_do_not_break_it() {
    let mut report = full("a name");
    let bad = f64::NAN;
    for epoch in &mut report.training.as_mut().unwrap().epochs {
        (epoch.val_loss, epoch.lr, epoch.seconds) = (bad, f64::INFINITY, f64::NEG_INFINITY);
        epoch.train_loss = f64::MAX;
    }
    let evaluation = &mut report.evaluations[0];
    (evaluation.accuracy, evaluation.ece) = (bad, bad);
    evaluation.mistakes[0].confidence = bad;
    evaluation.confusion[0].clear();
    evaluation.bins[1].accuracy = bad;
    report.quantization.as_mut().unwrap().layers[0].sqnr_db = f64::INFINITY;
    report.costs.as_mut().unwrap().layers[0].milliseconds = Some(bad);
    let page = Page::new(&report);
    assert_eq!(*page.dom.errors.borrow(), [""; 0]);
    assert!(
        !page.html.contains("NaN") && !page.html.contains("inf%"),
        "{}",
        page.html
    );
}

#[test]
fn a_report_is_the_same_after_json() {
    let report = full(HOSTILE);
    let json = serde_json::to_string(&report).unwrap();
    let again: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(again, report);
    assert_eq!(render(&again).unwrap(), render(&report).unwrap());
}
