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
        let now = Instant::now();
        let at = {
            let mut due = self.due.lock().await;
            // Who rested has so many turns to spare, and no more.
            let earliest = now.checked_sub(APART * AT_ONCE).unwrap_or(now);
            let at = due.map_or(earliest, |due| due.max(earliest));
            *due = Some(at + APART);
            at
        };
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_come_at_once_and_then_ten_a_second() {
        let pace = Pace::default();
        let begun = Instant::now();
        for _ in 0..AT_ONCE {
            pace.turn().await;
        }
        assert!(begun.elapsed() < APART, "{:?}", begun.elapsed());
        for _ in 0..50 {
            pace.turn().await;
        }
        let took = begun.elapsed();
        assert!((4.8..5.2).contains(&took.as_secs_f64()), "{took:?}");
    }
}
