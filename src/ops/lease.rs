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
use super::control::{Control, ControlError};
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
    pub(super) fn keep(control: Control, id: OperationId, fence: i64, every: Duration) -> Self {
        let control = Arc::new(Mutex::new(control));
        let lost = Arc::new(AtomicBool::new(false));
        let heart = tokio::spawn(beat(Arc::clone(&control), id.clone(), fence, every, Arc::clone(&lost)));
        Self { control, id, fence, lost, heart }
    }

    /// The counter.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Whether it still is ours, asked now.
    pub async fn still_ours(&self) -> Result<(), ControlError> {
        if self.lost.load(Ordering::SeqCst) || !self.control.lock().await.is_held(&self.id, self.fence).await? {
            return Err(ControlError::Lost);
        }
        Ok(())
    }

    pub(super) async fn mirror(&self, entry: &Entry) -> Result<(), ControlError> {
        let line = serde_json::to_string(entry).unwrap_or_default();
        self.control.lock().await.mirror(&self.id, self.fence, entry.seq, &line).await
    }

    pub(super) async fn note_head(&self, head: &Head) -> Result<(), ControlError> {
        self.control.lock().await.note_head(head).await
    }

    pub(super) async fn leave(&self, state: &str, over: bool) -> Result<(), ControlError> {
        self.heart.abort();
        self.control.lock().await.leave(&self.id, self.fence, state, over).await
    }
}

async fn beat(control: Arc<Mutex<Control>>, id: OperationId, fence: i64, every: Duration, lost: Arc<AtomicBool>) {
    let mut clock = tokio::time::interval(every);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match control.lock().await.beat(&id, fence).await {
            Ok(true) => {}
            Ok(false) => return lost.store(true, Ordering::SeqCst),
            // An effect of our own holds the row while its transaction is open.
            Err(ControlError::Query(error)) if !error.is_lost() => {}
            // Whatever is done next asks the same connection, and hears the same.
            Err(_) => return,
        }
    }
}
