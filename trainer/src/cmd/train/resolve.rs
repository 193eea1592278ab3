//! From the configuration file, `--set` and the options to one run.

use std::path::PathBuf;

use anyhow::{Context, bail};
use toml::{Table, Value};

use super::TrainArgs;
use crate::config::{OptimizerConfig, RunConfig};
use crate::model::ModelConfig;

/// `64` or `96x64`, columns first.
pub fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let (columns, rows) = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| text.parse::<u16>().ok().filter(|side| *side > 0);
    let size = side(columns).zip(side(rows));
    size.ok_or_else(|| {
        "give a side, as 64, or COLUMNSxROWS, as 96x64; each is 1 to 65535".to_owned()
    })
}

/// The run that the configuration file, `--set` and the options describe together.
pub fn resolve(args: &TrainArgs) -> anyhow::Result<RunConfig> {
    let own = args.out.join("run.toml");
    let file = match (&args.config, args.resume) {
        (Some(file), _) => Some(file.clone()),
        (None, true) if own.exists() => Some(own),
        (None, true) => bail!(
            "{}: nothing to resume here; leave --resume out to begin",
            args.out.display()
        ),
        (None, false) => before(args)?,
    };
    let mut table = match &file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| path.display().to_string())?
            .parse::<Table>()
            .with_context(|| path.display().to_string())?,
        None => Table::new(),
    };
    if args.qat {
        fine_tune(&mut table, args.config.is_none())?;
    }
    if let Some(family) = &args.model {
        let model = ModelConfig::family(family).context("--model: no such family")?;
        table.insert("model".into(), Value::try_from(model)?);
    }
    for (option, paths, key) in [
        ("teacher", &args.teacher[..], "model"),
        ("init", &args.init[..], "weights"),
    ] {
        let entry = table.entry(option);
        let values = paths.iter().map(|path| {
            let path = path.to_str();
            let path = path.with_context(|| format!("--{option}: a path that is not UTF-8"));
            path.map(Value::from)
        });
        let value = match &values.collect::<Result<Vec<_>, _>>()?[..] {
            [] => continue,
            [value] => value.clone(),
            values => Value::Array(values.to_vec()),
        };
        if let Value::Table(table) = entry.or_insert_with(|| Value::Table(Table::new())) {
            table.insert(key.into(), value);
            // It is of those that were named before.
            table.remove("blake3");
        }
    }
    for assignment in &args.set {
        set(&mut table, assignment)?;
    }
    if let Some(Value::Table(model)) = table.get_mut("model") {
        model.entry("family").or_insert_with(|| "cnn".into());
    }
    let mut config: RunConfig = table.try_into().context("the run's configuration")?;
    let training = &mut config.training;
    training.epochs = args.epochs.unwrap_or(training.epochs);
    training.batch = args.batch.unwrap_or(training.batch);
    training.precision = args.precision.unwrap_or(training.precision);
    if let Some((columns, rows)) = args.size {
        (config.recipe.width, config.recipe.height) = (columns, rows);
    }
    config.optimizer.kind = args.optimizer.unwrap_or(config.optimizer.kind);
    config.optimizer.lr = args.lr.unwrap_or(config.optimizer.lr);
    config.seed = args.seed.unwrap_or(config.seed);
    if let Some(data) = &args.data {
        config.data.path.clone_from(data);
    }
    if config.data.path.as_os_str().is_empty() {
        bail!("no pictures are named: kiln train PICTURES --out RUN");
    }
    // The run is used from other folders too.
    let init = config.init.iter_mut().flat_map(|init| &mut init.weights);
    let teachers = config.teacher.iter_mut();
    let teachers = teachers.flat_map(|teacher| &mut teacher.model);
    for path in init.chain(teachers).chain([&mut config.data.path]) {
        *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
    }
    config.check()?;
    config
        .to_toml()
        .context("the run cannot be written as TOML")?;
    Ok(config)
}

/// The settings of the run that quantization-aware training goes on from.
fn before(args: &TrainArgs) -> anyhow::Result<Option<PathBuf>> {
    let run = match &args.init[..] {
        _ if !args.qat => return Ok(None),
        [run] => run,
        _ => bail!("--qat goes on from one run: give --init once"),
    };
    let file = run.join("run.toml");
    if !file.exists() {
        bail!(
            "--qat: {} is no run's folder; it goes on from a run that `kiln train` made",
            run.display()
        );
    }
    Ok(Some(file))
}

/// What quantization-aware training changes in the settings; `as_before`: they are those of the run that it
/// goes on from.
fn fine_tune(table: &mut Table, as_before: bool) -> anyhow::Result<()> {
    set(table, "training.qat=true")?;
    if as_before {
        // They are about that run alone.
        table.remove("provenance");
        table.remove("init");
        let optimizer = table.get("optimizer").and_then(|table| table.get("lr"));
        let before = optimizer
            .and_then(Value::as_float)
            .unwrap_or(OptimizerConfig::default().lr);
        set(table, &format!("optimizer.lr={:?}", before / 20.0))?;
        set(table, "training.epochs=3")?;
    }
    Ok(())
}

