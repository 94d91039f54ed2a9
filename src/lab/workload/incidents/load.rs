//! Incidents that take processors: the noisy neighbour, the query that does not end.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::Error;

use super::super::Stage;
use super::super::session::{Session, in_transaction};
use super::{CHASTENED, enter};

/// However bad a scenario wants it: the console on the same machine must stay usable.
const MOST_BUSY: u32 = 8;

/// So many sessions calculate and write without a pause; one of them holds a row that everybody wants.
pub(super) async fn noisy(stage: &Arc<Stage>, culprit: usize, sessions: u32) {
    let mut hogs = JoinSet::new();
    let wanted = sessions.min(MOST_BUSY);
    for number in 0..wanted {
        let stage = Arc::clone(stage);
        hogs.spawn(async move {
            let member = stage.member(culprit);
            loop {
                let session = enter(&stage, member).await;
                while in_transaction(&session, member, async |work| {
                    let (orders, events) = (work.own("orders"), work.own("events"));
                    if number == 0 {
                        let counters = stage.common("usage_counters");
                        let sql = format!("UPDATE {counters} SET value = value + 1 WHERE name = 'requests'");
                        work.run("import", &sql).await?;
                    }
                    let import = format!(
                        "INSERT INTO {events} (kind, payload) SELECT 'import', md5(i::text) FROM generate_series(1, 2000) AS i"
                    );
                    work.touch("import", &import).await?;
                    let calculate = format!(
                        "SELECT max(md5(o.id::text || i)) FROM (SELECT id FROM {orders} LIMIT 40) AS o, \
                         generate_series(1, 8000) AS i"
                    );
                    work.touch("import/score", &calculate).await?;
                    // What was imported goes again, so that an estate that runs for days does not fill a disk.
                    let forget = format!("DELETE FROM {events} WHERE kind = 'import' AND at < now() - interval '20 s'");
                    if number + 1 == wanted { work.touch("import/forget", &forget).await } else { Ok(()) }
                })
                .await
                .is_ok()
                {}
                sleep(CHASTENED).await;
            }
        });
    }
    while hogs.join_next().await.is_some() {}
}

/// So many statements that take for ever.
pub(super) async fn runaway(stage: &Arc<Stage>, culprit: usize, statements: u32) {
    let mut runaways = JoinSet::new();
    for _ in 0..statements.min(MOST_BUSY) {
        let stage = Arc::clone(stage);
        runaways.spawn(async move {
            loop {
                let session = enter(&stage, stage.member(culprit)).await;
                // Whether it was cancelled, terminated or just done: it comes again.
                let _ = run_away(&stage, &session, culprit).await;
                drop(session);
                sleep(CHASTENED).await;
            }
        });
    }
    while runaways.join_next().await.is_some() {}
}

async fn run_away(stage: &Stage, session: &Session, culprit: usize) -> Result<(), Error> {
    in_transaction(session, stage.member(culprit), async |work| {
        let orders = work.own("orders");
        work.touch("reports", &format!("SELECT count(*) FROM {orders}")).await?;
        let sql = format!(
            "SELECT a.customer_id, count(*) FROM {orders} AS a CROSS JOIN {orders} AS b \
             CROSS JOIN generate_series(1, 10000) AS day CROSS JOIN generate_series(1, 10000) AS hour \
             WHERE a.total_cents + b.total_cents + day + hour > 0 GROUP BY a.customer_id"
        );
        work.touch("reports/correlate", &sql).await
    })
    .await
}
