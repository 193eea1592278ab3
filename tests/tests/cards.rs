//! What the cards of the models in `models/` promise, on the photographs that they name. On a machine without
//! these this is said, and each model's files are compared with one another on drawn pictures.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use kiln_tests::{draw_pictures, kiln, models, shared_data, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// The greatest calibration error that a model may have.
const LARGEST_ECE: f64 = 0.03;
/// The least area under the ROC curve between test pictures and pictures of something else.
const LEAST_AUROC: f64 = 0.90;
/// A picture of CIFAR-10: its label, then three planes.
const RECORD: usize = 1 + 3 * 32 * 32;
/// CIFAR-10's labels of cats and dogs.
const OWN: [u8; 2] = [3, 5];

fn all_models() -> Vec<PathBuf> {
    let entries = fs::read_dir(models())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    models.sort();
    assert!(models.len() >= 2, "{models:?}");
    models
}

/// The numbers of a card's row: accuracy in percent, loss, calibration error.
fn row(card: &str, name: &str) -> Option<[f64; 3]> {
    let row = card
        .lines()
        .find(|line| line.starts_with(&format!("| {name}")))?;
    let number = |cell: &str| {
        let cell = cell.trim();
        let end = cell.find(|c: char| !c.is_ascii_digit() && c != '.');
        cell[..end.unwrap_or(cell.len())].parse::<f64>().ok()
    };
    let cells: Vec<f64> = row.split('|').skip(2).filter_map(number).collect();
    cells.get(..3)?.try_into().ok()
}

/// CIFAR-10's pictures of neither cats nor dogs.
fn strangers(data: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let records = fs::read(data.join("cifar10-test-lossless.bin")).unwrap();
    let others = records
        .chunks_exact(RECORD)
        .filter(|record| !OWN.contains(&record[0]));
    for (index, record) in others.enumerate() {
        let mut picture = RgbImage::new(32, 32);
        for (at, pixel) in picture.pixels_mut().enumerate() {
            pixel.0 = [0, 1, 2].map(|plane| record[1 + plane * 32 * 32 + at]);
        }
        picture
            .save(folder.join(format!("{index:04}.png")))
            .unwrap();
    }
}

fn evaluate(model: &Path, pictures: &Path, strangers: Option<&Path>) -> Value {
    let mut eval = kiln();
    eval.arg("eval")
        .arg(model)
        .arg(pictures)
        .args(["--split", "test", "--json"]);
    if let Some(folder) = strangers {
        eval.arg("--strangers").arg(folder);
    }
    serde_json::from_str(&succeed(&mut eval)).unwrap()
}

#[test]
fn the_cards_say_what_the_models_do() {
    let Some(data) = shared_data() else { return };
    let temporary = TempDir::new().unwrap();
    let others = temporary.path().join("strangers");
    strangers(&data, &others);
    for model in all_models() {
        let card = fs::read_to_string(model.join("MODEL.md")).unwrap();
        let file = model.join("model.int8.onnx");
        let found = evaluate(&file, &data.join("catsdogs"), Some(&others));
        let [accuracy, loss, ece] = row(&card, "model.int8.onnx")
            .unwrap_or_else(|| panic!("{}: no row of model.int8.onnx", model.display()));
        let measured = |key: &str| found[key].as_f64().unwrap();
        let name = model.display();
        let near = |found: f64, told: f64, digits: f64| (found - told).abs() <= 0.51 * digits;
        assert!(
            near(measured("accuracy") * 100.0, accuracy, 0.01),
            "{name}: {found}"
        );
        assert!(near(measured("loss"), loss, 0.0001), "{name}: {found}");
        assert!(near(measured("ece"), ece, 0.0001), "{name}: {found}");
        let auroc = found["strangers"]["auroc"].as_f64().unwrap();
        assert!(
            card.contains(&format!("AUROC {auroc:.4}")),
            "{name}: {auroc}"
        );
        assert!(ece <= LARGEST_ECE && auroc >= LEAST_AUROC, "{name}");
    }
}

#[test]
fn the_files_of_a_model_answer_alike() {
    let temporary = TempDir::new().unwrap();
    let drawn = temporary.path().join("drawn");
    draw_pictures(&drawn, [1, 1, 10], 96);
    for model in all_models() {
        let entries = fs::read_dir(&model).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        let compiled = files.filter(|file| file.extension().is_some_and(|end| end == "kiln"));
        let files = compiled.chain([model.join("model.int8.onnx")]);
        let all: Vec<Value> = files.map(|file| evaluate(&file, &drawn, None)).collect();
        assert!(all.len() >= 3, "{}", model.display());
        assert_eq!(all[0]["n"], 20, "{}", model.display());
        assert!(
            all.iter().all(|one| *one == all[0]),
            "{}: {all:?}",
            model.display()
        );
    }
}
