//! `tierdeck`: the console. Ties the poller to the loop and carries out the loop's effects.

use std::io::IsTerminal;
use std::path::Path;

use color_eyre::eyre::Result;
use crossterm::event::EventStream;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Exit, observe, output};
use crate::app::{Effect, Model, Report, Settings, Theme};
use crate::config::Config;
use crate::domain::facts::Source;
use crate::poll::Poller;
use crate::signals::{Evaluator, REGISTRY};
use crate::ui::event_loop::{self, Inputs};
use crate::ui::{Depth, terminal};

/// Reports of effects that wait to be shown; a further one is dropped rather than waited for.
const REPORTS: usize = 16;

pub(super) async fn run(path: Option<&Path>) -> Result<Exit> {
    if !has_terminal() {
        output::say("the console needs a terminal; without one: tierdeck status, tierdeck findings");
        return Ok(Exit::Usage);
    }
    let Some(config) = observe::configuration(path) else { return Ok(Exit::Usage) };
    open(&config).await
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs the console until the operator leaves it.
pub(super) async fn open(config: &Config) -> Result<Exit> {
    let targets = observe::targets(config)?;
    let mut guard = terminal::Guard::take()?;
    let poller = Poller::start(config, targets, Evaluator::steady());
    let mut model = Model::new(settings(config), Timestamp::now());
    let (report, reports) = mpsc::channel(REPORTS);
    let inputs = Inputs {
        events: EventStream::new(),
        snapshots: poller.snapshots.clone(),
        reports,
        stop: terminal::stop()?,
        clock: Timestamp::now,
    };
    let act = |effect| match effect {
        Effect::Copy(text) => {
            let said = match terminal::copy(&text) {
                Ok(()) => Report::Done("copied".to_owned()),
                Err(error) => Report::Failed(format!("the terminal took no copy: {error}")),
            };
            // A full queue means that the operator has enough to read.
            let _ = report.try_send(said);
        }
        Effect::Refresh(every) => {
            poller.pace.send_replace(every);
        }
        Effect::Quit => {}
    };
    let depth = Depth::detect(|name| std::env::var(name).ok());
    let ended = event_loop::run(&mut guard.terminal, inputs, &mut model, depth, act).await;
    drop(guard);
    Ok(match ended? {
        crate::app::Exit::Quit => Exit::Fine,
        crate::app::Exit::InputClosed | crate::app::Exit::Signal(_) => Exit::Interrupted,
    })
}

fn settings(config: &Config) -> Settings {
    Settings {
        environment: config.environment.clone(),
        read_only: true,
        refresh: config.poll.get(&Source::Activity).copied().unwrap_or_default(),
        instances: config.instances.iter().map(|instance| instance.name.to_string()).collect(),
        signals: REGISTRY.iter().map(|check| (check.signal().name(), check.about())).collect(),
        theme: Theme::default(),
    }
}
