//! What the tenants do anyway: small transactions with pauses, over pools as applications have them.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_postgres::Error;

use super::session::{Session, Work, in_transaction};
use super::{Stage, until_next};
use crate::domain::Layout;
use crate::lab::roster::{Member, Style};
use crate::lab::scenario::Background;

/// Connections of the shared account, by style of the application that holds the pool.
const POOLS: [(Style, usize); 5] = [
    (Style::SearchPath, 8),
    (Style::ApplicationName, 4),
    (Style::Sqlcommenter, 3),
    (Style::NoClue, 2),
    (Style::Liar, 1),
];

/// How long a worker stays with one tenant's own login before it goes on to its next one.
const STAY: Duration = Duration::from_secs(20);

/// Starts the pools, the own logins, and somebody who comes and goes.
pub(super) fn start(stage: &Arc<Stage>, background: Background, crew: &mut JoinSet<()>) {
    let mut teams: Vec<Vec<usize>> = Vec::new();
    for (style, connections) in POOLS {
        let places: Vec<usize> = stage.roster.ranks(style).collect();
        if !places.is_empty() {
            teams.extend(std::iter::repeat_n(places, connections));
        }
    }
    let shared = teams.len();
    let own: Vec<usize> = stage.roster.ranks(Style::OwnLogin).collect();
    let slots = own.len().min(if stage.layout == Layout::Database { 30 } else { 12 });
    teams.extend((0..slots).map(|slot| own.iter().copied().skip(slot).step_by(slots).collect()));
    let each = background.transactions_per_second / teams.len().max(1) as f64;
    for (number, team) in teams.into_iter().enumerate() {
        let stage = Arc::clone(stage);
        let rng = stage.rng(number as u64);
        if number < shared {
            crew.spawn(pooled(stage, team, each, background.heavy, rng));
        } else {
            crew.spawn(own_logins(stage, team, each, background.heavy, rng));
        }
    }
    crew.spawn(visitor(Arc::clone(stage), stage.rng(u64::MAX)));
}

/// One connection of the shared account: each transaction is of another tenant.
async fn pooled(stage: Arc<Stage>, places: Vec<usize>, rate: f64, heavy: f64, mut rng: StdRng) {
    // Big tenants work more, but not by as much as they are bigger.
    let weights = places.iter().map(|&place| f64::from(stage.member(place).orders).sqrt());
    let Ok(weights) = WeightedIndex::new(weights) else { return };
    loop {
        if let Ok(session) = Session::open(&stage, stage.member(places[0])).await {
            loop {
                until_next(&mut rng, rate).await;
                let member = stage.member(places[rng.sample(&weights)]);
                if transaction(&stage, &session, member, heavy, &mut rng).await.is_err() {
                    break;
                }
            }
        }
        back_off(&mut rng).await;
    }
}

/// One connection at a time of tenants with their own logins, one tenant after the other.
async fn own_logins(stage: Arc<Stage>, places: Vec<usize>, rate: f64, heavy: f64, mut rng: StdRng) {
    let mut turn = 0;
    loop {
        let member = stage.member(places[turn % places.len()]);
        if let Ok(session) = Session::open(&stage, member).await {
            let since = Instant::now();
            loop {
                until_next(&mut rng, rate).await;
                if transaction(&stage, &session, member, heavy, &mut rng).await.is_err() {
                    break;
                }
                if places.len() > 1 && since.elapsed() > STAY {
                    break;
                }
            }
        }
        turn += 1;
        back_off(&mut rng).await;
    }
}

/// A job that logs in, does a little and leaves: who notices first when there are no connections left.
async fn visitor(stage: Arc<Stage>, mut rng: StdRng) {
    loop {
        until_next(&mut rng, 0.4).await;
        let place = rng.random_range(0..stage.roster.members.len());
        if let Ok(session) = Session::open(&stage, stage.member(place)).await {
            let _ = transaction(&stage, &session, stage.member(place), 0.0, &mut rng).await;
        }
    }
}

async fn back_off(rng: &mut StdRng) {
    sleep(Duration::from_millis(rng.random_range(300..1_500))).await;
}

/// What an application does for one request.
async fn transaction(
    stage: &Stage,
    session: &Session,
    member: &Member,
    heavy: f64,
    rng: &mut StdRng,
) -> Result<(), Error> {
    in_transaction(session, member, async |work| {
        let customer = rng.random_range(1..=2 + member.orders / 10);
        let orders = work.own("orders");
        let insert = format!(
            "INSERT INTO {orders} (customer_id, total_cents) VALUES ({customer}, {})",
            rng.random_range(500..90_000)
        );
        work.touch("orders", &insert).await?;
        sleep(Duration::from_millis(rng.random_range(2..60))).await;
        second_statement(stage, work, customer, rng).await?;
        if rng.random_bool(heavy) {
            let calculate = format!(
                "SELECT max(md5(o.id::text || i)) FROM (SELECT id FROM {orders} ORDER BY id DESC LIMIT 8) AS o, \
                 generate_series(1, 6000) AS i"
            );
            work.touch("reports", &calculate).await?;
        }
        if rng.random_bool(0.15) {
            // Last, so that the hot row is held for a moment only.
            let counters = stage.common("usage_counters");
            work.run("usage", &format!("UPDATE {counters} SET value = value + 1 WHERE name = 'requests'")).await?;
        }
        Ok(())
    })
    .await
}

async fn second_statement(stage: &Stage, work: &Work<'_>, customer: u32, rng: &mut StdRng) -> Result<(), Error> {
    let (orders, events, customers) = (work.own("orders"), work.own("events"), work.own("customers"));
    match rng.random_range(0..7) {
        0 => {
            let sql = format!("UPDATE {orders} SET status = 'paid' WHERE id = (SELECT max(id) FROM {orders})");
            work.touch("orders/pay", &sql).await
        }
        1 => {
            let sql = format!("SELECT count(*), sum(total_cents) FROM {orders} WHERE customer_id = {customer}");
            work.touch("orders/history", &sql).await
        }
        2 => {
            let sql = format!("INSERT INTO {events} (kind, payload) VALUES ('order.placed', 'customer {customer}')");
            work.touch("events", &sql).await
        }
        3 => {
            let sql = format!("SELECT name, country FROM {customers} WHERE id = {customer}");
            work.touch("customers", &sql).await
        }
        4 => {
            let flags = stage.common("feature_flags");
            work.run("flags", &format!("SELECT enabled FROM {flags} WHERE name = 'flag-3'")).await
        }
        5 => {
            let delete = format!("DELETE FROM {orders} WHERE id = (SELECT min(id) FROM {orders})");
            work.touch("orders/archive", &delete).await
        }
        _ => {
            // Takes its time without taking a processor, as a statement that waits for a disk does.
            let sql = format!("SELECT status, count(*) FROM {orders}, pg_sleep(0.2) GROUP BY status");
            work.touch("reports/status", &sql).await
        }
    }
}
