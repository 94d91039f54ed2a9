//! The lease of an operation that runs here: a row in the control database with a counter, kept alive by heartbeats.
//!
//! Whoever goes on with an operation raises the counter. Every line that is copied, every head that is noted and every
//! effect asks for the counter; one that woke up too late finds another number, and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::audit::Head;
use super::control::{Control, ControlError, Standing};
use super::estate::{Estate, Use};
use super::id::OperationId;
use super::journal::Entry;

/// See the module. Dropped, it is no longer kept alive.
#[derive(Debug)]
pub struct Lease {
    control: Arc<Mutex<Control>>,
    id: OperationId,
    fence: i64,
    lost: Arc<AtomicBool>,
    heart: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

impl Lease {
    /// A lease that was taken, kept alive from now on.
    pub(super) fn keep(control: Control, estate: Arc<Estate>, id: OperationId, fence: i64, every: Duration) -> Self {
        let control = Arc::new(Mutex::new(control));
        let lost = Arc::new(AtomicBool::new(false));
        let heart = Heart { control: Arc::clone(&control), estate, id: id.clone(), fence, lost: Arc::clone(&lost) };
        Self { control, id, fence, lost, heart: tokio::spawn(heart.beat(every)) }
    }

    /// Whether it is known not to be ours any more, without asking.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// The same, for who cannot keep the lease at hand.
    pub(super) fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }

    /// The counter.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Whether it still is ours, asked now.
    pub async fn still_ours(&self) -> Result<(), ControlError> {
        if self.is_lost() || !self.control.lock().await.is_held(&self.id, self.fence).await? {
            return Err(ControlError::Lost);
        }
        Ok(())
    }

    pub(super) async fn mirror(&self, entry: &Entry, standing: Standing) -> Result<(), ControlError> {
        let line = serde_json::to_string(entry).unwrap_or_default();
        self.control.lock().await.mirror(&self.id, self.fence, entry.seq, &line, standing).await
    }

    pub(super) async fn note_head(&self, head: &Head) -> Result<(), ControlError> {
        self.control.lock().await.note_head(&self.id, self.fence, head).await
    }

    pub(super) async fn leave(&self, state: &str, over: bool) -> Result<(), ControlError> {
        self.heart.abort();
        self.control.lock().await.leave(&self.id, self.fence, state, over).await
    }
}

/// What keeps a lease alive: an effect may take hours, and whoever is not heard of meanwhile may be taken over.
struct Heart {
    control: Arc<Mutex<Control>>,
    estate: Arc<Estate>,
    id: OperationId,
    fence: i64,
    lost: Arc<AtomicBool>,
}

impl Heart {
    async fn beat(self, every: Duration) {
        let mut clock = tokio::time::interval(every);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let mut control = self.control.lock().await;
            match control.beat(&self.id, self.fence).await {
                Ok(false) => return self.lost.store(true, Ordering::SeqCst),
                Err(_) if control.is_closed() => {
                    if let Ok(again) = self.estate.connect(&self.estate.control, None, Use::Control).await
                        && let Ok(Some(again)) = Control::look(again).await
                    {
                        *control = again;
                    }
                }
                // A lock that did not come in time is no reason to fall silent: an effect of ours may hold it.
                Ok(true) | Err(_) => {}
            }
        }
    }
}
