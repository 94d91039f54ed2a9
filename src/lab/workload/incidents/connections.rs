//! Incidents of sessions that do hardly anything: the connection storm, transactions that were forgotten.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::Stage;
use super::super::session::{Session, in_transaction};
use super::{CHASTENED, enter, linger};

/// Logins at a time.
const AT_ONCE: usize = 4;
/// How often the storm takes every last connection for a moment, so that others are refused.
const GUST_EVERY: Duration = Duration::from_secs(12);

/// Opens connections up to a share of what clients may have, and holds them. It leaves some free most of the time:
/// a console that cannot get in shows nobody who is to blame.
pub(super) async fn storm(stage: &Arc<Stage>, culprit: usize, percent: u32, mut rng: StdRng) {
    let member = stage.member(culprit);
    let mut held: Vec<Session> = vec![enter(stage, member).await];
    let mut gust = Instant::now() + GUST_EVERY;
    loop {
        let before = held.len();
        held.retain(|session| !session.is_closed());
        if before > held.len() {
            sleep(CHASTENED).await;
        }
        if held.is_empty() {
            held.push(enter(stage, member).await);
        }
        let Some(free) = free(&held[0], percent).await else {
            sleep(Duration::from_millis(500)).await;
            continue;
        };
        let all = if percent < 100 { self::free(&held[0], 100).await.unwrap_or(free) } else { free };
        if free > 0 {
            let more = join_all((0..AT_ONCE.min(free)).map(|_| Session::open(stage, member))).await;
            held.extend(more.into_iter().flatten());
        } else if Instant::now() > gust {
            let last = join_all((0..all + 2).map(|_| Session::open(stage, member))).await;
            sleep(Duration::from_millis(700)).await;
            drop(last);
            gust = Instant::now() + GUST_EVERY;
        } else {
            // A pool that is far too big still does its little work.
            let session = &held[rng.random_range(0..held.len())];
            let _ = in_transaction(session, member, async |work| {
                work.touch("cart", &format!("SELECT count(*) FROM {}", work.own("customers"))).await
            })
            .await;
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// How many more connections fit below this share of what clients may have.
async fn free(session: &Session, percent: u32) -> Option<usize> {
    let sql = format!(
        "SELECT ((current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int) \
         * {percent} / 100 - (SELECT sum(numbackends) FROM pg_stat_database))::int8"
    );
    session.number(&sql).await.ok().map(|free| usize::try_from(free).unwrap_or(0))
}

/// So many transactions write something and are forgotten.
pub(super) async fn idle(stage: &Arc<Stage>, culprit: usize, transactions: u32) {
    let mut forgotten = JoinSet::new();
    for _ in 0..transactions {
        let stage = Arc::clone(stage);
        forgotten.spawn(async move {
            let member = stage.member(culprit);
            loop {
                let session = enter(&stage, member).await;
                let _ = in_transaction(&session, member, async |work| {
                    let orders = work.own("orders");
                    let sql = format!("INSERT INTO {orders} (customer_id, total_cents) VALUES (1, 100)");
                    work.touch("orders/check", &sql).await?;
                    linger(&session).await;
                    Ok(())
                })
                .await;
                sleep(CHASTENED).await;
            }
        });
    }
    while forgotten.join_next().await.is_some() {}
}
