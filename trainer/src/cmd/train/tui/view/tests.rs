use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

fn metrics(epoch: usize) -> EpochMetrics {
    EpochMetrics {
        epoch,
        steps: epoch * 10,
        lr: 0.1,
        train_loss: 0.7 / epoch as f64,
        train_accuracy: 0.6,
        val_loss: 0.8 / epoch as f64,
        val_tempered_loss: None,
        val_accuracy: 0.625,
        images_per_second: 100.0,
        seconds: 30.0,
    }
}

fn screen(view: &View, now: Instant, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame, now)).unwrap();
    terminal.backend().to_string()
}

fn steps(epoch: usize, done: usize) -> Event<'static> {
    Event::Steps {
        epoch,
        done,
        total: 40,
        loss: 0.4321,
        accuracy: 0.8125,
        images_per_second: 812.0,
    }
}

#[test]
fn the_screen_has_curves_progress_and_time_left() {
    let start = Instant::now();
    let mut view = View::new("runs/first".into(), 10);
    for epoch in 1..=3 {
        let metrics = metrics(epoch);
        let best = true;
        view.take(
            &Event::Epoch {
                metrics: &metrics,
                best,
            },
            start,
        );
    }
    view.take(&steps(4, 1), start);
    view.take(&steps(4, 20), start);
    let now = start + Duration::from_secs(10);
    let text = screen(&view, now, 100, 30);
    for part in [
        "runs/first",
        "best epoch 3",
        "62.50%",
        "train",
        "validation",
        "epoch 4/10",
        "20/40",
        "loss 0.4321",
        "accuracy 81.25%",
        "812 pictures/s",
        "left 3 m 20 s",
        "q or Ctrl-C stops",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(
        text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
        "{text}"
    );
    view.stopping = true;
    assert!(screen(&view, now, 100, 30).contains("stopping after this step"));
}

#[test]
fn nothing_yet_and_no_room_are_no_panic() {
    let now = Instant::now();
    let mut view = View::new("r".into(), 0);
    for (width, height) in [(1, 1), (10, 4), (300, 80)] {
        screen(&view, now, width, height);
    }
    assert_eq!(view.left(now), None);
    view.take(&steps(1, 0), now);
    assert_eq!(view.left(now), None);
    let mut bad = metrics(1);
    (bad.val_loss, bad.train_loss) = (f64::NAN, f64::INFINITY);
    let event = Event::Epoch {
        metrics: &bad,
        best: false,
    };
    view.take(&event, now);
    assert!(screen(&view, now, 80, 24).contains("epoch 1/0"));
}
