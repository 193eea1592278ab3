//! Learning from a trained model: of floats or integers, larger, by its answers and by its features.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_tests::{kiln, succeed};
use tempfile::TempDir;

use super::{failure, kill_after_two, kill_and_resume, metrics, pictures, resume, train, weights};

/// The training loss of a run's last epoch.
fn last_loss(run: &Path) -> f64 {
    metrics(run).last().unwrap()["train_loss"].as_f64().unwrap()
}

/// A run as an ONNX file of integers.
fn integers(pictures: &Path, run: &Path) -> PathBuf {
    weights(run);
    let mut quantize = kiln();
    quantize.arg("quantize").arg(run.join("model.onnx"));
    succeed(quantize.arg("--calibrate").arg(pictures));
    run.join("model.int8.onnx")
}

/// A file of integers, compiled.
fn compiled(int8: &Path) -> PathBuf {
    let file = int8.with_extension("kiln");
    let mut compile = kiln();
    compile.arg("compile").arg(int8).arg("--out").arg(&file);
    succeed(&mut compile);
    file
}

/// Options for a student that learns from features too.
fn by_features(teacher: &Path) -> [&str; 4] {
    let teacher = teacher.to_str().unwrap();
    ["--teacher", teacher, "--set", "teacher.features=0.5"]
}

#[test]
fn a_teacher_is_a_run_or_a_file_and_both_teach_alike() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let teacher = temporary.path().join("teacher");
    let common = ["--size", "24", "--batch", "16", "--epochs", "2"];
    succeed(&mut train(&pictures, &teacher, &common));
    weights(&teacher);
    let file = teacher.join("model.onnx");
    let losses = [teacher.to_str().unwrap(), file.to_str().unwrap()].map(|from| {
        let name = if from.ends_with("onnx") {
            "by-file"
        } else {
            "by-run"
        };
        let student = temporary.path().join(name);
        let options = [&common[..], &["--model", "ds-cnn", "--teacher", from]].concat();
        succeed(&mut train(&pictures, &student, &options));
        last_loss(&student)
    });
    assert!((losses[0] - losses[1]).abs() < 1e-3, "{losses:?}");

    // A student that takes smaller pictures: the teacher sees the same parts in its own size. It may be of
    // integers, too.
    let int8 = integers(&pictures, &teacher);
    let compiled = compiled(&int8);
    let small = [
        "--size", "20", "--batch", "16", "--epochs", "2", "--model", "ds-cnn",
    ];
    let losses = [&teacher, &file, &int8, &compiled].map(|from| {
        let student = from.with_added_extension("student");
        let options = [&small[..], &["--teacher", from.to_str().unwrap()]].concat();
        succeed(&mut train(&pictures, &student, &options));
        last_loss(&student)
    });
    assert!((losses[0] - losses[1]).abs() < 1e-3, "{losses:?}");
    assert!((losses[0] - losses[2]).abs() < 3e-2, "{losses:?}");
    assert_eq!(losses[2], losses[3], "the same integers");

    // Two that say the same teach as one does.
    let student = temporary.path().join("by-two");
    let two = ["--teacher", int8.to_str().unwrap()].repeat(2);
    succeed(&mut train(
        &pictures,
        &student,
        &[&small[..], &two].concat(),
    ));
    assert_eq!(last_loss(&student), losses[2]);

    let misfit = temporary.path().join("misfit");
    let options = ["--size", "32", "--teacher", teacher.to_str().unwrap()];
    let (code, said) = failure(&mut train(&pictures, &misfit, &options));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("--teacher") && said.contains("recipe"),
        "{said}"
    );
    let [first, other] = [&int8, &student].map(|model| ["--teacher", model.to_str().unwrap()]);
    let options = [&small[..], &first, &other].concat();
    let (code, said) = failure(&mut train(&pictures, &misfit, &options));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("by-two takes 20×20") && said.contains("24×24"),
        "{said}"
    );
}

