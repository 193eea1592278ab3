//! The page in headless Chromium: the host's logits to the byte, heat maps, hostile files, offline, how it
//! looks.

mod browser;
mod choices;
mod models;
mod pictures;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use kiln_picture::{Limits, decode_file};
use kiln_run::engine::{Engine, Input, LoadedModel};
use kiln_run::explain::{Method, explain};
use kiln_run::pictures::pixels;
use kiln_web::serve::Stop;
use kiln_web::{Server, Site, engine};
use serde_json::json;

use browser::Browser;

/// Bytes of the engine for the page: a budget.
const ENGINE_BYTES: usize = 90_000;

const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../models/catsdogs-nano/model.wasm32.kiln"
);

fn built() -> Vec<u8> {
    engine::build(&mut || eprintln!("building the engine for the page"))
        .expect("the engine for the page: cargo xtask setup brings what it takes")
}

/// A server on any port, in the background.
fn serve(model: bool) -> (String, Stop) {
    serve_with(model.then(|| fs::read(MODEL).unwrap()))
}

fn serve_with(model: Option<Vec<u8>>) -> (String, Stop) {
    let any = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(any, Site::new(built(), model)).unwrap();
    let found = (server.url(), server.stopper());
    thread::spawn(move || server.run());
    found
}

/// Logits of the host's engine, as the page prints them.
fn logits(engine: &mut Engine, picture: &Path) -> String {
    let recipe = engine.model().recipe().unwrap();
    let pixels = pixels(picture, &recipe, &mut Vec::new()).unwrap();
    let output = engine.run(Input::Pixels(&pixels)).unwrap();
    let values = output.values().iter().map(|&byte| (byte as i8).to_string());
    values.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_engine_is_small_and_cannot_panic() {
    let engine = built();
    let len = engine.len();
    println!("{len} bytes of {ENGINE_BYTES}");
    assert!(len <= ENGINE_BYTES, "{len} bytes, over {ENGINE_BYTES}");
    // It would import what says so: web/wasm/src/page.rs.
    let name = b"panicked";
    assert!(!engine.windows(name.len()).any(|part| part == name));
}

#[test]
fn the_page_gives_the_hosts_logits_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = pictures::drawn(folder.path());
    files.extend(pictures::photographs(folder.path()));
    assert!(files.len() >= 50);
    let mut engine = Engine::open(Path::new(MODEL)).unwrap();
    let (url, stop) = serve(true);
    let mut browser = Browser::start();
    let state = browser.ask(json!({"step": "go", "url": url}));
    assert_eq!(state["problem"], json!(null), "{state}");
    let mut different = std::collections::HashSet::new();
    for file in &files {
        let state = browser.ask(json!({"step": "picture", "path": file}));
        assert_eq!(state["problem"], json!(null), "{}", file.display());
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(state["file"], name);
        let expected = logits(&mut engine, file);
        assert_eq!(state["logits"], expected.as_str(), "{name}");
        different.insert(expected);
    }
    println!("{} pictures, {} answers", files.len(), different.len());
    assert!(different.len() > files.len() / 2);
    // The camera is asked the same, and nothing but the server was.
    let state = browser.ask(json!({"step": "camera", "frames": files.len() + 5}));
    assert_eq!(
        (&state["problem"], &state["file"]),
        (&json!(null), &json!("camera"))
    );
    let seen = browser.ask(json!({"step": "seen"}));
    let own = url.trim_end_matches('/');
    assert_eq!(seen["requests"], json!([own]));
    assert_eq!(seen["complaints"], json!([]));
    stop.stop();
}

