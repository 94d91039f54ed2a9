//! So many requests a second and no more, however many secrets there are: a Vault serves others than us.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// From one request to the next.
const APART: Duration = Duration::from_millis(100);

/// Requests that may come at once after a rest: a small estate is read in one go.
const AT_ONCE: u32 = 100;

/// A turn for each request.
#[derive(Debug)]
pub struct Pace {
    /// When all that came at once would have been due.
    due: Mutex<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { due: Mutex::new(None) }
    }
}

impl Pace {
    /// Waits until it is this request's turn.
    pub async fn turn(&self) {
        let at = next(&mut *self.due.lock().await, Instant::now());
        sleep_until(at).await;
    }
}

/// When a request may go that asks now.
fn next(due: &mut Option<Instant>, now: Instant) -> Instant {
    // Who rested has so many turns to spare, and no more.
    let earliest = now.checked_sub(APART * AT_ONCE).unwrap_or(now);
    let at = due.map_or(earliest, |due| due.max(earliest));
    *due = Some(at + APART);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_come_at_once_and_then_ten_a_second() {
        let now = Instant::now() + APART * AT_ONCE;
        let mut due = None;
        for _ in 0..AT_ONCE {
            assert!(next(&mut due, now) < now);
        }
        for request in 0..50 {
            assert_eq!(next(&mut due, now), now + APART * request);
        }
        // A rest gives back no more than it saved.
        let later = now + Duration::from_secs(3_600);
        assert_eq!(next(&mut due, later), later - APART * AT_ONCE);
    }
}
