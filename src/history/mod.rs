//! What is remembered: a bounded file in the user's state folder, so that trends, tier advice and "since when" survive a
//! restart.
//!
//! One thread of its own takes the snapshots that everybody sees, so that neither polling nor drawing waits for a disk. One
//! console writes ([`redb`] holds the lock), others read along. A file that is damaged or not ours is set aside, never
//! fatal; a disk that is full is told, and polling goes on.

mod columns;
mod diary;
mod keeper;
mod minute;
mod place;
mod records;
mod store;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::history::{Curve, Stretch, Whose};
use crate::domain::{Past, Snapshot};
use keeper::Keeper;

/// Questions that wait; one that finds no room is told so.
const ASKS: usize = 16;

/// Where and how long to remember.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// How long.
    pub keep: Duration,
}

/// Something that the operator should know of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: String,
    /// Whether something is wrong.
    pub bad: bool,
}

/// What is asked of the thread.
#[derive(Debug)]
enum Ask {
    Curve { whose: Whose, stretch: Stretch, now: Timestamp, answer: oneshot::Sender<Curve> },
    Close(oneshot::Sender<()>),
}

/// The history that is being written or read along; ends when it is dropped.
#[derive(Debug, Clone)]
pub struct History {
    asks: mpsc::Sender<Ask>,
}

impl History {
    /// Begins to remember. `past` hears what is known of the time before, now and whenever that changes; `tell` hears what
    /// the operator should know. Wants a Tokio runtime.
    pub fn start(
        options: Options,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        past: watch::Sender<Arc<Past>>,
        tell: impl Fn(Notice) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (asks, inbox) = mpsc::channel(ASKS);
        let keeper = Keeper::new(options, past, Box::new(tell));
        let runtime = tokio::runtime::Handle::current();
        let run = move || runtime.block_on(keeper.run(snapshots, inbox));
        std::thread::Builder::new().name("history".to_owned()).spawn(run)?;
        Ok(Self { asks })
    }

    /// What is stored of somebody; a trouble is told in the curve.
    pub async fn curve(&self, whose: Whose, stretch: Stretch, now: Timestamp) -> Curve {
        let trouble = |words: &str| Curve {
            whose: whose.clone(),
            stretch,
            readings: Vec::new(),
            trouble: Some(words.to_owned()),
        };
        let (answer, curve) = oneshot::channel();
        if self.asks.try_send(Ask::Curve { whose: whose.clone(), stretch, now, answer }).is_err() {
            return trouble("the history is busy");
        }
        curve.await.unwrap_or_else(|_| trouble("the history has ended"))
    }

    /// Writes what is not written yet, and ends.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.asks.send(Ask::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}