#[test]
fn features_are_learnt_of_a_run_or_of_its_integers_and_leave_nothing_behind() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let [teacher, plain] = ["teacher", "plain"].map(|name| temporary.path().join(name));
    let common = ["--size", "24", "--batch", "16"];
    let two = [&common[..], &["--epochs", "2"]].concat();
    succeed(&mut train(&pictures, &teacher, &two));
    let int8 = integers(&pictures, &teacher);
    let small = [&common[..], &["--model", "ds-cnn"]].concat();
    let two = [&two[..], &["--model", "ds-cnn"]].concat();
    succeed(&mut train(&pictures, &plain, &two));

    let losses = [&teacher, &int8].map(|from| {
        let student = from.with_added_extension("student");
        let options = [&two[..], &by_features(from)].concat();
        succeed(&mut train(&pictures, &student, &options));
        // The layer that only trains is not in the weights.
        let [own, others] = [&student, &plain].map(|run| run.join("model.bpk").metadata().unwrap());
        assert_eq!(own.len(), others.len());
        integers(&pictures, &student);
        last_loss(&student)
    });
    assert!((losses[0] / losses[1] - 1.0).abs() < 0.05, "{losses:?}");

    let student = temporary.path().join("of-both");
    let options = [
        &two[..],
        &by_features(&teacher),
        &["--teacher", int8.to_str().unwrap()],
    ]
    .concat();
    succeed(&mut train(&pictures, &student, &options));
    let loss = last_loss(&student);
    assert!((loss / losses[1] - 1.0).abs() < 0.1, "{loss} {losses:?}");

    // It is in the checkpoint.
    let [whole, halves] = ["whole", "halves"].map(|name| temporary.path().join(name));
    let options = [&small[..], &by_features(&int8), &["--epochs", "6"]].concat();
    succeed(&mut train(&pictures, &whole, &options));
    kill_and_resume(&pictures, &halves, &options);
    assert_eq!(metrics(&whole), metrics(&halves));
    assert_eq!(weights(&whole), weights(&halves));
    // One that was stopped before its first checkpoint begins as it began.
    let begun = temporary.path().join("begun");
    let from = ["--init", plain.to_str().unwrap(), "--epochs", "2"];
    let options = [&small[..], &by_features(&int8), &from].concat();
    succeed(&mut train(&pictures, &begun, &options));
    let expected = weights(&begun);
    fs::remove_dir_all(begun.join("checkpoints")).unwrap();
    for file in ["metrics.jsonl", "model.bpk", "model.onnx"] {
        fs::remove_file(begun.join(file)).unwrap();
    }
    succeed(&mut resume(&begun));
    assert_eq!(weights(&begun), expected);

    // A file without layers has no features to be asked for.
    let compiled = compiled(&int8);
    let misfit = temporary.path().join("misfit");
    let options = [&small[..], &by_features(&compiled)].concat();
    let (code, said) = failure(&mut train(&pictures, &misfit, &options));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("--teacher") && said.contains("model.int8.onnx"),
        "{said}"
    );
}

#[test]
fn what_a_teacher_said_is_kept_for_later_epochs() {
    let temporary = TempDir::new().unwrap();
    let pictures = pictures(&temporary);
    let teacher = temporary.path().join("teacher");
    let common = ["--size", "24", "--batch", "16"];
    let two = [&common[..], &["--epochs", "2"]].concat();
    succeed(&mut train(&pictures, &teacher, &two));
    let int8 = integers(&pictures, &teacher);
    // Smaller pictures than the teacher's, mixed.
    let small = ["--size", "20", "--batch", "16", "--model", "ds-cnn"];
    let mixed = ["--epochs", "12", "--set", "augment.mixup=0.3"];
    let student = [&small[..], &mixed, &by_features(&int8)].concat();
    let with = |views: &str, name: &str| {
        let run = temporary.path().join(name);
        let views = format!("teacher.views={views}");
        let options = [&student[..], &["--set", &views]].concat();
        (
            run,
            options.into_iter().map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let losses = [("0", "asked"), ("15", "rounded"), ("2", "kept")].map(|(views, name)| {
        let (run, options) = with(views, name);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        succeed(&mut train(&pictures, &run, &options));
        assert!(!run.join("lessons").exists());
        let losses = metrics(&run)
            .into_iter()
            .map(|epoch| epoch["train_loss"].as_f64().unwrap());
        losses.collect::<Vec<f64>>()
    });
    let [asked, rounded, kept] = &losses;
    for (asked, rounded) in asked.iter().zip(rounded) {
        assert!((asked / rounded - 1.0).abs() < 1e-2, "{losses:?}");
    }
    assert_eq!(rounded[..2], kept[..2], "the first epochs are the same");
    assert_ne!(rounded[2..], kept[2..], "the others show other pictures");

    let (run, options) = with("2", "killed");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    kill_after_two(&pictures, &run, &options);
    let file = run.join("lessons/0.npy");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let (code, said) = failure(&mut resume(&run));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("0.npy: it is not what the teacher said; delete it"),
        "{said}"
    );
    fs::remove_file(&file).unwrap();
    succeed(&mut resume(&run));
    let (whole, _) = with("2", "kept");
    assert_eq!(metrics(&run), metrics(&whole));
    assert_eq!(weights(&run), weights(&whole));
}
