//! A table that somebody changes for as long as the test lasts: nothing of ours waits for it, and so nobody behind us.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tierdeck::domain::facts::Source;
use tokio_postgres::Client;

use super::support::console::PATIENCE;
use super::support::observer::Observer;
use super::support::server::Server;
use super::support::watcher::{HBA, Watcher, session, world};

/// What a spy saw of our sessions.
#[derive(Debug, Default)]
struct Seen {
    looks: u32,
    /// What we waited for.
    waited: Vec<String>,
    /// Who waited for us.
    behind: Vec<String>,
}

/// Looks again and again whether one of our sessions waits for a lock, or is waited for.
async fn spy(boss: Client, over: Arc<AtomicBool>) -> Seen {
    let waits = "SELECT concat_ws(' ', l.mode, l.locktype, l.relation::regclass, a.query) FROM pg_locks l
                 JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.application_name = 'tierdeck'";
    let behind = "SELECT w.query FROM pg_stat_activity w
                  WHERE w.wait_event_type = 'Lock' AND EXISTS (
                      SELECT FROM pg_stat_activity t
                      WHERE t.application_name = 'tierdeck' AND t.pid = ANY (pg_blocking_pids(w.pid)))";
    let mut seen = Seen::default();
    while !over.load(Ordering::SeqCst) {
        for (sql, found) in [(waits, &mut seen.waited), (behind, &mut seen.behind)] {
            let rows = boss.query(sql, &[]).await.unwrap();
            found.extend(rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()));
        }
        seen.looks += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    seen
}

async fn reaches(boss: &Client, sql: &str, least: i64) {
    let begun = Instant::now();
    while boss.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < least {
        assert!(begun.elapsed() < PATIENCE, "{sql} is never {least}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_throughout_is_not_waited_for() {
    let server = Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    let made = "GRANT pg_read_all_data TO tierdeck;
        CREATE SEQUENCE tenant_acme.numbers AS int MAXVALUE 1000; SELECT setval('tenant_acme.numbers', 900);
        CREATE SEQUENCE tenant_globex.numbers AS int MAXVALUE 1000; SELECT setval('tenant_globex.numbers', 950);
        CREATE MATERIALIZED VIEW tenant_acme.sums AS SELECT sum(total) FROM tenant_acme.orders;
        ALTER TABLE tenant_acme.orders ADD word text; ALTER TABLE tenant_acme.orders SET (autovacuum_enabled = off);
        INSERT INTO tenant_acme.orders SELECT i, i, repeat('x', 200) FROM generate_series(1000, 40000) i;
        DELETE FROM tenant_acme.orders WHERE id > 2000; ANALYZE";
    boss.batch_execute(made).await.unwrap();
    // It fails, and leaves an index that is not valid.
    let halfway = "CREATE UNIQUE INDEX CONCURRENTLY halfway ON tenant_acme.orders ((id % 2))";
    boss.batch_execute(halfway).await.unwrap_err();

    // One change holds the table, its indexes, its view and its sequence; another waits behind a reader.
    let change = session(server.port, "postgres", "postgres").await;
    let held = "BEGIN; LOCK TABLE tenant_acme.orders IN ACCESS EXCLUSIVE MODE; REINDEX INDEX tenant_acme.orders_pkey;
                DROP INDEX tenant_acme.halfway; ALTER SEQUENCE tenant_acme.numbers RESTART WITH 5;
                REFRESH MATERIALIZED VIEW tenant_acme.sums";
    change.batch_execute(held).await.unwrap();
    let reader = session(server.port, "role_globex", "postgres").await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM tenant_globex.orders").await.unwrap();
    let later = session(server.port, "postgres", "postgres").await;
    let later =
        tokio::spawn(async move { later.batch_execute("ALTER TABLE tenant_globex.orders ADD later int").await });
    let stuck = session(server.port, "role_acme", "postgres").await;
    let stuck = tokio::spawn(async move { stuck.batch_execute("SELECT max(total) FROM tenant_acme.orders").await });
    reaches(&boss, "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted", 2).await;
    reaches(&boss, "SELECT pg_stat_get_dead_tuples('tenant_acme.orders'::regclass)", 30_000).await;

    // Every source, again and again: each observer begins anew, so that also the dear ones are asked at once.
    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(spy(session(server.port, "postgres", "postgres").await, Arc::clone(&over)));
    let watcher = Watcher::of(&[("shared", server.port)]);
    let all: Vec<Source> = Source::ALL.into_iter().filter(|source| source.asks_the_server()).collect();
    for round in 1..=3 {
        let mut observer = Observer::of(&watcher);
        observer
            .until("every source", |snapshot| snapshot.instances[0].sources.iter().all(|state| state.at.is_some()))
            .await;
        observer.rounds(&[Source::Activity, Source::Databases, Source::Churn], 2).await;
        let instance = observer.instance();
        assert_eq!(instance.sources.len(), all.len());
        assert!(instance.sources.iter().all(|state| state.error.is_none()), "{}", observer.picture());
        let catalog = instance.catalog.value.as_ref().unwrap();
        // What can be said without touching what is held is said; the sequence that is held is left for the next time.
        let sequences: Vec<String> = catalog.sequences.iter().map(|it| it.schema.to_string()).collect();
        assert_eq!(sequences, ["tenant_globex"], "round {round}: {catalog:#?}");
        assert_eq!(catalog.invalid_indexes.len(), 1, "round {round}");
        let debts = &instance.debt.value.as_ref().unwrap().tables;
        assert!(debts.iter().any(|debt| debt.schema.raw() == "tenant_acme"), "round {round}: {debts:#?}");
        assert_eq!(observer.tenant("acme").size_bytes.map(|bytes| bytes > 1 << 20), Some(true), "round {round}");
    }
    over.store(true, Ordering::SeqCst);
    let seen = watching.await.unwrap();
    println!("{} looks while sources were asked: {seen:?}", seen.looks);
    assert!(seen.looks > 50 && seen.waited.is_empty() && seen.behind.is_empty(), "{seen:#?}");

    // A person asks for the plan of the statement that is stuck: told at once why there is none, and nobody is kept.
    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(spy(session(server.port, "postgres", "postgres").await, Arc::clone(&over)));
    let mut console = watcher.console().open();
    console.until("the tenants", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("● shared"));
    console.keys("3");
    console.until("who is stuck", PATIENCE, |screen| screen.contains("SESSIONS ") && screen.contains("max(total)"));
    console.keys("/max(total)\r");
    console.shows("1 match");
    console.keys("\r");
    console.until("its locks", PATIENCE, |screen| {
        screen.contains("AccessShareLock") && screen.contains("tenant_acme.orders")
    });
    console.keys("P");
    println!("no plan after {:?}", console.shows("somebody else holds a lock"));
    over.store(true, Ordering::SeqCst);
    let seen = watching.await.unwrap();
    println!("{} looks while somebody looked: {seen:?}", seen.looks);
    assert!(seen.behind.is_empty(), "{seen:#?}");
    console.keys("1");
    console.shows("TENANTS 3");
    change.batch_execute("ROLLBACK").await.unwrap();
    reader.batch_execute("ROLLBACK").await.unwrap();
    stuck.await.unwrap().unwrap();
    later.await.unwrap().unwrap();
    console.keys("q");
    console.ends_with(0);
}
