//! The incident of dead rows: a table that is updated all the time and that autovacuum must leave alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::Error;

use super::super::Stage;
use super::super::session::{Session, in_transaction};
use super::{CHASTENED, enter};
use crate::lab::roster::Member;

/// Updates of every row at the beginning.
const ROUNDS: u32 = 4;
/// Slow churn afterwards ends here, so that an estate that runs for days does not fill a disk.
const TRICKLE: u32 = 400;

/// Makes so many thousand dead rows at once and some more over time. The culprit owns its tables.
pub(super) async fn churn(stage: &Arc<Stage>, member: &Member, thousands: u32) {
    let mut left = TRICKLE;
    loop {
        let session = enter(stage, member).await;
        if fill(&session, member, thousands).await.is_ok() {
            while left > 0 {
                sleep(Duration::from_secs(2)).await;
                let tick = "UPDATE events SET at = now() WHERE kind = 'tick' AND payload LIKE 'a%'";
                if in_transaction(&session, member, async |work| work.touch("tick", tick).await).await.is_err() {
                    break;
                }
                left -= 1;
            }
            if left == 0 {
                std::future::pending::<()>().await;
            }
        }
        sleep(CHASTENED).await;
    }
}

async fn fill(session: &Session, member: &Member, thousands: u32) -> Result<(), Error> {
    let rows = thousands * 1_000 / ROUNDS;
    in_transaction(session, member, async |work| {
        work.touch("tick", "ALTER TABLE events SET (autovacuum_enabled = false)").await?;
        work.touch("tick", "DELETE FROM events WHERE kind = 'tick'").await?;
        let sql = format!(
            "INSERT INTO events (kind, payload) SELECT 'tick', md5(i::text) FROM generate_series(1, {rows}) AS i"
        );
        work.touch("tick", &sql).await
    })
    .await?;
    for _ in 0..ROUNDS {
        let sql = "UPDATE events SET at = now() WHERE kind = 'tick'";
        in_transaction(session, member, async |work| work.touch("tick", sql).await).await?;
    }
    Ok(())
}

/// Puts the table back in order.
pub(super) async fn tidy(stage: &Arc<Stage>, member: &Member) {
    let session = enter(stage, member).await;
    for sql in
        ["ALTER TABLE events RESET (autovacuum_enabled)", "DELETE FROM events WHERE kind = 'tick'", "VACUUM events"]
    {
        // An operator may have ended the session or changed the table: then it is in their order.
        let _ = session.run(sql).await;
    }
}
