//! What is seen: curves by epoch, the epoch's progress, speed, time left.

#[cfg(test)]
mod tests;

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};

use crate::cmd::ui;
use crate::training::Event;
use crate::training::metrics::{self, EpochMetrics};

const TRAIN: Color = Color::Yellow;
const VAL: Color = Color::Cyan;
/// Messages kept on the screen.
const MESSAGES: usize = 3;

/// All that is on the screen.
pub struct View {
    run: String,
    epochs: usize,
    /// Whether the run was asked to stop.
    pub stopping: bool,
    history: Vec<EpochMetrics>,
    best: Option<EpochMetrics>,
    /// What is under way: its name, done, total.
    progress: (String, usize, usize),
    figures: String,
    /// When the epoch under way began.
    began: Option<(usize, Instant)>,
    messages: Vec<String>,
}

impl View {
    /// Before the first event.
    pub fn new(run: String, epochs: usize) -> Self {
        Self {
            run,
            epochs,
            stopping: false,
            history: Vec::new(),
            best: None,
            progress: ("starting".into(), 0, 0),
            figures: String::new(),
            began: None,
            messages: Vec::new(),
        }
    }

    /// Epochs of a run that goes on.
    pub fn former(&mut self, epochs: Vec<EpochMetrics>) {
        self.best = metrics::best(&epochs).cloned();
        self.history = epochs;
    }

    /// Takes an event.
    pub fn take(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Caching { split, done, total } => {
                self.progress = (format!("decoding {split}"), *done, *total);
            }
            Event::Broken(files) => {
                let count = files.len();
                self.message(format!("{count} files could not be read and are left out"));
                for file in files.iter().take(MESSAGES - 1) {
                    self.message(format!("  {}: {}", file.path, file.reason));
                }
            }
            Event::Started(grafted) => self.message(format!("weights: {grafted}")),
            Event::Resumed { epochs } => self.message(format!("resumed after epoch {epochs}")),
            Event::Steps {
                epoch,
                done,
                total,
                loss,
                accuracy,
                images_per_second,
            } => {
                if self.began.is_none_or(|(before, _)| before != *epoch) {
                    self.began = Some((*epoch, now));
                }
                self.progress = (format!("epoch {epoch}/{}", self.epochs), *done, *total);
                self.figures = format!(
                    "loss {loss:.4}   accuracy {:.2}%   {images_per_second:.0} pictures/s",
                    accuracy * 100.0
                );
            }
            Event::Epoch { metrics, best } => {
                if *best {
                    self.best = Some((*metrics).clone());
                }
                self.history.push((*metrics).clone());
            }
        }
    }

    fn message(&mut self, text: String) {
        self.messages.push(text);
        let old = self.messages.len().saturating_sub(MESSAGES);
        self.messages.drain(..old);
    }

    /// Seconds to the end of the run; `None` before there is anything to tell them from.
    fn left(&self, now: Instant) -> Option<f64> {
        let (epoch, began) = self.began?;
        let spent = now.duration_since(began).as_secs_f64();
        let (_, done, total) = self.progress;
        let whole = match self.history.last() {
            Some(last) => last.seconds,
            None => spent * total as f64 / (done > 0).then_some(done as f64)?,
        };
        // Between two epochs the last one is over already.
        let current = match self.history.last().is_some_and(|last| last.epoch >= epoch) {
            true => 0.0,
            false => (whole - spent).max(0.0),
        };
        Some(self.epochs.saturating_sub(epoch) as f64 * whole + current)
    }

    /// Draws all.
    pub fn draw(&self, frame: &mut Frame<'_>, now: Instant) {
        let [head, charts, bar, figures, messages, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(6),
            Constraint::Length(3),
            Constraint::Length(1),
            Constraint::Length(MESSAGES as u16),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let mut title = format!("kiln train  {}", self.run);
        if let Some(best) = &self.best {
            title += &format!(
                "   best epoch {}: validation {:.4}, {:.2}%",
                best.epoch,
                best.val_loss,
                best.val_accuracy * 100.0
            );
        }
        frame.render_widget(Line::from(title).bold(), head);
        let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(charts);
        self.chart(
            frame,
            left,
            "loss",
            |m| [m.train_loss, m.val_loss],
            |y| format!("{y:.3}"),
        );
        self.chart(
            frame,
            right,
            "accuracy",
            |m| [m.train_accuracy, m.val_accuracy],
            |y| format!("{:.1}%", y * 100.0),
        );
        let (name, done, total) = &self.progress;
        let share = *done as f64 / (*total).max(1) as f64;
        let gauge = Gauge::default()
            .block(Block::bordered().title(name.as_str()))
            .gauge_style(VAL)
            .ratio(share.clamp(0.0, 1.0))
            .label(format!("{done}/{total}"));
        frame.render_widget(gauge, bar);
        let left = self
            .left(now)
            .map(|seconds| format!("   left {}", ui::time(seconds)));
        let text = format!("{}{}", self.figures, left.unwrap_or_default());
        frame.render_widget(Line::from(text), figures);
        let lines: Vec<Line<'_>> = self
            .messages
            .iter()
            .map(|text| text.as_str().into())
            .collect();
        frame.render_widget(Paragraph::new(lines).dim(), messages);
        let text = match self.stopping {
            true => "stopping after this step; the last checkpoint is kept; q again stops at once",
            false => "q or Ctrl-C stops; the last checkpoint is kept",
        };
        frame.render_widget(Line::from(text).dim(), foot);
    }

    fn chart(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        title: &str,
        get: fn(&EpochMetrics) -> [f64; 2],
        text: fn(f64) -> String,
    ) {
        let points = |of: usize| -> Vec<(f64, f64)> {
            let points = self.history.iter().map(|m| (m.epoch as f64, get(m)[of]));
            points.filter(|point| point.1.is_finite()).collect()
        };
        let (train, val) = (points(0), points(1));
        let values = || train.iter().chain(&val).map(|point| point.1);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        // Before the first epoch the axes are there, and empty.
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let room = ((high - low) * 0.05).max(1e-3);
        let (low, high) = (low - room, high + room);
        let last = self.epochs.max(2) as f64;
        let set = |color, data| {
            Dataset::default()
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(color))
                .data(data)
        };
        let title = Line::from(vec![
            format!("{title}  ").into(),
            "train".fg(TRAIN),
            "  ".into(),
            "validation".fg(VAL),
        ]);
        let chart = Chart::new(vec![set(TRAIN, &train), set(VAL, &val)])
            .block(Block::bordered().title(title))
            .x_axis(
                Axis::default()
                    .bounds([1.0, last])
                    .labels(["1".to_owned(), format!("{last:.0}")]),
            )
            .y_axis(
                Axis::default()
                    .bounds([low, high])
                    .labels([low, (low + high) / 2.0, high].map(text)),
            );
        frame.render_widget(chart, area);
    }
}
