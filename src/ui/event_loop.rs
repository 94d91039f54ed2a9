//! The loop: keys first, then a due frame, messages from effects, a new snapshot, the tick of a second.
//!
//! It never waits for anything but these. Generic over the backend and the stream of input, so that the loop that ships is
//! the loop that is tested.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, MouseEventKind};
use futures::{Stream, StreamExt, poll};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::Depth;
use crate::app::{Effect, Exit, Message, Model, Report};
use crate::domain::Snapshot;

/// Frames that data alone causes come no faster than this (30 a second).
const FRAME: Duration = Duration::from_millis(33);

/// Keys that are taken in before the screen is drawn again, when they come faster than it can be.
const BURST: usize = 32;

/// What comes into the loop.
pub struct Inputs<E, S, C = fn() -> Timestamp> {
    /// Keys, pastes, resizes; its end ends the loop.
    pub events: E,
    /// The newest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What became of effects; bounded by whoever made the channel.
    pub reports: mpsc::Receiver<Report>,
    /// Something from outside that asks to leave; see [`super::terminal::stop`].
    pub stop: S,
    /// Reads the clock: ours, or that of a recording.
    pub clock: C,
}

/// Why the loop broke.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The terminal cannot be drawn on any more.
    #[error("cannot draw on the terminal: {0}")]
    Draw(String),
    /// The terminal cannot be read any more.
    #[error("cannot read keys from the terminal")]
    Input(#[source] io::Error),
}

/// Runs the console until the operator leaves, the input ends or a signal comes. `act` carries out effects and must return
/// at once: what takes time goes to a task that answers with a [`Report`].
pub async fn run<B, E, S, C>(
    terminal: &mut Terminal<B>,
    inputs: Inputs<E, S, C>,
    model: &mut Model,
    depth: Depth,
    mut act: impl FnMut(Effect),
) -> Result<Exit, LoopError>
where
    B: Backend,
    E: Stream<Item = io::Result<Event>> + Unpin,
    S: Future<Output = Exit>,
    C: Fn() -> Timestamp,
{
    let Inputs { mut events, mut snapshots, mut reports, stop, clock } = inputs;
    let mut stop = pin!(stop);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut publishing, mut reporting) = (true, true);
    let mut waiting = false;
    let first = Arc::clone(&snapshots.borrow_and_update());
    for message in [Message::Tick(clock()), Message::Snapshot(first)] {
        model.update(message).into_iter().for_each(&mut act);
    }
    draw(terminal, model, depth, &mut act)?;
    let mut drawn = Instant::now();
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            exit = &mut stop => return Ok(exit),
            event = events.next() => {
                let mut next = Some(event);
                let mut burst = 0;
                let mut seen = false;
                while let Some(event) = next {
                    match event {
                        None => return Ok(Exit::InputClosed),
                        Some(Err(error)) => return Err(LoopError::Input(error)),
                        Some(Ok(event)) => match take(model, event, &mut act) {
                            Taken::Leave => return Ok(Exit::Quit),
                            Taken::Seen => seen = true,
                            Taken::Nothing => {}
                        },
                    }
                    burst += 1;
                    // Polled as this task, not in passing: the stream remembers whom to wake for the next key.
                    next = if burst < BURST { ready(poll!(events.next())) } else { None };
                }
                if !seen {
                    continue;
                }
                draw(terminal, model, depth, &mut act)?;
                drawn = Instant::now();
                // What was due is on the screen now; a snapshot that waits is still to come.
                due = waiting.then(|| drawn + FRAME);
            }
            () = tokio::time::sleep_until(due.unwrap_or(drawn)), if due.is_some() => {
                if std::mem::take(&mut waiting) {
                    let newest = Arc::clone(&snapshots.borrow_and_update());
                    // Data ask for more, too: a tenant that came to be known on the page of its tables.
                    model.update(Message::Snapshot(newest)).into_iter().for_each(&mut act);
                }
                draw(terminal, model, depth, &mut act)?;
                drawn = Instant::now();
                due = None;
            }
            report = reports.recv(), if reporting => {
                match report {
                    Some(report) => {
                        model.update(Message::Report(report)).into_iter().for_each(&mut act);
                    }
                    None => reporting = false,
                }
                due = due.or(Some(drawn + FRAME));
            }
            changed = snapshots.changed(), if publishing && !waiting => {
                match changed {
                    Ok(()) => waiting = true,
                    // Nobody publishes any more: the data ages on the screen.
                    Err(_) => publishing = false,
                }
                due = due.or(Some(drawn + FRAME));
            }
            _ = tick.tick() => {
                model.update(Message::Tick(clock())).into_iter().for_each(&mut act);
                due = due.or(Some(drawn + FRAME));
            }
        }
    }
}

fn ready<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// What an event came to.
enum Taken {
    /// The console is left.
    Leave,
    /// The screen may have changed.
    Seen,
    /// Nothing.
    Nothing,
}

/// Takes in one event.
fn take(model: &mut Model, event: Event, act: &mut impl FnMut(Effect)) -> Taken {
    let message = match event {
        Event::Key(key) => Message::Key(key),
        Event::Paste(text) => Message::Paste(text),
        Event::Mouse(event) => match event.kind {
            MouseEventKind::Down(_) | MouseEventKind::ScrollDown | MouseEventKind::ScrollUp => Message::Mouse(event),
            _ => return Taken::Nothing,
        },
        Event::Resize(..) => return Taken::Seen,
        Event::FocusGained | Event::FocusLost => return Taken::Nothing,
    };
    let mut taken = Taken::Seen;
    for effect in model.update(message) {
        if effect == Effect::Quit {
            taken = Taken::Leave;
        } else {
            act(effect);
        }
    }
    taken
}

fn draw<B: Backend>(
    terminal: &mut Terminal<B>,
    model: &mut Model,
    depth: Depth,
    act: &mut impl FnMut(Effect),
) -> Result<(), LoopError> {
    let mut viewport = crate::app::Viewport::default();
    terminal
        .draw(|frame| viewport = super::draw(frame, model, depth))
        .map_err(|error| LoopError::Draw(error.to_string()))?;
    model.update(Message::Drawn(viewport)).into_iter().for_each(act);
    Ok(())
}
