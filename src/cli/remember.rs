//! The history beside a poller: where its file is, and what is said where there is none.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::app::Report;
use crate::clients::Environment;
use crate::config::Config;
use crate::domain::history::{Curve, Stretch, Whose};
use crate::history::{History, Notice, Options};
use crate::poll::Poller;

/// How long leaving may wait for the last minute to be written.
const GOODBYE: Duration = Duration::from_secs(2);

/// Begins to remember what a poller sees; `None` where the configuration does not want it, or there is no place for it.
pub(super) fn start(
    config: &Config,
    environment: &Environment,
    poller: &Poller,
    tell: impl Fn(Notice) + Send + 'static,
) -> Option<History> {
    if !config.history.enabled {
        return None;
    }
    let bad = |text: String| Notice { text, bad: true };
    let Some(folder) = config.state_folder(environment) else {
        tell(bad("history is not kept: there is no folder for it; set TIERDECK_STATE, or state in the configuration"
            .to_owned()));
        return None;
    };
    let path = folder.join(format!("history-{}.redb", config.identity()));
    let options = Options { path, keep: config.history.keep };
    // Told from another thread from here on, and once here where that thread cannot be.
    History::start(options, poller.snapshots.clone(), poller.past.clone(), tell).ok()
}

/// Reports what is stored of somebody, in its own time; says why where nothing is.
pub(super) fn ask(
    history: Option<History>,
    (whose, stretch, now): (Whose, Stretch, Timestamp),
    report: mpsc::Sender<Report>,
) {
    tokio::spawn(async move {
        let curve = match history {
            Some(history) => history.curve(whose, stretch, now).await,
            None => {
                Curve { whose, stretch, readings: Vec::new(), trouble: Some("history is not kept here".to_owned()) }
            }
        };
        let _ = report.send(Report::History(Arc::new(curve))).await;
    });
}

/// Lets it write what it has.
pub(super) async fn close(history: Option<History>) {
    if let Some(history) = history {
        let _ = tokio::time::timeout(GOODBYE, history.close()).await;
    }
}
