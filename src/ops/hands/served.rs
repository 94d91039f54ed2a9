//! Whether a server still works for what we wait for: a connection that died without a word would hold an effect for as long as it
//! may take, and nobody could take the operation over meanwhile, because its heart goes on.

use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Hands, HandsError};
use crate::clients::postgres::{Connection, QueryError};
use crate::ops::estate::Use;

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// What gives no sign of life for so many times what a statement may take is taken for dead.
const STALLED: u32 = 4;

/// And never sooner: in between a command may have to think.
const LEAST: Duration = Duration::from_secs(10);

/// What the server does for our sessions: a dump looks through the whole catalogue before it writes a byte. Who waits for the
/// client to read or to ask does nothing.
const AT_WORK: &str =
    "SELECT coalesce(bool_or(state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'), false), max(state_change)
                       FROM pg_stat_activity WHERE application_name = $1 AND usename = session_user";

/// What was last seen of them.
#[derive(Default)]
pub(super) struct Served {
    link: Option<Connection>,
    changed: Option<Timestamp>,
}

impl Hands<'_> {
    /// How long no sign of life is none yet.
    pub(super) fn patience(&self) -> Duration {
        (self.estate.statement_timeout * STALLED).max(LEAST)
    }

    /// Whether the server works for this operation, or did since it was last asked. That nobody can say is no sign of life.
    pub(super) async fn is_served(&self, target: usize, seen: &mut Served) -> bool {
        let Some(target) = self.plan.targets.get(target) else { return false };
        let link = match seen.link.take().filter(|link| !link.is_closed()) {
            Some(link) => Ok(link),
            None => self.estate.connect(&target.instance, Some(&target.database), Use::Looking).await,
        };
        let Ok(link) = link else { return false };
        let Ok(row) = link.query_one(AT_WORK, &[&self.plan.id.application_name()]).await else { return false };
        let (busy, changed): (bool, Option<Timestamp>) = (row.get(0), row.get(1));
        seen.link = Some(link);
        busy || std::mem::replace(&mut seen.changed, changed) != changed
    }

    /// Something that may take its time, as long as the server works for it.
    pub(super) async fn as_long_as_served(
        &self,
        target: usize,
        work: impl Future<Output = Result<String, HandsError>>,
    ) -> Result<String, HandsError> {
        let mut work = pin!(work);
        let (mut seen, mut since) = (Served::default(), Instant::now());
        let mut clock = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = clock.tick() => {
                    if self.is_served(target, &mut seen).await {
                        since = Instant::now();
                    } else if since.elapsed() > self.patience() {
                        return Err(QueryError::Silent { after: since.elapsed(), lost: true }.into());
                    }
                }
            }
        }
    }
}
