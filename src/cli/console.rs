//! `tierdeck`: the console. Ties the poller to the loop and carries out the loop's effects.

use std::io::IsTerminal;
use std::path::Path;

use color_eyre::eyre::{Result, bail};
use crossterm::event::EventStream;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::inspector::Inspector;
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
    // Before the terminal is taken: a signal in between would leave it raw.
    let stop = terminal::stop()?;
    open(&config, stop).await
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs the console until the operator leaves it, or `stop` does.
pub(super) async fn open(config: &Config, stop: impl Future<Output = crate::app::Exit>) -> Result<Exit> {
    let targets = observe::targets(config)?;
    let mut guard = terminal::Guard::take()?;
    let (report, reports) = mpsc::channel(REPORTS);
    let mut inspector = Inspector::new(config, &targets, report.clone());
    let poller = Poller::start(config, targets, Evaluator::steady());
    let mut model = Model::new(settings(config), Timestamp::now());
    let inputs = Inputs {
        events: EventStream::new(),
        snapshots: poller.snapshots.clone(),
        reports,
        stop,
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
        Effect::Locks(inquiry) => inspector.locks(inquiry),
        Effect::Plan(inquiry) => inspector.plan(*inquiry),
        Effect::Quit => {}
    };
    let depth = Depth::detect(|name| std::env::var(name).ok());
    let ended = event_loop::run(&mut guard.terminal, inputs, &mut model, depth, act).await;
    drop(guard);
    // Before the loop hears of it, a terminal that is gone may fail to be drawn on.
    let ended = if ended.is_err() && !has_terminal() { Ok(crate::app::Exit::InputClosed) } else { ended };
    Ok(match ended? {
        crate::app::Exit::Quit => Exit::Fine,
        crate::app::Exit::InputClosed | crate::app::Exit::Signal(_) => Exit::Interrupted,
        crate::app::Exit::Panicked => bail!("a part of the console broke, as told above; please report it"),
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
