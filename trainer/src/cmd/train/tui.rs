//! `kiln train --tui`: the events of a training, drawn in the whole terminal.

mod view;

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyCode, KeyEventKind, KeyModifiers};

use self::view::View;
use crate::cmd::ui::{self, DRAWING, STEPPING, STOP};
use crate::run::Run;
use crate::training::{Event, metrics};

/// How often it is drawn anew.
const FRAME: Duration = Duration::from_millis(150);

/// The terminal while a run trains. It is as it was before as soon as this is dropped.
pub struct Tui {
    view: Arc<Mutex<View>>,
    done: Arc<AtomicBool>,
    drawing: JoinHandle<()>,
}

/// Refuses where there is nothing to draw on.
///
/// # Errors
/// stdout or stdin is no terminal.
pub fn check() -> anyhow::Result<()> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!(
            "--tui draws in a terminal, and this is none (stdout or stdin is a pipe or a file); leave --tui out"
        );
    }
    Ok(())
}

impl Tui {
    /// Takes the terminal.
    ///
    /// # Errors
    /// The terminal cannot be drawn on.
    pub fn start(run: &Run) -> anyhow::Result<Self> {
        check()?;
        let name = run.folder.display().to_string();
        let view = Arc::new(Mutex::new(View::new(name, run.config.training.epochs)));
        let done = Arc::new(AtomicBool::new(false));
        let terminal = ratatui::try_init().context("--tui: the terminal cannot be drawn on")?;
        DRAWING.store(true, Ordering::Relaxed);
        let drawing = {
            let (view, done) = (view.clone(), done.clone());
            std::thread::spawn(move || draw(terminal, &view, &done))
        };
        Ok(Self {
            view,
            done,
            drawing,
        })
    }

    /// Takes an event of the training.
    pub fn show(&self, event: &Event<'_>, run: &Run) {
        let Ok(mut view) = self.view.lock() else {
            return;
        };
        match event {
            // A run that goes on shows its former epochs too.
            Event::Resumed { epochs } => {
                view.former(metrics::read(&run.metrics(), *epochs).unwrap_or_default());
            }
            Event::Steps { .. } => STEPPING.store(true, Ordering::Relaxed),
            _ => {}
        }
        view.take(event, Instant::now());
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        // Where the terminal has gone away, waiting for its keys never ends: then nobody waits for that.
        let since = Instant::now();
        while !self.drawing.is_finished() && since.elapsed() < FRAME * 8 {
            std::thread::sleep(FRAME / 8);
        }
        DRAWING.store(false, Ordering::Relaxed);
        ratatui::restore();
    }
}

fn draw(mut terminal: DefaultTerminal, view: &Mutex<View>, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        if let Ok(mut view) = view.lock() {
            view.stopping = STOP.load(Ordering::Relaxed);
            let now = Instant::now();
            if terminal.draw(|frame| view.draw(frame, now)).is_err() {
                return;
            }
        }
        match event::poll(FRAME) {
            Ok(true) => {
                if let Ok(event) = event::read()
                    && wants_to_stop(&event)
                {
                    ui::stop();
                }
            }
            Ok(false) => {}
            Err(_) => std::thread::sleep(FRAME),
        }
    }
}

/// `q`, or Ctrl-C, which is a key like others here.
fn wants_to_stop(event: &event::Event) -> bool {
    let event::Event::Key(key) = event else {
        return false;
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && (key.code == KeyCode::Char('q') || key.code == KeyCode::Char('c') && control)
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn q_and_ctrl_c_stop_and_nothing_else_does() {
        let key = |code, modifiers| event::Event::Key(KeyEvent::new(code, modifiers));
        let (none, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        assert!(wants_to_stop(&key(KeyCode::Char('q'), none)));
        assert!(wants_to_stop(&key(KeyCode::Char('c'), control)));
        assert!(!wants_to_stop(&key(KeyCode::Char('c'), none)));
        assert!(!wants_to_stop(&event::Event::Resize(80, 24)));
    }
}