#[test]
fn broken_and_hostile_files_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(MODEL).unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    // An arena of almost 4 GB, a file cut short, a changed weight, something else.
    let mut greedy = good.clone();
    greedy[16..20].copy_from_slice(&0xffff_ff00_u32.to_le_bytes());
    let mut changed = good.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let hostile = [
        ("greedy.kiln", greedy, ""),
        ("short.kiln", good[..good.len() / 2].to_vec(), ""),
        ("changed.kiln", changed, "checksum"),
        ("other.kiln", b"GIF89a".to_vec(), ""),
        ("empty.kiln", Vec::new(), ""),
    ];
    let picture = pictures::drawn(folder.path()).swap_remove(3);
    let (url, stop) = serve(false);
    let mut browser = Browser::start();
    let state = browser.ask(json!({"step": "go", "url": url}));
    assert!(
        state["model"].as_str().unwrap().contains("choose"),
        "{state}"
    );
    let state = browser.ask(json!({"step": "picture", "path": picture}));
    assert!(
        state["problem"].as_str().unwrap().contains("no model"),
        "{state}"
    );
    for (name, bytes, word) in hostile {
        let path = write(name, &bytes);
        let state = browser.ask(json!({"step": "model", "path": path}));
        let problem = state["problem"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} was taken"));
        println!("{problem}");
        assert!(problem.starts_with(&format!("{name}: ")), "{problem}");
        assert!(
            problem.contains(word) && problem.len() > name.len() + 20,
            "{problem}"
        );
        assert_eq!(browser.ask(json!({"step": "rechoosable"})), true);
        let state = browser.ask(json!({"step": "model", "path": MODEL}));
        assert_eq!(state["problem"], json!(null), "after {name}");
    }
    let mut half = fs::read(&picture).unwrap();
    half.truncate(half.len() / 3);
    for (name, bytes) in [
        ("text.png", b"no picture".to_vec()),
        ("empty.jpg", Vec::new()),
    ] {
        let state = browser.ask(json!({"step": "drop", "files": [{"name": name, "bytes": bytes}]}));
        let problem = state["problem"].as_str().unwrap_or_default();
        assert!(problem.starts_with(name), "{name}: {state}");
    }
    // A model of one's own, dropped; and then a picture.
    let state =
        browser.ask(json!({"step": "drop", "files": [{"name": "own.kiln", "bytes": good}]}));
    assert!(
        state["model"]
            .as_str()
            .unwrap()
            .contains("catsdogs-nano 88 × 88"),
        "{state}"
    );
    let state = browser.ask(json!({"step": "picture", "path": picture}));
    assert_eq!(state["problem"], json!(null));
    // Browsers say of what they refuse to load that they do; that is all.
    let refused = browser.ask(json!({"step": "escape", "url": "https://example.com/"}));
    assert_eq!(refused, "refused");
    stop.stop();
}

#[test]
fn a_first_model_that_is_refused_leaves_no_model() {
    let (url, stop) = serve_with(Some(b"no model".to_vec()));
    let mut browser = Browser::start();
    let state = browser.ask(json!({"step": "go", "url": url}));
    let said = |key: &str| state[key].as_str().unwrap_or_default();
    assert!(said("problem").starts_with("model.kiln: "), "{state}");
    assert!(said("model").contains("choose"), "{state}");
    stop.stop();
}

#[test]
fn the_page_works_without_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let picture = pictures::drawn(folder.path()).swap_remove(7);
    let (url, stop) = serve(true);
    let mut browser = Browser::start();
    browser.ask(json!({"step": "go", "url": url}));
    browser.ask(json!({"step": "kept"}));
    let online = browser.ask(json!({"step": "picture", "path": picture}));
    browser.ask(json!({"step": "offline"}));
    let missing = format!("{url}never-asked-for");
    let server = browser.ask(json!({"step": "escape", "url": missing}));
    assert_eq!(server, "refused");
    let state = browser.ask(json!({"step": "reload"}));
    assert_eq!(state["problem"], json!(null));
    let offline = browser.ask(json!({"step": "picture", "path": picture}));
    assert_eq!(offline["logits"], online["logits"]);
    assert!(!offline["logits"].as_str().unwrap().is_empty());
    // By another of its names, as bookmarks have them.
    let state = browser.ask(json!({"step": "go", "url": format!("{url}index.html?from=phone")}));
    assert!(
        state["model"].as_str().unwrap().contains("M MAC"),
        "{state}"
    );
    stop.stop();
}

