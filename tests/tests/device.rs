//! `kiln device` from outside, with the smallest board that QEMU plays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::GenericImageView;
use kiln_core::Model;
use kiln_core::layer::Layer;
use kiln_tests::{draw_pictures, kiln, succeed};
use serde_json::Value;
use tempfile::TempDir;

const BOARD: &str = "qemu:lm3s6965evb";
const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/models/quantized/resnet.qdq-s8.onnx"
);
const RECIPE: &str = "\
width = 16
height = 20
fit = \"crop\"
color = \"rgb\"
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.3, 0.25]
";

/// What a model from elsewhere lacks, and pictures.
struct Setting {
    folder: TempDir,
    pictures: Vec<PathBuf>,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("labels.txt"), "ash\nbirch\ncedar\nduff\nelm\n").unwrap();
        fs::write(at("recipe.toml"), RECIPE).unwrap();
        draw_pictures(&at("drawn"), [1, 1, 2], 90);
        let classes = fs::read_dir(at("drawn/test")).unwrap().flatten();
        let mut pictures: Vec<PathBuf> = classes
            .flat_map(|class| fs::read_dir(class.path()).unwrap().flatten())
            .map(|file| file.path())
            .collect();
        pictures.sort();
        assert_eq!(pictures.len(), 4);
        Self { folder, pictures }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command's arguments, with the model's.
    fn args(&self, words: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        for (option, file) in [("--labels", "labels.txt"), ("--recipe", "recipe.toml")] {
            args.extend([option.to_owned(), text(&self.at(file)).to_owned()]);
        }
        args
    }

    fn output(&self, words: &[&str]) -> (Output, String) {
        answered(kiln().args(self.args(words)))
    }
}

