//! The example in C: compiled against the header and either library, and run. Its logits are those of
//! kiln-run, to the bit.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kiln_core::preprocess::preprocess;
use kiln_picture::Picture;
use kiln_run::engine::{Engine, Input, LoadedModel};

// So that the test is built after the libraries.
use kiln_capi as _;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn model() -> PathBuf {
    root().join("../../models/catsdogs-nano/model.kiln")
}

fn engine() -> Engine {
    let loaded = LoadedModel::open(&model()).unwrap_or_else(|error| {
        panic!("{error}; in models/catsdogs-nano: kiln compile model.int8.onnx -o model.kiln --name catsdogs-nano")
    });
    loaded.engine()
}

/// Where cargo put the libraries that belong to this test.
fn libraries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

fn cc(source: &Path, out: &Path, more: &[&str]) {
    let mut command = Command::new("cc");
    command.args([
        "-std=c11",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
    ]);
    command.arg("-I").arg(root().join("include"));
    command.arg(source).arg("-o").arg(out).args(more);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cc: {error}; cargo xtask setup installs it"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

/// The example, linked to the static library and to the dynamic one.
fn programs(folder: &Path) -> [PathBuf; 2] {
    let source = root().join("examples/classify.c");
    let libraries = libraries();
    let archive = libraries.join("libkiln_capi.a");
    let [fixed, dynamic] = ["static", "dynamic"].map(|name| folder.join(name));
    let archive = archive.to_str().unwrap();
    cc(&source, &fixed, &[archive, "-lpthread", "-ldl", "-lm"]);
    let at = libraries.to_str().unwrap();
    // Before LD_LIBRARY_PATH, in which an older library of another build may lie.
    let found = format!("-Wl,--disable-new-dtags,-rpath,{at}");
    cc(&source, &dynamic, &["-L", at, &found, "-lkiln_capi"]);
    [fixed, dynamic]
}

fn run(program: &Path, model: &Path, picture: &Path) -> Output {
    Command::new(program)
        .args([model, picture])
        .output()
        .unwrap()
}

fn write_ppm(path: &Path, picture: &Picture) {
    let head = format!("P6\n{} {}\n255\n", picture.width, picture.height);
    fs::write(path, [head.as_bytes(), &picture.rgb].concat()).unwrap();
}

/// Waves of colours.
fn drawn(width: u32, height: u32) -> Picture {
    let value = |at: u32| {
        let (pixel, channel) = (at / 3, at % 3);
        let (x, y) = (pixel % width, pixel / width);
        (x * (5 + channel) + y * (3 + 2 * channel) + x * y / (11 + channel)) as u8
    };
    let rgb = (0..width * height * 3).map(value).collect();
    Picture { width, height, rgb }
}

/// What the example is to print.
fn expected(engine: &mut Engine, picture: &Picture) -> String {
    let recipe = engine.model().recipe().unwrap();
    let labels: Vec<String> = engine.model().labels().map(str::to_owned).collect();
    let mut scratch = vec![0; recipe.scratch_len(picture.width, picture.height)];
    let mut pixels = vec![0; recipe.len()];
    preprocess(picture.view().unwrap(), &recipe, &mut scratch, &mut pixels).unwrap();
    let output = engine.run(Input::Pixels(&pixels)).unwrap();
    let mut text = String::new();
    for class in output.top::<2>() {
        let probability = f64::from(class.probability) * 100.0;
        writeln!(text, "{} {probability:.1}%", labels[class.index]).unwrap();
    }
    for (&value, logit) in output.values().iter().zip(output.logits()) {
        writeln!(text, "logit {} {:08x}", value as i8, logit.to_bits()).unwrap();
    }
    text
}

/// What it printed, with the floats' bits in place of their nine digits, which tell floats apart.
fn found(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let bits = |line: &str| match line.rsplit_once(' ') {
        Some((start, digits)) if start.starts_with("logit") => {
            format!("{start} {:08x}\n", digits.parse::<f32>().unwrap().to_bits())
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(bits).collect()
}

#[test]
fn the_example_gives_the_logits_of_kiln_run() {
    let folder = tempfile::tempdir().unwrap();
    let programs = programs(folder.path());
    let mut engine = engine();
    let ppm = folder.path().join("picture.ppm");
    let mut answers = Vec::new();
    for (width, height) in [(64, 64), (50, 70), (131, 33), (1, 1), (9, 300)] {
        let picture = drawn(width, height);
        write_ppm(&ppm, &picture);
        let expected = expected(&mut engine, &picture);
        for program in &programs {
            let output = run(program, &model(), &ppm);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(found(&output), expected, "{width} x {height}");
        }
        answers.push(expected);
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 5, "different pictures, different logits");
}

#[test]
fn a_damaged_model_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let [program, _] = programs(folder.path());
    let ppm = folder.path().join("picture.ppm");
    write_ppm(&ppm, &drawn(2, 1));
    let good = fs::read(model()).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases: [(&[u8], &str); 3] = [
        (&good[..999], "copy the whole file"),
        (
            b"no model at all, but long enough for a header",
            "at byte 0",
        ),
        (&flipped, "checksum"),
    ];
    for (bytes, why) in cases {
        let path = folder.path().join("broken.kiln");
        fs::write(&path, bytes).unwrap();
        let output = run(&program, &path, &ppm);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("broken.kiln") && text.contains(why), "{text}");
    }
    fs::write(&ppm, "P6 9 9 255\nshort").unwrap();
    let output = run(&program, &model(), &ppm);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ends too early"));
}
