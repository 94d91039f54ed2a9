//! `tierdeck replay`: the console on a recording; or what was found in it, without one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use color_eyre::eyre::{Result, bail};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::document::Findings;
use super::{Exit, console, findings, output, save, store, themes};
use crate::app::{Effect, Message, Model, Report};
use crate::clients::Environment;
use crate::domain::Snapshot;
use crate::domain::history::Curve;
use crate::recording::{Film, Player, Reel};
use crate::ui::event_loop::{self, Inputs};
use crate::ui::{Depth, terminal};

/// Why no server is asked.
const PAST: &str = "this is a recording: the server is not asked";

/// Reports that wait to be shown.
const REPORTS: usize = 64;

pub(super) async fn run(path: &Path, json: bool) -> Result<Exit> {
    let film = match Film::open(path) {
        Ok(film) => film,
        Err(error) => {
            output::say(&error.to_string());
            return Ok(Exit::Usage);
        }
    };
    if json {
        return tokio::task::spawn_blocking(move || found(film)).await?;
    }
    if !console::has_terminal() {
        output::say("the console needs a terminal; without one: tierdeck replay FILE --json");
        return Ok(Exit::Usage);
    }
    let stop = terminal::stop()?;
    open(film, stop).await
}

/// Everything that was found in it, each as it was at its worst, in one document.
fn found(film: Film) -> Result<Exit> {
    let mut reel = Reel::new(film)?;
    let mut found = BTreeMap::new();
    let mut last: Option<Arc<Snapshot>> = None;
    while let Some(snapshot) = reel.step() {
        findings::collect(&mut found, &snapshot);
        last = Some(snapshot);
    }
    if reel.is_over() == Some(true) {
        output::say("the recording was cut: this is what was found up to there");
    }
    let Some(last) = last else {
        output::say("the recording holds no snapshot");
        return Ok(Exit::Usage);
    };
    let mut snapshot = Snapshot::clone(&last);
    snapshot.findings = found.into_values().collect();
    snapshot.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.since.cmp(&b.since)));
    output::document(&Findings::of(&snapshot))
}

async fn open(film: Film, stop: impl Future<Output = crate::app::Exit>) -> Result<Exit> {
    let environment = Environment::of_process();
    let settings = console::settings(&film.config, &environment, false);
    let began = film.began;
    let player = Player::start(film)?;
    let mut model = Model::new(settings, began);
    // As the operator likes it; what is chosen here is not kept.
    let stock = themes::load(themes::folder(&environment, None).as_deref());
    model.update(Message::Report(Report::Themes(stock.themes, None)));
    model.prefer(&store::read(environment.state_folder.as_deref(), "console.toml").0);
    let mut guard = terminal::Guard::take()?;
    if model.mouse {
        terminal::mouse(true)?;
    }
    let (report, reports) = mpsc::channel(REPORTS);
    let clock = Arc::clone(&player.clock);
    let inputs = Inputs {
        events: terminal::events()?,
        snapshots: player.snapshots.clone(),
        reports,
        stop,
        clock: move || Timestamp::from_millisecond(clock.load(Ordering::Relaxed)).unwrap_or(began),
    };
    let news = report.clone();
    let mut state = player.state.clone();
    state.mark_changed();
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            let playback = state.borrow_and_update().clone();
            if news.send(Report::Playback(playback)).await.is_err() {
                return;
            }
        }
    });
    let orders = player.orders.clone();
    let act = |effect| match effect {
        Effect::Play(order) => {
            // A film that is still looking for the last order's place has enough to do.
            let _ = orders.try_send(order);
        }
        Effect::Copy(text) => {
            if let Err(error) = terminal::copy(&text) {
                let _ = report.try_send(Report::Failed(format!("the terminal took no copy: {error}")));
            }
        }
        Effect::History { whose, stretch, .. } => {
            let trouble = Some("a recording has no past beyond itself".to_owned());
            let curve = Curve { whose, stretch, readings: Vec::new(), trouble };
            let _ = report.try_send(Report::History(Arc::new(curve)));
        }
        Effect::Acknowledge(_) | Effect::Unacknowledge(_) => {
            let _ = report.try_send(Report::Failed("this is a recording: nobody can be told any more".to_owned()));
        }
        Effect::Locks(inquiry) => {
            let _ = report.try_send(Report::Locks((inquiry.instance, inquiry.key), Err(PAST.to_owned())));
        }
        Effect::Plan(inquiry) => {
            let session = (inquiry.session.instance, inquiry.session.key);
            let _ = report.try_send(Report::Plan(session, Err(PAST.to_owned())));
        }
        Effect::Tables(inquiry) => {
            let _ = report.try_send(Report::Tables(inquiry, Err(PAST.to_owned())));
        }
        Effect::Figures(inquiry) => {
            let _ = report.try_send(Report::Figures(inquiry, Err(PAST.to_owned())));
        }
        Effect::Tail(Some(inquiry)) => {
            let _ = report.try_send(Report::Log(inquiry.of, Err(PAST.to_owned())));
        }
        Effect::Save(document) => save::aside(document, environment.clone(), report.clone()),
        Effect::Mouse(on) => {
            if let Err(error) = terminal::mouse(on) {
                let _ = report.try_send(Report::Failed(format!("the terminal does not listen: {error}")));
            }
        }
        Effect::Record | Effect::Refresh(_) => {
            let _ = report.try_send(Report::Failed("this is a recording already".to_owned()));
        }
        Effect::Keep(_)
        | Effect::Tail(None)
        | Effect::Operations
        | Effect::Prepare(..)
        | Effect::Start { .. }
        | Effect::GoOn { .. }
        | Effect::PauseAfterStep(_)
        | Effect::Follow(_)
        | Effect::Title(_)
        | Effect::Bell
        | Effect::Quit => {}
    };
    let depth = Depth::detect(|name| std::env::var(name).ok());
    let ended = event_loop::run(&mut guard.terminal, inputs, &mut model, depth, act).await;
    drop(guard);
    let ended = if ended.is_err() && !console::has_terminal() { Ok(crate::app::Exit::InputClosed) } else { ended };
    Ok(match ended? {
        crate::app::Exit::Quit => Exit::Fine,
        crate::app::Exit::InputClosed | crate::app::Exit::Signal(_) => Exit::Interrupted,
        crate::app::Exit::Panicked => bail!("a part of the console broke, as told above; please report it"),
    })
}