/// What a command gives, and what it says on stderr.
fn answered(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn answers(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn ports_and_boards_are_listed() {
    let all: Value =
        serde_json::from_str(&succeed(kiln().args(["device", "list", "--json"]))).unwrap();
    assert!(all["serial"].is_array());
    let emulated = all["emulated"].as_array().unwrap();
    assert_eq!(emulated.len(), 5);
    assert_eq!(emulated[0]["port"], BOARD);
    let table = succeed(kiln().args(["device", "list"]));
    assert!(table.contains("qemu:mps3-an547"), "{table}");
}

/// A board answers as `kiln classify` does here, digit for digit, also where the picture is larger than
/// it takes; and a broken file costs no other.
#[test]
fn a_board_classifies_as_the_host_does() {
    let setting = Setting::new();
    let wide = setting.at("wide.png");
    image::open(&setting.pictures[0])
        .unwrap()
        .resize_exact(500, 70, image::imageops::FilterType::Nearest)
        .save(&wide)
        .unwrap();
    let broken = setting.at("broken.png");
    fs::write(&broken, "no picture").unwrap();
    let mut pictures: Vec<&str> = setting.pictures.iter().map(|path| text(path)).collect();
    pictures.push(text(&wide));

    let host = [&["classify", MODEL], &pictures[..], &["--json"]].concat();
    let host = answers(&succeed(kiln().args(setting.args(&host))));
    pictures.insert(1, text(&broken));
    let screen = setting.at("screen.png");
    let options = ["--model", MODEL, "--json", "--screen", text(&screen)];
    let words = [&["device", "classify", BOARD], &pictures[..], &options].concat();
    let (output, stderr) = setting.output(&words);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("broken.png"), "{stderr}");
    assert!(stderr.contains("1 of 6 files were left out"), "{stderr}");
    let board = answers(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(board.len(), host.len());
    for (board, host) in board.iter().zip(&host) {
        for key in ["file", "label", "top", "logits"] {
            assert_eq!(board[key], host[key], "{key} of {}", host["file"]);
        }
        assert!(board["instructions"].as_u64() > Some(10_000), "{board}");
    }
    let screen = image::open(&screen).unwrap();
    assert_eq!(screen.dimensions(), (512, 256));
    let lit = screen
        .to_luma8()
        .pixels()
        .filter(|pixel| pixel.0[0] > 128)
        .count();
    assert!(lit > 1000, "{lit} of the screen's pixels are lit");
}

#[test]
fn a_board_verifies_itself_and_shows_its_costs() {
    let setting = Setting::new();
    let json = |words: &[&str]| -> Value {
        let words = [words, &["--model", MODEL, "--json"]].concat();
        serde_json::from_str(&succeed(kiln().args(setting.args(&words)))).unwrap()
    };
    let hello = json(&["device", "hello", "--port", BOARD]);
    assert_eq!(hello["model"], "resnet.qdq-s8");
    assert_eq!(hello["labels"][4], "elm");
    assert_eq!(hello["input"], serde_json::json!([20, 16, 3]));
    let memory = &hello["memory"];
    let file = setting.at("model.kiln");
    let words = [
        "compile",
        MODEL,
        "--target",
        "cortex-m3",
        "--out",
        text(&file),
    ];
    succeed(kiln().args(setting.args(&words)));
    let bytes = fs::read(&file).unwrap();
    let arena = Model::new(&bytes).unwrap().arena_bytes();
    assert_eq!(memory["arena_reserved"], arena, "{memory}");

    let verified = json(&["device", "verify", BOARD]);
    assert_eq!(verified["golden_vectors"], 1);
    assert_eq!(verified["differs"], Value::Null);
    assert_eq!(verified["intact"], true);

    let profile = json(&["device", "profile", BOARD, text(&setting.pictures[1])]);
    let layers = profile["layers"].as_array().unwrap();
    assert_eq!(layers.len() as u64, hello["layers"].as_u64().unwrap());
    let ticks = |value: &Value| value["ticks"].as_u64().unwrap();
    let sum: u64 = layers.iter().map(ticks).sum();
    let all = ticks(&profile["model_cost"]);
    assert!(sum <= all && sum > all / 2, "{sum} of {all}");
    assert!(ticks(&profile["preprocess"]) > 0);

    let screen = setting.at("ready.png");
    let words = ["device", "screen", BOARD, text(&screen), "--model", MODEL];
    succeed(kiln().args(setting.args(&words)));
    assert_eq!(image::open(&screen).unwrap().dimensions(), (512, 256));
}

/// A weight that changes in flash is found: exit code 1, and the layer. So is another model.
#[test]
fn a_board_with_other_bytes_is_told() {
    let setting = Setting::new();
    let compile = |name: &str| {
        let out = setting.at(name);
        let target = ["compile", MODEL, "--target", "cortex-m3", "--name", name];
        let words = [&target[..], &["--out", text(&out)]].concat();
        succeed(kiln().args(setting.args(&words)));
        out
    };
    let (model, other) = (compile("one.kiln"), compile("other.kiln"));
    let bytes = fs::read(&model).unwrap();
    let board = kiln_board::boards::find("lm3s6965evb").unwrap();
    let source = kiln_board::firmware::Source::find().unwrap();
    let program = source.program(board, &bytes, &mut || ()).unwrap();

    let verify = |elf: &Path, model: &Path| {
        let words = ["device", "verify", BOARD, "--firmware", text(elf)];
        answered(kiln().args([&words[..], &["--model", text(model)]].concat()))
    };
    let (output, stderr) = verify(&program, &model);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let (output, stderr) = verify(&program, &other);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("the board runs another model: `one.kiln`"),
        "{stderr}"
    );

    let parsed = Model::new(&bytes).unwrap();
    let convolutions = parsed.layers().filter_map(|(name, layer)| match layer {
        Layer::Conv(conv) => Some((name, conv.weights)),
        _ => None,
    });
    let (name, weights) = convolutions.last().unwrap();
    let mut elf = fs::read(&program).unwrap();
    let place = |part: &[u8]| elf.windows(part.len()).position(|window| window == part);
    let at = place(&bytes).unwrap() + weights.as_ptr().addr() - bytes.as_ptr().addr();
    elf[at + 3] ^= 0x40;
    let changed = setting.at("changed.elf");
    fs::write(&changed, elf).unwrap();
    let (output, stderr) = verify(&changed, &model);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains(&format!("`{name}` is the first that differs")),
        "{told}"
    );
    assert!(stderr.contains("bytes in flash have changed"), "{stderr}");
}

#[test]
fn errors_name_what_is_wrong_and_what_to_do() {
    let setting = Setting::new();
    let picture = text(&setting.pictures[0]);
    let missing = text(Path::new("/nowhere/photo.jpg"));
    let cases: [(&[&str], &str); 8] = [
        (&["classify"], "no board is named"),
        (
            &["classify", "qemu:pdp11", picture],
            "there are lm3s6965evb, mps2-an386",
        ),
        (&["classify", BOARD], "no pictures"),
        (
            &["classify", BOARD, missing, "--model", MODEL],
            "/nowhere/photo.jpg",
        ),
        (
            &["hello", "/dev/ttyNONE9"],
            "there is no such port; plug the board in",
        ),
        (&["hello", BOARD, "--firmware", "none.elf"], "none.elf"),
        (
            &["hello", BOARD, "--port", BOARD],
            "the board is named by --port already",
        ),
        (&["screen", BOARD], "no file to write"),
    ];
    for (words, part) in cases {
        let (output, stderr) = setting.output(&[&["device"], words].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains(part), "{words:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
