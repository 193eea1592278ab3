//! What a run finds in its folder, in those that it reads, and in the run that it goes on with.

use std::path::Path;

use anyhow::{Context, bail};

use super::TrainArgs;
use crate::cmd::ui;
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::disk;
use crate::run::{Run, is_run};

/// Whether a folder is, or would be, a picture folder or in one.
pub fn within(folder: &Path, pictures: &Path) -> anyhow::Result<bool> {
    let real = |path: &Path| disk::real_path(path).with_context(|| path.display().to_string());
    Ok(real(folder)?.starts_with(real(pictures)?))
}

/// The run to go on with, if `--resume` asks for it.
///
/// # Errors
/// The folder holds a run that nobody asked to continue or to replace, or what may be somebody's that is no run's.
pub fn former(args: &TrainArgs) -> anyhow::Result<Option<Run>> {
    if args.resume {
        return Ok(Some(Run::open(&args.out)?));
    }
    let Some(path) = Run::left(&args.out).filter(|_| !args.dry_run) else {
        return Ok(None);
    };
    if !is_run(&args.out) {
        bail!(
            "{} is there, but no run.toml that says it is a run's, and a new run would replace it; give --out a \
             folder of its own",
            path.display()
        );
    }
    if !args.overwrite {
        bail!(
            "{} holds a run already ({}); --resume goes on with it, --overwrite replaces it",
            args.out.display(),
            path.file_name().unwrap_or_default().to_string_lossy()
        );
    }
    Ok(None)
}

/// A run does not remove what it begins with or learns from.
///
/// # Errors
/// `--init` or `--teacher` is the folder's run, or something that a new one there removes.
pub fn keeps_what_it_reads(out: &Path, config: &RunConfig) -> anyhow::Result<()> {
    let init = config.init.iter().flat_map(|init| &init.weights);
    let teacher = config.teacher.iter().flat_map(|teacher| &teacher.model);
    let read = init.map(|path| ("--init", path));
    for (option, path) in read.chain(teacher.map(|path| ("--teacher", path))) {
        if Run::replaces(out, path).with_context(|| path.display().to_string())? {
            bail!(
                "{option} {}: a new run in {} would remove it; name another --out",
                path.display(),
                out.display()
            );
        }
    }
    Ok(())
}

/// Tells where weights to start from come from another draw of the same pictures: then they have learned some of
/// what val and test are to measure.
pub fn drawn_alike(config: &RunConfig, data: &Dataset) {
    let weights = config.init.iter().flat_map(|init| &init.weights);
    for path in weights.filter(|path| !data.given && is_run(path)) {
        let Ok(run) = Run::open(path) else { continue };
        let (there, here) = (run.config.split_options(), config.split_options());
        if there != here && disk::same(&run.config.data.path, &config.data.path) {
            ui::say(format!(
                "kiln: --init {}: its val and test were drawn otherwise, so that it has learned some of the pictures \
                 of these, which now look too good; --set data.seed={} --set data.val={} --set data.test={} draws them \
                 alike",
                path.display(),
                there.seed,
                there.val,
                there.test
            ));
        }
    }
}

/// A run goes on with what it began with: refuses another network, input, seed, set of pictures or draw of them,
/// and what a checkpoint has not.
pub fn unchanged(before: &RunConfig, now: &RunConfig) -> anyhow::Result<()> {
    let features = |run: &RunConfig| run.teacher.as_ref().is_some_and(|t| t.features > 0.0);
    let hash = |run: &RunConfig| run.provenance.as_ref().map(|p| p.data_hash.clone());
    let changes = [
        ("[model]", before.model != now.model),
        ("[recipe]", before.recipe != now.recipe),
        ("[augment]", before.augment != now.augment),
        ("training.qat", before.training.qat != now.training.qat),
        ("seed", before.seed != now.seed),
        (
            "training.batch",
            before.training.batch != now.training.batch,
        ),
        (
            "optimizer.kind",
            before.optimizer.kind != now.optimizer.kind,
        ),
        (
            "whether training.ema is 0",
            (before.training.ema > 0.0) != (now.training.ema > 0.0),
        ),
        (
            "whether the teacher's features are learned",
            features(before) != features(now),
        ),
        (
            "data.val, data.test, data.seed",
            before.split_options() != now.split_options(),
        ),
        ("the pictures", hash(before) != hash(now)),
    ];
    match changes.iter().find(|(_, changed)| *changed) {
        None => Ok(()),
        Some((what, _)) => bail!("--resume: {what} changed since the run began; train a new run"),
    }
}
