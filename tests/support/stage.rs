//! A console on a test's stage: pictures go in, keys are typed, the screen is read; in passing, or through the loop that
//! ships.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures::StreamExt;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tierdeck::app::{Effect, Message, Model, Report};
use tierdeck::domain::Snapshot;
use tierdeck::ui::event_loop::{Inputs, run};
use tierdeck::ui::{Depth, draw};
use tokio::sync::{mpsc, watch};

use super::estate;

/// A console that has seen this picture.
pub fn model(snapshot: Snapshot) -> Model {
    let mut model = Model::new(estate::settings(), estate::now());
    model.update(Message::Snapshot(Arc::new(snapshot)));
    model
}

/// `⏎`, `⇥`, `⎋`, `↓`, `→`, `←` are keys, all else are characters.
fn event(char: char) -> KeyEvent {
    let code = match char {
        '⏎' => KeyCode::Enter,
        '⇥' => KeyCode::Tab,
        '⎋' => KeyCode::Esc,
        '↓' => KeyCode::Down,
        '→' => KeyCode::Right,
        '←' => KeyCode::Left,
        char => KeyCode::Char(char),
    };
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// Types keys and draws after each, as the loop does.
pub fn type_keys(model: &mut Model, keys: &str, size: (u16, u16)) -> Vec<Effect> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let mut effects = Vec::new();
    frame(model, &mut terminal);
    for char in keys.chars() {
        effects.extend(model.update(Message::Key(event(char))));
        frame(model, &mut terminal);
    }
    effects
}

pub fn frame(model: &mut Model, terminal: &mut Terminal<TestBackend>) {
    let mut viewport = None;
    terminal.draw(|frame| viewport = Some(draw(frame, model, Depth::True))).unwrap();
    model.update(Message::Drawn(viewport.unwrap()));
}

pub fn screen(model: &mut Model, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    frame(model, &mut terminal);
    text(&terminal)
}

/// What stands on it, line by line.
pub fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let row = |y: u16| {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        row.trim_end().to_owned()
    };
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}

/// Runs the loop that ships until it was typed to the end: keys one by one, each drawn; what it asks of the world is
/// answered by `answer`. Returns the last frame and everything it asked.
pub async fn through_the_loop(
    snapshot: Snapshot,
    keys: &str,
    size: (u16, u16),
    mut answer: impl FnMut(&Effect) -> Option<Report>,
) -> (String, Vec<Effect>) {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let mut model = Model::new(estate::settings(), estate::now());
    let (_publish, snapshots) = watch::channel(Arc::new(snapshot));
    let (reports, reported) = mpsc::channel(8);
    let typed: Vec<Event> = keys.chars().map(|char| Event::Key(event(char))).collect();
    // The loop sleeps between two keys, and what was asked has time to be answered before the input ends.
    let pause = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let events = futures::stream::iter(typed).then(move |event| async move {
        pause(40).await;
        Ok(event)
    });
    let end = futures::stream::once(async move {
        pause(150).await;
        Ok(Event::FocusLost)
    });
    let events = Box::pin(events.chain(end));
    let inputs = Inputs { events, snapshots, reports: reported, stop: std::future::pending(), clock: estate::now };
    let mut effects = Vec::new();
    let act = |effect: Effect| {
        if let Some(report) = answer(&effect) {
            reports.try_send(report).unwrap();
        }
        effects.push(effect);
    };
    run(&mut terminal, inputs, &mut model, Depth::True, act).await.unwrap();
    (text(&terminal), effects)
}
