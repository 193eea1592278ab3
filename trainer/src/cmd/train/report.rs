//! What a person sees of a training.

use std::iter;
use std::sync::atomic::Ordering;

use crate::cmd::eval::crops;
use crate::cmd::ui::{self, LazyBar, STEPPING};
use crate::config::RunConfig;
use crate::data::{Dataset, Sample, Split};
use crate::device::DeviceChoice;
use crate::disk;
use crate::inference::Model;
use crate::model::ModelSpec;
use crate::run::Run;
use crate::training::{Ending, Event, Outcome};

/// What will be trained and what it costs.
pub fn describe(config: &RunConfig, data: &Dataset, spec: &ModelSpec) -> anyhow::Result<String> {
    let [train, val, test] =
        [Split::Train, Split::Val, Split::Test].map(|split| data.split(split).len());
    let [channels, rows, columns] = spec.input;
    let mut lines = vec![
        format!(
            "pictures   {}: {} classes",
            data.root.display(),
            data.classes.len()
        ),
        format!("           train {train}, val {val}, test {test}"),
        format!("input      {columns}×{rows}, {channels} channels"),
        "layer                         output            params       MACs".to_owned(),
    ];
    let layers = spec.costs()?;
    for layer in &layers {
        let [c, h, w] = layer.output;
        let output = format!("{c}×{h}×{w}");
        let (params, macs) = (ui::count(layer.params), ui::count(layer.macs));
        lines.push(format!(
            "  {:<27} {output:<14} {params:>9}  {macs:>9}",
            layer.name
        ));
    }
    let params: usize = layers.iter().map(|layer| layer.params).sum();
    let macs: usize = layers.iter().map(|layer| layer.macs).sum();
    lines.push(format!(
        "total      {} parameters, {} MACs",
        ui::count(params),
        ui::count(macs)
    ));
    let sizes = iter::once(spec.input.iter().product::<usize>())
        .chain(layers.iter().map(|layer| layer.output.iter().product()));
    let sizes: Vec<usize> = sizes.collect();
    let peak = sizes
        .windows(2)
        .map(|pair| pair[0] + pair[1])
        .max()
        .unwrap_or(0);
    lines.push(format!(
        "memory     weights {:.1} kB as f32, {:.1} kB as int8; activations {:.1} kB at least as int8",
        params as f64 * 4.0 / 1e3,
        params as f64 / 1e3,
        peak as f64 / 1e3
    ));
    // Each value is kept for the way back, and has a gradient.
    let step = sizes.iter().sum::<usize>() * config.training.batch * 4 * 2;
    lines.push(format!(
        "           about {:.0} MB for a training step",
        step as f64 / 1e6 + params as f64 * 16.0 / 1e6
    ));
    Ok(lines.join("\n"))
}

/// Draws an event: bars while work is under way, a line for what is done.
pub fn show(bar: &LazyBar, event: &Event<'_>, run: &Run) {
    let epochs = run.config.training.epochs;
    match event {
        Event::Caching { split, done, total } => {
            bar.show(&format!("decoding {split}"), *done, *total);
        }
        Event::Broken(files) => {
            bar.line(&format!(
                "{} files could not be read and are left out:",
                files.len()
            ));
            for file in files.iter().take(10) {
                bar.line(&format!("  {}: {}", file.path, file.reason));
            }
            if files.len() > 10 {
                bar.line("  … (kiln check names them all)");
            }
        }
        Event::Started(grafted) => bar.line(&format!("weights    {grafted}")),
        Event::Resumed { epochs } => bar.line(&format!("resumed after epoch {epochs}")),
        Event::Steps {
            epoch,
            done,
            total,
            loss,
            accuracy,
            images_per_second,
        } => {
            STEPPING.store(true, Ordering::Relaxed);
            bar.show_with(
                &format!("epoch {epoch}/{epochs}"),
                *done,
                *total,
                format!(
                    "loss {loss:.4}  accuracy {:.2}%  {images_per_second:.0} images/s",
                    accuracy * 100.0
                ),
            );
        }
        Event::Epoch { metrics, best } => {
            let left = (epochs - metrics.epoch.min(epochs)) as f64 * metrics.seconds;
            bar.line(&format!(
                "epoch {:>3}/{epochs}  train {:.4} {:.2}%  val {:.4} {:.2}%  {:.0} images/s  left {}{}",
                metrics.epoch,
                metrics.train_loss,
                metrics.train_accuracy * 100.0,
                metrics.val_loss,
                metrics.val_accuracy * 100.0,
                metrics.images_per_second,
                ui::time(left),
                if *best { "  best" } else { "" },
            ));
        }
    }
}

/// Says how it ended, and what to type next.
pub fn conclude(run: &Run, outcome: &Outcome) -> anyhow::Result<()> {
    let folder = run.folder.display();
    match outcome.ending {
        Ending::Stopped => {
            ui::say(format!(
                "stopped after epoch {}; go on with:",
                outcome.epochs.len()
            ));
            let folder = disk::typed(&run.folder);
            ui::say(format!("  kiln train --resume --out {folder}"));
        }
        Ending::Early => ui::say("stopped early: the validation loss has not fallen any more"),
        Ending::Complete => {}
    }
    if let Some(best) = outcome.best() {
        ui::print(format!(
            "best       epoch {}: validation loss {:.4}, accuracy {:.2}%",
            best.epoch,
            best.val_loss,
            best.val_accuracy * 100.0
        ))?;
    }
    ui::print(format!(
        "run        {folder} (curves.png, metrics.jsonl, model.bpk, run.toml)"
    ))?;
    Ok(())
}

/// Random crops show larger animals than whole pictures do, so that the middle of a picture may be what a network
/// knows best (Touvron et al., <https://arxiv.org/abs/1906.06423>). Says so where it is, and what to type.
pub fn advise(run: &Run, device: &DeviceChoice) -> anyhow::Result<()> {
    let config = &run.config;
    if !config.augment.crop || config.recipe.crop_pct != 100 {
        return Ok(());
    }
    let data = Dataset::read_split(&config.data.path, &run.split())?;
    let step = data.val.len().div_ceil(MOST).max(1);
    let samples: Vec<Sample> = data.val.iter().step_by(step).cloned().collect();
    let mut model = Model::Run(Box::new(run.clone()));
    let mut judge = |share| crops::judge(&mut model, share, &data, ("val", &samples), device);
    let whole = judge(100)?;
    let mut best = whole;
    for share in [90, 80] {
        let crop = judge(share)?;
        if crop.loss < best.loss {
            best = crop;
        }
    }
    if best.crop_pct < 100 {
        ui::say(format!(
            "tip        the middle {}% of each picture is better: validation loss {:.4}, accuracy {:.2}% (the whole: \
             {:.4}, {:.2}%)",
            best.crop_pct,
            best.loss,
            best.accuracy * 100.0,
            whole.loss,
            whole.accuracy * 100.0
        ));
        let folder = disk::typed(&run.folder);
        ui::say(format!(
            "  kiln export {folder} --crop-pct {}",
            best.crop_pct
        ));
    }
    Ok(())
}

/// Pictures that are enough to compare shares by.
const MOST: usize = 5000;
