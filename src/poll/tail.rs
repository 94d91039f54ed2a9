//! The lane of a log that somebody looks at: it runs only while a screen wants it, and tells that screen and nobody else. What
//! stands in logs goes through no board, into no recording.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::aws::again;
use crate::clients::aws::Account;
use crate::domain::facts::cloud::LogEntry;
use crate::domain::watching::LogInquiry;
use crate::sources::aws::logs::Follower;

/// How often a log is looked into: AWS allows some few such questions a second for all who ask, and takes nothing for them.
const EVERY: Duration = Duration::from_secs(2);

/// Follows a log until nobody listens any more. Each look is told, also one that brought nothing: then it is known to be quiet.
pub async fn follow<T>(
    account: Account,
    inquiry: LogInquiry,
    heard: mpsc::Sender<T>,
    wrap: impl Fn(Result<Vec<LogEntry>, String>) -> T,
) {
    let mut follower = Follower::new(inquiry.of.identifier, inquiry.exported, inquiry.since);
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let said = follower.next(&account).await;
        failures = if said.is_ok() { 0 } else { failures + 1 };
        if heard.send(wrap(said.map_err(|error| error.to_string()))).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(began + again(EVERY, failures)) => {}
            () = heard.closed() => return,
        }
    }
}
