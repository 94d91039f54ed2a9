//! The console's side of acknowledging: carries out what the operator says, in the order in which it was said, and keeps the
//! poller told of what others say.

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::acknowledged::{Store, follow, renew};
use crate::app::Report;
use crate::clients::Environment;
use crate::config::Config;
use crate::domain::Acknowledgement;
use crate::poll::Poller;

/// What the operator said and is not written yet; nobody types faster than this.
const QUEUE: usize = 32;

enum Word {
    Said(Acknowledgement),
    TakenBack(Acknowledgement),
}

/// Carries out acknowledgements until it is dropped.
pub(super) struct Keeper {
    words: Option<mpsc::Sender<Word>>,
    report: mpsc::Sender<Report>,
    operator: String,
    _tasks: JoinSet<()>,
}

impl Keeper {
    /// Starts to follow the store, if there is a place for one.
    pub fn start(config: &Config, environment: &Environment, poller: &Poller, report: mpsc::Sender<Report>) -> Self {
        let mut tasks = JoinSet::new();
        let words = Store::of(config, environment).ok().map(|store| {
            let (tell, mut told) = mpsc::channel::<String>(QUEUE);
            let (said, mut words) = mpsc::channel(QUEUE);
            let known = poller.acknowledgements.clone();
            tasks.spawn(follow(store.clone(), known.clone(), poller.snapshots.clone(), tell.clone()));
            let reports = report.clone();
            tasks.spawn(async move {
                while let Some(message) = told.recv().await {
                    let _ = reports.try_send(Report::Failed(message));
                }
            });
            let reports = report.clone();
            tasks.spawn(async move {
                while let Some(word) = words.recv().await {
                    let store = store.clone();
                    let (done, said) = match word {
                        Word::Said(word) => {
                            (renew(&known, &tell, move || store.add(Timestamp::now(), word)).await, "acknowledged")
                        }
                        Word::TakenBack(word) => {
                            (renew(&known, &tell, move || store.remove(Timestamp::now(), &word)).await, "taken back")
                        }
                    };
                    if done {
                        let _ = reports.try_send(Report::Done(said.to_owned()));
                    }
                }
            });
            said
        });
        Self { words, report, operator: environment.operator(), _tasks: tasks }
    }

    /// Keeps a word.
    pub fn add(&self, mut word: Acknowledgement) {
        if word.by.is_empty() {
            word.by.clone_from(&self.operator);
        }
        self.send(Word::Said(word));
    }

    /// Takes one back.
    pub fn remove(&self, word: Acknowledgement) {
        self.send(Word::TakenBack(word));
    }

    fn send(&self, word: Word) {
        let sent = self.words.as_ref().is_some_and(|words| words.try_send(word).is_ok());
        if !sent {
            let message = "not kept: there is no folder for it, or its disk does not answer; set TIERDECK_STATE";
            let _ = self.report.try_send(Report::Failed(message.to_owned()));
        }
    }
}
