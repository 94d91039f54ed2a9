//! `tierdeck record`, and `R` in the console: writing a recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use color_eyre::eyre::Result;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::arguments::Record;
use super::{Exit, observe, output, whole};
use crate::app::Report;
use crate::clients::Environment;
use crate::config::Config;
use crate::domain::playback::Taping;
use crate::domain::quantity;
use crate::poll::Poller;
use crate::recording::{Ended, Options, Recorder};
use crate::signals::Evaluator;
use crate::ui::terminal;

/// The most that a recording from the console may take.
pub(super) const MOST: u64 = 256 << 20;

/// How often the header learns how large it is.
const NEWS: Duration = Duration::from_secs(1);

pub(super) async fn run(config: Option<&Path>, options: Record) -> Result<Exit> {
    let Some(config) = observe::configuration(config) else { return Ok(Exit::Usage) };
    let stop = terminal::signalled()?;
    let poller = Poller::start(&config, observe::targets(&config)?, Evaluator::steady());
    let (tell, ended) = oneshot::channel();
    let how = Options { path: options.file.clone(), most: options.max_size, redact: options.redact };
    let told = move |end: &Ended| {
        // Whoever waited may have left already.
        let _ = tell.send(end.clone());
    };
    let recorder = match Recorder::start(&how, &config, &poller, told) {
        Ok(recorder) => recorder,
        Err(error) => {
            output::say(&error.to_string());
            return Ok(Exit::Usage);
        }
    };
    output::say(&format!("recording to {} until Ctrl-C", options.file.display()));
    let time = async {
        match options.duration {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = stop => {}
        () = time => {}
        // Dropped without a word when it ends as asked: not before we ask.
        Ok(_) = ended => {}
    }
    let (bytes, path) = (recorder.written(), options.file);
    let end = tokio::task::spawn_blocking(move || recorder.stop()).await?;
    output::say(&format!("{} ({})", end.words(&path), quantity::bytes(bytes)));
    Ok(if matches!(end, Ended::Failed(_) | Ended::Late) { Exit::Found } else { Exit::Fine })
}

/// The recordings of a console: one at a time.
#[derive(Default)]
pub(super) struct Tapes {
    recorder: Option<Recorder>,
}

impl Tapes {
    /// Begins one, or ends the one that runs.
    pub fn toggle(
        &mut self,
        config: &Config,
        environment: &Environment,
        poller: &Poller,
        report: &mpsc::Sender<Report>,
    ) {
        if let Some(recorder) = self.recorder.take().filter(Recorder::is_running) {
            let report = report.clone();
            tokio::task::spawn_blocking(move || {
                let path = recorder.path().to_owned();
                let end = recorder.stop();
                let _ = report.blocking_send(Report::Taping(None));
                let _ = report.blocking_send(Report::Done(end.words(&path)));
            });
            return;
        }
        match begin(config, environment, poller, report) {
            Ok(recorder) => {
                let _ = report.try_send(Report::Done(format!("recording to {}", recorder.path().display())));
                let taping = Taping { began: recorder.began, bytes: recorder.written() };
                let _ = report.try_send(Report::Taping(Some(taping)));
                tokio::spawn(watch(recorder.began, recorder.size(), report.clone()));
                self.recorder = Some(recorder);
            }
            Err(error) => {
                let _ = report.try_send(Report::Failed(error));
            }
        }
    }

    /// Ends what runs, so that the file is whole.
    pub async fn end(self) {
        if let Some(recorder) = self.recorder {
            let _ = tokio::task::spawn_blocking(move || recorder.stop()).await;
        }
    }
}

fn begin(
    config: &Config,
    environment: &Environment,
    poller: &Poller,
    report: &mpsc::Sender<Report>,
) -> Result<Recorder, String> {
    // The operator asked for it: it stays when a demo's estate goes.
    let folder = environment.state_folder.as_ref().map_or_else(PathBuf::new, |state| state.join("recordings"));
    if !folder.as_os_str().is_empty() {
        whole::folder(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let path = folder.join(format!("tierdeck-{}.jsonl.gz", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
    let report = report.clone();
    let named = path.clone();
    let told = move |end: &Ended| {
        let _ = report.blocking_send(Report::Taping(None));
        let _ = report.blocking_send(Report::Failed(end.words(&named)));
    };
    let options = Options { path, most: MOST, redact: false };
    Recorder::start(&options, config, poller, told).map_err(|error| error.to_string())
}

/// Tells how large it is while it runs.
async fn watch(began: Timestamp, size: impl Fn() -> Option<u64>, report: mpsc::Sender<Report>) {
    loop {
        tokio::time::sleep(NEWS).await;
        let Some(bytes) = size() else { return };
        // A full queue has newer things to say.
        let _ = report.try_send(Report::Taping(Some(Taping { began, bytes })));
    }
}
