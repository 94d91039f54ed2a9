//! `tierdeck`: the console. Ties the poller to the loop and carries out the loop's effects.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::{Result, bail};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::conductor::Conductor;
use super::inspector::Inspector;
use super::watching::Lookout;
use super::{Exit, acknowledge, observe, offers, output, record, remember, save, store, themes};
use crate::app::{Effect, Message, Model, Report, Settings};
use crate::clients::Environment;
use crate::config::Config;
use crate::domain::facts::Source;
use crate::poll::Poller;
use crate::signals::{Evaluator, REGISTRY};
use crate::ui::event_loop::{self, Inputs};
use crate::ui::{Depth, terminal};

/// Reports of effects that wait to be shown; a further one is dropped rather than waited for.
const REPORTS: usize = 16;

/// How long what is remembered may take to be written when the console ends.
const GOODBYE: Duration = Duration::from_secs(3);

pub(super) async fn run(path: Option<&Path>, allow: bool) -> Result<Exit> {
    if !has_terminal() {
        output::say("the console needs a terminal; without one: tierdeck status, tierdeck findings");
        return Ok(Exit::Usage);
    }
    let Some((place, checked)) = observe::checked(path) else { return Ok(Exit::Usage) };
    // Before the terminal is taken: a signal in between would leave it raw.
    let stop = terminal::stop()?;
    open(&checked.config, Some(&place), Kept::Console, allow, stop).await
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Whose choices are kept and found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The operator's.
    Console,
    /// The demo's, so that looking around changes nobody's own.
    Demo,
}

/// Runs the console until the operator leaves it, or `stop` does. `place`: the configuration's file, where themes may be
/// beside it.
pub(super) async fn open(
    config: &Config,
    place: Option<&Path>,
    kept: Kept,
    allow: bool,
    stop: impl Future<Output = crate::app::Exit>,
) -> Result<Exit> {
    let targets = observe::targets(config)?;
    let environment = Environment::of_process();
    let (report, reports) = mpsc::channel(REPORTS);
    let mut inspector = Inspector::new(config, &targets, report.clone());
    let mut lookout = Lookout::new(config, report.clone());
    let mut conductor = Conductor::new(config, &environment, allow, report.clone());
    let mut model = Model::new(settings(config, &environment, allow), Timestamp::now());
    // A full queue means that the operator has enough to read.
    let tell = |said| drop(report.try_send(said));
    let folder = themes::folder(&environment, place);
    let stock = themes::load(folder.as_deref());
    tell(Report::Themes(stock.themes.clone(), stock.problem.clone()));
    model.update(Message::Report(Report::Themes(stock.themes.clone(), None)));
    let name = if kept == Kept::Demo { "demo.toml" } else { "console.toml" };
    let (choices, trouble) = store::read(environment.state_folder.as_deref(), name);
    model.prefer(&choices);
    trouble.map(Report::Failed).map(&tell);
    let store = store::Store::open(environment.state_folder.as_deref(), name, report.clone());
    let watch = tokio::spawn(themes::watch(folder, stock, report.clone()));

    let mut guard = terminal::Guard::take()?;
    if model.mouse {
        terminal::mouse(true)?;
    }
    let poller = Poller::start(config, targets, Evaluator::steady());
    poller.pace.send_replace(model.settings.refresh);
    inspector.know(poller.found.clone());
    conductor.know(poller.found.clone());
    let history = {
        let report = report.clone();
        remember::start(config, &environment, &poller, move |notice| {
            let said = if notice.bad { Report::Failed(notice.text) } else { Report::Done(notice.text) };
            let _ = report.try_send(said);
        })
    };
    let inputs = Inputs {
        events: terminal::events()?,
        snapshots: poller.snapshots.clone(),
        reports,
        stop,
        clock: Timestamp::now,
    };
    let keep = acknowledge::Keeper::start(config, &environment, &poller, report.clone());
    let mut tapes = record::Tapes::default();
    let act = |effect| match effect {
        Effect::Acknowledge(word) => keep.add(word),
        Effect::Unacknowledge(word) => keep.remove(word),
        Effect::Copy(text) => tell(match terminal::copy(&text) {
            Ok(()) => Report::Done("copied".to_owned()),
            Err(error) => Report::Failed(format!("the terminal took no copy: {error}")),
        }),
        Effect::Refresh(every) => {
            poller.pace.send_replace(every);
        }
        Effect::Save(document) => save::aside(document, environment.clone(), report.clone()),
        Effect::Keep(choices) => store.keep(choices),
        Effect::Mouse(on) => {
            if let Err(error) = terminal::mouse(on) {
                tell(Report::Failed(format!("the terminal does not listen: {error}")));
            }
        }
        Effect::History { whose, stretch, now } => {
            remember::ask(history.clone(), (whose, stretch, now), report.clone());
        }
        Effect::Locks(inquiry) => inspector.locks(inquiry),
        Effect::Plan(inquiry) => inspector.plan(*inquiry),
        Effect::Tables(inquiry) => inspector.tables(inquiry),
        Effect::Figures(inquiry) => lookout.figures(inquiry),
        Effect::Tail(inquiry) => lookout.follow(inquiry),
        Effect::Record => tapes.toggle(config, &environment, &poller, &report),
        Effect::Operations => conductor.list(),
        Effect::Prepare(ticket, request) => conductor.prepare(ticket, request),
        Effect::Start { id, typed } => conductor.start(id, typed),
        Effect::GoOn { id, wish, take_over } => conductor.go_on(id, wish, take_over),
        Effect::PauseAfterStep(id) => conductor.pause(&id),
        Effect::Follow(id) => conductor.follow(id),
        Effect::Title(title) => terminal::title(title.as_deref()),
        Effect::Bell => terminal::bell(),
        Effect::Play(_) | Effect::Quit => {}
    };
    let depth = Depth::detect(|name| std::env::var(name).ok());
    let ended = event_loop::run(&mut guard.terminal, inputs, &mut model, depth, act).await;
    drop(guard);
    watch.abort();
    // The report of an operation that ends now waits for nobody.
    conductor.close().await;
    // A disk that does not answer must not keep whoever wants to leave; what is kept survives being cut off.
    let goodbye = async {
        tapes.end().await;
        remember::close(history).await;
        store.close().await;
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    // Before the loop hears of it, a terminal that is gone may fail to be drawn on.
    let ended = if ended.is_err() && !has_terminal() { Ok(crate::app::Exit::InputClosed) } else { ended };
    Ok(match ended? {
        crate::app::Exit::Quit => Exit::Fine,
        crate::app::Exit::InputClosed | crate::app::Exit::Signal(_) => Exit::Interrupted,
        crate::app::Exit::Panicked => bail!("a part of the console broke, as told above; please report it"),
    })
}

/// What the console is told of a configuration.
pub(super) fn settings(config: &Config, environment: &Environment, allow: bool) -> Settings {
    let refresh = config.poll.get(&Source::Activity).copied().unwrap_or_default();
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Settings {
        environment: config.environment.clone(),
        read_only: !(allow || config.allow_actions),
        refresh,
        instances: config.instances.iter().map(|instance| instance.name.to_string()).collect(),
        signals: REGISTRY.iter().map(|check| (check.signal().name(), check.about())).collect(),
        operator: environment.operator(),
        // Rates take two looks, and what they say must then hold.
        look: refresh * 2 + seconds(config.thresholds.hold_seconds),
        lock_wait: seconds(config.thresholds.lock_wait_seconds.warning),
        offers: offers::all(),
        backup: config.policy.backup.clone(),
        thresholds: config.thresholds.clone(),
    }
}
