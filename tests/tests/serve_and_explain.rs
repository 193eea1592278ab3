//! What a person looks at, from outside: `kiln serve` and `kiln classify --explain`.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kiln_tests::{draw_pictures, kiln, models, succeed};

fn nano(file: &str) -> PathBuf {
    models().join("catsdogs-nano").join(file)
}

/// What a server on this machine answers, head and body.
fn get(addr: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

#[test]
fn serve_gives_the_page_and_the_model_and_ends_with_ctrl_c() {
    let mut command = kiln();
    command
        .arg("serve")
        .arg(nano("model.int8.onnx"))
        .args(["--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("kiln starts");
    let mut url = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut url).unwrap();
    let addr = url
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let (head, page) = get(addr, "/");
    assert!(head.contains(" 200 OK"), "{head}");
    assert!(head.contains("Content-Security-Policy"), "{head}");
    assert!(String::from_utf8(page).unwrap().contains("Kiln"));
    // As `kiln compile --target wasm32` makes it.
    let (_, model) = get(addr, "/model.kiln");
    assert!(model == fs::read(nano("model.wasm32.kiln")).unwrap());
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_files_beside_a_model_are_what_compile_makes() {
    let folder = tempfile::tempdir().unwrap();
    for (target, name) in [
        ("generic", "model.kiln"),
        ("wasm32", "model.wasm32.kiln"),
        ("cortex-m3", "model.cortex-m3.kiln"),
        ("cortex-m4", "model.cortex-m4.kiln"),
        ("cortex-m55", "model.cortex-m55.kiln"),
    ] {
        let out = folder.path().join(name);
        let mut compile = kiln();
        compile
            .arg("compile")
            .arg(nano("model.int8.onnx"))
            .arg("-o")
            .arg(&out);
        compile.args(["--target", target, "--name", "catsdogs-nano"]);
        succeed(&mut compile);
        assert!(
            fs::read(&out).unwrap() == fs::read(nano(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn explain_paints_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path(), [2, 2, 2], 96);
    let cats = folder.path().join("test/cat");
    let picture = fs::read_dir(cats).unwrap().next().unwrap().unwrap().path();
    let out = folder.path().join("why.png");
    let mut classify = kiln();
    classify
        .arg("classify")
        .arg(nano("model.kiln"))
        .arg(&picture);
    let said = succeed(classify.arg("--explain").arg(&out));
    assert!(said.contains('%'), "{said}");
    let [plain, painted] = [&picture, &out].map(|path| image::open(path).unwrap().to_rgb8());
    assert_eq!(painted.dimensions(), plain.dimensions());
    let changed = plain.pixels().zip(painted.pixels()).filter(|(a, b)| a != b);
    assert!(changed.count() > 100);

    // Floats have no integers to explain by.
    let mut classify = kiln();
    classify
        .arg("classify")
        .arg(nano("model.onnx"))
        .arg(&picture);
    let found = classify.arg("--explain").arg(&out).output().unwrap();
    let stderr = String::from_utf8(found.stderr).unwrap();
    assert_eq!(found.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("kiln quantize"), "{stderr}");
}