/// Sets `a.b=value` in a table; what is no TOML value is taken as a string.
fn set(table: &mut Table, assignment: &str) -> anyhow::Result<()> {
    let Some((key, value)) = assignment.split_once('=') else {
        bail!("--set {assignment}: write it as KEY=VALUE");
    };
    let parsed = format!("value = {value}").parse::<Table>();
    let value = parsed
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::from(value));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let Some(last) = parts.pop() else {
        return Ok(());
    };
    let mut table = table;
    for part in parts {
        let entry = table
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            bail!("--set {assignment}: `{part}` is no table");
        };
        table = inner;
    }
    table.insert(last.into(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_override_sets_and_sets_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, "seed = 5\n[training]\nepochs = 7\nbatch = 8\n").unwrap();
        let args = TrainArgs {
            config: Some(file),
            data: Some("photos".into()),
            set: vec![
                "training.epochs=9".into(),
                "training.batch=16".into(),
                "model.channels=[8, 8]".into(),
                "recipe.fit=crop".into(),
            ],
            batch: Some(32),
            ..Default::default()
        };
        let config = resolve(&args).unwrap();
        assert_eq!(
            (config.seed, config.training.epochs, config.training.batch),
            (5, 9, 32)
        );
        assert_eq!(config.recipe.fit, kiln_runtime::recipe::FitText::Crop);
        assert!(matches!(config.model, ModelConfig::Cnn(cnn) if cnn.channels == [8, 8]));
    }

    #[test]
    fn one_teacher_or_several() {
        for teachers in [vec!["a.onnx"], vec!["a.onnx", "b.onnx"]] {
            let teachers: Vec<PathBuf> = teachers.into_iter().map(PathBuf::from).collect();
            let args = TrainArgs {
                data: Some("photos".into()),
                teacher: teachers.clone(),
                ..Default::default()
            };
            let config = resolve(&args).unwrap();
            let whole = teachers
                .iter()
                .map(|path| std::path::absolute(path).unwrap());
            assert_eq!(config.teacher.unwrap().model, whole.collect::<Vec<_>>());
        }
    }

    #[test]
    fn other_weights_than_the_files_have_no_hash_yet() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        let text = "[init]\nweights = \"a.onnx\"\nblake3 = \"00\"\n\
                    [teacher]\nmodel = \"b.onnx\"\nblake3 = \"11\"\n";
        std::fs::write(&file, text).unwrap();
        let with = |init: &[&str], teacher: &[&str]| {
            let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect();
            let args = TrainArgs {
                config: Some(file.clone()),
                data: Some("photos".into()),
                init: paths(init),
                teacher: paths(teacher),
                ..Default::default()
            };
            let config = resolve(&args).unwrap();
            (config.init.unwrap().blake3, config.teacher.unwrap().blake3)
        };
        let (a, b) = (vec!["00".to_owned()], vec!["11".to_owned()]);
        assert_eq!(with(&[], &[]), (a.clone(), b.clone()));
        assert_eq!(with(&["c.onnx"], &[]), (Vec::new(), b));
        assert_eq!(with(&[], &["c.onnx"]), (a, Vec::new()));
    }

    #[test]
    fn each_family_is_a_models_start() {
        for family in ModelConfig::FAMILIES {
            let args = TrainArgs {
                data: Some("photos".into()),
                model: Some(family.into()),
                set: vec!["model.dropout=0.125".into()],
                ..Default::default()
            };
            let mut expected = ModelConfig::family(family).unwrap();
            let dropout = match &mut expected {
                ModelConfig::Cnn(config) => &mut config.dropout,
                ModelConfig::Resnet(config) => &mut config.dropout,
                ModelConfig::MobilenetV1(config) => &mut config.dropout,
                ModelConfig::MobilenetV2(config) => &mut config.dropout,
                ModelConfig::DsCnn(config) => &mut config.dropout,
            };
            *dropout = 0.125;
            assert_eq!(resolve(&args).unwrap().model, expected, "{family}");
        }
    }

    #[test]
    fn mistakes_in_the_options_are_named() {
        let with = |set: &str| {
            let args = TrainArgs {
                data: Some("photos".into()),
                set: vec![set.into()],
                ..Default::default()
            };
            format!("{:#}", resolve(&args).unwrap_err())
        };
        assert!(with("training.epoch=9").contains("unknown field `epoch`"));
        assert!(with("seed").contains("KEY=VALUE"));
        assert!(with("optimizer.lr=-1").contains("optimizer.lr"));
        let none = TrainArgs::default();
        assert!(
            resolve(&none)
                .unwrap_err()
                .to_string()
                .contains("kiln train PICTURES")
        );
    }

    #[test]
    fn sizes_are_a_side_or_two() {
        assert_eq!(parse_size("64"), Ok((64, 64)));
        assert_eq!(parse_size("96x64"), Ok((96, 64)));
        assert!(parse_size("0").is_err() && parse_size("axb").is_err());
    }
}