/// Where a network gives no class activation map, the page covers place after place: the host's numbers to the bit,
/// and another picture need not wait for them.
#[test]
fn the_page_explains_networks_that_give_no_maps() {
    let folder = tempfile::tempdir().unwrap();
    let model = models::without_maps();
    let path = folder.path().join("left-or-right.kiln");
    fs::write(&path, &model).unwrap();
    let files = pictures::drawn(folder.path());
    let mut engine = LoadedModel::from_bytes(&model).unwrap().engine();
    let recipe = engine.model().recipe().unwrap();
    let (url, stop) = serve(true);
    let mut browser = Browser::start();
    browser.ask(json!({"step": "go", "url": url}));
    let state = browser.ask(json!({"step": "model", "path": path}));
    assert_eq!(state["problem"], json!(null), "{state}");
    let (mut warm, mut shown) = (0, 0);
    for file in files.iter().step_by(5) {
        let name = file.display();
        let pixels = pixels(file, &recipe, &mut Vec::new()).unwrap();
        for index in 0..3 {
            let expected = explain(&mut engine, &pixels, index).unwrap();
            assert_eq!(expected.method, Method::Occlusion);
            let picture = fs::read(file).unwrap();
            let found = browser.ask(json!({
                "step": "occlusion", "model": model, "picture": picture, "index": index,
            }));
            assert_eq!(found["hasMap"], false);
            assert_eq!(
                [&found["rows"], &found["columns"]],
                [&json!(40), &json!(48)]
            );
            let values = found["values"].as_array().unwrap();
            let values = values.iter().map(|value| value.as_f64().unwrap() as f32);
            assert_eq!(
                values.collect::<Vec<_>>(),
                expected.values,
                "{name}, class {index}"
            );
            warm += usize::from(expected.most() > 0.01);
        }
        // On the page itself, twice: the first map is given up for the second picture.
        browser.ask(json!({"step": "picture", "path": file}));
        let state = browser.ask(json!({"step": "picture", "path": file}));
        assert_eq!(state["problem"], json!(null), "{name}");
        assert_eq!(
            state["logits"],
            logits(&mut engine, file).as_str(),
            "{name}"
        );
        let [best] = engine.run(Input::Pixels(&pixels)).unwrap().top();
        let map = explain(&mut engine, &pixels, best.index).unwrap();
        let heat = browser.ask(json!({"step": "heat"}));
        let painted = heat[0].as_f64().unwrap() + heat[1].as_f64().unwrap();
        // Of a picture a few pixels high little may be left of it.
        assert!(painted == 0.0 || map.most() > 0.0, "{name}: {heat}");
        shown += usize::from(painted > 0.0);
    }
    assert!(
        warm > 5 && shown > 2,
        "{warm} maps say something, {shown} were seen"
    );
    let seen = browser.ask(json!({"step": "seen"}));
    assert_eq!(seen["complaints"], json!([]));
    stop.stop();
}

/// Wide and narrow, light and dark: nothing is cut off. The pictures go to `target/web/screens`, and are to
/// be looked at.
#[test]
fn the_page_fits_wide_and_narrow_light_and_dark() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let screens = package.join("../target/web/screens");
    fs::create_dir_all(&screens).unwrap();
    // Drawn by `kiln synth`.
    let picture = package.join("tests/drawn-dog.jpg");
    let (url, stop) = serve(true);
    let mut browser = Browser::start();
    browser.ask(json!({"step": "go", "url": url}));
    let look = |browser: &mut Browser, what: &str| {
        for (size, width, height) in [("wide", 1120, 680), ("narrow", 390, 844)] {
            for scheme in ["light", "dark"] {
                let path = screens.join(format!("{what}-{size}-{scheme}.png"));
                let found = browser.ask(json!({
                    "step": "look", "width": width, "height": height, "scheme": scheme, "path": path,
                }));
                assert_eq!(found["fits"], true, "{what} {size}: {found}");
            }
        }
    };
    look(&mut browser, "empty");
    let state = browser.ask(json!({"step": "picture", "path": picture}));
    assert_eq!(state["label"], "dog");
    look(&mut browser, "answer");
    let best = browser.ask(json!({"step": "heat"}));
    let other = browser.ask(json!({"step": "heat", "rank": 1}));
    assert_ne!(best, other, "two classes have one heat map");
    let state =
        browser.ask(json!({"step": "drop", "files": [{"name": "broken.kiln", "bytes": b"KILN"}]}));
    assert!(state["problem"].is_string());
    // What was there before stays, and works.
    let again = browser.ask(json!({"step": "heat", "rank": 0}));
    assert_eq!(again, best);
    let state =
        browser.ask(json!({"step": "drop", "files": [{"name": "broken.kiln", "bytes": b"KILN"}]}));
    assert_eq!(state["label"], "dog");
    look(&mut browser, "problem");
    stop.stop();
}

#[test]
fn the_drawn_pictures_are_pictures() {
    let folder = tempfile::tempdir().unwrap();
    for path in pictures::drawn(folder.path()) {
        decode_file(&path, &Limits::default()).unwrap();
    }
}
