//! What a run begins with.

use std::fs;

use tempfile::TempDir;

use super::{metrics, pictures, train};
use kiln_tests::succeed;

#[test]
fn the_last_layer_comes_along_for_the_same_classes_alone() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let donor = temporary.path().join("donor");
    let common = ["--size", "24", "--batch", "16"];
    let options = [&common[..], &["--epochs", "12"]].concat();
    succeed(&mut train(&pictures, &donor, &options));
    // Hardly a step, so that the first epoch's answers are those of the weights that it began with.
    let still = ["--epochs", "1", "--set", "optimizer.lr=1e-9"];
    let from = ["--init", donor.to_str().unwrap()];
    let options = [&common[..], &still, &from].concat();
    let begun = |name: &str| {
        let run = temporary.path().join(name);
        succeed(&mut train(&pictures, &run, &options));
        metrics(&run)[0]["val_loss"].as_f64().unwrap()
    };
    let same = begun("same");
    let last = metrics(&donor).iter().fold(f64::MAX, |best, epoch| {
        best.min(epoch["val_loss"].as_f64().unwrap())
    });
    assert!((same / last - 1.0).abs() < 0.1, "{same}, {last}");

    // The mean of the same weights is these weights, and can be trained.
    let twice = temporary.path().join("twice");
    let more = [&options[..], &from].concat();
    succeed(&mut train(&pictures, &twice, &more));
    let mean = metrics(&twice)[0]["val_loss"].as_f64().unwrap();
    assert!((mean / same - 1.0).abs() < 1e-3, "{mean}, {same}");

    for split in ["train", "val", "test"] {
        for (class, other) in [("cat", "apple"), ("dog", "pear")] {
            let [class, other] = [class, other].map(|class| pictures.join(split).join(class));
            fs::rename(class, other).unwrap();
        }
    }
    let other = begun("other");
    assert!((other / last - 1.0).abs() > 0.1, "{other}, {last}");
}
