//! Things chosen one right after the other.

use std::fs;
use std::path::Path;

use kiln_run::engine::Engine;
use serde_json::json;

use super::browser::Browser;
use super::{MODEL, logits, pictures, serve};

/// The last one counts, whichever is ready first.
#[test]
fn the_last_choice_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |path: &Path| json!({"name": path.file_name().unwrap().to_str(), "bytes": fs::read(path).unwrap()});
    let files = pictures::drawn(folder.path());
    let model = json!({"name": "own.kiln", "bytes": fs::read(MODEL).unwrap()});
    let mut engine = Engine::open(Path::new(MODEL)).unwrap();
    let (url, stop) = serve(false);
    let mut browser = Browser::start();
    browser.ask(json!({"step": "go", "url": url}));
    // A camera's last answer is not that of the model after it.
    browser.ask(json!({"step": "drop", "files": [model]}));
    let state = browser.ask(json!({"step": "camera", "frames": 3}));
    assert_eq!(state["answered"], true);
    let state = browser.ask(json!({"step": "drop", "files": [model]}));
    assert_eq!(
        (&state["problem"], &state["answered"]),
        (&json!(null), &json!(false))
    );
    let named = |name: &str| {
        let mut files = files.iter();
        files.find(|path| path.ends_with(name)).unwrap()
    };
    // The first takes longer.
    let [large, small] = [named("noise-640x480.png"), named("discs-64x64.png")];
    for chosen in [
        vec![file(large), file(small)],
        vec![file(small), file(large), file(small)],
        vec![file(large), model.clone(), file(small)],
        vec![file(large), file(small), model.clone()],
        vec![model.clone(), model.clone(), file(small)],
    ] {
        let state = browser.ask(json!({"step": "drop", "files": chosen}));
        let name = small.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            (&state["problem"], &state["file"]),
            (&json!(null), &json!(name))
        );
        assert_eq!(state["logits"], logits(&mut engine, small).as_str());
    }
    // What is no picture takes none away whose answer is still to come.
    let broken = json!({"name": "broken.png", "bytes": b"no picture"});
    let state = browser.ask(json!({"step": "drop", "files": [file(large), broken]}));
    assert!(
        state["problem"].as_str().unwrap().contains("broken.png"),
        "{state}"
    );
    assert_eq!(state["logits"], logits(&mut engine, large).as_str());
    // A camera that begins while a model loads is looked at with that model then.
    let larger = Path::new(MODEL).with_file_name("../catsdogs/model.wasm32.kiln");
    let state = browser.ask(json!({"step": "overtake", "files": [file(&larger)]}));
    assert!(state["frames"].as_u64().unwrap() > 0, "{state}");
    assert_eq!(
        (&state["problem"], &state["file"]),
        (&json!(null), &json!("camera"))
    );
    assert!(
        state["model"].as_str().unwrap().contains("108 × 108"),
        "{state}"
    );
    // Nor does a camera stay on, or run twice.
    for (times, on) in [
        (1, true),
        (1, false),
        (2, false),
        (3, true),
        (2, true),
        (1, false),
    ] {
        let state = browser.ask(json!({"step": "clicks", "times": times}));
        assert_eq!(
            state["pressed"],
            on.to_string().as_str(),
            "{times}: {state}"
        );
        assert_eq!(
            state["frames"].as_u64().unwrap() > 0,
            on,
            "{times}: {state}"
        );
    }
    let seen = browser.ask(json!({"step": "seen"}));
    assert_eq!(
        seen["complaints"],
        json!(["Failed to load resource: the server responded with a status of 404 (Not Found)"])
    );
    stop.stop();
}
