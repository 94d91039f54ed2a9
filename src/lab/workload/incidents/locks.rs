//! Incidents of locks: a queue behind one idle transaction, deadlocks.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::Error;

use super::super::Stage;
use super::super::session::{Session, Work, in_transaction};
use super::{CHASTENED, enter, linger};
use crate::domain::Layout;
use crate::lab::roster::{Member, Style};

/// The culprit locks the job queue and goes to sleep; so many others want a row of it.
pub(super) async fn pile_up(stage: &Arc<Stage>, culprit: usize, waiters: u32) {
    let mut people = JoinSet::new();
    people.spawn(root(Arc::clone(stage), culprit));
    for (number, place) in others(stage, culprit, waiters as usize).into_iter().enumerate() {
        people.spawn(waiter(Arc::clone(stage), place, number));
    }
    while people.join_next().await.is_some() {}
}

/// Who gets in whose way: tenants of the shared account first, because no `lock_timeout` sends them home. In databases
/// of their own tenants can only get in their own way.
fn others(stage: &Stage, culprit: usize, count: usize) -> Vec<usize> {
    if stage.layout == Layout::Database {
        return vec![culprit; count];
    }
    let own = |&place: &usize| stage.member(place).style == Style::OwnLogin;
    let mut others: Vec<usize> = (0..stage.roster.members.len()).filter(|&place| place != culprit).collect();
    others.sort_by_key(own);
    others.truncate(count);
    others
}

async fn root(stage: Arc<Stage>, culprit: usize) {
    let member = stage.member(culprit);
    loop {
        let session = enter(&stage, member).await;
        let _ = in_transaction(&session, member, async |work| {
            let orders = work.own("orders");
            let sql = format!("INSERT INTO {orders} (customer_id, total_cents, status) VALUES (1, 100, 'migrated')");
            work.touch("migrate", &sql).await?;
            work.run("migrate", &format!("LOCK TABLE {} IN EXCLUSIVE MODE", stage.common("job_queue"))).await?;
            linger(&session).await;
            Ok(())
        })
        .await;
        sleep(CHASTENED).await;
    }
}

async fn waiter(stage: Arc<Stage>, place: usize, number: usize) {
    let member = stage.member(place);
    loop {
        let session = enter(&stage, member).await;
        while in_transaction(&session, member, async |work| {
            let sql = format!("INSERT INTO {} (customer_id, total_cents) VALUES (1, 4200)", work.own("orders"));
            work.touch("checkout", &sql).await?;
            let queue = stage.common("job_queue");
            let sql = format!(
                "UPDATE {queue} SET locked_by = '{}', attempts = attempts + 1 WHERE id = {}",
                member.id,
                number + 1
            );
            work.run("checkout", &sql).await
        })
        .await
        .is_ok()
        {
            sleep(Duration::from_millis(300)).await;
        }
    }
}

/// So many a minute: two tenants take the same two rows in opposite order.
pub(super) async fn deadlocks(stage: &Arc<Stage>, culprit: usize, per_minute: u32) {
    let one = stage.member(culprit);
    let other = stage.member(others(stage, culprit, 1).first().copied().unwrap_or(culprit));
    let pause = Duration::from_secs_f64(60.0 / f64::from(per_minute.max(1)));
    loop {
        let (left, right) = tokio::join!(enter(stage, one), enter(stage, other));
        while !left.is_closed() && !right.is_closed() {
            let _ = tokio::join!(
                cross(stage, &left, one, ["exports", "mails"]),
                cross(stage, &right, other, ["mails", "exports"])
            );
            sleep(pause.saturating_sub(Duration::from_millis(1_500))).await;
        }
        sleep(CHASTENED).await;
    }
}

async fn cross(stage: &Stage, session: &Session, member: &Member, rows: [&str; 2]) -> Result<(), Error> {
    let take = async |work: &Work<'_>, row| {
        let counters = stage.common("usage_counters");
        work.run("usage", &format!("UPDATE {counters} SET value = value + 1 WHERE name = '{row}'")).await
    };
    in_transaction(session, member, async |work| {
        work.touch("usage", &format!("SELECT count(*) FROM {}", work.own("customers"))).await?;
        take(work, rows[0]).await?;
        sleep(Duration::from_millis(300)).await;
        take(work, rows[1]).await
    })
    .await
}
