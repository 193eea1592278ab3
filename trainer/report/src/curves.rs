//! Curves by epoch, and how far confidence can be believed.

use std::error::Error;

use serde::Serialize;

use crate::chart::{Axis, FIRST, Format, INK, SECOND, Series, around, draw};
use crate::data::{Bin, Epoch, Training};

/// A chart and its heading.
#[derive(Clone, Debug, Serialize)]
pub struct Panel {
    title: &'static str,
    svg: String,
}

type Get = fn(&Epoch) -> f64;

/// Loss, accuracy and learning rate by epoch; what is nowhere finite is left out.
pub fn training(training: &Training) -> Result<Vec<Panel>, Box<dyn Error>> {
    let panels: [(&str, Format, Get, Option<Get>); 3] = [
        (
            "Loss",
            Format::Plain,
            |e| e.val_loss,
            Some(|e| e.train_loss),
        ),
        (
            "Accuracy",
            Format::Percent,
            |e| e.val_accuracy,
            Some(|e| e.train_accuracy),
        ),
        ("Learning rate", Format::Power, |e| e.lr, None),
    ];
    let mut drawn = Vec::new();
    for (title, format, own, other) in panels {
        let values = training.epochs.iter();
        let values =
            values.flat_map(|epoch| [own(epoch), other.map_or(f64::NAN, |get| get(epoch))]);
        let Some(y) = around("", format, values) else {
            continue;
        };
        let line = |color, get: Get| {
            let points = training.epochs.iter().map(|e| (e.epoch as f64, get(e)));
            Series::Line(color, points.collect())
        };
        let mut series: Vec<Series> = other.map(|get| line(FIRST, get)).into_iter().collect();
        series.push(line(if other.is_some() { SECOND } else { INK }, own));
        let best = training
            .epochs
            .iter()
            .find(|e| Some(e.epoch) == training.best);
        if let (Some(best), true) = (best, other.is_some()) {
            series.push(Series::Dot(SECOND, (best.epoch as f64, own(best))));
        }
        let numbers = || training.epochs.iter().map(|e| e.epoch as f64);
        let low = numbers().fold(f64::INFINITY, f64::min);
        let x = Axis {
            name: "epoch",
            low,
            // One epoch alone has room too.
            high: numbers().fold(low + 1.0, f64::max),
            format: Format::Whole,
        };
        drawn.push(Panel {
            title,
            svg: draw(x, y, &series)?,
        });
    }
    Ok(drawn)
}

/// Accuracy by confidence, and how many pictures have which; nothing where there are no bins.
pub fn reliability(bins: &[Bin]) -> Result<Vec<Panel>, Box<dyn Error>> {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    if n == 0 {
        return Ok(Vec::new());
    }
    let axis = |name| Axis {
        name,
        low: 0.0,
        high: 1.0,
        format: Format::Percent,
    };
    let filled = || bins.iter().enumerate().filter(|(_, bin)| bin.n > 0);
    // A gap between neighbours, in widths of a bin.
    let edges = |index: usize| {
        let width = 1.0 / bins.len() as f64;
        let left = index as f64 * width;
        (left + 0.04 * width, left + 0.96 * width)
    };
    let bars = |height: &dyn Fn(&Bin) -> f64| -> Vec<(f64, f64, f64)> {
        let bar = |(index, bin): (usize, &Bin)| (edges(index).0, edges(index).1, height(bin));
        filled().map(bar).collect()
    };
    let believed = filled().map(|(_, bin)| (bin.confidence, bin.accuracy));
    let accuracy = [
        Series::Bars(SECOND, bars(&|bin| bin.accuracy)),
        Series::Guide((0.0, 0.0), (1.0, 1.0)),
        Series::Line(FIRST, believed.collect()),
    ];
    let share = |bin: &Bin| bin.n as f64 / n as f64;
    let shares = filled().map(|(_, bin)| share(bin)).fold(0.0, f64::max);
    let high = Axis {
        high: (shares * 1.1).min(1.0),
        ..axis("share of pictures")
    };
    Ok(vec![
        Panel {
            title: "How often it is right",
            svg: draw(axis("confidence"), axis("accuracy"), &accuracy)?,
        },
        Panel {
            title: "How sure it is",
            svg: draw(
                axis("confidence"),
                high,
                &[Series::Bars(SECOND, bars(&share))],
            )?,
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_epoch_and_a_loss_that_is_nowhere_finite_still_give_charts() {
        let epoch = Epoch {
            epoch: 1,
            train_loss: f64::NAN,
            val_loss: f64::NAN,
            val_accuracy: 0.5,
            ..Epoch::default()
        };
        let one = Training {
            epochs: vec![epoch],
            best: Some(1),
        };
        let titles: Vec<_> = training(&one).unwrap().iter().map(|p| p.title).collect();
        assert_eq!(titles, ["Accuracy", "Learning rate"]);
        assert!(training(&Training::default()).unwrap().is_empty());
    }

    #[test]
    fn bins_without_pictures_are_not_drawn() {
        assert!(reliability(&[Bin::default()]).unwrap().is_empty());
        let mut bins = vec![Bin::default(); 10];
        let bars = |bins: &[Bin]| {
            let panels = reliability(bins).unwrap();
            panels[0].svg.matches("<rect").count()
        };
        bins[9] = Bin {
            n: 4,
            accuracy: 0.75,
            confidence: 0.97,
        };
        let one = bars(&bins);
        bins[5] = Bin {
            n: 2,
            accuracy: 0.5,
            confidence: 0.55,
        };
        assert_eq!(bars(&bins), one + 1);
    }
}
